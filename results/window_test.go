package results

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/google/go-cmp/cmp"
)

// answered records n keepalives of so many milliseconds, the last of them an error.
func answered(r *Recorder, n int, ms int64) {
	for i := range n {
		result := ResultOK
		if i == n-1 {
			result = ResultError
		}
		r.Record(OpKeepalive, 0, 0, ms*1000, result)
	}
}

// A window is ten seconds long, but where another phase begins; the last ends with the
// last interval. Together they are the run.
func TestWindows(t *testing.T) {
	r := NewRecorder(5_000_000, 60_000_000)
	stolen := 0.25
	for second := int64(6); second <= 31; second++ {
		now := Now{Phase: PhaseCalm}
		if second == 12 || second == 13 {
			now.Phase, now.Stolen = "pause", &stolen
		}
		answered(r, 10, second)
		r.Interval(second*1_000_000, now)
	}
	answered(r, 1, 100) // after the last interval: in the run, and in no window
	told, err := r.Timeline()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	var count int64
	for _, w := range told.Windows {
		known := "?"
		if w.Stolen != nil {
			known = fmt.Sprint(*w.Stolen)
		}
		got = append(got, fmt.Sprintf("%v+%v %s %d/%d %v/s p50 %.0f max %.0f stolen %s", w.AtS, w.Seconds, w.Phase, w.Errors, w.Count, w.RatePerS, w.ResponseMS.P50, w.ResponseMS.Max, known))
		count += w.Count
	}
	if diff := cmp.Diff([]string{
		"5+6 calm 6/60 10/s p50 8 max 11 stolen ?",
		"11+2 pause 2/20 10/s p50 12 max 13 stolen 0.25",
		"13+10 calm 10/100 10/s p50 18 max 23 stolen ?",
		"23+8 calm 8/80 10/s p50 27 max 31 stolen ?",
	}, got); diff != "" {
		t.Errorf("windows (-want +got):\n%s", diff)
	}
	calm, paused := told.Phases[PhaseCalm], told.Phases["pause"]
	if len(told.Phases) != 2 || calm.Seconds != 24 || calm.Operations["keepalive"].Count != 240 || calm.Operations["keepalive"].RatePerS != 10 ||
		paused.Seconds != 2 || paused.Operations["keepalive"].Errors != 2 || math.Abs(paused.Operations["keepalive"].ResponseMS.Max-13) > 0.1 {
		t.Errorf("phases %+v", told.Phases)
	}
	if all := r.Operations(26)["keepalive"]; all.Count != count+1 || math.Abs(all.ResponseMS.Max-100) > 0.1 {
		t.Errorf("%+v: want the %d of the windows and one", all, count)
	}
}

func TestWindowsOfALongRunAreLonger(t *testing.T) {
	r := NewRecorder(0, 24*3600*1_000_000)
	for second := int64(1); second <= 200; second++ {
		answered(r, 1, 1)
		r.Interval(second*1_000_000, Now{Phase: PhaseCalm})
	}
	told, err := r.Timeline()
	if err != nil || len(told.Windows) != 3 || told.Windows[0].Seconds != 86 {
		t.Errorf("%+v %v: want a thousandth of a day each", told.Windows, err)
	}
}

// A clock that ticks a little early makes no window of eleven seconds.
func TestWindowsOfIntervalsThatEndEarly(t *testing.T) {
	r := NewRecorder(0, 0)
	for second := int64(1); second <= 60; second++ {
		answered(r, 1, 1)
		r.Interval(second*1_000_000-second%3*1000, Now{Phase: PhaseCalm})
	}
	told, err := r.Timeline()
	if err != nil || len(told.Windows) != 6 {
		t.Errorf("%d windows of a minute, %v", len(told.Windows), err)
	}
}

func TestPhasesAreBounded(t *testing.T) {
	r := NewRecorder(0, 0)
	for i := range int64(3 * maxPhases) {
		answered(r, 1, 1)
		r.Interval((i+1)*1_000_000, Now{Phase: fmt.Sprint(i)})
	}
	told, err := r.Timeline()
	var count int64
	for _, p := range told.Phases {
		count += p.Operations["keepalive"].Count
	}
	if err != nil || len(told.Phases) != maxPhases || told.Phases[MorePhases].Seconds < 2*maxPhases || count != 3*maxPhases {
		t.Errorf("%d phases, %v s of them in %q, %d counted, %v", len(told.Phases), told.Phases[MorePhases].Seconds, MorePhases, count, err)
	}
}

// The windows' histograms are a log that the library reads by itself, and together they
// are those of the run.
func TestWindowsAreAHistogramLog(t *testing.T) {
	dir := t.TempDir()
	r := NewRecorder(0, 0)
	for second := int64(1); second <= 25; second++ {
		answered(r, 7, second*second)
		r.Interval(second*1_000_000, Now{Phase: PhaseCalm})
	}
	told, err := r.Timeline()
	if err != nil {
		t.Fatal(err)
	}
	run := sampleRun()
	if err := Write(dir, run, Files{Measurements: r.Measurements(), Pieces: told.Pieces}); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, WindowsFile))
	if err != nil {
		t.Fatal(err)
	}
	reader, merged := hdrhistogram.NewHistogramLogReader(bytes.NewReader(text)), newHistogram()
	var lengths []string
	for {
		h, err := reader.NextIntervalHistogram()
		if err != nil {
			t.Fatal(err)
		}
		if h == nil {
			break
		}
		if h.Tag() == "keepalive.response" {
			merged.Merge(h)
			lengths = append(lengths, fmt.Sprint(h.EndTimeMs()-h.StartTimeMs()))
		}
	}
	if got := strings.Join(lengths, " "); got != "10000 10000 5000" {
		t.Errorf("windows of %s ms", got)
	}
	if !merged.Equals(r.Measurements()[OpKeepalive].Response) {
		t.Error("the windows together are not the run")
	}
}

// A piece of a run in which nothing was answered has no percentiles, and tells none.
func TestPercentilesOfNothingAreLeftOut(t *testing.T) {
	r := NewRecorder(0, 60e6)
	r.Interval(50_000, Now{Phase: PhaseCalm})
	r.RecordUnsent(OpStart, 0, 60e6)
	timeline, err := r.Timeline()
	if err != nil {
		t.Fatal(err)
	}
	run := &Run{Windows: timeline.Windows, Phases: timeline.Phases, Operations: r.Operations(1)}
	if len(run.Windows) != 1 || run.Windows[0].Count != 0 || run.Operations["start"].Errors != 1 {
		t.Fatalf("windows %+v and operations %+v, want an empty window and a start that was never sent", run.Windows, run.Operations)
	}
	text, err := run.Encode()
	if err != nil {
		t.Fatal(err)
	}
	// The start was waited for, so it alone has times: those from when it was due.
	if told := string(text); strings.Count(told, `"p50"`) != 1 || !strings.Contains(told, `"response_ms"`) {
		t.Errorf("want the percentiles of one thing:\n%s", told)
	}
	var summary strings.Builder
	if err := Summary(&summary, run, false); err != nil || !strings.Contains(summary.String(), "            –\n") {
		t.Errorf("want a dash for the service times of what was never sent (%v):\n%s", err, &summary)
	}
}
