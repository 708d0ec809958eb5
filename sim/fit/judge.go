package fit

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/playhead-load/playhead/sim/population"
	"github.com/playhead-load/playhead/viewing"
)

// Report is the judgement of a sample. Who asked for it fills in Scenario, Population,
// From and TookS.
type Report struct {
	Schema     string           `json:"schema"`
	Scenario   string           `json:"scenario"`
	Population string           `json:"population"`
	From       string           `json:"from"` // time of day of the virtual clock
	PlayedS    float64          `json:"played_s"`
	TookS      float64          `json:"took_s"`
	Partial    bool             `json:"partial"` // it was broken off
	Events     map[string]int64 `json:"events"`
	Streams    float64          `json:"streams_mean"`
	PeakMinute int              `json:"streams_peak"`
	Lines      []Line           `json:"lines"`
	Panels     []Panel          `json:"-"` // the same as pictures
}

// Failed says whether some line does.
func (r *Report) Failed() bool { return r.Count(Fail) > 0 }

// Count is how many lines have that verdict.
func (r *Report) Count(verdict Verdict) int {
	n := 0
	for i := range r.Lines {
		if r.Lines[i].Verdict == verdict {
			n++
		}
	}
	return n
}

// judge compares a sample with a population that is what its model says.
type judge struct {
	s      *Sample
	people *population.Population
	m      *population.Model
	report *Report
	group  string
	scale  float64 // a figure of the sample times it is one at scale 1
}

// Judge compares what was seen with what the population is calibrated against.
func Judge(s *Sample, calibrated *population.Population) *Report {
	j := &judge{s: s, people: calibrated, m: calibrated.Model(), report: &Report{
		Schema: "playhead.fit/1", PlayedS: float64(s.PlayedMS()) / 1000, Partial: s.Partial, Events: map[string]int64{},
	}}
	j.report.Streams, j.report.PeakMinute = s.Streams()
	for _, t := range viewing.EventTypes {
		j.report.Events[t.String()] = s.Events[t]
	}
	j.scale = j.m.Members.Value / float64(s.accounts)
	j.day()
	j.rates()
	j.plays()
	j.within()
	j.titles()
	j.accounts()
	return j.report
}

// What plays have to do with each other: a sitting has about four of them, and an
// account's plays of a day come in sittings, of which some have more than others. As
// many independent ones tell as much.
const (
	playsASitting    = 4.0
	playsAnAccount   = 8.0
	minutesDeviation = 1.4 // of an account's minutes a day, over their mean
	lengthDeviation  = 1.4 // of a play's minutes, over their mean
)

// needDay is why what is of a whole day cannot be judged, empty if it can.
func (j *judge) needDay() string {
	if why := j.needUsual(); why != "" {
		return why
	}
	if j.s.wholeDay() {
		return ""
	}
	return fmt.Sprintf("%s of a day", duration(j.s.PlayedMS()))
}

// needUsual is why what people watch on a usual day cannot be judged.
func (j *judge) needUsual() string {
	if j.m.HasCrowd() {
		return "no figures of a day with a live event"
	}
	return ""
}

// needMinute is why keepalives cannot be judged.
func (j *judge) needMinute() string {
	if interval := j.s.options.KeepaliveMS; interval != minuteMS {
		return fmt.Sprintf("a keepalive every %s, the figures are for 1m", duration(interval))
	}
	return j.needDay()
}

// needEnds is why plays cannot be judged.
func (j *judge) needEnds() string {
	if j.s.views.closed.plays > 0 {
		return ""
	}
	return fmt.Sprintf("%s, a play counts 4h after its hour", duration(j.s.PlayedMS()))
}

