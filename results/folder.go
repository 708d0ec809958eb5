package results

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strconv"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// The names of a run folder's files. An operation's histograms are in
// <operation>.response.hlog and <operation>.service.hlog; those of the windows in
// WindowsFile, tagged <operation>.response and <operation>.service.
const (
	RunFile      = "run.json"
	SeriesFile   = "series.csv"
	WindowsFile  = "windows.hlog"
	ScenarioFile = "scenario.yaml"

	responseTag = ".response"
	serviceTag  = ".service"

	responseSuffix = responseTag + ".hlog"
	serviceSuffix  = serviceTag + ".hlog"
)

// Files is what a run folder holds beside run.json.
type Files struct {
	Measurements Measurements
	Pieces       []Piece // of the windows
	Series       []Interval
	Scenario     []byte // the scenario as run
}

// Write writes a run's folder, making dir where it is missing and replacing
// the files of an earlier run in it. Each file is written under a temporary
// name and then renamed, run.json last: where it stands, the rest does too.
// It sets run.Schema and run.Dir. Errors name the path.
func Write(dir string, run *Run, files Files) error {
	run.Schema, run.Dir = Schema, dir
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make run folder: %w", err)
	}
	// An earlier run.json must not vouch for files that are being replaced.
	if err := removeFile(filepath.Join(dir, RunFile)); err != nil {
		return err
	}
	for _, op := range Ops() {
		if err := writeMeasurement(dir, op, run, files.Measurements); err != nil {
			return err
		}
	}
	windows, err := encodePieces(files.Pieces, run)
	if err != nil {
		return fmt.Errorf("encode %s: %w", filepath.Join(dir, WindowsFile), err)
	}
	if err := writeFile(filepath.Join(dir, WindowsFile), windows); err != nil {
		return err
	}
	series, err := encodeSeries(files.Series)
	if err != nil {
		return fmt.Errorf("encode %s: %w", filepath.Join(dir, SeriesFile), err)
	}
	if err := writeFile(filepath.Join(dir, SeriesFile), series); err != nil {
		return err
	}
	if err := writeFile(filepath.Join(dir, ScenarioFile), files.Scenario); err != nil {
		return err
	}
	encoded, err := run.Encode()
	if err != nil {
		return fmt.Errorf("encode %s: %w", filepath.Join(dir, RunFile), err)
	}
	return writeFile(filepath.Join(dir, RunFile), encoded)
}

// Encode is run.json: indented, with empty lists rather than null, and with "<" in a
// threshold left readable. It leaves the run as it is.
func (r *Run) Encode() ([]byte, error) {
	run := *r
	run.Schema = Schema
	if run.Operations == nil {
		run.Operations = map[string]Operation{}
	}
	if run.Faults == nil {
		run.Faults = []Fault{}
	}
	if run.Thresholds == nil {
		run.Thresholds = []ThresholdResult{}
	}
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	err := enc.Encode(&run)
	return buf.Bytes(), err
}

func writeMeasurement(dir string, op Op, run *Run, measured Measurements) error {
	m, ok := measured[op]
	for suffix, h := range map[string]*hdrhistogram.Histogram{responseSuffix: m.Response, serviceSuffix: m.Service} {
		path := filepath.Join(dir, op.String()+suffix)
		if !ok {
			if err := removeFile(path); err != nil {
				return err
			}
			continue
		}
		encoded, err := encodeHistogram(h, op, run)
		if err != nil {
			return fmt.Errorf("encode %s: %w", path, err)
		}
		if err := writeFile(path, encoded); err != nil {
			return err
		}
	}
	return nil
}

// encodeHistogram writes a histogram as a log of one interval, the measured time.
func encodeHistogram(h *hdrhistogram.Histogram, op Op, run *Run) ([]byte, error) {
	endMS := run.StartedAt.UnixMilli() + int64(run.DurationS*1000)
	startMS := endMS - int64(run.MeasuredS*1000)
	var buf bytes.Buffer
	w := hdrhistogram.NewHistogramLogWriter(&buf)
	err := errors.Join(beginLog(w, startMS), writeInterval(w, h.Clone(), op.String(), startMS, endMS))
	return buf.Bytes(), err
}

func beginLog(w *hdrhistogram.HistogramLogWriter, startMS int64) error {
	return errors.Join(
		w.OutputComment("[values in microseconds; Interval_Max in seconds]"),
		w.OutputLogFormatVersion(),
		w.OutputStartTime(startMS),
		w.OutputLegend(),
	)
}

func writeInterval(w *hdrhistogram.HistogramLogWriter, h *hdrhistogram.Histogram, tag string, startMS, endMS int64) error {
	h.SetTag(tag)
	h.SetStartTimeMs(startMS)
	h.SetEndTimeMs(endMS)
	return w.OutputIntervalHistogram(h)
}

// encodePieces writes the windows' histograms as one log.
func encodePieces(pieces []Piece, run *Run) ([]byte, error) {
	var buf bytes.Buffer
	w := hdrhistogram.NewHistogramLogWriter(&buf)
	startMS := run.StartedAt.UnixMilli()
	if err := beginLog(w, startMS); err != nil {
		return nil, err
	}
	for _, p := range pieces {
		for _, times := range []struct {
			tag     string
			encoded []byte
		}{{responseTag, p.Response}, {serviceTag, p.Service}} {
			h, err := hdrhistogram.Decode(times.encoded)
			if err != nil {
				return nil, err
			}
			if err := writeInterval(w, h, p.Op.String()+times.tag, startMS+p.StartUS/1000, startMS+p.EndUS/1000); err != nil {
				return nil, err
			}
		}
	}
	return buf.Bytes(), nil
}

var seriesColumns = []string{"at_s", "count", "rate_per_s", "active_sessions", "p50_ms", "p99_ms", "errors", "denied", "phase", "stolen"}

// encodeSeries writes one row an interval; a percentile of nothing, or one that is not
// known, is an empty cell.
func encodeSeries(series []Interval) ([]byte, error) {
	var buf bytes.Buffer
	w := csv.NewWriter(&buf)
	rows := [][]string{seriesColumns}
	for _, in := range series {
		p50, p99, stolen := "", "", ""
		if in.Stolen != nil {
			stolen = formatFloat(*in.Stolen)
		}
		if in.Count > 0 && !math.IsNaN(in.P50MS) {
			p50, p99 = formatFloat(in.P50MS), formatFloat(in.P99MS)
		}
		rows = append(rows, []string{
			formatFloat(in.AtS), strconv.FormatInt(in.Count, 10), formatFloat(in.RatePerS),
			strconv.FormatInt(in.ActiveSessions, 10), p50, p99,
			strconv.FormatInt(in.Errors, 10), strconv.FormatInt(in.Denied, 10), in.Phase, stolen,
		})
	}
	err := w.WriteAll(rows)
	return buf.Bytes(), err
}

func formatFloat(x float64) string { return strconv.FormatFloat(x, 'f', -1, 64) }

func removeFile(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("replace earlier run: %w", err)
	}
	return nil
}

// writeFile makes path appear whole or not at all.
func writeFile(path string, data []byte) error {
	temporary := path + ".tmp"
	if err := os.WriteFile(temporary, data, 0o644); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := os.Rename(temporary, path); err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", path, err), os.Remove(temporary))
	}
	return nil
}
