package scenarios

import (
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"

	"github.com/playhead-load/playhead/results"
)

// decoder reads a YAML tree and gathers what is wrong with it.
type decoder struct {
	file     string
	bounds   ParameterBounds // nil: parameters have none
	problems Problems
}

func (d *decoder) add(line, column int, format string, args ...any) {
	d.problems = append(d.problems, Problem{File: d.file, Line: line, Column: column, Message: fmt.Sprintf(format, args...)})
}

func (d *decoder) at(n ast.Node, format string, args ...any) {
	d.atToken(firstToken(n), format, args...)
}

func (d *decoder) atToken(tk *token.Token, format string, args ...any) {
	line, column := 1, 1
	if tk != nil && tk.Position != nil {
		line, column = max(tk.Position.Line, 1), max(tk.Position.Column, 1)
	}
	d.add(line, column, format, args...)
}

// firstToken is where a reader would point to. The token of a block mapping is
// its first colon, of which the key stands to the left.
func firstToken(n ast.Node) *token.Token {
	switch n := n.(type) {
	case *ast.MappingValueNode:
		return firstToken(n.Key)
	case *ast.MappingNode:
		if !n.IsFlowStyle && len(n.Values) > 0 {
			return firstToken(n.Values[0].Key)
		}
	}
	return n.GetToken()
}

// mapping is a YAML mapping whose keys were checked.
type mapping struct {
	path   string // dotted, empty at the root
	node   ast.Node
	values map[string]*ast.MappingValueNode
}

// field is the full name of a key in messages.
func (m *mapping) field(key string) string {
	if m.path == "" {
		return key
	}
	return m.path + "." + key
}

// value returns the value of key, nil where it is absent.
func (m *mapping) value(key string) ast.Node {
	if v, ok := m.values[key]; ok {
		return v.Value
	}
	return nil
}

// mapping reads node as a mapping that has only the given keys, each once. It
// returns an empty one, after noting a problem, when node is something else.
func (d *decoder) mapping(path string, node ast.Node, keys ...string) *mapping {
	return d.mappingOffering(path, node, keys, keys)
}

// mappingOffering is mapping where only some of the keys fit what else is there: those
// alone are named to who wrote an unknown one.
func (d *decoder) mappingOffering(path string, node ast.Node, keys, fitting []string) *mapping {
	m := &mapping{path: path, node: node, values: make(map[string]*ast.MappingValueNode)}
	for _, entry := range d.entries(path, node) {
		key, ok := d.key(entry)
		if !ok {
			continue
		}
		if !slices.Contains(keys, key) {
			d.at(entry.Key, "unknown key %s%s", quote(key), hint(key, path, fitting))
			continue
		}
		if first, twice := m.values[key]; twice {
			d.duplicate(entry, key, firstToken(first.Key))
			continue
		}
		m.values[key] = entry
	}
	return m
}

// entries lists the entries of a mapping, or notes that node is none.
func (d *decoder) entries(path string, node ast.Node) []*ast.MappingValueNode {
	entries, ok := entriesOf(node)
	if ok {
		return entries
	}
	if path == "" {
		d.at(node, "expected a scenario, keys such as name and population, got %s", describe(node))
	} else {
		d.at(node, "%s: expected keys and values, got %s", path, describe(node))
	}
	return nil
}

func entriesOf(node ast.Node) (entries []*ast.MappingValueNode, ok bool) {
	switch n := node.(type) {
	case *ast.MappingNode:
		return n.Values, true
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{n}, true
	}
	return nil, false
}

// named gives the entries of a mapping whose keys are names of the reader's choice,
// each name once.
func (d *decoder) named(path string, node ast.Node) iter.Seq2[string, *ast.MappingValueNode] {
	return func(yield func(string, *ast.MappingValueNode) bool) {
		seen := make(map[string]*token.Token)
		for _, entry := range d.entries(path, node) {
			name, ok := d.key(entry)
			if !ok {
				continue
			}
			if first, twice := seen[name]; twice {
				d.duplicate(entry, name, first)
				continue
			}
			seen[name] = firstToken(entry.Key)
			if !yield(name, entry) {
				return
			}
		}
	}
}

func (d *decoder) duplicate(entry *ast.MappingValueNode, key string, first *token.Token) {
	d.at(entry.Key, "duplicate key %s, first in line %d", quote(key), first.Position.Line)
}

