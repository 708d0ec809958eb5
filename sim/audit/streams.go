package audit

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/playhead-load/playhead/viewing"
)

// interval is a time, from its beginning until just before its end, during which
// a playback held a stream.
type interval struct {
	fromUS, toUS int64
	playback     *playback
}

// guardUS is taken off what is sure, because a server's stamp is cut to the
// millisecond and its clock is another than the driver's: a lease may end so much
// earlier than the driver thinks.
func guardUS(leaseUS int64) int64 { return 2000 + leaseUS/1000 }

// forever is the end of what is not known to have ended.
const forever = int64(1) << 62

// surelyHeld are the times during which the playback held a stream beyond doubt:
// from each answer that admitted or renewed it to the end of the lease that it
// gave at least, or to what ended it before.
func (h *household) surelyHeld(p *playback, leaseUS int64) []interval {
	var held []interval
	for i := range p.entries {
		e := &p.entries[i]
		if e.Fate != Accepted || e.Type == viewing.Stop {
			continue
		}
		end := min(e.FirstSentUS+leaseUS-guardUS(leaseUS), h.endedFromUS(p, e))
		if e.DoneUS >= end {
			continue
		}
		if last := len(held) - 1; last >= 0 && held[last].toUS >= e.DoneUS {
			held[last].toUS = max(held[last].toUS, end)
			continue
		}
		held = append(held, interval{e.DoneUS, end, p})
	}
	return held
}

// endedFromUS is the first moment at which something that the device sent after e
// may have taken the stream from the playback: its own stop, or a start of another
// session on the same device.
func (h *household) endedFromUS(p *playback, e *Entry) int64 {
	end := forever
	for _, other := range h.playbacks {
		if other.device != p.device {
			continue
		}
		for i := range other.entries {
			o := &other.entries[i]
			ends := other == p && o.Type == viewing.Stop || other != p && o.Fate != Rejected
			if ends && o.FirstSentUS >= e.FirstSentUS {
				end = min(end, o.FirstSentUS)
			}
		}
	}
	return end
}

// possiblyHeld are the times during which the playback may have held a stream:
// from each try to say that it plays to the end of the longest lease that it may
// have given, or to an answer that says it ended. An event that was never answered
// may still be on its way for a while.
func (h *household) possiblyHeld(p *playback, leaseUS, lateUS int64) []interval {
	var held []interval
	for i := range p.entries {
		e := &p.entries[i]
		last := e.DoneUS
		switch {
		case e.Type == viewing.Stop, e.Fate == Rejected, e.Fate == Denied && e.LastSentUS == e.FirstSentUS:
			continue
		case e.Fate == Denied:
			last = e.LastSentUS // a try before may have been heard and not answered
		case e.Fate == Unanswered:
			last += lateUS
		}
		end := min(last+leaseUS+guardUS(leaseUS), h.endedByUS(p, e))
		held = append(held, interval{e.FirstSentUS, end, p})
	}
	return held
}

// endedByUS is the first moment after e by which something is answered that ends
// the playback.
func (h *household) endedByUS(p *playback, e *Entry) int64 {
	end := forever
	for _, other := range h.playbacks {
		if other.device != p.device {
			continue
		}
		for i := range other.entries {
			o := &other.entries[i]
			ends := other == p && o.Type == viewing.Stop && o.there() || other != p && o.Fate == Accepted && o.Type != viewing.Stop
			if ends && o.FirstSentUS >= e.FirstSentUS {
				end = min(end, o.DoneUS)
			}
		}
	}
	return end
}

// overAdmission is a moment at which more streams than the limit were held beyond
// doubt, one more than a moment before.
type overAdmission struct {
	atUS   int64
	latest *playback
	held   []*playback
}

func (h *household) overAdmissions(leaseUS int64) []overAdmission {
	var all []interval
	for _, p := range h.playbacks {
		all = append(all, h.surelyHeld(p, leaseUS)...)
	}
	slices.SortFunc(all, func(a, b interval) int { return cmp.Compare(a.fromUS, b.fromUS) })
	var over []overAdmission
	var now []interval
	for _, one := range all {
		now = slices.DeleteFunc(now, func(o interval) bool { return o.toUS <= one.fromUS })
		now = append(now, one)
		if len(now) <= h.limit {
			continue
		}
		found := overAdmission{atUS: one.fromUS, latest: one.playback}
		for _, o := range now {
			found.held = append(found.held, o.playback)
		}
		over = append(over, found)
	}
	return over
}

// falseDenial is a denial during whose whole decision fewer streams than the limit
// can have been held by other devices.
type falseDenial struct {
	entry    *Entry
	playback *playback
	most     int // how many can have been held
}

func (h *household) falseDenials(leaseUS, lateUS int64) []falseDenial {
	var possible []interval
	for _, p := range h.playbacks {
		possible = append(possible, h.possiblyHeld(p, leaseUS, lateUS)...)
	}
	var found []falseDenial
	for _, p := range h.playbacks {
		for i := range p.entries {
			e := &p.entries[i]
			if e.Fate != Denied {
				continue
			}
			if most := mostHeld(possible, e); most < h.limit {
				found = append(found, falseDenial{e, p, most})
			}
		}
	}
	return found
}

// mostHeld is the greatest number of playbacks on other devices that can have held
// a stream at one moment of the denial's decision.
func mostHeld(possible []interval, denied *Entry) (most int) {
	from, to := denied.LastSentUS, denied.DoneUS
	moments := []int64{from}
	for _, one := range possible {
		if one.fromUS > from && one.fromUS <= to {
			moments = append(moments, one.fromUS)
		}
	}
	for _, at := range moments {
		held := map[uint64]bool{} // a device holds one stream at most
		for _, one := range possible {
			if one.playback.device != denied.Device && one.fromUS <= at && at < one.toUS {
				held[one.playback.device] = true
			}
		}
		most = max(most, len(held))
	}
	return most
}

func (p *playback) String() string {
	return fmt.Sprintf("session %v (device %d, title %d)", p.id, p.device, p.title)
}
