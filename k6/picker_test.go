package k6

import (
	"math"
	"slices"
	"testing"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/playhead-load/playhead/results"
)

func histogramOf(values ...int64) *hdrhistogram.Histogram {
	h := hdrhistogram.New(results.MinTimeUS, results.MaxTimeUS, results.SignificantDigits)
	for _, v := range values {
		_ = h.RecordValue(v)
	}
	return h
}

func TestOfFewTimesEachIsASample(t *testing.T) {
	t.Parallel()
	var p picker
	var picked []int64
	p.pick(histogramOf(100, 100, 200, 900), 1, func(v int64) { picked = append(picked, v) })
	p.pick(histogramOf(50), 1, func(v int64) { picked = append(picked, v) })
	if want := []int64{100, 100, 200, 900, 50}; !slices.Equal(picked, want) {
		t.Errorf("picked %v, want %v", picked, want)
	}
}

// What the samples say of a percentile is what the times say of one near it, whatever the
// windows are: many small ones, in which the slow ones are always the last, and one in ten
// that is twenty times as large and slow.
func TestSamplesHaveThePercentilesOfTheTimes(t *testing.T) {
	t.Parallel()
	const every = 50
	all := histogramOf()
	var p picker
	var picked []int64
	for window := range 20_000 {
		size, base := 10, int64(1000)
		if window%10 == 0 {
			size, base = 200, 5000
		}
		h := histogramOf()
		for i := range size {
			_ = h.RecordValue(base + int64(i)*base/int64(size)*3)
		}
		all.Merge(h)
		p.pick(h, every, func(v int64) { picked = append(picked, v) })
	}
	want := float64(all.TotalCount()) / every
	if got := float64(len(picked)); math.Abs(got-want) > 10 {
		t.Errorf("%v samples, want about %v of %d times", got, want, all.TotalCount())
	}
	slices.Sort(picked)
	for _, percentile := range []float64{10, 50, 90, 99, 99.9} {
		value := picked[min(len(picked)-1, int(percentile/100*float64(len(picked))))]
		// How often a time is at most that: with some 11,000 samples the rank is off by
		// half a per cent at most, nearer to the ends by less.
		below := 0.0
		for _, bar := range all.Distribution() {
			if bar.From <= value {
				below += float64(bar.Count)
			}
		}
		rank := 100 * below / float64(all.TotalCount())
		ties := 100 * float64(ties(all, value)) / float64(all.TotalCount())
		slack := 4*math.Sqrt(percentile*(100-percentile)/float64(len(picked))) + ties
		if math.Abs(rank-percentile) > slack {
			t.Errorf("p(%v) of the samples is %d, which is p(%.3f) of the times, more than %.3f off", percentile, value, rank, slack)
		}
	}
	if picked[len(picked)-1] != all.ValueAtPercentile(100) {
		t.Errorf("the highest sample is %d, the highest time %d", picked[len(picked)-1], all.ValueAtPercentile(100))
	}
}

// ties is how many times are in the histogram's place of a value.
func ties(h *hdrhistogram.Histogram, value int64) int64 {
	for _, bar := range h.Distribution() {
		if bar.From <= value && value <= bar.To {
			return bar.Count
		}
	}
	return 0
}

// One time in a million that is slow is seen.
func TestTheHighestIsAlwaysASample(t *testing.T) {
	t.Parallel()
	var p picker
	highest := int64(0)
	for window := range 100 {
		h := histogramOf()
		_ = h.RecordValues(1000, 10_000)
		if window == 37 {
			_ = h.RecordValue(3_000_000)
		}
		p.pick(h, 10_000, func(v int64) { highest = max(highest, v) })
	}
	if highest < 2_990_000 {
		t.Errorf("the highest sample is %d µs, want 3 s", highest)
	}
}
