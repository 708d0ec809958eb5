package scenarios

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/goccy/go-yaml/ast"

	"github.com/playhead-load/playhead/results"
)

// faultKeys are all that may stand in a fault, of whatever kind.
var faultKeys = []string{
	"at", "when", "kind", "target", "for", "restart_after", "shape", "between", "mode", "period",
	"delay", "jitter", "loss", "duplicate", "reorder", "bandwidth_kbps", "offset", "share",
}

// The bounds of a fault's values.
const (
	maxBandwidthKbps = 10_000_000
	maxNetworkDelay  = 10 * time.Second
	maxDiskDelay     = time.Minute
	defaultPeriod    = time.Second
	leastPeriod      = 10 * time.Millisecond
	leastOfRing      = 5 // nodes: of three each sees all, or one cannot
)

func (d *decoder) faults(root *mapping, s *Scenario, durationKnown, nodesKnown bool) {
	nodes := s.Target.Nodes
	if !nodesKnown {
		nodes = 7 // nothing is said of what another mistake may be the reason of
	}
	for i, node := range d.list(root, "faults", "faults", MaxFaults) {
		m := d.mappingOffering(fmt.Sprintf("faults[%d]", i), node, faultKeys, keysFor(node))
		var f Fault
		for _, key := range []string{"at", "kind"} {
			if m.value(key) == nil {
				d.missing(m, key)
			}
		}
		if m.value("kind") != nil && d.choice(m, "kind", (*string)(&f.Kind), namesOf(FaultKinds())) {
			d.fault(m, &f, nodes)
		}
		d.choice(m, "when", (*string)(&f.When), []string{string(WhenRecovered)})
		d.faultTimes(m, &f, s.Duration, durationKnown)
		s.Faults = append(s.Faults, f)
	}
	slices.SortStableFunc(s.Faults, func(a, b Fault) int { return cmp.Compare(a.At, b.At) })
}

// keysFor are the keys that the kind of the fault in node takes, or all of an unknown one.
func keysFor(node ast.Node) []string {
	entries, _ := entriesOf(node)
	for _, entry := range entries {
		kind, _ := textOf(entry.Value)
		if form, ok := faultForms[FaultKind(kind)]; ok && entry.Key.GetToken().Value == "kind" {
			return form.all()
		}
	}
	return faultKeys
}

func namesOf[S ~string](values []S) []string {
	names := make([]string, len(values))
	for i, v := range values {
		names[i] = string(v)
	}
	return names
}

// fault reads what a fault of a known kind is like, but for its times.
func (d *decoder) fault(m *mapping, f *Fault, nodes int) {
	form := faultForms[f.Kind]
	allowed := form.all()
	for _, key := range faultKeys {
		if entry, ok := m.values[key]; ok && !slices.Contains(allowed, key) {
			d.at(entry.Key, "%s: %s takes %s", m.field(key), f.Kind, results.OneOf(allowed))
		}
	}
	for _, key := range form.needs {
		if m.value(key) == nil {
			d.missing(m, key)
		}
	}
	d.nodesFor(m, "kind", string(f.Kind), form.nodes, nodes)
	if len(form.targets) > 0 {
		f.Target = form.targets[0]
		if d.choice(m, "target", (*string)(&f.Target), namesOf(form.targets)) && f.Target.needsMajority() {
			d.nodesFor(m, "target", string(f.Target), 3, nodes)
		}
	}
	switch f.Kind {
	case Partition:
		d.partition(m, f, nodes)
	case Network:
		d.network(m, f, nodes)
	case Disk:
		d.disk(m, f)
	case Clock:
		d.clock(m, f)
	case Vanish:
		d.number(m, "share", &f.Share, "a share above 0, at most 1", func(x float64) bool { return x > 0 && x <= 1 })
	}
}

// nodesFor notes that what stands under key needs more nodes than there are.
func (d *decoder) nodesFor(m *mapping, key, what string, least, nodes int) {
	if nodes >= least || m.value(key) == nil {
		return
	}
	d.at(m.value(key), "%s: %s needs target.nodes of %d or more, got %d", m.field(key), what, least, nodes)
}

func (d *decoder) partition(m *mapping, f *Fault, nodes int) {
	if m.value("shape") == nil || !d.choice(m, "shape", (*string)(&f.Shape), namesOf(shapes())) {
		return
	}
	if f.Shape == ShapeRing {
		d.nodesFor(m, "shape", string(f.Shape), leastOfRing, nodes)
	}
	if !f.Shape.needsTarget() {
		f.Target = ""
		d.only(m, "target", "a shape about one node", "the shape "+string(f.Shape)+" has none")
	}
	d.period(m, f, f.Shape == ShapeFlapping, "the shape flapping")
}