// duration writes 1h30m without the zeros that follow.
func duration(ms int64) string {
	text := (time.Duration(ms) * time.Millisecond).String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

func (j *judge) accounts() {
	j.group = "accounts"
	looked := float64(j.s.looked)
	j.shares("stream limits", "streams at once", "share of accounts", j.m.Plans, j.s.limits, looked)
	j.shares("profiles", "profiles", "share of accounts", j.m.Profiles, j.s.profiles, looked)

	var labels []string
	var from origins
	want := map[string]float64{}
	for _, z := range j.m.Zones {
		if want[z.Country] == 0 {
			labels = append(labels, z.Country)
		}
		want[z.Country] += z.Share
		from.add(z.Source, z.Mark)
	}
	j.kinds("countries", "", "share of plays", labels, want, j.s.countries, j.s.plays/playsAnAccount, from.one(), j.needDay())
}

func (j *judge) shares(name, x, y string, rows []population.Share, seen map[int]float64, n float64) {
	var labels []string
	var from origins
	want, got := map[string]float64{}, map[string]float64{}
	for value, count := range seen {
		got[fmt.Sprint(value)] = count
	}
	for _, row := range rows {
		labels = append(labels, fmt.Sprint(row.Value))
		want[fmt.Sprint(row.Value)] += row.Share
		from.add(row.Source, row.Mark)
	}
	j.kinds(name, x, y, labels, want, got, n, from.one(), "")
}

// kinds compares shares by label. What the calibration does not know is one more label.
func (j *judge) kinds(name, x, y string, labels []string, want, got map[string]float64, n float64, from origin, why string) {
	for label := range got {
		if !slices.Contains(labels, label) {
			labels = append(labels, label)
		}
	}
	gotShares, wantShares := make([]float64, len(labels)), make([]float64, len(labels))
	for i, label := range labels {
		gotShares[i], wantShares[i] = got[label], want[label]
	}
	j.unordered(name, gotShares, wantShares, n, from, why)
	j.bars(strings.ToUpper(name[:1])+name[1:], x, y, labels, scaled(gotShares, 1/sum(gotShares)), scaled(wantShares, 1/sum(wantShares)))
}

func (j *judge) titles() {
	j.group = "titles"
	c, m, f := j.people.Catalogue(), j.m, &j.m.Figures
	got, want := j.s.titles[1:], make([]float64, c.Len())
	for i := range want {
		want[i] = c.Weight(uint32(i + 1))
	}
	if short := len(want) - len(got); short > 0 { // the generated catalogue is another
		got = append(slices.Clone(got), make([]float64, short)...)
	}
	want = append(want, make([]float64, len(got)-len(want))...)
	j.ordered("popularity, plays by rank", got, want, j.s.plays/playsASitting,
		origin{m.PopularityPower.Source, m.PopularityPower.Mark}, j.needUsual())
	for _, top := range []struct {
		name  string
		share float64
		want  population.Figure
	}{{"plays of the top 1 %", 0.01, f.TopHundredth}, {"plays of the top 10 %", 0.1, f.TopTenth}, {"plays of the top 20 %", 0.2, f.TopFifth}} {
		share := sum(got[:int(top.share*float64(c.Len()))]) / j.s.plays
		j.figure(top.name, share, top.want, shareError(top.want.Low, j.s.plays/playsASitting), j.needUsual())
	}
	j.curves("Popularity", "rank of the title", "share of plays up to it", true, cumulated(got, 1), cumulated(want, 1))
	j.runtimes()
}

// runtimes compares those of the titles that were played, each counted once: a few
// series have so many of the plays that plays would tell of these alone.
func (j *judge) runtimes() {
	const most = 241 // min
	var films, episodes [most]float64
	for id, ms := range j.s.runtimes {
		switch {
		case ms == 0:
		case j.s.catalogue.Title(uint32(id)).Film:
			films[min(ms/minuteMS, most-1)]++
		default:
			episodes[min(ms/minuteMS, most-1)]++
		}
	}
	from, to := j.m.EpisodeMin.Value, j.m.EpisodeMax.Value
	episodeLaw := masses(most, 1, func(x float64) float64 { return min(1, max(0, (x-from)/(to-from))) })
	filmLaw := masses(most, 1, func(x float64) float64 {
		if x <= 60 { // no film is shorter
			return 0
		}
		return lognormal(x, j.m.FilmMedian.Value, j.m.FilmSigma.Value)
	})
	j.ordered("runtimes of episodes", episodes[:], episodeLaw, sum(episodes[:]),
		origin{j.m.EpisodeMin.Source + "; even between the two", j.m.EpisodeMin.Mark}, "")
	j.ordered("runtimes of films", films[:], filmLaw, sum(films[:]),
		origin{j.m.FilmMedian.Source + "; sigma: " + j.m.FilmSigma.Source, j.m.FilmSigma.Mark}, "")
	j.curves("Runtimes of episodes", "minutes", "share of episodes up to it", false, cumulated(episodes[:66], 1), cumulated(episodeLaw[:66], 1))
	j.curves("Runtimes of films", "minutes", "share of films up to it", false, cumulated(films[:], 1), cumulated(filmLaw, 1))
}

// shareError is the relative standard error of a share among n.
func shareError(share, n float64) float64 { return math.Sqrt((1 - share) / (share * n)) }

// origins are those of several rows of a table.
type origins []origin

func (o *origins) add(source string, mark population.Mark) {
	if !slices.Contains(*o, origin{source, mark}) {
		*o = append(*o, origin{source, mark})
	}
}

// one has every source, and the mark that is least well known.
func (o *origins) one() origin {
	var sources []string
	const worst = "VDRA"
	least := population.Verified
	for _, each := range *o {
		sources = append(sources, each.source)
		if strings.IndexByte(worst, byte(each.mark)) > strings.IndexByte(worst, byte(least)) {
			least = each.mark
		}
	}
	return origin{strings.Join(sources, "; "), least}
}
