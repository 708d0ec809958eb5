package scenarios

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/goccy/go-yaml/ast"

	"github.com/playhead-load/playhead/results"
)

// Models lists the populations that can be named.
func Models() []string { return []string{"live-event", "netflix-2015", "netflix-2018", "netflix-2025"} }

// Designs lists the designs that can be booted as a target.
func Designs() []string { return []string{"raft"} }

// The bounds of a scenario's values.
const (
	MaxParameters     = 100
	MaxSeed           = 1<<53 - 1 // safe in JavaScript
	MaxConnections    = 10_000
	MaxTimeScale      = 3600
	MaxDefaultStreams = 100
	MaxBatchLinger    = time.Second // what a node takes
	MaxFaults         = 100
	MaxThresholds     = 100
	maxDescription    = 2000 // characters

	shortest = time.Millisecond // of what must take time at all
)

var nameForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// scenario reads the whole document; it is complete only when no problem was noted.
func (d *decoder) scenario(root ast.Node) *Scenario {
	m := d.mapping("", root, "name", "description", "seed", "population", "start_at", "duration", "warm_up",
		"time_scale", "target", "load", "audit", "faults", "thresholds")
	s := &Scenario{StartAt: 20*time.Hour + 30*time.Minute, Duration: time.Minute, TimeScale: 1}

	d.name(m, &s.Name)
	if d.text(m, "description", &s.Description) && len([]rune(s.Description)) > maxDescription {
		d.wrong(m, "description", fmt.Sprintf("at most %d characters", maxDescription))
	}
	seed := int64(1)
	d.whole(m, "seed", &seed, 0, MaxSeed)
	s.Seed = uint64(seed)
	d.population(m, &s.Population)
	d.timeOfDay(m, "start_at", &s.StartAt)
	durationKnown := d.duration(m, "duration", &s.Duration, shortest)
	d.warmUp(m, s, durationKnown)
	d.number(m, "time_scale", &s.TimeScale, fmt.Sprintf("a number above 0, at most %d", MaxTimeScale),
		func(x float64) bool { return x > 0 && x <= MaxTimeScale })
	nodesKnown := d.target(m, &s.Target)
	d.load(m, &s.Load)
	d.audit(m, &s.Audit)
	d.faults(m, s, durationKnown, nodesKnown)
	d.thresholds(m, s)
	return s
}

func (d *decoder) name(m *mapping, into *string) {
	if m.value("name") == nil {
		d.missing(m, "name")
		return
	}
	if d.text(m, "name", into) && !nameForm.MatchString(*into) {
		d.wrong(m, "name", "1 to 64 letters, digits, dots, dashes and underscores, beginning with a letter or a digit")
	}
}

// missing notes a key that must be there, where its mapping is one at all.
func (d *decoder) missing(m *mapping, key string) {
	switch m.node.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		d.at(m.node, "%s is missing", m.field(key))
	}
}

// section reads a mapping inside m; an absent one is empty.
func (d *decoder) section(m *mapping, name string, keys ...string) *mapping {
	node := m.value(name)
	if node == nil {
		return &mapping{path: name}
	}
	if _, null := node.(*ast.NullNode); null {
		d.wrong(m, name, "keys and values")
		return &mapping{path: name}
	}
	return d.mapping(m.field(name), node, keys...)
}

func (d *decoder) timeOfDay(m *mapping, key string, into *time.Duration) {
	node := m.value(key)
	if node == nil {
		return
	}
	text, ok := textOf(node)
	at, err := time.Parse("15:04", text)
	if !ok || err != nil {
		d.wrong(m, key, `a time of day in quotes such as "20:30"`)
		return
	}
	*into = time.Duration(at.Hour())*time.Hour + time.Duration(at.Minute())*time.Minute
}

func (d *decoder) warmUp(m *mapping, s *Scenario, durationKnown bool) {
	s.WarmUp = min(10*time.Second, s.Duration/6)
	if d.duration(m, "warm_up", &s.WarmUp, 0) && durationKnown && s.WarmUp >= s.Duration {
		d.wrong(m, "warm_up", "less than the duration of "+formatDuration(s.Duration))
	}
}

