package fit

import (
	"math"

	"github.com/playhead-load/playhead/sim/population"
)

// lognormal is the chance that a lognormal number is at most x.
func lognormal(x, median, sigma float64) float64 {
	if x <= 0 {
		return 0
	}
	return normal(math.Log(x/median) / sigma)
}

func normal(z float64) float64 { return math.Erfc(-z/math.Sqrt2) / 2 }

// masses are the chances of bins 0 … n-1 of the width, the last one open.
func masses(n int, width float64, cdf func(x float64) float64) []float64 {
	bins, below := make([]float64, n), 0.0
	for i := range bins {
		upTo := 1.0
		if i < n-1 {
			upTo = cdf(float64(i+1) * width)
		}
		bins[i], below = upTo-below, upTo
	}
	return bins
}

// pauseLaw has the lengths of pauses by seconds, those that are given up at the end.
func pauseLaw(m *population.Model) []float64 {
	return masses(longPauseS+1, 1, func(s float64) float64 {
		return lognormal(s, m.PauseMedian.Value, m.PauseSigma.Value)
	})
}

// filmLaw has the minutes played of films from their beginning: exponential for those
// who look in, a power law cut off at the film's length for those who stay.
func filmLaw(m *population.Model, catalogue *population.Catalogue) []float64 {
	law := make([]float64, filmMinutes)
	for id := uint32(1); int(id) <= catalogue.Len(); id++ {
		title := catalogue.Title(id)
		if !title.Film {
			continue
		}
		runtime := float64(title.RuntimeMS) / minuteMS
		one := masses(filmMinutes, 1, func(x float64) float64 { return watched(m, x, runtime) })
		for i := range law {
			law[i] += one[i] * catalogue.Weight(id)
		}
	}
	return law
}

// watched is the chance that of a film of that runtime at most x minutes are played.
func watched(m *population.Model, x, runtime float64) float64 {
	const lookIn = 0.45 // of the film, at most
	short := 1 - math.Exp(-x/m.ShortMean.Value)
	if x >= lookIn*runtime {
		short = 1
	}
	long, first := 0.0, m.FilmFirst.Value
	switch {
	case x >= runtime:
		long = 1
	case x > first:
		long = (1 - m.FilmComplete.Value) * math.Log(x/first) / math.Log(runtime/first)
	}
	return m.ShortView.Value*short + (1-m.ShortView.Value)*long
}

// keepaliveYield is the share of playbacks / interval that is sent as keepalives: a
// device that pauses sends none, and a start, a resume or a seek begins the interval
// anew, which costs half of one on average. One without a connection sends none at all.
func keepaliveYield(m *population.Model, intervalMin float64) float64 {
	law, pausedS := pauseLaw(m), 0.0
	for s, mass := range law {
		pausedS += mass * (float64(s) + 0.5)
	}
	paused := m.Pauses.Value * pausedS / 3600 // hours of pause in an hour of play
	play := m.Figures.MinutesAPlay
	cuts := 60/((play.Low+play.High)/2) + m.Pauses.Value + m.Seeks.Value // in an hour of play
	connected := 1.0
	for _, d := range m.Devices {
		connected -= d.Streams * d.Offline
	}
	return connected * (1 - cuts*intervalMin/2/60) / (1 + paused)
}

// peakHour is when all zones together peak, by the virtual clock.
func peakHour(m *population.Model) float64 {
	var cos, sin float64
	for _, z := range m.Zones {
		turn := 2 * math.Pi * (m.PeakHour.Value - float64(z.OffsetMinutes)/60) / 24
		cos += z.Share * math.Cos(turn)
		sin += z.Share * math.Sin(turn)
	}
	return hourOf(cos, sin)
}

// hourOf is the time of day of a turn's direction.
func hourOf(cos, sin float64) float64 {
	return math.Mod(math.Atan2(sin, cos)/(2*math.Pi)*24+24, 24)
}

// dayLaw is the raised cosine of playbacks in progress, by minutes, its mean 1.
func dayLaw(m *population.Model) []float64 {
	trough := m.TroughToPeak.Value
	depth, peak := (1-trough)/(1+trough), peakHour(m)
	law := make([]float64, minutesADay)
	for i := range law {
		law[i] = 1 + depth*math.Cos(2*math.Pi*((float64(i)+1)/60-peak)/24)
	}
	return law
}
