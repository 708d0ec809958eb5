package trace

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// columns is where a line of CSV has each field; -1: nowhere.
type columns [len(Fields)]int

// newColumns finds the fields in a header. ignored are the columns that are none.
func newColumns(header [][]byte, n *names) (c *columns, ignored []string, err error) {
	c = &columns{}
	for i := range c {
		c[i] = -1
	}
	for at, cell := range header {
		name := strings.TrimSpace(string(cell))
		i := slices.Index(n[:], name)
		switch {
		case i < 0:
			ignored = append(ignored, name)
		case c[i] >= 0:
			return nil, nil, fmt.Errorf("the header has the column %q twice", name)
		default:
			c[i] = at
		}
	}
	var lacks []string
	for i := range RequiredFields {
		if c[i] < 0 {
			lacks = append(lacks, n[i])
		}
	}
	if len(lacks) > 0 {
		return nil, nil, fmt.Errorf("the header lacks %s: if a column has another name, say so with --map theirs=ours (CSV is separated by commas)", strings.Join(lacks, ", "))
	}
	return c, ignored, nil
}

var (
	errQuoteOpen = errors.New("a quoted cell does not end on its line")
	errAfter     = errors.New("expected a comma after a quoted cell")
)

// splitCSV cuts a line into its cells (RFC 4180, but that a cell has no line break in
// it, so that a quote too many costs one line). The cells are good until line changes,
// which this does where quotes are doubled.
func splitCSV(line []byte, cells [][]byte) ([][]byte, error) {
	cells = cells[:0]
	for {
		cell, rest, err := firstCell(line)
		if err != nil {
			return cells, err
		}
		cells = append(cells, cell)
		if rest == nil {
			return cells, nil
		}
		line = rest
	}
}

// firstCell is what stands before the first comma; rest is what follows it, nil if
// there is none.
func firstCell(line []byte) (cell, rest []byte, err error) {
	if len(line) == 0 || line[0] != '"' {
		at := slices.Index(line, ',')
		if at < 0 {
			return line, nil, nil
		}
		return line[:at], line[at+1:], nil
	}
	cell = line[1:1]
	for i := 1; i < len(line); i++ {
		if line[i] != '"' {
			cell = append(cell, line[i]) // never ahead of what is read
			continue
		}
		if i++; i == len(line) {
			return cell, nil, nil
		}
		switch line[i] {
		case ',':
			return cell, line[i+1:], nil
		case '"':
			cell = append(cell, '"')
		default:
			return nil, nil, errAfter
		}
	}
	return nil, nil, errQuoteOpen
}
