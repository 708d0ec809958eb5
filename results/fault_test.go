package results

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestEveryRunWithFaultsMustConverge(t *testing.T) {
	own := threshold(t, "faults.converged_after_ms", "value<90000")
	if diff := cmp.Diff([]Threshold{own}, WithConvergence([]Threshold{own})); diff != "" {
		t.Errorf("a scenario's own word (-want +got):\n%s", diff)
	}
	judged := WithConvergence(nil)
	if want := threshold(t, "faults.converged_after_ms", "value<5000"); len(judged) != 1 || judged[0] != want {
		t.Fatalf("%+v, want %+v", judged, want)
	}
	soon, late := 4999.0, 5000.0
	kill, never := Fault{Kind: "kill", AtS: 3}, Fault{Kind: "pause", AtS: 4, Skipped: "no node leads"}
	for name, tc := range map[string]struct {
		run  Run
		ok   bool
		note string
	}{
		"soon":         {Run{Faults: []Fault{kill}, ConvergedAfterMS: &soon}, true, ""},
		"late":         {Run{Faults: []Fault{kill}, ConvergedAfterMS: &late}, false, ""},
		"never":        {Run{Faults: []Fault{kill}}, false, "no write succeeded after the last fault"},
		"not injected": {Run{Faults: []Fault{kill, never}, ConvergedAfterMS: &soon}, false, "pause at 4s: it did not happen: no node leads"},
	} {
		if got := Evaluate(&tc.run, nil, judged)[0]; got.OK != tc.ok || got.Note != tc.note {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// The seconds of a run, one a letter: w is within the thresholds, x is not.
func seconds(letters string) (series []Interval) {
	for i, letter := range letters {
		series = append(series, Interval{AtS: float64(i + 1), Within: letter == 'w'})
	}
	return series
}

func TestBackWithinThresholds(t *testing.T) {
	end := 4.5
	for name, tc := range map[string]struct {
		series string
		faults []Fault
		want   []float64 // ms; -1: never
	}{
		"it never left":                        {"wwwwwwww", []Fault{{AtS: 2.5}}, []float64{0}},
		"for two seconds":                      {"wwwxxwww", []Fault{{AtS: 2.5}}, []float64{2500}},
		"once more later":                      {"wwxwxwww", []Fault{{AtS: 2.5}}, []float64{2500}},
		"never":                                {"wwwxxxxx", []Fault{{AtS: 2.5}}, []float64{-1}},
		"not before the next":                  {"wwwxxwww", []Fault{{AtS: 2.5}, {AtS: 4.5}}, []float64{-1, 500}},
		"before the next":                      {"wwxwxxww", []Fault{{AtS: 2}, {AtS: 4}}, []float64{1000, 2000}},
		"two at once":                          {"wwwxxxww", []Fault{{AtS: 2, EndedAtS: &end}, {AtS: 3, EndedAtS: &end}}, []float64{4000, 3000}},
		"what did not happen":                  {"xxxxwwww", []Fault{{AtS: 2, Skipped: "no leader"}}, []float64{-1}},
		"the time after the plan's end":        {"wwwwwwwwxx", []Fault{{AtS: 2}}, []float64{0}},
		"too late for a second to have passed": {"wwwwwwww", []Fault{{AtS: 8.1}}, []float64{-1}},
	} {
		run := Run{DurationS: 8, Faults: tc.faults}
		run.NoteWithin(seconds(tc.series))
		for i, f := range run.Faults {
			got := -1.0
			if f.WithinAfterMS != nil {
				got = *f.WithinAfterMS
			}
			if got != tc.want[i] {
				t.Errorf("%s: fault %d back after %v ms, want %v", name, i, got, tc.want[i])
			}
		}
	}
}

func TestIntervalsAreJudgedByResponseTimes(t *testing.T) {
	r := NewRecorder(0, 0)
	r.JudgeBy([]Threshold{
		threshold(t, "start.response_ms", "p(90)<10"), threshold(t, "operations.response_ms", "max<100"),
		threshold(t, "start.service_ms", "max<0.001"), threshold(t, "operations.errors", "count==0"),
	})
	for name, tc := range map[string]struct {
		starts, stops []int64 // response times in ms
		within        bool
	}{
		"nothing came":         {nil, nil, false},
		"all soon":             {[]int64{1, 2}, []int64{50}, true},
		"no start":             {nil, []int64{99}, true},
		"one start in two":     {[]int64{1, 20}, nil, false},
		"a stop after a while": {[]int64{1}, []int64{200}, false},
	} {
		for _, ms := range tc.starts {
			r.Record(OpStart, 0, 0, ms*1000, ResultError)
		}
		for _, ms := range tc.stops {
			r.Record(OpStop, 0, 0, ms*1000, ResultOK)
		}
		if got := r.Interval(1, Now{ActiveSessions: 0}); got.Within != tc.within {
			t.Errorf("%s: %+v, want within %v", name, got, tc.within)
		}
	}
	plain := NewRecorder(0, 0)
	plain.Record(OpStart, 0, 0, 1, ResultOK)
	if plain.Interval(1, Now{ActiveSessions: 0}).Within {
		t.Error("within thresholds that nobody has set")
	}
}

func TestSummaryDrawsEachFault(t *testing.T) {
	run := sampleRun()
	ended, restarted, recovered, within := 42.5, 41.0, 873.0, 3000.0
	run.Faults = []Fault{
		{AtS: 30, Kind: "partition", Detail: "leader-from-peers", Target: "n1", EndedAtS: &ended, RecoveredAfterMS: &recovered, WithinAfterMS: &within},
		{AtS: 35, Kind: "network", Detail: "between nodes, delay 20ms ± 10ms, loss 1%, bandwidth 1000 kbit/s", Target: "n1 n2 n3", EndedAtS: &ended, RecoveredAfterMS: &recovered},
		{AtS: 36, Kind: "rolling-restart", Target: "n1 n2 n3 n4 n5 n6 n7", EndedAtS: &ended},
		{AtS: 40, Kind: "kill", Target: "n2", RestartedAtS: &restarted, EndedAtS: &ended, RecoveredAfterMS: &recovered},
		{AtS: 50, Kind: "pause", Skipped: "no node leads"},
	}
	run.ConvergedAfterMS = &recovered
	var out strings.Builder
	if err := Summary(&out, run, false); err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(out.String(), "FAULTS\n")
	section, _, _ = strings.Cut(section, "  █")
	requireGolden(t, "testdata/summary-faults.golden", []byte(section))
}
