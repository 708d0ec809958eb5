package results

import (
	"math"
	"sync"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// The histograms' range in microseconds and their precision.
const (
	MinTimeUS         = 1
	MaxTimeUS         = 3_600_000_000 // one hour
	SignificantDigits = 3
)

func newHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(MinTimeUS, MaxTimeUS, SignificantDigits)
}

// Measurement holds one operation's times in microseconds. What was never sent
// has a response time only.
type Measurement struct {
	Response *hdrhistogram.Histogram // from due to done
	Service  *hdrhistogram.Histogram // from sent to done
}

// Measurements are the histograms of a run, of the operations that occurred.
type Measurements map[Op]Measurement

// Recorder records operations as they end. All methods may be called from many
// goroutines at once. All its times are microseconds on one clock, whose zero
// is the caller's choice.
type Recorder struct {
	startUS int64
	ops     [opCount]opRecorder

	judged []Threshold // on response times

	intervalMu      sync.Mutex
	intervalStartUS int64
	spare           *hdrhistogram.Histogram // empty between calls of Interval
	merged          *hdrhistogram.Histogram
}

type opRecorder struct {
	mu                             sync.Mutex
	response, service              *hdrhistogram.Histogram
	count, errors, denied, clipped int64
	rated                          int64 // of count, what rates are of
	ratesEnded                     bool

	interval                       *hdrhistogram.Histogram // responses since the last Interval
	intervalErrors, intervalDenied int64

	_ [64]byte // keeps two operations' locks out of one cache line
}

// NewRecorder returns a recorder of a run that begins at startUS. It allocates
// all it will ever need: about 8 MB.
func NewRecorder(startUS int64) *Recorder {
	r := &Recorder{startUS: startUS, intervalStartUS: startUS, spare: newHistogram(), merged: newHistogram()}
	for i := range r.ops {
		o := &r.ops[i]
		o.response, o.service, o.interval = newHistogram(), newHistogram(), newHistogram()
	}
	return r
}

// Record counts one operation that was due at dueUS, sent at sentUS and ended
// at doneUS. Errors and denials are timed like any answer. A time out of the
// histograms' range is recorded at its nearest edge and counted as clipped.
// Record allocates nothing. op must be one of the constants.
func (r *Recorder) Record(op Op, dueUS, sentUS, doneUS int64, result Result) {
	responseUS, responseClipped := clip(doneUS - dueUS)
	serviceUS, serviceClipped := clip(doneUS - sentUS)

	o := &r.ops[op]
	o.mu.Lock()
	o.count++
	if !o.ratesEnded {
		o.rated++
	}
	switch result {
	case ResultError:
		o.errors++
		o.intervalErrors++
	case ResultDenied:
		o.denied++
		o.intervalDenied++
	}
	if responseClipped || serviceClipped {
		o.clipped++
	}
	// clip has brought the values into range: these cannot fail.
	_ = o.response.RecordValue(responseUS)
	_ = o.service.RecordValue(serviceUS)
	_ = o.interval.RecordValue(responseUS)
	o.mu.Unlock()
}

// RecordUnsent counts one operation that was due at dueUS and never sent, as an
// error that was waited for until endUS, the end of the run: left out, the worst
// of a run would be missing from its figures. It has a response time, the least
// it can have been, and no service time: those are of what was sent. It is part
// of no rate and of no interval.
func (r *Recorder) RecordUnsent(op Op, dueUS, endUS int64) {
	responseUS, clipped := clip(endUS - dueUS)
	o := &r.ops[op]
	o.mu.Lock()
	defer o.mu.Unlock()
	o.count++
	o.errors++
	if clipped {
		o.clipped++
	}
	_ = o.response.RecordValue(responseUS) // within its range: cannot fail
}

// EndRates ends the time that the operations' rates refer to: what is recorded
// from now on is in every figure but them. Without it they are of all that was
// sent.
func (r *Recorder) EndRates() {
	for i := range r.ops {
		o := &r.ops[i]
		o.mu.Lock()
		o.ratesEnded = true
		o.mu.Unlock()
	}
}

func clip(us int64) (int64, bool) {
	switch {
	case us > MaxTimeUS:
		return MaxTimeUS, true
	case us < 0:
		return 0, true
	}
	return us, false
}

