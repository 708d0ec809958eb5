package k6

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/grafana/sobek"
	"go.k6.io/k6/lib/types"

	"github.com/playhead-load/playhead/plan"
	"github.com/playhead-load/playhead/results"
	"github.com/playhead-load/playhead/scenarios"
	"github.com/playhead-load/playhead/sim"
)

// What a Fleet plays without a scenario file. Its warm-up is time to bring in those who
// play already, without all of them at once.
const (
	defaultWarmUp     = "5s"
	defaultPopulation = "netflix-2015"
)

// settings are what a Fleet was constructed with, checked.
type settings struct {
	scenario *scenarios.Scenario
	targets  []string
	segment  sim.Segment
	out      string // folder of the run; empty: none is written
	audited  bool
}

// scenarioKeys are the options of a Fleet that change a key of its scenario.
var scenarioKeys = []struct{ option, key string }{
	{"population", "population.model"}, {"scale", "population.scale"}, {"sharedAccounts", "population.shared_accounts"},
	{"parameters", "population.parameters"},
	{"seed", "seed"}, {"startAt", "start_at"}, {"warmUp", "warm_up"}, {"timeScale", "time_scale"},
	{"keepalive", "target.keepalive"}, {"lease", "target.lease"}, {"defaultStreams", "target.default_streams"},
	{"connections", "load.connections"}, {"timeout", "load.timeout"}, {"rate", "load.rate"},
	{"batch", "load.batch"}, {"aggregators", "load.aggregators"}, {"linger", "load.linger"}, {"encoding", "load.encoding"},
	{"reads", "load.reads"}, {"readBack", "audit.read_back"},
}

// otherOptions are those that are no scenario's.
var otherOptions = []string{"scenario", "target", "segment", "out", "audit", "duration"}

// readSettings reads the options of a Fleet. Its error names the option in one line.
func readSettings(options map[string]any) (s settings, err error) {
	if err := knownOptions(options); err != nil {
		return s, err
	}
	if s.targets, err = readTargets(options["target"]); err != nil {
		return s, err
	}
	if s.segment, err = readSegment(options["segment"]); err != nil {
		return s, err
	}
	s.audited = true
	for name, into := range map[string]any{"out": &s.out, "audit": &s.audited} {
		if err := readPlain(options, name, into); err != nil {
			return s, err
		}
	}
	s.scenario, err = readScenario(options)
	return s, err
}

func readPlain(options map[string]any, name string, into any) error {
	value, given := options[name]
	if !given || value == nil {
		return nil
	}
	ok := false
	switch to := into.(type) {
	case *string:
		*to, ok = value.(string)
		if !ok {
			return fmt.Errorf("%s: expected a text, got %v", name, value)
		}
	case *bool:
		if *to, ok = value.(bool); !ok {
			return fmt.Errorf("%s: expected true or false, got %v", name, value)
		}
	}
	return nil
}

func knownOptions(options map[string]any) error {
	known := slices.Clone(otherOptions)
	for _, k := range scenarioKeys {
		known = append(known, k.option)
	}
	slices.Sort(known)
	for name := range options {
		if !slices.Contains(known, name) {
			return fmt.Errorf("%s: a Fleet has no such option; expected %s", name, results.OneOf(known))
		}
	}
	return nil
}

// readTargets reads URLs: one, several with commas between them, or a list.
func readTargets(value any) (targets []string, err error) {
	var texts []string
	switch v := value.(type) {
	case nil:
		return nil, errors.New("target: expected the URL of a server, such as http://127.0.0.1:8080")
	case string:
		texts = strings.Split(v, ",")
	case []any:
		for _, one := range v {
			texts = append(texts, fmt.Sprint(one))
		}
	}
	for _, text := range texts {
		u, err := plan.TargetURL(text)
		if err != nil {
			return nil, fmt.Errorf("target: %w", err)
		}
		targets = append(targets, u)
	}
	if len(targets) == 0 {
		return nil, fmt.Errorf("target: expected a URL such as http://127.0.0.1:8080, got %v", value)
	}
	return targets, nil
}

// readSegment reads P/N; nothing is the whole.
func readSegment(value any) (sim.Segment, error) {
	if value == nil || value == "" {
		return sim.Segment{}, nil
	}
	text, _ := value.(string)
	segment, err := sim.ParseSegment(text, sim.MaxSegments/1024)
	if err != nil {
		return segment, fmt.Errorf("segment: %w, got %v", err, value)
	}
	return segment, nil
}

