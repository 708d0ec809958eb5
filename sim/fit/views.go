package fit

import (
	"slices"

	"github.com/playhead-load/playhead/sim/population"
	"github.com/playhead-load/playhead/viewing"
)

// filmMinutes is how many minutes of a film the law of its watch time is looked at.
const filmMinutes = 300

// views are the plays by the hour in which they began. An hour counts when its plays
// have ended, so that long plays are not left out more often than short ones.
type views struct {
	from    viewing.Millis
	closed  cohort
	open    []*cohort // from hour first on
	first   int64
	resumed map[int32]struct{} // devices that play the rest of a title
}

// cohort is plays that began together. Of a play without a stop nothing but its
// beginning is known.
type cohort struct {
	plays, stops        float64
	complete, underHalf float64
	playedMin           float64
	kinds               map[string]float64   // minutes played, by type of device
	films               [filmMinutes]float64 // films from their beginning, by minutes played; the last is all above
}

func newViews(from viewing.Millis) views {
	return views{from: from, closed: cohort{kinds: map[string]float64{}}, resumed: map[int32]struct{}{}}
}

// of is the cohort of plays that began then, nil if it was closed.
func (v *views) of(begun viewing.Millis) *cohort {
	at := int64(begun-v.from)/hourMS - v.first
	if at < 0 {
		return nil
	}
	for at >= int64(len(v.open)) {
		v.open = append(v.open, &cohort{kinds: map[string]float64{}})
	}
	return v.open[at]
}

func (v *views) start(device int32, e *viewing.Event) {
	delete(v.resumed, device)
	if e.ResumePos || e.PositionMS > 0 {
		v.resumed[device] = struct{}{}
	}
	if c := v.of(e.At); c != nil {
		c.plays++
	}
}

func (v *views) stop(device int32, begun viewing.Millis, e *viewing.Event, title population.Title) {
	c := v.of(begun)
	if c == nil {
		return
	}
	minutes := float64(e.PlayedMS) / minuteMS
	c.stops++
	c.playedMin += minutes
	c.kinds[e.DeviceType] += minutes
	if e.PositionMS >= e.RuntimeMS {
		c.complete++
	}
	if 2*e.PositionMS < e.RuntimeMS {
		c.underHalf++
	}
	if _, rest := v.resumed[device]; title.Film && !rest {
		c.films[min(int(minutes), filmMinutes-1)]++
	}
}

// close counts the plays of the hours that were over before settled.
func (v *views) close(settled viewing.Millis) {
	for len(v.open) > 0 && v.from+viewing.Millis(v.first+1)*hourMS <= settled {
		v.closed.add(v.open[0])
		v.open = slices.Delete(v.open, 0, 1)
		v.first++
	}
}

func (c *cohort) add(other *cohort) {
	c.plays += other.plays
	c.stops += other.stops
	c.complete += other.complete
	c.underHalf += other.underHalf
	c.playedMin += other.playedMin
	for kind, minutes := range other.kinds {
		c.kinds[kind] += minutes
	}
	for i := range c.films {
		c.films[i] += other.films[i]
	}
}
