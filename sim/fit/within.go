package fit

import (
	"maps"

	"github.com/playhead-load/playhead/sim/population"
	"github.com/playhead-load/playhead/viewing"
)

// longPauseS is where lengths of pauses are no longer told apart: the session stops.
const longPauseS = 30 * 60

// pauses are the pauses that ended, and the devices that pause.
type pauses struct {
	lengths [longPauseS + 1]float64 // by seconds; the last: as long or given up
	pausing map[int32]pause
	sumMS   float64
}

type pause struct {
	from  viewing.Millis
	whole bool // its beginning was seen
}

func newPauses() pauses { return pauses{pausing: map[int32]pause{}} }

func (p *pauses) see(device int32, e *viewing.Event) {
	if e.Type == viewing.Pause {
		p.pausing[device] = pause{e.At, true}
		return
	}
	ending, found := p.pausing[device]
	if !found {
		return
	}
	delete(p.pausing, device)
	length := e.At - ending.from
	p.sumMS += float64(length)
	if ending.whole {
		p.lengths[min(int(length/1000), longPauseS)]++
	}
}

// forget makes now the beginning of all that counts.
func (p *pauses) forget(now viewing.Millis) {
	*p = pauses{pausing: p.pausing}
	for device := range p.pausing {
		p.pausing[device] = pause{from: now}
	}
}

// total is the time paused up to now.
func (p *pauses) total(now viewing.Millis) float64 {
	sum := p.sumMS
	for _, each := range p.pausing {
		sum += float64(now - each.from)
	}
	return sum
}

const (
	maxBinge = 16     // more episodes in a row are not told apart
	nextMS   = 10_000 // the next episode begins within it
)

// binges count, by how many episodes in a row were seen to their end, how often a next
// one was there and how often it was played.
type binges struct {
	offers, taken [maxBinge]float64
	waiting       map[int32]offer // devices that may go on with the next episode
	rows          map[int32]int   // devices that play an episode they were led to: how many came before
}

type offer struct {
	title uint32 // the next
	at    viewing.Millis
	row   int
}

func newBinges() binges {
	return binges{waiting: map[int32]offer{}, rows: map[int32]int{}}
}

func (b *binges) start(device int32, e *viewing.Event) {
	delete(b.rows, device)
	next, waiting := b.waiting[device]
	if !waiting {
		return
	}
	delete(b.waiting, device)
	b.offers[next.row]++
	if next.title == e.TitleID && e.At-next.at <= nextMS {
		b.taken[next.row]++
		b.rows[device] = next.row + 1
	}
}

func (b *binges) stop(device int32, e *viewing.Event, title population.Title) {
	row := b.rows[device]
	delete(b.rows, device)
	if e.PositionMS >= e.RuntimeMS && title.HasNext {
		b.waiting[device] = offer{e.TitleID + 1, e.At, min(row, maxBinge-1)}
	}
}

// sweep counts offers that nobody took.
func (b *binges) sweep(now viewing.Millis) {
	maps.DeleteFunc(b.waiting, func(_ int32, each offer) bool {
		if now-each.at <= nextMS {
			return false
		}
		b.offers[each.row]++
		return true
	})
}
