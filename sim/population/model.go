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
	RebufferedViews  Param // share of views with a stall at their beginning
	RebufferMean     Param
	LowRungViews     Param // share of views played on the low rung throughout
	LowRungBeginning Param // mean time on the low rung in the others

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

	Figures Figures // what must come out
}

// Params lists the single numbers of the model in the order of its fields; the
// tables stand beside them.
func (m *Model) Params() []Param {
	return []Param{
		m.Members, m.MeanStreams, m.TroughToPeak, m.PeakHour, m.Titles, m.PopularityPower,
		m.PopularityTail, m.SeriesEpisodes, m.FilmsAfter, m.EpisodeMin, m.EpisodeMax,
		m.FilmMedian, m.FilmSigma, m.ShortView, m.ShortMean, m.LongComplete, m.FilmComplete,
		m.LongOverHalf, m.FilmFirst, m.NextEpisode, m.NextComplete, m.ResumeTitle,
		m.ResumeComplete, m.SittingEnds, m.BrowseMean, m.EndsWithoutStop, m.RebufferedViews,
		m.RebufferMean, m.LowRungViews, m.LowRungBeginning, m.Pauses, m.PauseMedian,
		m.PauseSigma, m.LongPause, m.Seeks, m.ShortSeeks, m.ShortSeek, m.LongSeekMax, m.Errors,
		m.Telemetry,
	}
}

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

	Owned     float64 // probability that a household has one, mark A
	LowRung   string  // kilobits a second, mark A
	HighRung  string
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

func models() []Model { return []Model{netflix2015()} }
