package results

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// The windows of a run: its measured time, piece after piece. They are ten seconds long,
// or as much longer as there would be more of them than maxWindows, and shorter where
// another phase begins.
const (
	windowLength = 10 * time.Second
	windowEarly  = 500 * time.Millisecond // an interval may end a little before its second: it is not to make a window of eleven
	maxWindows   = 1000                   // but for those that changes of the phase make
	maxPhases    = 32                     // named apart; what comes in more of them is put together
)

// PhaseCalm is the phase in which nothing is broken; MorePhases stands for all beyond
// maxPhases.
const (
	PhaseCalm  = "calm"
	MorePhases = "more"
)

// Window is a piece of a run, over all operations: neighbouring rows of series.csv of one
// phase, put together. Seconds count from the start of the run.
type Window struct {
	AtS        float64     `json:"at_s"` // its beginning
	Seconds    float64     `json:"seconds"`
	Phase      string      `json:"phase"`
	Count      int64       `json:"count"`
	Errors     int64       `json:"errors"`
	Denied     int64       `json:"denied"`
	RatePerS   float64     `json:"rate_per_s"`
	ResponseMS Percentiles `json:"response_ms,omitzero"` // absent where Count is 0
	Stolen     *float64    `json:"stolen"`               // share of the machine's processors, 0 … 1, that its host gave to others; nil: it does not say
}

// Phase is what was measured in all the windows of one name.
type Phase struct {
	Seconds    float64              `json:"seconds"`
	ResponseMS Percentiles          `json:"response_ms,omitzero"` // of all operations together; absent where there was none
	Operations map[string]Operation `json:"operations"`
}

// Now is what a caller knows of the interval that it ends. Stolen is as in Window; nil
// where the machine does not say.
type Now struct {
	ActiveSessions int64
	Phase          string
	Stolen         *float64
}

// tally is what is counted of one operation in some time.
type tally struct {
	response, service              *hdrhistogram.Histogram
	count, errors, denied, clipped int64
}

func newTally() tally { return tally{response: newHistogram(), service: newHistogram()} }

// reset leaves a tally that has counted something empty.
func (t *tally) reset() {
	if t.count == 0 {
		return
	}
	t.response.Reset()
	t.service.Reset()
	t.count, t.errors, t.denied, t.clipped = 0, 0, 0, 0
}

// begin makes a tally's histograms, if it has counted nothing yet.
func (t *tally) begin() {
	if t.response == nil {
		*t = newTally()
	}
}

// add counts what another has counted too.
func (t *tally) add(more *tally) {
	if more.count == 0 {
		return
	}
	t.begin()
	t.response.Merge(more.response)
	t.service.Merge(more.service)
	t.count += more.count
	t.errors += more.errors
	t.denied += more.denied
	t.clipped += more.clipped
}

// operation are its figures over so many seconds; rated is how many of it its rate is of.
func (t *tally) operation(rated int64, seconds float64) Operation {
	o := Operation{
		Count: t.count, Errors: t.errors, Denied: t.denied, Clipped: t.clipped,
		ResponseMS: percentiles(t.response), ServiceMS: percentiles(t.service),
	}
	if seconds > 0 {
		o.RatePerS = round3(float64(rated) / seconds)
	}
	return o
}

// windows are those of a recorder; its intervalMu guards them.
type windows struct {
	lengthUS         int64
	startUS          int64
	phase            string
	open             [OpCount]tally // what the open window holds
	all              *hdrhistogram.Histogram
	stolen, stolenOf float64 // processor seconds of one processor, of so many seconds that are known
	ended            []Window
	pieces           []Piece
	phases           map[string]*phase
	err              error // the first
}

// Piece is an operation's times in one window, encoded as a histogram log has it.
type Piece struct {
	StartUS, EndUS    int64 // from the start of the run
	Op                Op
	Count             int64 // of response times
	Response, Service []byte
}

type phase struct {
	seconds float64
	ops     [OpCount]tally
}

func newWindows(startUS, plannedUS int64) windows {
	return windows{
		lengthUS: max(windowLength.Microseconds(), plannedUS/maxWindows),
		startUS:  startUS, all: newHistogram(), phases: map[string]*phase{},
	}
}

