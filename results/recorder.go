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
// goroutines at once. All its times are microseconds on one clock, whose zero is the
// beginning of the run.
type Recorder struct {
	startUS int64
	ops     [OpCount]opRecorder

	judged []Threshold // on response times
	each   func(Op, Seen)

	intervalMu      sync.Mutex // of all that follows; taken before an operation's
	intervalStartUS int64
	before          [OpCount]tally // of the intervals that have ended,
	unsent          [OpCount]tally // and of what was never sent
	seen            [OpCount]tally // empty between calls of Interval
	merged          *hdrhistogram.Histogram
	windows         windows
}

type opRecorder struct {
	mu         sync.Mutex
	tally            // since the last Interval
	rated      int64 // of all, what rates are of
	ratesEnded bool

	_ [64]byte // keeps two operations' locks out of one cache line
}

// NewRecorder returns a recorder of a run that is measured from startUS on, for as long as
// is planned. What it takes in memory grows with the run by its windows, by about a
// kilobyte an operation each, and by its phases, by the histograms of each operation, as
// many as there are at most.
func NewRecorder(startUS, plannedUS int64) *Recorder {
	r := &Recorder{
		startUS: startUS, intervalStartUS: startUS,
		merged: newHistogram(), windows: newWindows(startUS, plannedUS),
	}
	for i := range r.ops {
		r.ops[i].tally, r.seen[i] = newTally(), newTally()
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
	case ResultDenied:
		o.denied++
	}
	if responseClipped || serviceClipped {
		o.clipped++
	}
	// clip has brought the values into range: these cannot fail.
	_ = o.response.RecordValue(responseUS)
	_ = o.service.RecordValue(serviceUS)
	o.mu.Unlock()
}

