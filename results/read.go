package results

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// ReadRun reads dir's run.json. Fields it does not know are left aside, as a
// later version may have added them; another schema is an error.
func ReadRun(dir string) (*Run, error) {
	path := filepath.Join(dir, RunFile)
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, noRunFolder(dir)
	}
	if err != nil {
		return nil, notWhole(fmt.Errorf("read run: %w", err))
	}
	var run Run
	if err := json.Unmarshal(data, &run); err != nil {
		return nil, notWhole(fmt.Errorf("read run %s: %w", path, err))
	}
	if run.Schema != Schema {
		return nil, fmt.Errorf("read run %s: schema is %q, expected %q", path, run.Schema, Schema)
	}
	run.Dir = dir
	return &run, nil
}

// noRunFolder says what a folder without a record is.
func noRunFolder(dir string) error {
	if _, err := os.Stat(dir); err != nil {
		return fmt.Errorf("read run: %w", err)
	}
	return fmt.Errorf("%s is no run folder: it has no %s, which a run writes when it ends", dir, RunFile)
}

// ReadMeasurements reads the histograms in dir, of the operations that have them.
func ReadMeasurements(dir string) (Measurements, error) {
	measured := make(Measurements)
	for _, op := range Ops() {
		response, err := readHistogram(filepath.Join(dir, op.String()+responseSuffix))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		service, err := readHistogram(filepath.Join(dir, op.String()+serviceSuffix))
		if err != nil {
			return nil, err
		}
		measured[op] = Measurement{Response: response, Service: service}
	}
	return measured, nil
}

// Folder is a run's folder as it was read, or is to be written. It is a plain value, to
// be used by one goroutine at a time.
type Folder struct {
	Run   *Run
	Files Files
}

// ReadFolder reads all of a run's folder, and holds its files against each other: what
// run.json counts must be in the histograms. Errors name the file, and say what to do
// where the folder is not whole.
func ReadFolder(dir string) (*Folder, error) {
	run, err := ReadRun(dir)
	if err != nil {
		return nil, err
	}
	folder := &Folder{Run: run}
	f := &folder.Files
	if f.Measurements, err = ReadMeasurements(dir); err != nil {
		return nil, notWhole(err)
	}
	if err := run.counted(f.Measurements); err != nil {
		return nil, notWhole(err)
	}
	if f.Pieces, err = readPieces(run); err != nil {
		return nil, notWhole(err)
	}
	if err := run.windowed(f.Pieces); err != nil {
		return nil, notWhole(err)
	}
	if f.Series, err = readSeries(dir); err != nil {
		return nil, notWhole(err)
	}
	if f.Scenario, err = os.ReadFile(filepath.Join(dir, ScenarioFile)); err != nil {
		return nil, notWhole(fmt.Errorf("read scenario: %w", err))
	}
	return folder, nil
}

func notWhole(err error) error {
	return fmt.Errorf("%w; a run's folder is whole when the run has ended: wait for it, or copy the folder again", err)
}

// counted is an error where the histograms do not hold what run.json counts.
func (r *Run) counted(measured Measurements) error {
	for _, op := range Ops() {
		count, times := r.Operations[op.String()].Count, int64(0)
		m, ok := measured[op]
		if ok {
			times = m.Response.TotalCount()
		}
		if times != count || ok && m.Service.TotalCount() > count {
			return fmt.Errorf("%s: %d times in it, and %d of them in %s",
				filepath.Join(r.Dir, op.String()+responseSuffix), times, count, RunFile)
		}
	}
	return nil
}

// eachInterval gives do each histogram of a log, in the order of the file.
func eachInterval(path string, do func(*hdrhistogram.Histogram) error) error {
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("read histogram: %w", err)
	}
	defer func() { _ = file.Close() }()
	reader := hdrhistogram.NewHistogramLogReader(file)
	for {
		h, err := reader.NextIntervalHistogram()
		if err == nil && h != nil {
			err = do(h)
		}
		if err != nil {
			return fmt.Errorf("read histogram %s: %w", path, err)
		}
		if h == nil {
			return nil
		}
	}
}

