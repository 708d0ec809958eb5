package trace

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/playhead-load/playhead/viewing"
)

// MaxProblems bounds the list of what was wrong with a log.
const MaxProblems = 20

// ImportOptions say how a log is read.
type ImportOptions struct {
	Map      map[string]string // from the log's names of fields to those of Fields
	Progress func(lines int64) // called now and then; nil: nobody wants to know
}

// ImportReport says what came of a log.
type ImportReport struct {
	Lines    int64     // that were not empty, the header of CSV left out
	Kept     int64     // events in the trace
	Bad      int64     // lines that were left out: Lines - Kept
	Problems []Problem // of the first bad lines that were found, MaxProblems at most, by line
	Ignored  []string  // columns of CSV that are no fields

	Sessions    int
	First, Last viewing.Millis // of what was kept
}

// Problem is why a line was left out.
type Problem struct {
	Line  int64
	Field string // empty: no one field is at fault
	Why   string // what was expected
}

func (p Problem) String() string {
	if p.Field == "" {
		return fmt.Sprintf("line %d: %s", p.Line, p.Why)
	}
	return fmt.Sprintf("line %d: %s: expected %s", p.Line, p.Field, p.Why)
}

// importing is one import on its way.
type importing struct {
	lines  *lines
	names  names
	report ImportReport
	row    row
	event  viewing.Event
	sorter sorter

	columns *columns // of CSV
	width   int      // of its lines, in cells
	cells   [][]byte
}

// Import reads a log of events, NDJSON or CSV with a header, and writes what is good
// of it to the trace that create makes, sorted by time. create is called when all of
// the log was read, and not at all if nothing of it is good. The log's format, and
// whether it is compressed, shows from its beginning. An error is of the whole log, of
// the disk or of ctx; then what was written is no trace. The report says until where
// it got.
func Import(ctx context.Context, path string, create func() (*Writer, error), o ImportOptions) (ImportReport, error) {
	names, err := newNames(o.Map)
	if err != nil {
		return ImportReport{}, err
	}
	lines, err := openLines(path)
	if err != nil {
		return ImportReport{}, err
	}
	m := &importing{lines: lines, names: names, sorter: sorter{memory: sortMemory}}
	return m.all(ctx, create, o)
}

// all makes the import, closes what it read, and reports.
func (m *importing) all(ctx context.Context, create func() (*Writer, error), o ImportOptions) (ImportReport, error) {
	defer func() { _ = errors.Join(m.lines.close(), m.sorter.close()) }() // nothing of them is to be kept
	err := m.run(ctx, create, o)
	slices.SortStableFunc(m.report.Problems, func(a, b Problem) int { return cmp.Compare(a.Line, b.Line) })
	return m.report, err
}

func (m *importing) run(ctx context.Context, create func() (*Writer, error), o ImportOptions) error {
	if err := m.begin(); err != nil {
		return err
	}
	if err := m.read(ctx, o.Progress); err != nil {
		return err
	}
	if m.report.Bad == m.report.Lines {
		return nil
	}
	to, err := create()
	if err != nil {
		return err
	}
	if err := m.write(ctx, to); err != nil {
		to.Abort()
		return err
	}
	return to.Close()
}

// begin finds out the format, by the first byte, and reads the header of CSV.
func (m *importing) begin() error {
	for {
		head, err := m.lines.text.Peek(1)
		if isEnd(err) {
			return fmt.Errorf("%s is empty: expected NDJSON, or CSV with a header", m.lines.name)
		}
		if err != nil {
			return m.lines.broken(err)
		}
		if head[0] == '{' {
			return nil
		}
		line, err := m.lines.next()
		switch {
		case errors.Is(err, errTooLong):
			return &LineError{m.lines.name, m.lines.line, fmt.Errorf("expected NDJSON or the header of CSV, got %w", err)}
		case err != nil:
			return err
		case len(bytes.TrimSpace(line)) == 0:
			continue
		}
		return m.header(line)
	}
}

func (m *importing) header(line []byte) error {
	cells, err := splitCSV(line, nil)
	if err == nil {
		m.columns, m.report.Ignored, err = newColumns(cells, &m.names)
	}
	if err != nil {
		return &LineError{m.lines.name, m.lines.line, err}
	}
	m.width, m.cells = len(cells), cells
	return nil
}

// read judges every line by itself and sorts the good ones.
func (m *importing) read(ctx context.Context, progress func(int64)) error {
	for {
		line, err := m.lines.next()
		if err != nil && !errors.Is(err, errTooLong) {
			if isEnd(err) {
				return nil
			}
			return err
		}
		if m.report.Lines%lookEvery == 0 {
			if ctx.Err() != nil {
				return fmt.Errorf("interrupted after line %d of %s", m.lines.line, m.lines.name)
			}
			if progress != nil {
				progress(m.report.Lines)
			}
		}
		if err == nil {
			if len(bytes.TrimSpace(line)) == 0 {
				continue
			}
			err = m.judge(line)
		}
		m.report.Lines++
		if err != nil {
			m.leaveOut(m.lines.line, err)
			continue
		}
		if err := m.sorter.add(m.lines.line, &m.event); err != nil {
			return err
		}
	}
}

// judge reads a line into m.event.
func (m *importing) judge(line []byte) error {
	if err := m.decode(line); err != nil {
		return err
	}
	if fault := playable(&m.event); fault != nil {
		return fault
	}
	return nil
}

// decode reads a line that may be a trace's already: without a detour it is much faster.
func (m *importing) decode(line []byte) error {
	if m.columns == nil && m.names == names(Fields) && m.row.decoder.DecodeEvent(line, &m.event) == nil {
		return nil
	}
	if err := m.take(line); err != nil {
		return err
	}
	return m.row.event(&m.event)
}

// take takes a line apart into m.row.
func (m *importing) take(line []byte) (err error) {
	if m.columns == nil {
		return m.row.fromJSON(line, &m.names)
	}
	if m.cells, err = splitCSV(line, m.cells); err != nil {
		return err
	}
	if len(m.cells) != m.width {
		return fmt.Errorf("expected %d cells, as the header has, got %d", m.width, len(m.cells))
	}
	m.row.fromCells(m.cells, m.columns)
	return nil
}

// write holds the sorted events to what their sessions told before, and writes those
// that are good.
func (m *importing) write(ctx context.Context, to *Writer) error {
	seen := sessions{}
	err := m.sorter.each(func(line int64, e *viewing.Event) error {
		if m.report.Kept%lookEvery == 0 && ctx.Err() != nil {
			return errors.New("interrupted while the trace was written")
		}
		fault, err := seen.check(e)
		switch {
		case err != nil:
			return err
		case fault != nil:
			m.leaveOut(line, fault)
			return nil
		case m.report.Kept == 0:
			m.report.First = e.At
		}
		m.report.Kept++
		m.report.Last = e.At
		return to.Write(e)
	})
	m.report.Sessions = len(seen)
	return err
}

func (m *importing) leaveOut(line int64, err error) {
	m.report.Bad++
	if len(m.report.Problems) == MaxProblems {
		return
	}
	problem := Problem{Line: line, Why: err.Error()}
	var field *viewing.FieldError
	if errors.As(err, &field) {
		problem.Field, problem.Why = field.Field, field.Expected
	}
	m.report.Problems = append(m.report.Problems, problem)
}