// interval puts an interval that ends at nowUS into the open window, which ends before it
// where another phase begins, and after it where it has its length.
func (w *windows) interval(fromUS, nowUS int64, now *Now, seen *[OpCount]tally) {
	if now.Phase != w.phase {
		w.end(fromUS)
		w.phase = now.Phase
	}
	for i := range seen {
		w.open[i].add(&seen[i])
	}
	if now.Stolen != nil {
		seconds := float64(nowUS-fromUS) / 1e6
		w.stolen += *now.Stolen * seconds
		w.stolenOf += seconds
	}
	if nowUS-w.startUS >= w.lengthUS-windowEarly.Microseconds() {
		w.end(nowUS)
	}
}

// end closes the open window, if it has begun.
func (w *windows) end(nowUS int64) {
	seconds := float64(nowUS-w.startUS) / 1e6
	if seconds <= 0 {
		return
	}
	window := Window{AtS: round3(float64(w.startUS) / 1e6), Seconds: round3(seconds), Phase: w.phase}
	p := w.phaseNamed(w.phase)
	p.seconds += seconds
	w.all.Reset()
	for i := range w.open {
		o := &w.open[i]
		if o.count == 0 {
			continue
		}
		window.Count += o.count
		window.Errors += o.errors
		window.Denied += o.denied
		w.all.Merge(o.response)
		piece, err := encodePiece(Op(i), o, w.startUS, nowUS)
		w.err = cmp.Or(w.err, err)
		w.pieces = append(w.pieces, piece)
		p.ops[i].add(o)
		o.reset()
	}
	window.RatePerS = round3(float64(window.Count) / seconds)
	window.ResponseMS = percentiles(w.all)
	if w.stolenOf > 0 {
		stolen := round3(w.stolen / w.stolenOf)
		window.Stolen = &stolen
	}
	w.ended = append(w.ended, window)
	w.startUS, w.stolen, w.stolenOf = nowUS, 0, 0
}

func encodePiece(op Op, t *tally, startUS, endUS int64) (piece Piece, err error) {
	piece = Piece{StartUS: startUS, EndUS: endUS, Op: op, Count: t.count}
	if piece.Response, err = t.response.Encode(hdrhistogram.V2CompressedEncodingCookieBase); err != nil {
		return piece, fmt.Errorf("encode a window's histogram: %w", err)
	}
	if piece.Service, err = t.service.Encode(hdrhistogram.V2CompressedEncodingCookieBase); err != nil {
		return piece, fmt.Errorf("encode a window's histogram: %w", err)
	}
	return piece, nil
}

func (w *windows) phaseNamed(name string) *phase {
	p := w.phases[name]
	if p == nil && len(w.phases) >= maxPhases-1 {
		name = MorePhases
		p = w.phases[name]
	}
	if p == nil {
		p = &phase{}
		w.phases[name] = p
	}
	return p
}

// Timeline is a run piece by piece, and the same put together by phase.
type Timeline struct {
	Windows []Window
	Phases  map[string]Phase // by name
	Pieces  []Piece          // the windows' histograms
}

// Timeline ends the open window, at the end of the last interval, and tells of all. An
// error is of histograms that could not be encoded; the rest is there.
func (r *Recorder) Timeline() (Timeline, error) {
	r.intervalMu.Lock()
	defer r.intervalMu.Unlock()
	w := &r.windows
	w.end(r.intervalStartUS)
	return w.timeline(), w.err
}

func (w *windows) timeline() Timeline {
	told := Timeline{Windows: slices.Clone(w.ended), Phases: make(map[string]Phase, len(w.phases)), Pieces: slices.Clone(w.pieces)}
	for name, p := range w.phases {
		named := Phase{Seconds: round3(p.seconds), Operations: map[string]Operation{}}
		w.all.Reset()
		for i := range p.ops {
			if t := &p.ops[i]; t.count > 0 {
				w.all.Merge(t.response)
				named.Operations[Op(i).String()] = t.operation(t.count, p.seconds)
			}
		}
		named.ResponseMS = percentiles(w.all)
		told.Phases[name] = named
	}
	return told
}