// readHistogram reads a histogram log and merges its intervals.
func readHistogram(path string) (*hdrhistogram.Histogram, error) {
	merged, intervals := newHistogram(), 0
	err := eachInterval(path, func(h *hdrhistogram.Histogram) error {
		intervals++
		return mergeAll(merged, h)
	})
	if err == nil && intervals == 0 {
		err = fmt.Errorf("read histogram %s: no histogram in it", path)
	}
	return merged, err
}

func mergeAll(into, from *hdrhistogram.Histogram) error {
	if dropped := into.Merge(from); dropped > 0 {
		return fmt.Errorf("%d values are out of range", dropped)
	}
	return nil
}

// readPieces reads the windows' histograms. Each operation has two in a window, its
// response times and its service times, one after the other.
func readPieces(run *Run) (pieces []Piece, err error) {
	if len(run.Windows) == 0 {
		return nil, nil
	}
	startMS := run.StartedAt.UnixMilli()
	half := false
	path := filepath.Join(run.Dir, WindowsFile)
	err = eachInterval(path, func(h *hdrhistogram.Histogram) error {
		p := Piece{StartUS: (h.StartTimeMs() - startMS) * 1000, EndUS: (h.EndTimeMs() - startMS) * 1000}
		name, service := strings.CutSuffix(h.Tag(), serviceTag)
		name, response := strings.CutSuffix(name, responseTag)
		op, err := ParseOp(name)
		if err != nil || service == response || service != half {
			return fmt.Errorf("a histogram tagged %q out of its place", h.Tag())
		}
		p.Op = op
		if h.HighestTrackableValue() > MaxTimeUS {
			return fmt.Errorf("a histogram tagged %q of another range", h.Tag())
		}
		encoded, err := h.Encode(hdrhistogram.V2CompressedEncodingCookieBase)
		if err != nil {
			return err
		}
		if half = response; half {
			p.Count, p.Response = h.TotalCount(), encoded
			pieces = append(pieces, p)
			return nil
		}
		last := &pieces[len(pieces)-1]
		if last.Op != op || last.StartUS != p.StartUS {
			return fmt.Errorf("a histogram tagged %q out of its place", h.Tag())
		}
		last.Service = encoded
		return nil
	})
	if err == nil && half {
		err = fmt.Errorf("read histogram %s: it ends within a window", path)
	}
	return pieces, err
}

func readSeries(dir string) ([]Interval, error) {
	path := filepath.Join(dir, SeriesFile)
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read series: %w", err)
	}
	defer func() { _ = file.Close() }()
	rows, err := csv.NewReader(file).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("read series %s: %w", path, err)
	}
	if len(rows) == 0 || !slices.Equal(rows[0], seriesColumns) {
		return nil, fmt.Errorf("read series %s: expected the columns %s", path, strings.Join(seriesColumns, ","))
	}
	series := make([]Interval, 0, len(rows)-1)
	for i, row := range rows[1:] {
		in, err := parseInterval(row)
		if err != nil {
			return nil, fmt.Errorf("read series %s, line %d: %w", path, i+2, err)
		}
		if i > 0 && !(in.AtS >= series[i-1].AtS) {
			return nil, fmt.Errorf("read series %s, line %d: %g s comes before %g s", path, i+2, in.AtS, series[i-1].AtS)
		}
		series = append(series, in)
	}
	return series, nil
}

// parseInterval is a row of encodeSeries.
func parseInterval(row []string) (in Interval, err error) {
	whole := func(text string) (n int64) {
		n, e := strconv.ParseInt(text, 10, 64)
		err = errors.Join(err, e)
		return n
	}
	number := func(text string) (x float64) {
		x, e := strconv.ParseFloat(text, 64)
		err = errors.Join(err, e)
		return x
	}
	unless := func(text string) float64 {
		if text == "" {
			return math.NaN()
		}
		return number(text)
	}
	in = Interval{
		AtS: number(row[0]), Count: whole(row[1]), RatePerS: number(row[2]), ActiveSessions: whole(row[3]),
		P50MS: unless(row[4]), P99MS: unless(row[5]), Errors: whole(row[6]), Denied: whole(row[7]), Phase: row[8],
	}
	if row[9] != "" {
		stolen := number(row[9])
		in.Stolen = &stolen
	}
	return in, err
}
