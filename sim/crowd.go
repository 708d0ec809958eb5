package sim

import (
	"github.com/playhead-load/playhead/sim/population"
	"github.com/playhead-load/playhead/sim/random"
)

// crowd is who comes to a live event: each viewer once a day, at a moment that is
// normal around its beginning, everywhere at the same time. A nil crowd is nobody.
type crowd struct {
	share   float64              // that comes, of viewers at a device whose load is 1
	density [minutesADay]float64 // of the moment at which a viewer comes, a ms
	gone    [minutesADay]float64 // share of those that come who have come by then
	most    float64              // of density
}

// surest is the highest probability that somebody comes at a device, for models that
// ask for more.
const surest = 0.9

func newCrowd(model *population.Model) *crowd {
	c := &crowd{}
	m := model.Crowd
	begins, spread := float64(m.Hour.Value*60), m.Gathers.Value
	total := 0.0
	for minute := range minutesADay {
		away := float64(minute) + 0.5 - begins
		if away > minutesADay/2 { // the day is a circle
			away -= minutesADay
		}
		away /= spread
		c.density[minute] = random.Exp(-float64(away*away) / 2)
		total += c.density[minute]
	}
	stays := random.Exp(-1 / max(m.Stays.Value, 1))
	come, there, most := 0.0, 0.0, 0.0
	for minute, density := range c.density {
		there = float64(there*stays) + density/total
		most = max(most, there)
		c.gone[minute] = come
		come += density / total
		c.density[minute] = density / total / minuteMS
		c.most = max(c.most, c.density[minute])
	}
	c.share = m.Streams.Value / model.MeanStreams.Value / most
	return c
}

// hazard is the rate, a ms, at which the viewer of an idle device with that load comes.
func (c *crowd) hazard(load float64, minute int64) float64 {
	share := min(surest, float64(load*c.share))
	return share * c.density[minute] / (1 - float64(share*c.gone[minute]))
}

func (c *crowd) highest(load float64) float64 {
	if c == nil {
		return 0
	}
	share := min(surest, float64(load*c.share))
	return share * c.most / (1 - share)
}