func (d *decoder) key(entry *ast.MappingValueNode) (string, bool) {
	if _, ok := entry.Key.(ast.ScalarNode); !ok {
		d.at(entry.Key, "expected a plain word as key")
		return "", false
	}
	return entry.Key.GetToken().Value, true
}

// hint tells which key may have been meant.
func hint(key, path string, keys []string) string {
	in := ""
	if path != "" {
		in = " in " + path
	}
	if meant, ok := suggest(key, keys); ok {
		return fmt.Sprintf("%s, did you mean %q?", in, meant)
	}
	return fmt.Sprintf("%s, expected %s", in, results.OneOf(keys))
}

// wrong notes that the value of key is not what was expected. An absent value
// is pointed to by its key.
func (d *decoder) wrong(m *mapping, key, expected string) bool {
	return d.wrongMeaning(m, key, expected, nil)
}

// wrongMeaning is wrong that also says which of names was probably meant.
func (d *decoder) wrongMeaning(m *mapping, key, expected string, names []string) bool {
	entry := m.values[key]
	at := entry.Value
	if _, null := at.(*ast.NullNode); null {
		at = entry.Key
	}
	meant := ""
	if text, ok := textOf(entry.Value); ok {
		if name, ok := suggest(text, names); ok {
			meant = fmt.Sprintf(", did you mean %q?", name)
		}
	}
	d.at(at, "%s: expected %s, got %s%s", m.field(key), expected, describe(entry.Value), meant)
	return false
}

// The readers below leave the default in place where key is absent, and return
// false after noting a problem.

func (d *decoder) text(m *mapping, key string, into *string) bool {
	node := m.value(key)
	if node == nil {
		return true
	}
	s, ok := textOf(node)
	if !ok {
		expected := "text"
		if _, scalar := node.(ast.ScalarNode); scalar && node.Type() != ast.NullType {
			expected = "text in quotes"
		}
		return d.wrong(m, key, expected)
	}
	*into = s
	return true
}

// choice reads a name out of a closed set.
func (d *decoder) choice(m *mapping, key string, into *string, names []string) bool {
	node := m.value(key)
	if node == nil {
		return true
	}
	s, ok := textOf(node)
	if !ok || !slices.Contains(names, s) {
		return d.wrongMeaning(m, key, results.OneOf(names), names)
	}
	*into = s
	return true
}

// whole reads a whole number from low to high.
func (d *decoder) whole(m *mapping, key string, into *int64, low, high int64) bool {
	node := m.value(key)
	if node == nil {
		return true
	}
	n, ok := node.(*ast.IntegerNode)
	if ok {
		switch v := n.Value.(type) {
		case int64:
			*into = v
		case uint64:
			*into = int64(min(v, 1<<63-1))
		default:
			ok = false
		}
	}
	if !ok || *into < low || *into > high {
		return d.wrong(m, key, fmt.Sprintf("a whole number from %d to %d", low, high))
	}
	return true
}

// number reads a number that within accepts; expected says which those are.
func (d *decoder) number(m *mapping, key string, into *float64, expected string, within func(float64) bool) bool {
	node := m.value(key)
	if node == nil {
		return true
	}
	x, ok := numberOf(node)
	if !ok || !within(x) {
		return d.wrong(m, key, expected)
	}
	*into = x
	return true
}

const maxDuration = 24 * time.Hour

// duration reads a Go duration of at most 24 hours and at least low.
func (d *decoder) duration(m *mapping, key string, into *time.Duration, low time.Duration) bool {
	node := m.value(key)
	if node == nil {
		return true
	}
	const example = "a duration such as 60s or 1h30m"
	if _, isNumber := numberOf(node); isNumber {
		d.at(node, "%s: expected %s, got the number %s: add its unit, as in %[3]ss", m.field(key), example, node.GetToken().Value)
		return false
	}
	s, ok := textOf(node)
	if !ok {
		return d.wrong(m, key, example)
	}
	duration, err := time.ParseDuration(s)
	switch {
	case err != nil:
		return d.wrong(m, key, example)
	case duration < low && low > 0:
		return d.wrong(m, key, "a duration of "+formatDuration(low)+" or more")
	case duration < 0:
		return d.wrong(m, key, "a duration that is not negative")
	case duration > maxDuration:
		return d.wrong(m, key, "a duration of 24h or less")
	}
	*into = duration
	return true
}
