package results

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func summarySamples() map[string]*Run {
	passed := sampleRun()
	passed.Dir = "runs/20261123-203000-prime-time"

	failed := sampleRun()
	slow := 731.0
	failed.Verdict = VerdictFail
	failed.Thresholds[0] = ThresholdResult{Metric: "start.response_ms", Expression: "p(99)<500", Value: &slow}
	failed.Thresholds = append(failed.Thresholds[:1:1],
		ThresholdResult{Metric: "start.response_ms", Expression: "max < 10000", Value: &slow, OK: true},
		ThresholdResult{Metric: "faults.recovered_after_ms", Expression: "max<5000", Note: "kill-leader at 30s: not recovered before the end"})
	failed.Faults[0].RecoveredAfterMS = nil
	failed.Audit = Audit{}

	violated := sampleRun()
	no := false
	violated.Verdict = VerdictViolated
	violated.Audit.EventsLost = 1204
	violated.Audit.OverAdmissions = 1
	violated.Audit.Linearizable = &no
	violated.Audit.Linearizability = Linearizability{AccountsChecked: 1500, Illegal: 1, Unknown: 3}
	for _, account := range []int64{42, 43, 44, 45} {
		violated.Audit.Examples = append(violated.Audit.Examples, Example{Kind: "events_lost", AccountID: account,
			SessionID: "01935b6e-2c1a-7c3e-9d1f-5a0c6e1b2d3f", Detail: "keepalive 7 was acknowledged at 31.2s and is not in the session's history: last_seq is 6",
			History: []string{"1.200 s: start seq 0 at 0 ms: accepted at 1.210 s", "until 31.190 s: 6 keepalives, accepted", "31.190 s: keepalive seq 7 at 29990 ms: accepted at 31.200 s"}})
	}
	violated.Audit.StaleReads, violated.Audit.Unjudged = 2, 1
	violated.Audit.Accounts, violated.Audit.AccountsReadBack, violated.Audit.ReadingsUnkept = 1500, 15, 7
	violated.Audit.Examples = append(violated.Audit.Examples,
		Example{Kind: "over_admissions", AccountID: 7, Detail: "3 sessions at 12.1s, max_streams 2"},
		Example{Kind: "linearizable", AccountID: 9, Detail: "start at 4.2s was admitted while two others were active"})

	void := sampleRun()
	void.Verdict = VerdictVoid
	void.VoidReason = "the generator sent 12.1% of the operations more than 100ms after they were due, and a run by such an instrument says nothing of its target"
	void.Generator = Generator{SendLagMS: SendLag{P99: 733, Max: 4100}, CPU: 0.98}
	void.Load.Unsent, void.Load.Retries = 512, 1037
	void.Operations, void.Thresholds, void.Faults = nil, nil, nil
	void.Audit.Linearizable, void.Audit.Linearizability = nil, Linearizability{}

	joined := sampleRun()
	joined.Target = Target{Design: External, Nodes: 3}
	joined.Faults = nil
	joined.Dir = "runs/whole"
	joined.Parts = []Part{
		{Segment: "1/2", Folder: "runs/a", StartedAt: joined.StartedAt, DurationS: 60, Verdict: VerdictPass},
		{Segment: "2/2", Folder: "runs/b", StartedAt: joined.StartedAt.Add(1234 * time.Millisecond), DurationS: 58.8, Verdict: VerdictFail},
	}

	return map[string]*Run{"passed": passed, "failed": failed, "violated": violated, "void": void, "joined": joined}
}

func TestSummaryGolden(t *testing.T) {
	for name, run := range summarySamples() {
		var plain, coloured bytes.Buffer
		if err := Summary(&plain, run, false); err != nil {
			t.Fatal(err)
		}
		if err := Summary(&coloured, run, true); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(plain.String(), regexp.MustCompile("\x1b\\[[0-9]*m").ReplaceAllString(coloured.String(), "")); diff != "" {
			t.Errorf("%s: colour changes more than colour:\n%s", name, diff)
		}
		for line := range strings.Lines(plain.String()) {
			if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > 110 {
				t.Errorf("%s: a line of %d columns: %s", name, n, line)
			}
		}
		requireGolden(t, filepath.Join("testdata", "summary-"+name+".golden"), plain.Bytes())
	}
}

func requireGolden(t *testing.T, path string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got; -update rewrites it):\n%s", path, diff)
	}
}

type brokenWriter struct{}

var errBroken = errors.New("broken pipe")

func (brokenWriter) Write([]byte) (int, error) { return 0, errBroken }

func TestSummaryReturnsTheWritersError(t *testing.T) {
	if err := Summary(brokenWriter{}, sampleRun(), false); !errors.Is(err, errBroken) {
		t.Errorf("error %v, want %v", err, errBroken)
	}
}

func TestFormat(t *testing.T) {
	for ms, want := range map[float64]string{
		0: "0s", 0.001: "1µs", 0.8124: "812µs", 0.9999: "1ms", 1: "1ms", 1.234: "1.23ms", 9.996: "10ms", 31.25: "31.2ms", 99.96: "100ms",
		999.4: "999ms", 999.6: "1s", 1500: "1.5s", 59_949: "59.9s", 59_960: "1m00s", 125_000: "2m05s", 3_600_000: "1h00m00s", 7_384_000: "2h03m04s",
	} {
		if got := formatMS(ms); got != want {
			t.Errorf("formatMS(%v) = %s, want %s", ms, got, want)
		}
	}
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -1234: "-1,234"} {
		if got := FormatCount(n); got != want {
			t.Errorf("FormatCount(%d) = %s, want %s", n, got, want)
		}
	}
	for share, want := range map[float64]string{0: "0%", 0.0004: "0.04%", 0.00001: "<0.01%", 0.4: "40%", 1: "100%", 0.99951: "99.95%"} {
		if got := formatShare(share); got != want {
			t.Errorf("formatShare(%v) = %s, want %s", share, got, want)
		}
	}
	if diff := cmp.Diff([]string{"ab cd", "efghij", "kl m"}, Wrap("ab  cd\nefghijkl m", 6)); diff != "" {
		t.Errorf("Wrap (-want +got):\n%s", diff)
	}
}
