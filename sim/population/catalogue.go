package population

import (
	"fmt"

	"github.com/playhead-load/playhead/sim/random"
)

// MaxTitles is the size a catalogue may have: a device holds a title in 16 bits, and
// one may be a live event's.
const MaxTitles = 1<<16 - 2

// Title is one playable thing.
type Title struct {
	RuntimeMS int32
	Film      bool
	HasNext   bool // the next title id is the next episode of the same series
}

// Catalogue is the titles 1 … Len, which are also their ranks: title 1 is
// watched most. Series are neighbours in the ranking, so that the views that
// flow from an episode to the next fit the popularity of both. Immutable.
type Catalogue struct {
	titles  []Title   // index 0 is no title
	weights []float64 // share of all views, index 0 is 0
	live    uint32    // the title of a live event; 0: there is none
	limit   []uint32  // alias table (Walker 1977, Vose 1991) over what viewers pick
	alias   []uint16
}

// Len is the number of titles, a live event's included.
func (c *Catalogue) Len() int { return len(c.titles) - 1 }

// Title is the title with that id, 1 … Len.
func (c *Catalogue) Title(id uint32) Title { return c.titles[id] }

// Live is the title of a live event, which nobody picks, but may go on with; 0: there is none.
func (c *Catalogue) Live() uint32 { return c.live }

// Weight is the share of all views that title id is meant to have.
func (c *Catalogue) Weight(id uint32) float64 { return c.weights[id] }

// Pick chooses a title for a viewer who was not led to it by its predecessor.
func (c *Catalogue) Pick(stream *random.Stream) uint32 {
	i := stream.Intn(len(c.limit))
	if uint32(stream.Uint64()>>32) < c.limit[i] {
		return uint32(i) + 1
	}
	return uint32(c.alias[i]) + 1
}

const minuteMS = 60_000

func newCatalogue(m *Model) (*Catalogue, error) {
	count := int(m.Titles.Value)
	if count < 1 || count > MaxTitles {
		return nil, fmt.Errorf("titles %v: expected 1 to %d", m.Titles.Value, MaxTitles)
	}
	c := &Catalogue{titles: make([]Title, count+1), weights: make([]float64, count+1)}
	c.fillTitles(m)
	total := 0.0
	for rank := 1; rank <= count; rank++ {
		r := float64(rank)
		c.weights[rank] = random.Exp(-float64(m.PopularityPower.Value*random.Ln(r)) - r/m.PopularityTail.Value)
		total += c.weights[rank]
	}
	for rank := range c.weights {
		c.weights[rank] /= total
	}
	c.fillAlias(c.picks(m))
	if m.HasCrowd() {
		c.titles = append(c.titles, Title{RuntimeMS: int32(m.Crowd.Runtime.Value * minuteMS), Film: true})
		c.weights = append(c.weights, 0)
		c.live = uint32(count) + 1
	}
	return c, nil
}

// fillTitles repeats one series and a few films down the ranking. Runtimes of
// series follow the golden ratio, so that every stretch of the ranking has the
// same mean.
func (c *Catalogue) fillTitles(m *Model) {
	const goldenRatio = 0.6180339887498949
	episodes := int(m.SeriesEpisodes.Value)
	cycle := episodes + int(m.FilmsAfter.Value)
	for id := 1; id < len(c.titles); id++ {
		place, series := (id-1)%cycle, (id-1)/cycle
		stream := random.At(random.Key(0, 0, uint64(id)), 0)
		var minutes float64
		if place < episodes {
			spread := float64(float64(series+1) * goldenRatio)
			spread -= float64(int(spread))
			minutes = m.EpisodeMin.Value + float64((m.EpisodeMax.Value-m.EpisodeMin.Value)*spread)
			c.titles[id].HasNext = place < episodes-1 && id+1 < len(c.titles)
		} else {
			minutes = min(max(stream.Lognormal(m.FilmMedian.Value, m.FilmSigma.Value), 60), 240)
			c.titles[id].Film = true
		}
		c.titles[id].RuntimeMS = int32(minutes*minuteMS) / 1000 * 1000
	}
}

// picks are the weights of titles among views that no episode led to: what is
// left of a title's views when those led there by its predecessor are taken off.
func (c *Catalogue) picks(m *Model) []float64 {
	loud := 1 - m.EndsWithoutStop.Value
	afterPick := (1 - m.ShortView.Value) * m.LongComplete.Value * m.NextEpisode.Value * loud
	afterNext := m.NextComplete.Value * m.NextEpisode.Value * loud
	picks := make([]float64, c.Len())
	led := 0.0
	for id := 1; id <= c.Len(); id++ {
		pick := max(0, c.weights[id]-led)
		picks[id-1] = pick
		if c.titles[id].HasNext {
			led = float64(afterPick*pick) + float64(afterNext*led)
		} else {
			led = 0
		}
	}
	return picks
}

func (c *Catalogue) fillAlias(weights []float64) {
	n := len(weights)
	total := 0.0
	for _, w := range weights {
		total += w
	}
	scaled := make([]float64, n)
	var small, large []int
	for i, w := range weights {
		scaled[i] = w / total * float64(n)
		if scaled[i] < 1 {
			small = append(small, i)
		} else {
			large = append(large, i)
		}
	}
	c.limit, c.alias = make([]uint32, n), make([]uint16, n)
	for i := range c.limit { // what no partner completes is its own alias
		c.limit[i], c.alias[i] = 1<<32-1, uint16(i)
	}
	for len(small) > 0 && len(large) > 0 {
		less, more := small[len(small)-1], large[len(large)-1]
		small = small[:len(small)-1]
		c.limit[less], c.alias[less] = uint32(scaled[less]*(1<<32)), uint16(more)
		scaled[more] -= 1 - scaled[less]
		if scaled[more] < 1 {
			large = large[:len(large)-1]
			small = append(small, more)
		}
	}
}
