package sim

import (
	"fmt"
	"strconv"
	"strings"
)

// Segment is a share of the accounts: part Part of Of, of equal size. The parts
// together play what the whole plays, merged by (due, account). The zero value is
// the whole.
type Segment struct{ Part, Of int }

// ParseSegment reads P/N, as 2/8, of so many parts at most.
func ParseSegment(text string, most int) (Segment, error) {
	part, of, found := strings.Cut(text, "/")
	p, err := strconv.Atoi(part)
	n, err2 := strconv.Atoi(of)
	if !found || err != nil || err2 != nil || p < 1 || p > n || n > most {
		return Segment{}, fmt.Errorf("expected P/N, from 1/N to N/N and N at most %d", most)
	}
	return Segment{Part: p, Of: n}, nil
}

// String is what ParseSegment reads; empty of all accounts.
func (s Segment) String() string {
	if s == (Segment{}) {
		return ""
	}
	return fmt.Sprintf("%d/%d", s.Part, s.Of)
}

// MaxSegments is how many parts there may be.
const MaxSegments = 1 << 20
