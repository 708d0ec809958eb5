package trace

import (
	"bufio"
	"cmp"
	"container/heap"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/playhead-load/playhead/viewing"
	"github.com/playhead-load/playhead/viewing/wire"
)

// Bounds of sorting. Together they make 16 GiB of events in their binary form.
const (
	sortMemory = 64 << 20
	maxRuns    = 256
)

var errTooLarge = fmt.Errorf("more than %d MiB of events: split the file, by accounts or by time", maxRuns*sortMemory>>20)

// sorter sorts events by time, session and seq. What sortMemory has no room for lies
// in temporary files, sorted each, until it is merged.
type sorter struct {
	memory int      // bytes held before they are spilled
	held   []byte   // events one after another, as append wrote them
	index  []sorted // of what is held
	runs   []*os.File
}

// sorted is an event's key, and where it stands in held.
type sorted struct {
	at       viewing.Millis
	session  viewing.SessionID
	seq      uint32
	from, to int
}

func (a *sorted) compare(b *sorted) int {
	return cmp.Or(cmp.Compare(a.at, b.at), a.session.Compare(b.session), cmp.Compare(a.seq, b.seq))
}

// sortedBytes is what the index takes of an event.
const sortedBytes = 48

// add takes an event of a line.
func (s *sorter) add(line int64, e *viewing.Event) error {
	from := len(s.held)
	s.held = binary.AppendUvarint(s.held, uint64(line))
	s.held = wire.AppendEvent(s.held, e)
	s.index = append(s.index, sorted{e.At, e.SessionID, e.Seq, from, len(s.held)})
	if len(s.held)+len(s.index)*sortedBytes < s.memory {
		return nil
	}
	return s.spill()
}

// order sorts what is held. Of equals the first that was added stays first.
func (s *sorter) order() {
	slices.SortStableFunc(s.index, func(a, b sorted) int { return a.compare(&b) })
}

// spill writes what is held to a temporary file, which has no name any more.
func (s *sorter) spill() error {
	if len(s.runs) == maxRuns {
		return errTooLarge
	}
	s.order()
	file, err := os.CreateTemp("", "playhead-import-")
	if err != nil {
		return fmt.Errorf("sort in a temporary file (TMPDIR says where): %w", err)
	}
	s.runs = append(s.runs, file)
	out := bufio.NewWriter(file)
	for _, each := range s.index {
		text := s.held[each.from:each.to]
		_, _ = out.Write(binary.AppendUvarint(nil, uint64(len(text)))) // Flush says what went wrong
		_, _ = out.Write(text)
	}
	if err := errors.Join(os.Remove(file.Name()), out.Flush()); err != nil {
		return fmt.Errorf("sort in a temporary file (TMPDIR says where): %w", err)
	}
	s.held, s.index = s.held[:0], s.index[:0]
	return nil
}

// each hands out all events in order, once. e is good until each returns.
func (s *sorter) each(f func(line int64, e *viewing.Event) error) error {
	s.order()
	var merged merge
	sources := []source{{more: s.fromMemory()}}
	for _, file := range s.runs {
		if _, err := file.Seek(0, io.SeekStart); err != nil {
			return fmt.Errorf("sort: %w", err)
		}
		in := bufio.NewReader(file)
		var text []byte
		sources = append(sources, source{more: func() (_ []byte, err error) {
			text, err = readRun(in, text)
			return text, err
		}})
	}
	for i := range sources {
		sources[i].number = (i + len(s.runs)) % len(sources) // what is in memory came last
		if err := merged.fill(&sources[i]); err != nil {
			return err
		}
	}
	heap.Init(&merged)
	for len(merged) > 0 {
		first := merged[0]
		if err := f(first.line, &first.event); err != nil {
			return err
		}
		if err := merged.refill(); err != nil {
			return err
		}
	}
	return nil
}

// fromMemory gives one event after another of those that are held.
func (s *sorter) fromMemory() func() ([]byte, error) {
	i := 0
	return func() ([]byte, error) {
		if i == len(s.index) {
			return nil, io.EOF
		}
		i++
		return s.held[s.index[i-1].from:s.index[i-1].to], nil
	}
}

// readRun reads the next event of a run, in the memory of the last one.
func readRun(in *bufio.Reader, text []byte) ([]byte, error) {
	size, err := binary.ReadUvarint(in)
	if err != nil {
		return text, err
	}
	if size > MaxLineBytes {
		return text, fmt.Errorf("an event of %d bytes", size)
	}
	text = slices.Grow(text[:0], int(size))[:size]
	if _, err := io.ReadFull(in, text); err != nil {
		return text, io.ErrUnexpectedEOF
	}
	return text, nil
}

func (s *sorter) close() error {
	var err error
	for _, file := range s.runs {
		err = errors.Join(err, file.Close())
	}
	return err
}

// source is one sorted run, and its first event that was not handed out.
type source struct {
	number  int // of equals, that of the lower number comes first
	more    func() ([]byte, error)
	decoder wire.Decoder
	event   viewing.Event
	line    int64
}

// merge is the sources that have something left, the least first.
type merge []*source

func (m merge) Len() int      { return len(m) }
func (m merge) Swap(i, j int) { m[i], m[j] = m[j], m[i] }
func (m *merge) Push(x any)   { *m = append(*m, x.(*source)) }
func (m *merge) Pop() any {
	last := (*m)[len(*m)-1]
	*m = (*m)[:len(*m)-1]
	return last
}
func (m merge) Less(i, j int) bool {
	a, b := &m[i].event, &m[j].event
	return cmp.Or(cmp.Compare(a.At, b.At), a.SessionID.Compare(b.SessionID), cmp.Compare(a.Seq, b.Seq),
		cmp.Compare(m[i].number, m[j].number)) < 0
}

// fill reads the first event of a source, and leaves out one that has none.
func (m *merge) fill(s *source) error {
	switch err := s.read(); {
	case isEnd(err):
		return nil
	case err != nil:
		return err
	}
	*m = append(*m, s)
	return nil
}

// refill goes on to the next event.
func (m *merge) refill() error {
	switch err := (*m)[0].read(); {
	case isEnd(err):
		heap.Pop(m)
	case err != nil:
		return err
	default:
		heap.Fix(m, 0)
	}
	return nil
}

func (s *source) read() error {
	text, err := s.more()
	if isEnd(err) {
		return err
	}
	if err == nil {
		line, n := binary.Uvarint(text)
		s.line = int64(line)
		_, err = s.decoder.DecodeTrusted(text[max(0, n):], &s.event)
	}
	if err != nil {
		return fmt.Errorf("sort: read what was put aside: %w", errors.Join(err, errors.New("the temporary file was changed, or its disk is failing")))
	}
	return nil
}
