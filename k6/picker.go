package k6

import (
	"math/rand/v2"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// picker chooses which of an operation's times become samples of k6's: one of each `every`
// that came one after another, windows ordered by value, at a random place among them.
// Each sample stands for as many times, so that any percentile of the samples is one of
// the times, give or take what chance does to the rank. The highest of all is among the
// samples too.
//
// The windows' values are those of a histogram: true to three digits.
type picker struct {
	next    int64 // how many times are yet to come until the one that is picked
	rest    int64 // and how many after it until the next choice
	highest int64
}

// pick calls each with the values of h that are picked, one for each `every`.
func (p *picker) pick(h *hdrhistogram.Histogram, every int64, each func(value int64)) {
	n := h.TotalCount()
	if n == 0 {
		return
	}
	var ranks []float64
	at := int64(0) // how many of the n are behind
	for {
		if p.next == 0 {
			place := rand.Int64N(every)
			p.next, p.rest = p.rest+place+1, every-1-place
		}
		if at+p.next > n {
			p.next -= n - at
			break
		}
		at += p.next
		p.next = 0
		ranks = append(ranks, 100*float64(at)/float64(n))
	}
	last := int64(-1)
	for _, value := range h.ValueAtPercentilesSlice(ranks) {
		each(value)
		last = value
	}
	top := h.ValueAtPercentile(100)
	if top > p.highest && last < top {
		each(top)
	}
	p.highest = max(p.highest, top)
}
