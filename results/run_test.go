package results

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// contractRun is run.json as the public contract prints it.
const contractRun = `{"schema":"playhead.run/1","id":"r1","scenario":"prime-time","seed":1,"started_at":"2026-11-23T20:30:00Z","duration_s":60.0,
 "target":{"design":"raft","nodes":3},
 "load":{"target_per_s":1000,"offered_per_s":999.8,"achieved_per_s":999.8,"active_sessions_peak":41000},
 "operations":{"start":{"count":1,"errors":0,"denied":0,"rate_per_s":1.0,
   "response_ms":{"p50":1,"p90":1,"p99":1,"p99.9":1,"max":1},"service_ms":{"p50":1,"p90":1,"p99":1,"p99.9":1,"max":1}}},
 "generator":{"fit":true,"send_lag_ms":{"p99":1,"max":1},"cpu":0.4},
 "audit":{"sessions":1,"events_acknowledged":1,"events_lost":0,"over_admissions":0,"false_denials":0,
   "position_mismatches":0,"history_mismatches":0,"linearizable":true},
 "faults":[{"at_s":20,"kind":"kill-leader","recovered_after_ms":900}],
 "thresholds":[{"metric":"start.response_ms","expression":"p(99)<50","value":31.2,"ok":true}],
 "verdict":"pass"}`

func TestRunHasTheContractsFields(t *testing.T) {
	dec := json.NewDecoder(bytes.NewReader([]byte(contractRun)))
	dec.DisallowUnknownFields()
	var run Run
	if err := dec.Decode(&run); err != nil {
		t.Fatalf("the contract's run.json does not decode: %v", err)
	}
	encoded, err := run.Encode()
	if err != nil {
		t.Fatal(err)
	}
	var want, got any
	if err := json.Unmarshal([]byte(contractRun), &want); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(encoded, &got); err != nil {
		t.Fatal(err)
	}
	requireContains(t, "run", want, got)
}

// requireContains fails unless got has all of want: more fields may stand beside.
func requireContains(t *testing.T, path string, want, got any) {
	t.Helper()
	switch want := want.(type) {
	case map[string]any:
		fields, _ := got.(map[string]any)
		for name, value := range want {
			if _, ok := fields[name]; !ok {
				t.Errorf("%s.%s is missing", path, name)
				continue
			}
			requireContains(t, path+"."+name, value, fields[name])
		}
	case []any:
		elements, _ := got.([]any)
		if len(elements) != len(want) {
			t.Errorf("%s has %d elements, want %d", path, len(elements), len(want))
			return
		}
		for i := range want {
			requireContains(t, path, want[i], elements[i])
		}
	default:
		if !cmp.Equal(want, got) {
			t.Errorf("%s = %v, want %v", path, got, want)
		}
	}
}

func TestNothingCheckedIsNullInRunJSON(t *testing.T) {
	encoded, err := (&Run{Faults: []Fault{{Kind: "kill-leader"}}, Thresholds: []ThresholdResult{{Expression: "p(99)<5"}}}).Encode()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"linearizable": null`, `"recovered_after_ms": null`, `"value": null`, `"p(99)<5"`, `"operations": {}`} {
		if !bytes.Contains(encoded, []byte(want)) {
			t.Errorf("no %s in:\n%s", want, encoded)
		}
	}
}

func TestExitCode(t *testing.T) {
	no := false
	fit := Generator{Fit: true}
	crossed := []ThresholdResult{{OK: true}, {OK: false}}
	for name, tc := range map[string]struct {
		run  Run
		want int
	}{
		"pass":                                  {Run{Generator: fit, Verdict: VerdictPass}, 0},
		"pass, verdict not yet stated":          {Run{Generator: fit}, 0},
		"threshold crossed":                     {Run{Generator: fit, Thresholds: crossed}, 99},
		"an event lost":                         {Run{Generator: fit, Audit: Audit{EventsLost: 1}}, 98},
		"over-admission":                        {Run{Generator: fit, Audit: Audit{OverAdmissions: 1}}, 98},
		"false denial":                          {Run{Generator: fit, Audit: Audit{FalseDenials: 1}}, 98},
		"position":                              {Run{Generator: fit, Audit: Audit{PositionMismatches: 1}}, 98},
		"history":                               {Run{Generator: fit, Audit: Audit{HistoryMismatches: 1}}, 98},
		"not linearizable":                      {Run{Generator: fit, Audit: Audit{Linearizable: &no}}, 98},
		"unacknowledged is no violation":        {Run{Generator: fit, Audit: Audit{Unacknowledged: 9}}, 0},
		"violated before threshold":             {Run{Generator: fit, Audit: Audit{EventsLost: 1}, Thresholds: crossed}, 98},
		"violated before void":                  {Run{Audit: Audit{EventsLost: 1}, Thresholds: crossed}, 98},
		"void before failed":                    {Run{Thresholds: crossed}, 97},
		"void by its reason":                    {Run{Generator: fit, VoidReason: "out of sockets"}, 97},
		"a stated pass does not hide a loss":    {Run{Generator: fit, Verdict: VerdictPass, Audit: Audit{EventsLost: 1}}, 98},
		"a stated violation stands":             {Run{Generator: fit, Verdict: VerdictViolated}, 98},
		"a verdict of another version is void":  {Run{Generator: fit, Verdict: "splendid"}, 97},
		"a crossed threshold beside other name": {Run{Generator: fit, Verdict: "splendid", Thresholds: crossed}, 99},
	} {
		if got := tc.run.ExitCode(); got != tc.want {
			t.Errorf("%s: exit code %d, want %d", name, got, tc.want)
		}
	}
}