// readScenario is the scenario that the options name, or a plain one, with what they
// change. It has no faults: k6 breaks nothing.
func readScenario(options map[string]any) (*scenarios.Scenario, error) {
	base := map[string]any{
		"name": "fleet", "warm_up": defaultWarmUp, "population": map[string]any{"model": defaultPopulation},
	}
	if value := options["scenario"]; value != nil {
		text, ok := value.(string)
		if !ok {
			return nil, errors.New("scenario: expected the text of a scenario file, as open() gives it")
		}
		if _, err := parseScenario("scenario", text); err != nil {
			return nil, err
		}
		base = map[string]any{}
		if err := yaml.Unmarshal([]byte(text), &base); err != nil {
			return nil, fmt.Errorf("scenario: %w", err)
		}
	}
	for _, k := range scenarioKeys {
		if value, given := options[k.option]; given && value != nil {
			set(base, k.key, value)
		}
	}
	if options["rate"] != nil {
		set(base, "load.executor", string(scenarios.ConstantRate))
	}
	text, err := yaml.Marshal(base)
	if err != nil {
		return nil, fmt.Errorf("options: %w", err)
	}
	s, err := parseScenario("options", string(text))
	if err != nil || options["duration"] == nil {
		return s, err
	}
	lasts, err := types.GetDurationValue(options["duration"])
	if err != nil || lasts < time.Second || lasts > 24*time.Hour {
		return nil, fmt.Errorf("duration: expected a time such as '60s', from 1s to 24h, got %v", options["duration"])
	}
	return s.Override(scenarios.Overrides{Duration: &lasts})
}

func set(in map[string]any, path string, value any) {
	section, key, nested := strings.Cut(path, ".")
	if !nested {
		in[path] = value
		return
	}
	inner, ok := in[section].(map[string]any)
	if !ok {
		inner = map[string]any{}
		in[section] = inner
	}
	inner[key] = value
}

// parseScenario reads a scenario without its faults. Its error is one line, which names the
// options in place of the scenario's keys where there are no lines that a person wrote.
func parseScenario(name, text string) (*scenarios.Scenario, error) {
	s, err := scenarios.Parse(name, []byte(text))
	var problems scenarios.Problems
	switch {
	case err == nil:
		return s.Override(scenarios.Overrides{NoFaults: true})
	case !errors.As(err, &problems):
		return nil, err
	}
	var lines []string
	for _, p := range problems {
		if name == "options" {
			lines = append(lines, byOption(p.Message))
			continue
		}
		lines = append(lines, p.String())
	}
	return nil, errors.New(strings.Join(lines, "; "))
}

// byOption begins a message with the name of the option, where it begins with that of a key.
func byOption(message string) string {
	for _, k := range scenarioKeys {
		if rest, ok := strings.CutPrefix(message, k.key); ok && (strings.HasPrefix(rest, ":") || strings.HasPrefix(rest, ".")) {
			return k.option + rest
		}
	}
	return message
}

// object exports a script's object; nothing given is an empty one.
func object(what string, v sobek.Value) (map[string]any, error) {
	if v == nil || sobek.IsUndefined(v) || sobek.IsNull(v) {
		return map[string]any{}, nil
	}
	exported, ok := v.Export().(map[string]any)
	if !ok {
		return nil, fmt.Errorf("%s: expected an object of options, got %s", what, v)
	}
	return exported, nil
}

// readDuration reads a time as k6 has it: '10s', or milliseconds.
func readDuration(what string, v sobek.Value) (time.Duration, error) {
	d, err := types.GetDurationValue(v.Export())
	if err != nil || d <= 0 || d > 24*time.Hour {
		return 0, fmt.Errorf("%s: expected a time such as '10s', at most 24h, got %s", what, v)
	}
	return d, nil
}

// shareOf is the part of a number that a segment has; all parts' add up to it.
func shareOf(n int, s sim.Segment) int {
	if s.Of <= 1 {
		return n
	}
	return n*s.Part/s.Of - n*(s.Part-1)/s.Of
}

// atLeast is n divided among so many, rounded up.
func atLeast(n int, s sim.Segment) int {
	return max(1, int(math.Ceil(float64(n)/float64(max(1, s.Of)))))
}