func (d *decoder) target(root *mapping, t *Target) (nodesKnown bool) {
	*t = Target{Design: "raft", LogStore: "boltdb", BatchLinger: time.Millisecond, Keepalive: time.Minute, Lease: 150 * time.Second}
	m := d.section(root, "target", "design", "nodes", "keepalive", "lease", "default_streams", "log_store", "batch_linger")
	d.choice(m, "design", &t.Design, Designs())
	d.choice(m, "log_store", &t.LogStore, []string{"boltdb", "wal"})
	if d.duration(m, "batch_linger", &t.BatchLinger, shortest) && t.BatchLinger > MaxBatchLinger {
		d.wrong(m, "batch_linger", "at most "+formatDuration(MaxBatchLinger))
	}

	nodes := int64(3)
	if nodesKnown = d.whole(m, "nodes", &nodes, 1, 7); nodesKnown && nodes%2 == 0 {
		nodesKnown = d.wrong(m, "nodes", "1, 3, 5 or 7")
	}
	t.Nodes = int(nodes)

	keepaliveKnown := d.duration(m, "keepalive", &t.Keepalive, shortest)
	leaseKnown := d.duration(m, "lease", &t.Lease, shortest)
	if keepaliveKnown && leaseKnown && t.Lease <= t.Keepalive {
		// One of the two stands in the file: the defaults are in order.
		if m.value("lease") != nil {
			d.wrong(m, "lease", "more than the keepalive of "+formatDuration(t.Keepalive))
		} else {
			d.wrong(m, "keepalive", "less than the lease of "+formatDuration(t.Lease))
		}
	}
	streams := int64(2)
	d.whole(m, "default_streams", &streams, 1, MaxDefaultStreams)
	t.DefaultStreams = int(streams)
	return nodesKnown
}

func (d *decoder) audit(root *mapping, a *Audit) {
	*a = Audit{ReadBack: 1}
	d.scale(d.section(root, "audit", "read_back"), "read_back", &a.ReadBack)
}

// list reads a list of at most limit entries; an absent one is empty.
func (d *decoder) list(m *mapping, key, of string, limit int) []ast.Node {
	node := m.value(key)
	if node == nil {
		return nil
	}
	sequence, ok := node.(*ast.SequenceNode)
	if !ok {
		d.wrong(m, key, "a list of "+of)
		return nil
	}
	if len(sequence.Values) > limit {
		d.at(sequence.Values[limit], "%s: expected at most %d %s", m.field(key), limit, of)
		return sequence.Values[:limit]
	}
	return sequence.Values
}

func (d *decoder) thresholds(root *mapping, s *Scenario) {
	node := root.value("thresholds")
	if node == nil {
		return
	}
	if _, null := node.(*ast.NullNode); null {
		d.wrong(root, "thresholds", "metrics and their conditions")
		return
	}
	metrics := results.Metrics()
	for metric, entry := range d.named("thresholds", node) {
		known := slices.Contains(metrics, metric)
		if !known {
			d.unknownMetric(entry, metric, metrics)
		}
		d.conditions(entry, metric, known, s)
	}
}

func (d *decoder) unknownMetric(entry *ast.MappingValueNode, metric string, metrics []string) {
	if meant, ok := suggest(metric, metrics); ok {
		d.at(entry.Key, "thresholds: unknown metric %s, did you mean %q?", quote(metric), meant)
		return
	}
	d.at(entry.Key, "thresholds: %s", results.ValidateMetric(metric, results.Threshold{}))
}

// conditions reads the list of conditions on one metric.
func (d *decoder) conditions(entry *ast.MappingValueNode, metric string, known bool, s *Scenario) {
	m := &mapping{path: "thresholds", values: map[string]*ast.MappingValueNode{metric: entry}}
	for _, node := range d.list(m, metric, `conditions such as ["p(99)<500"]`, MaxThresholds) {
		expression, ok := textOf(node)
		if !ok {
			d.at(node, "thresholds.%s: expected a condition such as \"p(99)<500\", got %s", metric, describe(node))
			continue
		}
		t, err := results.ParseThreshold(expression)
		if err == nil && known {
			err = cmp.Or(results.ValidateMetric(metric, t), t.Decides())
		}
		if err != nil {
			d.at(node, "thresholds.%s: %s: %v", metric, quote(expression), err)
			continue
		}
		if len(s.Thresholds) == MaxThresholds {
			d.at(node, "thresholds: expected at most %d", MaxThresholds)
			return
		}
		t.Metric = metric
		s.Thresholds = append(s.Thresholds, t)
	}
}
