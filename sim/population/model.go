// Package population says who watches what, on which device: the accounts, the
// catalogue and every number that describes viewers, each with its source.
//
// Everything about account i is a pure function of (seed, i), so accounts need
// no storage and any process can work on any share of them.
//
// The virtual clock's time of day is local time where a zone's OffsetMinutes is 0.
package population

import (
	"fmt"
	"slices"
	"strings"
)

// Mark says how well a number is known.
type Mark byte

// The marks, from best to least known.
const (
	Verified Mark = 'V' // read in the source
	Derived  Mark = 'D' // computed or fitted from one
	Recalled Mark = 'R' // recalled, not read again
	Assumed  Mark = 'A' // no public figure was found
)

// Param is one number of a model.
type Param struct {
	Name   string // lower case, the unit last
	Value  float64
	Unit   string
	Source string
	Mark   Mark
}

// Model is every number that describes a population of viewers. It is a value:
// change a field's Value and hand it to New.
type Model struct {
	Name  string
	Zones []Zone // where the accounts are

	// Scale and day.
	Members      Param // accounts at scale 1
	MeanStreams  Param // playbacks in progress at scale 1, mean over the day, paused ones included
	TroughToPeak Param // of the raised cosine of all playbacks in progress
	PeakHour     Param // local time

	// Accounts.
	Plans      []Share // Value: streams at once
	Profiles   []Share // Value: profiles of an account
	Households []Share // Value: households that use one shared account
	Devices    []DeviceShare
	Networks   []Share // Value: rungs of a device's ladder that a household's network is too slow for

	// Catalogue.
	Titles          Param
	PopularityPower Param // weight of rank r: r^-power · exp(-r/cutoff)
	PopularityTail  Param // the cutoff
	SeriesEpisodes  Param // a series has this many titles in a row
	FilmsAfter      Param // films that follow each series in the ranking
	EpisodeMin      Param
	EpisodeMax      Param
	FilmMedian      Param
	FilmSigma       Param

	// A sitting: short views, then a long one, perhaps the next episodes, perhaps again.
	ShortView        Param // probability that the next view picked is a short one
	ShortMean        Param
	LongComplete     Param // probability that a long view of an episode reaches its end
	FilmComplete     Param
	LongOverHalf     Param // probability that another long view of an episode passes the middle
	FilmFirst        Param // where the power law of a film's watch time begins
	NextEpisode      Param // after a complete episode
	NextComplete     Param // such a view reaches its end
	ResumeTitle      Param // a sitting begins with the title left half-way
	ResumeComplete   Param
	SittingEnds      Param // after a long view
	BrowseMean       Param // pause between two views
	EndsWithoutStop  Param
	StartupMedian    Param // from the wish to the first frame, lognormal
	StartupSigma     Param
	AbandonsAfter    Param // of start-up
	Abandons         Param // probability of giving up for each further second of start-up
	RebufferedViews  Param // share of views that stall
	RebufferMean     Param
	RebufferCost     Param // time not watched, in times of the stall
	LowRungViews     Param // share of views played on the lowest rung throughout
	LowRungBeginning Param // mean time on the lowest rung in the others
	DipViews         Param // share of the others that play on the next lower rung for a while
	DipBegins        Param // mean time played before
	DipMean          Param
	OfflineMean      Param // from the end of what was played without a connection to its upload

	// While it plays, each an hour of play.
	Pauses      Param
	PauseMedian Param
	PauseSigma  Param
	LongPause   Param // the session stops
	Seeks       Param
	ShortSeeks  Param // share of seeks that move ShortSeek
	ShortSeek   Param
	LongSeekMax Param
	Errors      Param
	Telemetry   Param

	Crowd Crowd // at a live event

	Figures Figures // what must come out
}

// Crowd is those who come to a live event, or to a premiere: at about the same moment,
// wherever they are, to a title of its own.
type Crowd struct {
	Streams Param // at once at the peak, at scale 1; 0: there is no event
	Hour    Param // when it begins, by the virtual clock, every day
	Gathers Param // how far from then a viewer comes, standard deviation
	Runtime Param
	Stays   Param // mean time for which a viewer stays
}

// Params lists the single numbers of the model in the order of its fields; the
// tables stand beside them.
func (m *Model) Params() []Param {
	var params []Param
	for _, p := range m.params() {
		params = append(params, *p)
	}
	return params
}

func (m *Model) params() []*Param {
	return []*Param{
		&m.Members, &m.MeanStreams, &m.TroughToPeak, &m.PeakHour,
		&m.Titles, &m.PopularityPower, &m.PopularityTail, &m.SeriesEpisodes, &m.FilmsAfter,
		&m.EpisodeMin, &m.EpisodeMax, &m.FilmMedian, &m.FilmSigma,
		&m.ShortView, &m.ShortMean, &m.LongComplete, &m.FilmComplete, &m.LongOverHalf, &m.FilmFirst,
		&m.NextEpisode, &m.NextComplete, &m.ResumeTitle, &m.ResumeComplete, &m.SittingEnds,
		&m.BrowseMean, &m.EndsWithoutStop,
		&m.StartupMedian, &m.StartupSigma, &m.AbandonsAfter, &m.Abandons,
		&m.RebufferedViews, &m.RebufferMean, &m.RebufferCost,
		&m.LowRungViews, &m.LowRungBeginning, &m.DipViews, &m.DipBegins, &m.DipMean, &m.OfflineMean,
		&m.Pauses, &m.PauseMedian, &m.PauseSigma, &m.LongPause,
		&m.Seeks, &m.ShortSeeks, &m.ShortSeek, &m.LongSeekMax, &m.Errors, &m.Telemetry,
		&m.Crowd.Streams, &m.Crowd.Hour, &m.Crowd.Gathers, &m.Crowd.Runtime, &m.Crowd.Stays,
	}
}

// HasCrowd says whether there is a live event.
func (m *Model) HasCrowd() bool { return m.Crowd.Streams.Value > 0 }

// Share is one row of a distribution: Value occurs with probability Share.
type Share struct {
	Value  int
	Share  float64
	Source string
	Mark   Mark
}

// Zone is a part of a country with a clock of its own.
type Zone struct {
	Country       string // ISO 3166-1 alpha-2, of the events there
	Share         float64
	OffsetMinutes int // ahead of the virtual clock
	Source        string
	Mark          Mark
}

// DeviceShare is one kind of device.
type DeviceShare struct {
	Type    string  // device_type of its events
	Streams float64 // share of the playbacks in progress
	Source  string
	Mark    Mark

	Owned     float64  // probability that a household has one, mark A
	Ladder    []string // kilobits a second, lowest first, mark A
	Offline   float64  // probability that a sitting is played without a connection, mark A
	OwnedMark Mark
}

// Named finds a model by name. The error of an unknown name lists the known.
func Named(name string) (Model, error) {
	for _, known := range models() {
		if known.Name == name {
			return known, nil
		}
	}
	return Model{}, fmt.Errorf("population %q: expected one of %s", name, strings.Join(Names(), ", "))
}

// Names lists the models that Named finds, sorted.
func Names() []string {
	var names []string
	for _, m := range models() {
		names = append(names, m.Name)
	}
	slices.Sort(names)
	return names
}

func models() []Model { return []Model{netflix2015(), netflix2018(), netflix2025(), liveEvent()} }
