package results

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/google/go-cmp/cmp"
)

func TestFolderRoundTrip(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "runs", "r1")
	r := NewRecorder(0, 0)
	for i := int64(0); i < 5000; i++ {
		r.Record(OpStart, 0, i, i*i, ResultOK)
		r.Record(OpContinueWatching, 0, 0, 3*i, ResultOK)
	}
	r.Record(OpStart, 0, 0, 2*MaxTimeUS, ResultError)
	run := sampleRun()
	run.Operations = r.Operations(run.DurationS)
	measured, stolen := r.Measurements(), 0.5
	files := Files{
		Measurements: measured,
		Series:       []Interval{r.Interval(1_000_000, Now{ActiveSessions: 7}), r.Interval(2_500_000, Now{ActiveSessions: 8, Phase: PhaseCalm, Stolen: &stolen})},
		Scenario:     []byte("name: prime-time\n# as run\n"),
	}
	if err := Write(dir, run, files); err != nil {
		t.Fatal(err)
	}

	got, err := ReadRun(dir)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(run, got); diff != "" {
		t.Errorf("run.json (-written +read):\n%s", diff)
	}
	back, err := ReadMeasurements(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(back) != len(measured) {
		t.Errorf("%d operations read back, want %d", len(back), len(measured))
	}
	for op, m := range measured {
		if !m.Response.Equals(back[op].Response) || !m.Service.Equals(back[op].Service) {
			t.Errorf("%s: the histograms read back differ", op)
		}
	}
	scenario, err := os.ReadFile(filepath.Join(dir, "scenario.yaml"))
	if err != nil || string(scenario) != string(files.Scenario) {
		t.Errorf("scenario.yaml = %q, %v", scenario, err)
	}
	series, err := os.ReadFile(filepath.Join(dir, "series.csv"))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(series), "\n")
	if lines[0] != "at_s,count,rate_per_s,active_sessions,p50_ms,p99_ms,errors,denied,phase,stolen" || !strings.HasPrefix(lines[1], "1,10001,10001,7,") ||
		lines[2] != "2.5,0,0,8,,,0,0,calm,0.5" {
		t.Errorf("series.csv:\n%s", series)
	}
	left, err := filepath.Glob(filepath.Join(dir, "*.tmp"))
	if err != nil || len(left) > 0 {
		t.Errorf("temporary files left: %v, %v", left, err)
	}
}

// The library's own reader must understand the files without our help.
func TestHistogramLogsAreInTheStandardFormat(t *testing.T) {
	dir := t.TempDir()
	r := NewRecorder(0, 0)
	r.Record(OpStop, 0, 1000, 5000, ResultOK)
	run := sampleRun()
	if err := Write(dir, run, Files{Measurements: r.Measurements()}); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(filepath.Join(dir, "stop.service.hlog"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	h, err := hdrhistogram.NewHistogramLogReader(file).NextIntervalHistogram()
	if err != nil || h == nil {
		t.Fatalf("read: %v, %v", h, err)
	}
	if h.TotalCount() != 1 || !h.ValuesAreEquivalent(h.Max(), 4000) || h.Tag() != "stop" {
		t.Errorf("count %d, max %d, tag %q; want 1, about 4000, stop", h.TotalCount(), h.Max(), h.Tag())
	}
	end := run.StartedAt.UnixMilli() + int64(run.DurationS*1000)
	if h.EndTimeMs() != end || h.EndTimeMs()-h.StartTimeMs() != int64(run.MeasuredS*1000) {
		t.Errorf("from %d to %d ms, want to %d for %v s", h.StartTimeMs(), h.EndTimeMs(), end, run.MeasuredS)
	}
}

func TestWriteReplacesAnEarlierRun(t *testing.T) {
	dir := t.TempDir()
	earlier, later := NewRecorder(0, 0), NewRecorder(0, 0)
	earlier.Record(OpStart, 0, 0, 1, ResultOK)
	later.Record(OpStop, 0, 0, 1, ResultOK)
	for _, r := range []*Recorder{earlier, later} {
		if err := Write(dir, sampleRun(), Files{Measurements: r.Measurements()}); err != nil {
			t.Fatal(err)
		}
	}
	measured, err := ReadMeasurements(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, stale := measured[OpStart]; stale || len(measured) != 1 {
		t.Errorf("operations %v, want stop alone", measured)
	}
}

func TestFolderErrorsNameThePath(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "none")
	if _, err := ReadRun(missing); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), missing) {
		t.Errorf("missing run: %v", err)
	}
	for name, tc := range map[string]struct{ file, content, want string }{
		"not JSON":       {"run.json", "{", "unexpected end of JSON"},
		"another schema": {"run.json", `{"schema":"playhead.run/9"}`, `schema is "playhead.run/9", expected "playhead.run/1"`},
		"no histogram":   {"start.response.hlog", "#[nothing]\n", "no histogram in it"},
		"half a log":     {"start.response.hlog", "1.0,2.0,3.0,HISTFAAA\n", "read histogram"},
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, tc.file)
		if err := os.WriteFile(path, []byte(tc.content), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := ReadRun(dir)
		if tc.file != RunFile {
			_, err = ReadMeasurements(dir)
		}
		if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: error %v, want one with %q and the path", name, err, tc.want)
		}
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Write(file, sampleRun(), Files{}); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("a file in the folder's place: %v", err)
	}
}

