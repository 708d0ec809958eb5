package k6

import (
	"context"
	"sync"
	"time"

	"go.k6.io/k6/metrics"

	"github.com/playhead-load/playhead/results"
)

// sampleBudget is how many samples of response times, and as many of service times, all
// that one process measures may become: about 5 MB of k6's memory for each threshold on
// them. With fewer times than that each becomes one.
const sampleBudget = 200_000

// totals are what all of a process has counted so far. Shares are of them: a gauge shows
// what was pushed last. Any goroutine may use it.
type totals struct {
	mu     sync.Mutex
	counts [results.OpCount]struct{ count, errors, denied int64 } // by operation
	active map[*meter]int64
}

// meter turns what was recorded in one place into samples of k6's. One goroutine at a time
// uses it.
type meter struct {
	module  *Module
	metrics *metricSet
	to      chan<- metrics.SampleContainer
	tags    *metrics.TagSet
	lasts   time.Duration // for how long there will be times, about
	budget  int64

	every   int64   // times that a sample stands for; 0: not known yet,
	waiting []told  // and what waits for that,
	seconds []int64 // of how many times in each second
	picked  int64
	pickers [results.OpCount]struct{ response, service picker }
	byOp    [results.OpCount]*metrics.TagSet
	samples metrics.Samples
	touched []results.Op
}

// decideAfter is how many seconds it takes to know how many times there will be.
const decideAfter = 2

type told struct {
	op   results.Op
	seen results.Seen
}

func newMeter(m *Module, set *metricSet, to chan<- metrics.SampleContainer, tags *metrics.TagSet, lasts time.Duration, of int) *meter {
	return &meter{module: m, metrics: set, to: to, tags: tags, lasts: max(lasts, time.Second), budget: max(1, sampleBudget/int64(of))}
}

func (m *meter) tagsOf(op results.Op) *metrics.TagSet {
	if m.byOp[op] == nil {
		m.byOp[op] = m.tags.With(operationTag, op.String())
	}
	return m.byOp[op]
}

func (m *meter) add(metric *metrics.Metric, tags *metrics.TagSet, value float64) {
	m.samples = append(m.samples, metrics.Sample{TimeSeries: metrics.TimeSeries{Metric: metric, Tags: tags}, Value: value})
}

// tell takes what was recorded of an operation in about a second. The histograms stay the
// caller's.
func (m *meter) tell(op results.Op, s results.Seen) {
	if m.every == 0 {
		s.Response, s.Service = s.Response.Clone(), s.Service.Clone()
		m.waiting = append(m.waiting, told{op, s})
		return
	}
	m.take(op, s)
}

// decide settles how many times a sample stands for, by the seconds that had some. Where
// more come than they led to expect, a sample stands for twice as many.
func (m *meter) decide(last bool) {
	if m.every > 0 {
		if m.picked > 2*m.budget {
			m.every, m.picked = 2*m.every, 0
		}
		return
	}
	n := int64(0)
	for _, t := range m.waiting {
		n += t.seen.Count
	}
	for _, before := range m.seconds {
		n -= before
	}
	if n > 0 {
		m.seconds = append(m.seconds, n)
	}
	if len(m.seconds) < decideAfter && !last {
		return
	}
	most := int64(0)
	for _, n := range m.seconds {
		most = max(most, n)
	}
	m.every = max(1, int64(float64(most)*m.lasts.Seconds()/float64(m.budget)+0.5))
	if last && len(m.seconds) < decideAfter {
		m.every = 1 // there were few
	}
	for _, t := range m.waiting {
		m.take(t.op, t.seen)
	}
	m.waiting = nil
}

func (m *meter) take(op results.Op, s results.Seen) {
	tags := m.tagsOf(op)
	pick := &m.pickers[op]
	pick.response.pick(s.Response, m.every, func(us int64) {
		m.picked++
		m.add(m.metrics.response, tags, float64(us)/1000)
	})
	pick.service.pick(s.Service, m.every, func(us int64) { m.add(m.metrics.service, tags, float64(us)/1000) })
	counter := m.metrics.events
	if isRead(op) {
		counter = m.metrics.reads
	}
	m.add(counter, tags, float64(s.Count))
	m.add(m.metrics.errors, tags, float64(s.Errors))
	m.add(m.metrics.denied, tags, float64(s.Denied))
	m.touched = append(m.touched, op)
	t := &m.module.totals
	t.mu.Lock()
	defer t.mu.Unlock()
	c := &t.counts[op]
	c.count, c.errors, c.denied = c.count+s.Count, c.errors+s.Errors, c.denied+s.Denied
}

// flush pushes what was told in about a second, with the shares so far. active is how many
// sessions play by what this meter knows; last says that nothing will be told any more.
func (m *meter) flush(ctx context.Context, active int64, last bool) {
	m.decide(last)
	t := &m.module.totals
	t.mu.Lock()
	defer t.mu.Unlock() // also while it is pushed: what is older must not come later
	if t.active == nil {
		t.active = map[*meter]int64{}
	}
	t.active[m] = active
	playing := int64(0)
	for _, n := range t.active {
		playing += n
	}
	m.add(m.metrics.active, m.tags, float64(playing))
	m.shares(t)
	now := time.Now()
	for i := range m.samples {
		m.samples[i].Time = now
	}
	m.module.outlet.push(ctx, m.to, m.samples)
	m.samples, m.touched = nil, m.touched[:0] // k6 keeps what it was handed
}

// settle hands over the last of a part that was cut off.
func (m *meter) settle(interval func() results.Interval) {
	interval()
	m.flush(context.Background(), 0, true)
}

// shares adds those of the operations that were told of, and last that of all, which is
// what the gauges show without a tag.
func (m *meter) shares(t *totals) {
	if len(m.touched) == 0 {
		return
	}
	for _, op := range m.touched {
		c := &t.counts[op]
		m.add(m.metrics.errorRate, m.tagsOf(op), share(c.errors, c.count))
		m.add(m.metrics.deniedRate, m.tagsOf(op), share(c.denied, c.count))
	}
	var count, errors, denied int64
	for i := range t.counts {
		c := &t.counts[i]
		count, errors, denied = count+c.count, errors+c.errors, denied+c.denied
	}
	all := m.tags.With(operationTag, allOperations)
	m.add(m.metrics.errorRate, all, share(errors, count))
	m.add(m.metrics.deniedRate, all, share(denied, count))
}

func share(of, all int64) float64 { return float64(of) / float64(max(all, 1)) }