// Operations are the figures so far, by operation name, of the operations that
// occurred; durationS is the measured time in seconds that rates refer to.
func (r *Recorder) Operations(durationS float64) map[string]Operation {
	operations := make(map[string]Operation)
	for i := range r.ops {
		o := &r.ops[i]
		o.mu.Lock()
		if o.count > 0 {
			operation := Operation{
				Count: o.count, Errors: o.errors, Denied: o.denied, Clipped: o.clipped,
				ResponseMS: percentiles(o.response), ServiceMS: percentiles(o.service),
			}
			if durationS > 0 {
				operation.RatePerS = round3(float64(o.rated) / durationS)
			}
			operations[Op(i).String()] = operation
		}
		o.mu.Unlock()
	}
	return operations
}

// Measurements copies the histograms of the operations that occurred. The copy
// belongs to the caller.
func (r *Recorder) Measurements() Measurements {
	m := make(Measurements)
	for i := range r.ops {
		o := &r.ops[i]
		o.mu.Lock()
		if o.count > 0 {
			m[Op(i)] = Measurement{Response: o.response.Clone(), Service: o.service.Clone()}
		}
		o.mu.Unlock()
	}
	return m
}

// Interval is what happened in one interval, over all operations: a row of
// series.csv. The percentiles mean nothing when Count is 0.
type Interval struct {
	AtS            float64 `json:"at_s"` // the interval's end, seconds from the start of the run
	Count          int64   `json:"count"`
	RatePerS       float64 `json:"rate_per_s"`
	ActiveSessions int64   `json:"active_sessions"`
	P50MS          float64 `json:"p50_ms"` // response time
	P99MS          float64 `json:"p99_ms"`
	Errors         int64   `json:"errors"` // also what a driver gave up unsent, which Count has not
	Denied         int64   `json:"denied"`
	Within         bool    `json:"within"` // something was answered, and no threshold that JudgeBy named was crossed
}

// Interval ends the current interval at nowUS and begins the next. It returns
// the figures of all that was recorded since the last call (or the start), with
// the caller's count of active sessions. Recording goes on meanwhile.
func (r *Recorder) Interval(nowUS, activeSessions int64) Interval {
	r.intervalMu.Lock()
	defer r.intervalMu.Unlock()

	in := Interval{AtS: round3(float64(nowUS-r.startUS) / 1e6), ActiveSessions: activeSessions, Within: len(r.judged) > 0}
	r.merged.Reset()
	for i := range r.ops {
		o := &r.ops[i]
		o.mu.Lock()
		in.Errors += o.intervalErrors
		in.Denied += o.intervalDenied
		o.intervalErrors, o.intervalDenied = 0, 0
		// Swapped rather than read here: the lock is held for a few words only.
		full := o.interval
		o.interval = r.spare
		o.mu.Unlock()

		if full.TotalCount() > 0 {
			in.Count += full.TotalCount()
			r.merged.Merge(full)
			in.Within = in.Within && r.within(Op(i).String(), full)
			full.Reset()
		}
		r.spare = full
	}
	if in.Count > 0 {
		in.P50MS = ms(r.merged.ValueAtPercentile(50))
		in.P99MS = ms(r.merged.ValueAtPercentile(99))
	}
	in.Within = in.Within && in.Count > 0 && r.within(allOperations, r.merged)
	if elapsedUS := nowUS - r.intervalStartUS; elapsedUS > 0 {
		in.RatePerS = round3(float64(in.Count) * 1e6 / float64(elapsedUS))
	}
	r.intervalStartUS = nowUS
	return in
}

func percentiles(h *hdrhistogram.Histogram) Percentiles {
	v := h.ValueAtPercentilesSlice([]float64{50, 90, 99, 99.9})
	return Percentiles{P50: ms(v[0]), P90: ms(v[1]), P99: ms(v[2]), P999: ms(v[3]), Max: ms(h.Max())}
}

func ms(us int64) float64 { return float64(us) / 1000 }

// round3 keeps three decimals: microseconds of a millisecond, and figures in
// run.json that can be read.
func round3(x float64) float64 { return math.Round(x*1000) / 1000 }
