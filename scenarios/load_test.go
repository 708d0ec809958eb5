package scenarios

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/playhead-load/playhead/results"
)

func TestEveryKeyIsRead(t *testing.T) {
	const source = `
name: whole
description: Every key once.
seed: 7
population: {model: netflix-2015, scale: 1/8000, shared_accounts: 0.25, parameters: {short_view: 0.5, pauses: 2}}
start_at: "19:15"
duration: 50s
warm_up: 8s
time_scale: 30
target: {design: raft, nodes: 5, keepalive: 30s, lease: 90s, default_streams: 4, log_store: wal, batch_linger: 5ms}
load: {connections: 32, timeout: 3s, retry: {tries: 5, wait: 250ms, multiplier: 2, jitter: 0.5}, executor: ramping-arrival-rate, start_rate: 10, stages: [{duration: 20s, target: 100}], batch: 50, aggregators: 4, linger: 5ms, encoding: binary, reads: 0.5, skewed: 0.2, skew: 30m}
audit: {read_back: 1/50}
faults: [{at: 20s, kind: kill-leader, restart_after: 5s}]
thresholds:
  start.response_ms: ["p(99)<500"]
  operations.errors: ["rate<0.01"]
`
	want := &Scenario{
		Name: "whole", Description: "Every key once.", Seed: 7,
		Population: Population{Model: "netflix-2015", Scale: 1.0 / 8000, SharedAccounts: 0.25, Parameters: map[string]float64{"short_view": 0.5, "pauses": 2}},
		StartAt:    19*time.Hour + 15*time.Minute,
		Duration:   50 * time.Second, WarmUp: 8 * time.Second, TimeScale: 30,
		Target: Target{Design: "raft", Nodes: 5, Keepalive: 30 * time.Second, Lease: 90 * time.Second, DefaultStreams: 4, LogStore: "wal", BatchLinger: 5 * time.Millisecond},
		Load: Traffic{
			Connections: 32, Timeout: 3 * time.Second, Executor: RampingRate, Rate: 10,
			Retry:  Retry{5, 250 * time.Millisecond, 2, 0.5},
			Stages: []Stage{{20 * time.Second, 100}}, Batch: 50, Aggregators: 4, Linger: 5 * time.Millisecond, Encoding: "binary", Reads: 0.5,
			Skewed: 0.2, Skew: 30 * time.Minute,
		},
		Audit:  Audit{ReadBack: 1.0 / 50},
		Faults: []Fault{{At: 20 * time.Second, Kind: KillLeader, For: 5 * time.Second}},
		Thresholds: []results.Threshold{
			{Metric: "start.response_ms", Expression: "p(99)<500", Aggregation: "p", Percentile: 99, Operator: "<", Bound: 500},
			{Metric: "operations.errors", Expression: "rate<0.01", Aggregation: "rate", Operator: "<", Bound: 0.01},
		},
		Raw: []byte(source),
	}
	got, err := Parse("whole.yaml", []byte(source))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestShippedScenariosLoad(t *testing.T) {
	files, err := filepath.Glob("*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios are shipped: %v", err)
	}
	for _, file := range files {
		scenario, err := Load(file, nil)
		if err != nil {
			t.Error(err)
			continue
		}
		if scenario.Name+".yaml" != file {
			t.Errorf("%s names itself %s", file, scenario.Name)
		}
	}
}