// sampleRun is a passed run with something of everything in it.
func sampleRun() *Run {
	yes, restarted, recovered, p99, rate, lost := true, 35.0, 873.0, 31.2, 0.0004, 0.0
	return &Run{
		ID: "20261123-203000-prime-time", Scenario: "prime-time", Seed: 1,
		StartedAt: time.Date(2026, 11, 23, 20, 30, 0, 0, time.UTC), DurationS: 60, MeasuredS: 50,
		Target: Target{Design: "raft", Nodes: 3},
		Load:   Load{TargetPerS: 1234.5, OfferedPerS: 1234.4, AchievedPerS: 1233.9, ActiveSessionsPeak: 41_000},
		Operations: map[string]Operation{
			"start": {Count: 3182, Errors: 3, Denied: 231, RatePerS: 53.03,
				ResponseMS: Percentiles{1.234, 4.1, 31.2, 420.5, 1873.4}, ServiceMS: Percentiles{1.1, 3.9, 29.4, 400, 1870}},
			"keepalive": {Count: 1_234_567, RatePerS: 20_576.1,
				ResponseMS: Percentiles{0.812, 2.1, 12.6, 99.96, 915}, ServiceMS: Percentiles{0.8, 2, 12, 90, 910}},
			"continue-watching": {Count: 12, RatePerS: 0.2,
				ResponseMS: Percentiles{0.5, 0.6, 0.7, 0.7, 0.7}, ServiceMS: Percentiles{0.5, 0.6, 0.7, 0.7, 0.7}},
		},
		Generator: Generator{Fit: true, SendLagMS: SendLag{P99: 0.412, Max: 8.1}, CPU: 0.4},
		Audit: Audit{Sessions: 3182, EventsAcknowledged: 1_237_700, Unacknowledged: 61,
			Linearizable: &yes, Linearizability: Linearizability{AccountsChecked: 1500}},
		Faults: []Fault{{AtS: 30, Kind: "kill-leader", Target: "n1", RestartedAtS: &restarted, RecoveredAfterMS: &recovered}},
		Thresholds: []ThresholdResult{
			{Metric: "start.response_ms", Expression: "p(99)<500", Value: &p99, OK: true},
			{Metric: "operations.errors", Expression: "rate<0.01", Value: &rate, OK: true},
			{Metric: "audit.events_lost", Expression: "count==0", Value: &lost, OK: true},
		},
		Verdict: VerdictPass,
	}
}
