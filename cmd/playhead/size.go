package main

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

type sizeUnit struct {
	name  string
	bytes float64
}

// sizeUnits are what a size may end with; none means bytes.
var sizeUnits = []sizeUnit{
	{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40},
	{"kB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}, {"B", 1}, // B last: the others end with it
}

// parseSize reads a size such as 16GiB or 500MB, or a number of bytes.
func parseSize(text string) (int64, error) {
	number, unit := text, 1.0
	i := slices.IndexFunc(sizeUnits, func(u sizeUnit) bool { return strings.HasSuffix(text, u.name) })
	if i >= 0 {
		number, unit = strings.TrimSuffix(text, sizeUnits[i].name), sizeUnits[i].bytes
	}
	n, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if bytes := n * unit; err == nil && bytes >= 0 && bytes < math.MaxInt64 {
		return int64(bytes), nil
	}
	return 0, fmt.Errorf("expected a size such as 16GiB or 500MB, got %q", text)
}