// only notes that a key stands where it means nothing.
func (d *decoder) only(m *mapping, key, of, got string) {
	if entry, ok := m.values[key]; ok {
		d.at(entry.Key, "%s is of %s: %s", m.field(key), of, got)
	}
}

// period reads how often something changes back and forth, where it does.
func (d *decoder) period(m *mapping, f *Fault, has bool, of string) {
	if !has {
		d.only(m, "period", of, "leave it out")
		return
	}
	f.Period = defaultPeriod
	d.duration(m, "period", &f.Period, leastPeriod)
}

func (d *decoder) network(m *mapping, f *Fault, nodes int) {
	f.Between = "nodes"
	betweenKnown := d.choice(m, "between", &f.Between, []string{"nodes", "clients"})
	share := func(x float64) bool { return x > 0 && x < 1 }
	const expected = "a share above 0, below 1"
	d.delay(m, "delay", &f.Delay, maxNetworkDelay)
	d.delay(m, "jitter", &f.Jitter, maxNetworkDelay)
	d.number(m, "loss", &f.Loss, expected, share)
	d.number(m, "duplicate", &f.Duplicate, expected, share)
	d.number(m, "reorder", &f.Reorder, expected, share)
	d.whole(m, "bandwidth_kbps", &f.BandwidthKbps, 1, maxBandwidthKbps)
	if betweenKnown && f.Between == "nodes" {
		d.nodesFor(m, "kind", "network between nodes", 3, nodes)
		for _, key := range []string{"duplicate", "reorder"} {
			d.only(m, key, "requests", "between nodes there are bytes alone, which TCP keeps in order; add between: clients")
		}
	}
	if !slices.ContainsFunc([]string{"delay", "jitter", "loss", "duplicate", "reorder", "bandwidth_kbps"}, func(key string) bool { return m.value(key) != nil }) {
		d.at(m.value("kind"), "%s: network needs one of delay, jitter, loss, duplicate, reorder or bandwidth_kbps", m.field("kind"))
	}
}

func (d *decoder) delay(m *mapping, key string, into *time.Duration, most time.Duration) {
	if m.value(key) != nil && d.duration(m, key, into, shortest) && *into > most {
		d.wrong(m, key, "a duration of "+formatDuration(most)+" or less")
	}
}

func (d *decoder) disk(m *mapping, f *Fault) {
	if m.value("mode") == nil || !d.choice(m, "mode", &f.Mode, []string{"slow", "full", "hang"}) {
		return
	}
	if f.Mode != "slow" {
		d.only(m, "delay", "the mode slow", "leave it out")
		return
	}
	if m.value("delay") == nil {
		d.missing(m, "delay")
	}
	d.delay(m, "delay", &f.Delay, maxDiskDelay)
}

func (d *decoder) clock(m *mapping, f *Fault) {
	d.offset(m, &f.Offset)
	if m.value("mode") != nil && d.choice(m, "mode", &f.Mode, []string{"bump", "strobe"}) {
		d.period(m, f, f.Mode == "strobe", "the mode strobe")
	}
}

// offset reads a duration that may be negative.
func (d *decoder) offset(m *mapping, into *time.Duration) {
	node := m.value("offset")
	if node == nil {
		return
	}
	text, _ := textOf(node)
	offset, err := time.ParseDuration(text)
	if err != nil || offset == 0 || offset.Abs() > maxDuration {
		d.wrong(m, "offset", "a duration such as 30s or -30s, at most 24h either way")
		return
	}
	*into = offset
}

// faultTimes reads when a fault begins, and how long it lasts.
func (d *decoder) faultTimes(m *mapping, f *Fault, duration time.Duration, durationKnown bool) {
	atKnown := m.value("at") != nil && d.duration(m, "at", &f.At, 0)
	if atKnown && durationKnown && f.At >= duration {
		d.wrong(m, "at", "a time before the end at "+formatDuration(duration))
		atKnown = false
	}
	if again, ok := m.values["restart_after"]; ok && m.value("for") != nil {
		d.at(again.Key, "%s: for says the same, leave one of them out", m.field("restart_after"))
	}
	for key, what := range map[string]string{"restart_after": "a restart", "for": "an end"} {
		known := m.value(key) != nil && d.duration(m, key, &f.For, shortest)
		if known && atKnown && durationKnown && f.At+f.For >= duration {
			d.wrong(m, key, fmt.Sprintf("%s before the end at %s (it would be at %s)", what, formatDuration(duration), formatDuration(f.At+f.For)))
		}
	}
}
