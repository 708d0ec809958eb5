package scenarios

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

func (d *decoder) population(root *mapping, p *Population) {
	*p = Population{Scale: 1.0 / 4000, SharedAccounts: 0.10}
	if root.value("population") == nil {
		d.missing(root, "population.model")
		return
	}
	m := d.section(root, "population", "model", "scale", "shared_accounts", "parameters")
	if m.value("model") == nil {
		d.missing(m, "model")
	}
	d.choice(m, "model", &p.Model, Models())
	d.scale(m, "scale", &p.Scale)
	d.share(m, "shared_accounts", &p.SharedAccounts)
	d.parameters(m, p)
}

// ParameterBounds gives the least and the most of each number of a model, by name; nil
// where there is no such model.
type ParameterBounds func(model string) map[string][2]float64

// parameters reads numbers by name, which the model knows and bounds.
func (d *decoder) parameters(m *mapping, p *Population) {
	node := m.value("parameters")
	if node == nil {
		return
	}
	if _, null := node.(*ast.NullNode); null {
		d.wrong(m, "parameters", "names and numbers")
		return
	}
	var bounds map[string][2]float64
	if d.bounds != nil && p.Model != "" {
		bounds = d.bounds(p.Model)
	}
	path := m.field("parameters")
	count := 0
	for name, entry := range d.named(path, node) {
		if count++; count > MaxParameters {
			d.at(entry.Key, "%s: expected at most %d", path, MaxParameters)
			return
		}
		value, ok := d.parameter(path, name, entry, p.Model, bounds)
		if !ok {
			continue
		}
		if p.Parameters == nil {
			p.Parameters = map[string]float64{}
		}
		p.Parameters[name] = value
	}
}

// parameter reads one number; without bounds any will do.
func (d *decoder) parameter(path, name string, entry *ast.MappingValueNode, model string, bounds map[string][2]float64) (float64, bool) {
	bound, known := bounds[name]
	if bounds != nil && !known {
		hint := "playhead simulate --parameters lists those there are"
		if meant, ok := suggest(name, slices.Sorted(maps.Keys(bounds))); ok {
			hint = fmt.Sprintf("did you mean %q?", meant)
		}
		d.at(entry.Key, "%s: no parameter %s of %s, %s", path, quote(name), model, hint)
	}
	value, isNumber := numberOf(entry.Value)
	switch {
	case !isNumber:
		d.at(entry.Value, "%s.%s: expected a number, got %s", path, name, describe(entry.Value))
		return 0, false
	case known && !(value >= bound[0] && value <= bound[1]):
		d.at(entry.Value, "%s.%s: expected a number from %v to %v, got %s", path, name, bound[0], bound[1], describe(entry.Value))
	}
	return value, true
}

// scale reads a share, as 1/N or as a number.
func (d *decoder) scale(m *mapping, key string, into *float64) {
	const expected = "a fraction such as 1/4000, or a number above 0, at most 1"
	node := m.value(key)
	if node == nil {
		return
	}
	x, ok := numberOf(node)
	if text, isText := textOf(node); isText {
		x, ok = ParseScale(text)
	}
	if !ok || !(x > 0 && x <= 1) {
		d.wrong(m, key, expected)
		return
	}
	*into = x
}

// ParseScale reads a share of the population, 0 < x ≤ 1, from 1/N with a whole
// N, or from a decimal number.
func ParseScale(text string) (float64, bool) {
	if n, ok := strings.CutPrefix(text, "1/"); ok {
		parts, err := strconv.ParseUint(n, 10, 53)
		return 1 / float64(parts), err == nil && parts > 0
	}
	x, err := strconv.ParseFloat(text, 64)
	return x, err == nil && x > 0 && x <= 1
}
