package scenarios

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Problem is one mistake in a scenario file. Line and Column count from 1,
// columns in characters.
type Problem struct {
	File    string
	Line    int
	Column  int
	Message string
}

func (p Problem) String() string {
	return fmt.Sprintf("%s:%d:%d: %s", p.File, p.Line, p.Column, p.Message)
}

// Problems are all the mistakes in a scenario file, in the order of the file.
// As an error it prints one line each.
type Problems []Problem

func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

func (ps Problems) sort() {
	slices.SortStableFunc(ps, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
}

// quotedRunes is how much of a wrong text a message repeats.
const quotedRunes = 60

func quote(s string) string {
	if utf8.RuneCountInString(s) > quotedRunes {
		s = string([]rune(s)[:quotedRunes]) + "…"
	}
	return fmt.Sprintf("%q", s)
}

// suggest finds the candidate that s was probably meant to be: the nearest one,
// when at most a third of its letters differ.
func suggest(s string, candidates []string) (string, bool) {
	best, bestDistance := "", len(s)+1
	for _, c := range candidates {
		if d := len(s) - len(c); d > quotedRunes || d < -quotedRunes {
			continue
		}
		if distance := editDistance(strings.ToLower(s), c); distance <= max(1, len(c)/3) && distance < bestDistance {
			best, bestDistance = c, distance
		}
	}
	return best, best != ""
}

// editDistance is Levenshtein's, with the exchange of two neighbours counted as
// one edit (optimal string alignment).
func editDistance(a, b string) int {
	before, previous, current := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range previous {
		previous[j] = j
	}
	for i := 1; i <= len(a); i++ {
		current[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			current[j] = min(previous[j]+1, current[j-1]+1, previous[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				current[j] = min(current[j], before[j-2]+1)
			}
		}
		before, previous, current = previous, current, before
	}
	return previous[len(b)]
}
