package fit

import (
	"math"

	"github.com/playhead-load/playhead/sim/population"
	"github.com/playhead-load/playhead/viewing"
)

// plays judges how often and how long viewers play.
func (j *judge) plays() {
	j.group = "plays"
	m, f, c := j.m, &j.m.Figures, &j.s.views.closed
	accounts := float64(j.s.accounts)
	starts := sum(j.curve(func(at *minuteOfDay) float64 { return at.starts })) / m.Members.Value
	j.figure("a day and account", starts, f.Plays, math.Sqrt(playsAnAccount/j.s.plays), j.needDay())
	days := float64(j.s.minutes) / minutesADay
	j.figure("minutes a day and account", j.s.playingMS()/minuteMS/accounts/days, f.Minutes, j.minutesError(), j.needDay())

	why := j.needEnds()
	j.figure("minutes a play", c.playedMin/c.stops, f.MinutesAPlay,
		lengthDeviation*math.Sqrt(playsASitting/c.stops), why)
	j.figure("complete", c.complete/c.stops, f.Complete, shareError(f.Complete.Low, c.stops/playsASitting), why)
	j.figure("under half", c.underHalf/c.stops, f.UnderHalf, shareError(f.UnderHalf.Low, c.stops/playsASitting), why)
	j.bars("Plays by their end", "", "share of plays", []string{"complete", "under half"},
		[]float64{c.complete / c.stops, c.underHalf / c.stops}, []float64{f.Complete.Low, f.UnderHalf.Low})

	law := filmLaw(m, j.people.Catalogue())
	j.ordered("minutes played of films", c.films[:], law, sum(c.films[:]),
		origin{"exponential, then a truncated power law: PPLive, Chen et al. 2014; its numbers: " + tuned, population.Derived}, why)
	j.curves("Minutes played of films", "minutes", "share of plays up to it", true, cumulated(c.films[:], 1), cumulated(law, 1))
	silent := point(m.EndsWithoutStop)
	silent.Unit = "%"
	j.figure("ends without a stop", 1-c.stops/c.plays, silent, shareError(silent.Low, c.plays), why)

	var labels []string
	var from origins
	want := map[string]float64{}
	for _, d := range m.Devices {
		labels = append(labels, d.Type)
		want[d.Type] = d.Streams
		from.add(d.Source, d.Mark)
	}
	// A long play weighs more, which leaves a third as many independent ones.
	j.kinds("devices", "", "share of streams", labels, want, c.kinds, c.stops/playsASitting/3, from.one(), why)
}

const tuned = "tuned to 20 % complete and 56 % under half"

// within judges what viewers do while it plays, and between two episodes.
func (j *judge) within() {
	j.group = "while it plays"
	m, s := j.m, j.s
	hours := s.playingMS() / hourMS
	count := func(events int64) float64 { return 1 / math.Sqrt(float64(events)) }
	pauses, seeks := s.Events[viewing.Pause], s.Events[viewing.Seek]
	j.figure("pauses an hour", float64(pauses)/hours, point(m.Pauses), count(pauses), "")
	law := pauseLaw(m)
	j.ordered("seconds of a pause", s.pauses.lengths[:], law, sum(s.pauses.lengths[:]),
		origin{"lognormal, given up after 30 min; " + m.PauseMedian.Source, m.PauseMedian.Mark}, j.needUsual())
	j.curves("Length of pauses", "seconds", "share of pauses up to it", true, cumulated(s.pauses.lengths[:], 1), cumulated(law, 1))
	j.figure("seeks an hour", float64(seeks)/hours, point(m.Seeks), count(seeks), "")
	j.binges()
}

// binges judges whether the next episode follows, and whether it does so as often
// after many as after one: then episodes in a row are geometric, by the generated rate
// if that is in its range. A row that the end of a series or of its viewing cut off
// counts as far as it went (Kaplan and Meier 1958).
func (j *judge) binges() {
	b, f := &j.s.binges, j.m.Figures.NextEpisode
	offers, taken := sum(b.offers[:]), sum(b.taken[:])
	next := min(max(taken/offers, f.Low), f.High)
	j.figure("next episode after a complete one", taken/offers, f, shareError(f.Low, offers), "")
	var got, want []float64
	left, leftBy, variance, chance := 1.0, 1.0, 0.0, 0.0
	for i := range b.offers {
		if b.offers[i] == 0 { // no series is longer
			break
		}
		goesOn := b.taken[i] / b.offers[i]
		got, want = append(got, left*(1-goesOn)), append(want, leftBy*(1-next))
		left, leftBy = left*goesOn, leftBy*next
		variance += (1 - next) / (next * b.offers[i]) // Greenwood 1926
		chance = max(chance, 3.3*leftBy*math.Sqrt(variance))
	}
	got, want = append(got, left), append(want, leftBy)
	if b.offers[0] == 0 {
		chance = 1
	}
	j.distribution("episodes that follow in a row", ksDistance, kolmogorovSmirnov(got, want), chance, b.offers[0],
		origin{"geometric: " + f.Source, f.Mark}, "")
	j.curves("Episodes that follow in a row", "episodes", "share of rows up to it", false, cumulated(got, 0), cumulated(want, 0))
}
