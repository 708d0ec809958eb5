package driver

import (
	"math"
	"time"

	"github.com/playhead-load/playhead/viewing"
)

// Executor says when events are due, by the names of k6. The zero value is the plan's
// own clock: the day of the population, TimeScale times as fast.
type Executor struct {
	Name   ExecutorName
	Rate   float64 // events a second: of ConstantRate, and where RampingRate begins
	Stages []Stage // of RampingRate; after the last its rate stays
	VUs    int     // of ConstantVUs: requests that are under way at all times
}

// ExecutorName names an Executor.
type ExecutorName string

// The executors. All play the population's events in the order of its plan. By a rate
// they are due evenly, so that the plan's clock runs as fast as the rate has it; by VUs
// the next is due when one has been answered, a closed loop.
const (
	Population   ExecutorName = ""
	ConstantRate ExecutorName = "constant-arrival-rate"
	RampingRate  ExecutorName = "ramping-arrival-rate"
	ConstantVUs  ExecutorName = "constant-vus"
)

// Stage goes from the rate before to Rate, events a second, in a straight line.
type Stage struct {
	Duration time.Duration
	Rate     float64
}

// pace says when the plan's events are due. Its µs are those in which the plan is played.
type pace interface {
	// until is up to which moment of the plan's clock events are due at nowUS; not ok
	// when none is.
	until(d *Driver, nowUS int64) (until viewing.Millis, ok bool)
	// due is when the event is due that the plan has at that moment.
	due(at viewing.Millis, nowUS int64) int64
}

func newPace(c *Config) pace {
	switch c.Executor.Name {
	case ConstantRate:
		return newRates(c.Executor.Rate, nil)
	case RampingRate:
		return newRates(c.Executor.Rate, c.Executor.Stages)
	case ConstantVUs:
		return closedLoop(c.Executor.VUs)
	}
	return &clock{c.StartMS, c.TimeScale}
}

// clock is the plan's own.
type clock struct {
	startMS   viewing.Millis
	timeScale float64
}

func (c *clock) until(_ *Driver, nowUS int64) (viewing.Millis, bool) {
	return c.startMS + viewing.Millis(float64(nowUS)*c.timeScale/1000), true
}

func (c *clock) due(at viewing.Millis, _ int64) int64 {
	return int64(float64(at-c.startMS) * 1000 / c.timeScale)
}

// closedLoop is so many requests that are under way at all times.
type closedLoop int

func (c closedLoop) until(d *Driver, nowUS int64) (viewing.Millis, bool) {
	return viewing.MaxAt, d.pending.Load() < int64(c) && nowUS < d.until.Microseconds()
}

func (c closedLoop) due(_ viewing.Millis, nowUS int64) int64 { return nowUS }

// rates is a rate over time in straight pieces: the n-th event is due when the area
// under it has reached n.
type rates struct {
	pieces []piece
	at     int // the piece of the next event
	next   float64
}

// piece of a rate; the last one has no end.
type piece struct {
	fromS, lastsS float64
	rate, slope   float64 // events a second, and by how many a second more each second
	before        float64 // events due before it
}

func newRates(rate float64, stages []Stage) *rates {
	r := &rates{}
	now, events := 0.0, 0.0
	for _, s := range stages {
		lasts := s.Duration.Seconds()
		slope := 0.0
		if lasts > 0 {
			slope = (s.Rate - rate) / lasts
		}
		r.pieces = append(r.pieces, piece{now, lasts, rate, slope, events})
		now, events, rate = now+lasts, events+lasts*(rate+s.Rate)/2, s.Rate
	}
	r.pieces = append(r.pieces, piece{now, math.Inf(1), rate, 0, events})
	return r
}

func (r *rates) until(_ *Driver, nowUS int64) (viewing.Millis, bool) {
	return viewing.MaxAt, r.nextUS() <= float64(nowUS)
}

func (r *rates) due(viewing.Millis, int64) int64 {
	due := int64(r.nextUS())
	r.next++
	return due
}

// nextUS is when the next event is due: never, if the rate has come to 0.
func (r *rates) nextUS() float64 {
	for ; r.at < len(r.pieces)-1; r.at++ {
		p := &r.pieces[r.at]
		if p.before+p.lastsS*(p.rate+p.slope*p.lastsS/2) > r.next {
			break
		}
	}
	p := &r.pieces[r.at]
	return (p.fromS + p.after(r.next-p.before)) * 1e6
}

// after is when so many events of the piece are due, in seconds of it: the root of
// slope/2 · t² + rate · t = events, in the form that holds for a slope of 0.
func (p *piece) after(events float64) float64 {
	if events <= 0 {
		return 0
	}
	root := math.Sqrt(max(0, p.rate*p.rate+2*p.slope*events))
	if p.rate+root == 0 {
		return math.Inf(1)
	}
	return 2 * events / (p.rate + root)
}
