package fit

import (
	"math"

	"github.com/playhead-load/playhead/sim/population"
)

// curve is a quantity over the day, by minutes, at scale 1.
func (j *judge) curve(of func(*minuteOfDay) float64) []float64 {
	values := make([]float64, minutesADay)
	for i := range values {
		if at := &j.s.day[i]; at.seen > 0 {
			values[i] = of(at) / at.seen * j.scale
		}
	}
	return values
}

// hourly is the means of the day's hours.
func hourly(minutes []float64) []float64 {
	hours := make([]float64, 24)
	for i, v := range minutes {
		hours[i/60] += v / 60
	}
	return hours
}

func extremes(values []float64) (low, high float64) {
	low, high = math.Inf(1), math.Inf(-1)
	for _, v := range values {
		low, high = min(low, v), max(high, v)
	}
	return low, high
}

// point is a figure of one number from a parameter.
func point(p population.Param) population.Figure {
	return population.Figure{Low: p.Value, High: p.Value, Unit: p.Unit, Source: p.Source, Mark: p.Mark}
}

// day judges playbacks in progress. Those at one moment are about a Poisson number, so
// that its root is its standard error.
func (j *judge) day() {
	j.group = "the day"
	m, f, why := j.m, &j.m.Figures, j.needDay()
	streams := j.curve(func(at *minuteOfDay) float64 { return at.streams })
	trough, peak := extremes(hourly(streams))
	mean := sum(streams) / minutesADay
	law := dayLaw(m)

	j.figure("streams at once, mean", mean, f.StreamsMean, j.minutesError(), why)
	j.figure("streams, peak hour / mean", peak/mean, f.PeakToMean, j.streamsError(peak), why)
	j.figure("streams, trough hour / peak hour", trough/peak, point(m.TroughToPeak),
		math.Hypot(j.streamsError(trough), j.streamsError(peak)), why)
	var cos, sin float64
	for i, v := range streams {
		turn := 2 * math.Pi * float64(i+1) / minutesADay
		cos += v * math.Cos(turn)
		sin += v * math.Sin(turn)
	}
	hour := peakHour(m)
	j.hour("hour of the peak", hourOf(cos, sin), population.Figure{Low: hour, High: hour, Unit: "h",
		Source: m.PeakHour.Source + "; 21 h local, over all zones by the virtual clock", Mark: m.PeakHour.Mark}, why)
	j.ordered("streams over the day", streams, law, j.s.plays/playsASitting,
		origin{"raised cosine: " + m.TroughToPeak.Source, m.TroughToPeak.Mark}, why)

	for i := range law {
		law[i] *= f.StreamsMean.Low / 1e6
	}
	j.overDay("Streams at once", "millions", scaled(streams, 1e-6), law)
}

// minutesError is the relative standard error of what accounts play in a day.
func (j *judge) minutesError() float64 { return minutesDeviation / math.Sqrt(float64(j.s.accounts)) }

// streamsError is that of playbacks in progress at a moment.
func (j *judge) streamsError(atScaleOne float64) float64 { return 1 / math.Sqrt(atScaleOne/j.scale) }

// rates judges starts and keepalives a second.
func (j *judge) rates() {
	j.group = "a second"
	f, s := &j.m.Figures, j.s
	starts := scaled(j.curve(func(at *minuteOfDay) float64 { return at.starts }), 1.0/60)
	keepalives := scaled(j.curve(func(at *minuteOfDay) float64 { return at.keepalives }), 1.0/60)
	streams := j.curve(func(at *minuteOfDay) float64 { return at.streams })
	_, startsPeak := extremes(hourly(starts))
	_, keepalivesPeak := extremes(hourly(keepalives))
	_, streamsPeak := extremes(hourly(streams))

	j.figure("starts, mean", sum(starts)/minutesADay, f.Starts, math.Sqrt(playsAnAccount/s.plays), j.needDay())
	j.figure("starts, peak hour", startsPeak, f.StartsPeak,
		math.Sqrt(playsASitting/(startsPeak/j.scale*3600)), j.needDay())
	j.figure("keepalives if none were cut, mean", sum(streams)/minutesADay/60, f.Keepalives, j.minutesError(), j.needDay())
	j.figure("keepalives if none were cut, peak", streamsPeak/60, f.KeepalivesPeak, j.streamsError(streamsPeak), j.needDay())

	sent := keepaliveYield(j.m, 1)
	j.figure("keepalives sent, mean", sum(keepalives)/minutesADay, cut(f.Keepalives, sent), j.minutesError(), j.needMinute())
	j.figure("keepalives sent, peak hour", keepalivesPeak, cut(f.KeepalivesPeak, sent), j.streamsError(streamsPeak), j.needMinute())

	law := dayLaw(j.m)
	j.overDay("Starts a second", "thousands", scaled(starts, 1e-3), scaled(law, f.Starts.Low/1e3))
	j.overDay("Keepalives a second", "thousands", scaled(keepalives, 1e-3), scaled(law, f.Keepalives.Low*sent/1e3))
}

// cut is what is left of keepalives when pauses send none and each start, resume and
// seek begins its minute anew.
func cut(f population.Figure, sent float64) population.Figure {
	f.Low *= sent
	f.High *= sent
	f.Source += ", less pauses and minutes cut short by a start, a resume or a seek: times " + number(sent, 3)
	return f
}

func scaled(values []float64, by float64) []float64 {
	out := make([]float64, len(values))
	for i, v := range values {
		out[i] = v * by
	}
	return out
}