// RecordUnsent counts one operation that was due at dueUS and never sent, as an
// error that was waited for until endUS, the end of the run: left out, the worst
// of a run would be missing from its figures. It has a response time, the least
// it can have been, and no service time: those are of what was sent. It is part
// of no rate, of no interval and of no window.
func (r *Recorder) RecordUnsent(op Op, dueUS, endUS int64) {
	responseUS, clipped := clip(endUS - dueUS)
	r.intervalMu.Lock()
	defer r.intervalMu.Unlock()
	t := &r.unsent[op]
	t.begin()
	t.count++
	t.errors++
	if clipped {
		t.clipped++
	}
	_ = t.response.RecordValue(responseUS) // within its range: cannot fail
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

// whole is all that was recorded of an operation. The lock on intervals is held.
func (r *Recorder) whole(op Op) (all tally, rated int64) {
	all = newTally()
	all.add(&r.before[op])
	all.add(&r.unsent[op])
	o := &r.ops[op]
	o.mu.Lock()
	defer o.mu.Unlock()
	all.add(&o.tally)
	return all, o.rated
}

// Operations are the figures so far, by operation name, of the operations that
// occurred; durationS is the measured time in seconds that rates refer to.
func (r *Recorder) Operations(durationS float64) map[string]Operation {
	r.intervalMu.Lock()
	defer r.intervalMu.Unlock()
	operations := make(map[string]Operation)
	for _, op := range Ops() {
		if all, rated := r.whole(op); all.count > 0 {
			operations[op.String()] = all.operation(rated, durationS)
		}
	}
	return operations
}

// Measurements copies the histograms of the operations that occurred. The copy
// belongs to the caller.
func (r *Recorder) Measurements() Measurements {
	r.intervalMu.Lock()
	defer r.intervalMu.Unlock()
	m := make(Measurements)
	for _, op := range Ops() {
		if all, _ := r.whole(op); all.count > 0 {
			m[op] = Measurement{Response: all.response, Service: all.service}
		}
	}
	return m
}

// Interval is what happened in one interval, over all operations: a row of
// series.csv. The percentiles mean nothing when Count is 0.
type Interval struct {
	AtS            float64  `json:"at_s"` // the interval's end, seconds from the start of the run
	Count          int64    `json:"count"`
	RatePerS       float64  `json:"rate_per_s"`
	ActiveSessions int64    `json:"active_sessions"`
	P50MS          float64  `json:"p50_ms"` // response time; NaN: not known, of a joined run
	P99MS          float64  `json:"p99_ms"`
	Errors         int64    `json:"errors"` // also what a driver gave up unsent, which Count has not
	Denied         int64    `json:"denied"`
	Phase          string   `json:"phase"`
	Stolen         *float64 `json:"stolen"` // as in Window
	Within         bool     `json:"within"` // something was answered, and no threshold that JudgeBy named was crossed
}

// Interval ends the current interval at nowUS and begins the next. It returns
// the figures of all that was recorded since the last call (or the start), with
// what the caller knows of that time. Recording goes on meanwhile.
func (r *Recorder) Interval(nowUS int64, now Now) Interval {
	r.intervalMu.Lock()
	defer r.intervalMu.Unlock()

	in := Interval{
		AtS: round3(float64(nowUS-r.startUS) / 1e6), ActiveSessions: now.ActiveSessions,
		Phase: now.Phase, Stolen: now.Stolen, Within: len(r.judged) > 0,
	}
	r.merged.Reset()
	for i := range r.ops {
		o := &r.ops[i]
		// Swapped rather than read: the lock is held for a few words only.
		o.mu.Lock()
		o.tally, r.seen[i] = r.seen[i], o.tally
		o.mu.Unlock()

		seen := &r.seen[i]
		in.Count += seen.count
		in.Errors += seen.errors
		in.Denied += seen.denied
		if seen.count > 0 {
			r.merged.Merge(seen.response)
			if r.each != nil {
				r.each(Op(i), seen.told())
			}
			in.Within = in.Within && r.within(Op(i).String(), seen.response)
		}
		r.before[i].add(seen)
	}
	if in.Count > 0 {
		in.P50MS = ms(r.merged.ValueAtPercentile(50))
		in.P99MS = ms(r.merged.ValueAtPercentile(99))
	}
	in.Within = in.Within && in.Count > 0 && r.within(allOperations, r.merged)
	if elapsedUS := nowUS - r.intervalStartUS; elapsedUS > 0 {
		in.RatePerS = round3(float64(in.Count) * 1e6 / float64(elapsedUS))
	}
	r.windows.interval(r.intervalStartUS, nowUS, &now, &r.seen)
	for i := range r.seen {
		r.seen[i].reset()
	}
	r.intervalStartUS = nowUS
	return in
}

// Seen is what was recorded of an operation in some time. Its histograms are the
// recorder's, in microseconds; Service may be nil where nothing was sent.
type Seen struct {
	Response, Service     *hdrhistogram.Histogram
	Count, Errors, Denied int64
}

func (t *tally) told() Seen { return Seen{t.response, t.service, t.count, t.errors, t.denied} }

// Each has each called by Interval, with each operation of it that occurred. What it is
// told is valid until it returns, and it must not call the recorder. It is called before
// anything is recorded.
func (r *Recorder) Each(each func(Op, Seen)) { r.each = each }

// Unsent tells of all that RecordUnsent counted so far, operation by operation, as Each
// does.
func (r *Recorder) Unsent(each func(Op, Seen)) {
	r.intervalMu.Lock()
	defer r.intervalMu.Unlock()
	for i := range r.unsent {
		if t := &r.unsent[i]; t.count > 0 {
			each(Op(i), t.told())
		}
	}
}

func percentiles(h *hdrhistogram.Histogram) Percentiles {
	v := h.ValueAtPercentilesSlice([]float64{50, 90, 99, 99.9})
	return Percentiles{P50: ms(v[0]), P90: ms(v[1]), P99: ms(v[2]), P999: ms(v[3]), Max: ms(h.Max())}
}

func ms(us int64) float64 { return float64(us) / 1000 }

// round3 keeps three decimals: microseconds of a millisecond, and figures in
// run.json that can be read.
func round3(x float64) float64 { return math.Round(x*1000) / 1000 }