func TestDefaults(t *testing.T) {
	const source = "name: least\npopulation: {model: netflix-2015}\n"
	want := &Scenario{
		Name: "least", Seed: 1,
		Population: Population{Model: "netflix-2015", Scale: 1.0 / 4000, SharedAccounts: 0.10},
		StartAt:    20*time.Hour + 30*time.Minute,
		Duration:   time.Minute, WarmUp: 10 * time.Second, TimeScale: 1,
		Target: Target{Design: "raft", Nodes: 3, Keepalive: time.Minute, Lease: 150 * time.Second, DefaultStreams: 2, LogStore: "boltdb", BatchLinger: time.Millisecond},
		Load: Traffic{
			Connections: 64, Timeout: 10 * time.Second, Executor: ByPopulation, Retry: Retry{3, time.Second, 1, 0},
			Batch: 1, Linger: 10 * time.Millisecond, Encoding: "json", Reads: 1, Skew: time.Hour,
		},
		Audit: Audit{ReadBack: 1},
		Raw:   []byte(source),
	}
	data := []byte(source)
	got, err := Parse("least.yaml", data)
	if err != nil {
		t.Fatal(err)
	}
	clear(data) // the scenario must not hold on to the caller's bytes
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestFormsThatAreFine(t *testing.T) {
	const least = "name: x\npopulation: {model: netflix-2015}\n"
	for name, tc := range map[string]struct {
		source string
		holds  func(*Scenario) bool
	}{
		"byte order mark and CRLF": {"\ufeffname: x\r\npopulation: {model: netflix-2015}\r\nseed: 5\r\n", func(s *Scenario) bool { return s.Seed == 5 }},
		"JSON":                     {`{"name": "x", "population": {"model": "netflix-2015", "scale": 1}}`, func(s *Scenario) bool { return s.Population.Scale == 1 }},
		"document marks":           {"---\n" + least + "...\n", func(s *Scenario) bool { return s.Name == "x" }},
		"scale as a decimal":       {"name: x\npopulation: {model: netflix-2015, scale: 2.5e-4}\n", func(s *Scenario) bool { return s.Population.Scale == 0.00025 }},
		"flaws": {least + "load: {repeated: 0.1, delayed: 1}\n", func(s *Scenario) bool {
			return s.Load.Repeated == 0.1 && s.Load.Delayed == 1 && s.Load.Skewed == 0 && s.Load.Skew == time.Hour
		}},
		"time of day, unquoted":  {least + "start_at: 07:05\n", func(s *Scenario) bool { return s.StartAt == 7*time.Hour+5*time.Minute }},
		"midnight":               {least + "start_at: \"00:00\"\n", func(s *Scenario) bool { return s.StartAt == 0 }},
		"no warm-up":             {least + "warm_up: 0s\n", func(s *Scenario) bool { return s.WarmUp == 0 }},
		"a short run's warm-up":  {least + "duration: 6s\n", func(s *Scenario) bool { return s.WarmUp == time.Second }},
		"description over lines": {least + "description: |\n  one\n  two\n", func(s *Scenario) bool { return s.Description == "one\ntwo\n" }},
		"the greatest seed":      {least + "seed: 9007199254740991\n", func(s *Scenario) bool { return s.Seed == MaxSeed }},
		"empty lists":            {least + "faults: []\nthresholds: {}\n", func(s *Scenario) bool { return len(s.Faults)+len(s.Thresholds) == 0 }},
		"a fault without restart": {least + "faults: [{at: 0s, kind: kill-leader}]\n",
			func(s *Scenario) bool { return len(s.Faults) == 1 && s.Faults[0].For == 0 }},
		"faults in any order": {least + "faults:\n- {at: 40s, kind: kill-leader}\n- {at: 20s, kind: kill-leader}\n",
			func(s *Scenario) bool { return s.Faults[0].At == 20*time.Second && s.Faults[1].At == 40*time.Second }},
	} {
		s, err := Parse("x.yaml", []byte(tc.source))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if !tc.holds(s) {
			t.Errorf("%s: got %+v", name, s)
		}
	}
}

func TestLoadTellsFilesFromMistakes(t *testing.T) {
	dir := t.TempDir()
	_, err := Load(filepath.Join(dir, "none.yaml"), nil)
	var problems Problems
	if !errors.Is(err, fs.ErrNotExist) || errors.As(err, &problems) {
		t.Errorf("a missing file: %v", err)
	}
	path := filepath.Join(dir, "huge.yaml")
	if err := os.WriteFile(path, bytes.Repeat([]byte("# no\n"), MaxFileBytes/5+1), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = Load(path, nil)
	if want := path + ":1:1: the file is larger than 1 MiB"; !errors.As(err, &problems) || err.Error() != want {
		t.Errorf("a huge file: %v, want %s", err, want)
	}
}

func FuzzParse(f *testing.F) {
	shipped, err := os.ReadFile("prime-time.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(shipped)
	for _, tc := range badScenarios {
		f.Add([]byte(tc.source))
	}
	for _, s := range []string{"? ", "!", "&a [*a]", "{[: ]}", "- - -", "a: |\n", "a: >2-\n x", "\"\\u12", "<<: *x", "%YAML 1.2\n---\n", "'", ": :", "a:\n - b\n c"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := Parse("f.yaml", data)
		if (s == nil) == (err == nil) {
			t.Fatalf("scenario %v and error %v", s, err)
		}
		var problems Problems
		if err != nil && (!errors.As(err, &problems) || len(problems) == 0) {
			t.Fatalf("error %v is not a list of problems", err)
		}
		for _, p := range problems {
			if p.File != "f.yaml" || p.Line < 1 || p.Column < 1 || p.Message == "" {
				t.Fatalf("problem without a place or a message: %+v", p)
			}
		}
	})
}
