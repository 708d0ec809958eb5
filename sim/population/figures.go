package population

// Figure is what comes out of a population by a public source. Nothing is played
// by it: it is what the traffic is compared with.
type Figure struct {
	Low, High float64 // equal where the source has one number
	Unit      string
	Source    string
	Mark      Mark
}

// Figures are those of a model at scale 1.
type Figures struct {
	StreamsMean    Figure // playbacks in progress
	PeakToMean     Figure // of all playbacks in progress
	Starts         Figure // a second, mean of the day
	StartsPeak     Figure
	Keepalives     Figure // a second, mean of the day: streams / 60 s, as if nothing cut a minute short
	KeepalivesPeak Figure
	Plays          Figure // a day and account
	Minutes        Figure // of play, a day and account
	MinutesAPlay   Figure
	Complete       Figure // share of plays that reach the end
	UnderHalf      Figure // share of plays that end before the middle
	TopHundredth   Figure // share of plays that the top 1 % of the titles has
	TopTenth       Figure
	TopFifth       Figure
	NextEpisode    Figure // after a complete one
}

func netflix2015Figures() Figures {
	const (
		streams  = "3.0 G hours a month over the hours of a month"
		aMinute  = "mean streams / 60 s"
		startsOf = "starts that 4.1 M streams need at 22 min a play"
		lall     = "TDG 2014, Lall & Sivakumar"
		scryer   = "Scryer fleet figures, BBC iPlayer"
		views    = "Tencent Video, 540 M views"
	)
	one := func(value float64, unit, source string, mark Mark) Figure {
		return Figure{value, value, unit, source, mark}
	}
	return Figures{
		StreamsMean:    one(4_100_000, "", streams, Derived),
		PeakToMean:     one(1.67, "", scryer, Derived),
		Starts:         one(3_100, "/s", startsOf, Derived),
		StartsPeak:     one(5_300, "/s", startsOf+", times 1.67", Derived),
		Keepalives:     one(69_000, "/s", aMinute, Derived),
		KeepalivesPeak: one(117_000, "/s", aMinute+", times 1.67", Derived),
		Plays:          one(4.4, "", lall, Derived),
		Minutes:        Figure{93, 105, "min", lall, Derived},
		MinutesAPlay:   Figure{21, 24, "min", lall, Derived},
		Complete:       one(0.20, "%", views, Verified),
		UnderHalf:      one(0.56, "%", views, Verified),
		TopHundredth:   one(0.20, "%", engagement, Derived),
		TopTenth:       one(0.58, "%", engagement, Derived),
		TopFifth:       one(0.74, "%", engagement, Derived),
		NextEpisode:    Figure{0.6, 0.7, "%", "Netflix / Reuters 2016, a binge averages 2 h 10", Derived},
	}
}

// scaled are the figures of another year, with the habits of 2015 and a day whose peak
// is 1.67 times its mean.
func (f Figures) scaled(m *Model, starts, startsPeak, keepalives, keepalivesPeak float64) Figures {
	minutes := m.MeanStreams.Value / m.Members.Value * 24 * 60
	for _, each := range []struct {
		figure *Figure
		value  float64
		source string
	}{
		{&f.StreamsMean, m.MeanStreams.Value, m.MeanStreams.Source},
		{&f.Starts, starts, "starts that the streams need at 22 min a play"},
		{&f.StartsPeak, startsPeak, "starts that the streams need at 22 min a play, times 1.67"},
		{&f.Keepalives, keepalives, "mean streams / 60 s"},
		{&f.KeepalivesPeak, keepalivesPeak, "mean streams / 60 s, times 1.67"},
		{&f.Minutes, minutes, "mean streams / members"},
		{&f.Plays, minutes / 22, "mean streams / members, at 22 min a play"},
	} {
		*each.figure = Figure{each.value, each.value, each.figure.Unit, each.source, Derived}
	}
	return f
}
