package sim

import (
	"github.com/playhead-load/playhead/sim/population"
	"github.com/playhead-load/playhead/sim/random"
)

const minutesADay = 24 * 60

// arrivals are the sittings: a Poisson process on each idle device whose rate
// follows the day where it is, so that all playbacks in progress together follow
// the model's curve. Those of an account's devices are one process, at which the
// device is drawn when a sitting begins.
//
// Playbacks in progress at time t are the arrival rate convolved with g(u), the
// chance that a playback is in progress u after its sitting began. Both are
// cosines of one day plus a constant, so the rate comes from the curve by one
// complex division (a late, damped answer needs an earlier, stronger cause).
// A busy device cannot begin a sitting: its hazard while idle is the rate over
// the chance that it is idle, which keeps the rate over all its time.
type arrivals struct {
	rate    [minutesADay]float64 // sittings a ms on a device whose load is 1, by local time
	busy    [minutesADay]float64 // chance that such a device is in a sitting
	rateMax float64
	busyMax float64
	crowd   *crowd // nil: there is none
}

// sittingShape is what sittings look like on average; ms.
type sittingShape struct {
	inProgress, busy wave
}

// wave holds the integrals over u of g(u), g(u)·cos ωu and g(u)·sin ωu, ω one
// turn a day.
type wave struct{ total, cos, sin float64 }

// add counts g = 1 from the age a to the age b of a sitting.
func (w *wave) add(a, b int64) {
	w.total += float64(b - a)
	const perTurn = dayMS / 6.283185307179586
	from, to := float64(a)/dayMS, float64(b)/dayMS
	w.cos += float64(perTurn * (random.SinTurn(to) - random.SinTurn(from)))
	w.sin -= float64(perTurn * (random.CosTurn(to) - random.CosTurn(from)))
}

func (w *wave) divide(n float64) { w.total, w.cos, w.sin = w.total/n, w.cos/n, w.sin/n }

// newArrivals finds the rate for which the curve comes out. Where a trough is
// too deep for sittings that long, there are none for a while.
func newArrivals(model *population.Model, shape sittingShape) *arrivals {
	a := &arrivals{}
	trough := model.TroughToPeak.Value
	depth := localDepth(model.Zones, (1-trough)/(1+trough))
	peak := model.PeakHour.Value / 24
	// As complex numbers, cos ωt the real part: curve = rate · g, so rate = curve / g.
	c, s := depth*random.CosTurn(peak), depth*random.SinTurn(peak)
	g := shape.inProgress
	norm := float64(g.cos*g.cos) + float64(g.sin*g.sin)
	rateCos := (float64(c*g.cos) + float64(s*g.sin)) * g.total / norm
	rateSin := (float64(s*g.cos) - float64(c*g.sin)) * g.total / norm
	mean := 1 / g.total
	b := shape.busy
	busyCos := float64(rateCos*b.cos) - float64(rateSin*b.sin)
	busySin := float64(rateSin*b.cos) + float64(rateCos*b.sin)
	for minute := range minutesADay {
		turn := (float64(minute) + 0.5) / minutesADay
		cos, sin := random.CosTurn(turn), random.SinTurn(turn)
		a.rate[minute] = max(0, mean*(1+float64(rateCos*cos)+float64(rateSin*sin)))
		a.busy[minute] = mean * (b.total + float64(busyCos*cos) + float64(busySin*sin))
		a.rateMax = max(a.rateMax, a.rate[minute])
		a.busyMax = max(a.busyMax, a.busy[minute])
	}
	if model.HasCrowd() {
		a.crowd = newCrowd(model)
	}
	return a
}

// localDepth is the depth that the day's cosine has in each zone for all zones
// together to have depth: their peaks are apart, so that it is deeper, 1 at most.
func localDepth(zones []population.Zone, depth float64) float64 {
	var cos, sin float64
	for _, z := range zones {
		turn := float64(z.OffsetMinutes) / minutesADay
		cos += float64(z.Share * random.CosTurn(turn))
		sin += float64(z.Share * random.SinTurn(turn))
	}
	return min(1, depth/max(random.Sqrt(float64(cos*cos)+float64(sin*sin)), 1e-9))
}

// maxBusy bounds the chance that one device is busy, for models that ask for
// more than a device can do.
const maxBusy = 0.8

// minutes are the minute of the day where a device is, and of the model's clock.
type minutes struct{ there, here int64 }

func minutesOf(at, offset int64) minutes { return minutes{minuteOf(at + offset), minuteOf(at)} }

// hazard is the rate, a ms, of sittings of an idle device with that load: of usual ones,
// and of those at the live event.
func (a *arrivals) hazard(load float64, at minutes) (usual, live float64) {
	idle := 1 - min(maxBusy, float64(load*a.busy[at.there]))
	usual = load * a.rate[at.there] / idle
	if a.crowd != nil {
		live = a.crowd.hazard(load, at.here) / idle
	}
	return usual, live
}

func minuteOf(at int64) int64 { return at / minuteMS % minutesADay }

// waitAtMost is how far ahead a sitting is planned.
const waitAtMost = 20 * dayMS

// next is the moment of the first sitting after now of idle devices with those
// loads, whose clock is ahead by offset ms (thinning: Lewis and Shedler 1979). Not
// found: there is none for waitAtMost, and at says when to ask again.
func (a *arrivals) next(loads []float64, offset, now int64, stream *random.Stream) (at int64, found bool) {
	highest := 0.0
	for _, load := range loads {
		highest += (float64(load*a.rateMax) + a.crowd.highest(load)) / (1 - min(maxBusy, float64(load*a.busyMax)))
	}
	wait := 0.0
	for {
		wait += stream.Exp() / highest
		if !(wait < waitAtMost) {
			return now + waitAtMost, false
		}
		at := now + 1 + int64(wait)
		hazard, minutes := 0.0, minutesOf(at, offset)
		for _, load := range loads {
			usual, live := a.hazard(load, minutes)
			hazard += usual + live
		}
		if stream.Float64() < hazard/highest {
			return at, true
		}
	}
}

// which draws the device that a sitting at that moment is on, and whether its viewer
// comes to the live event.
func (a *arrivals) which(loads []float64, offset, at int64, stream *random.Stream) (device int, toCrowd bool) {
	var hazards [population.MaxDevices]struct{ usual, live float64 }
	total, minutes := 0.0, minutesOf(at, offset)
	for i, load := range loads {
		usual, live := a.hazard(load, minutes)
		hazards[i].usual, hazards[i].live = usual, live
		total += usual + live
	}
	u := stream.Float64() * total
	for i := range loads {
		if u -= hazards[i].usual; u < 0 {
			return i, false
		}
		if u -= hazards[i].live; u < 0 {
			return i, true
		}
	}
	return len(loads) - 1, false
}
