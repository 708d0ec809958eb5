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

// screen is what the sessions of one device may have done to each other. Answers
// about it cost O(log n) of its events, so that those about an account of n events
// cost O(n log n), times the sessions of one device where a denial is judged.
type screen struct {
	playbacks []*playback
	takers    *earliest // first tries of what may have taken the device's stream, by when the last can have
	starts    *earliest // answers to starts that surely took it, by when they were decided at the earliest
}

// index sorts the events that start or renew a stream by their devices.
func (h *household) index() {
	h.devices = map[uint64]*screen{}
	takers, starts := map[uint64][]moment{}, map[uint64][]moment{}
	for _, p := range h.playbacks {
		if h.devices[p.device] == nil {
			h.devices[p.device] = &screen{}
		}
		h.devices[p.device].playbacks = append(h.devices[p.device].playbacks, p)
		for i := range p.entries {
			e := &p.entries[i]
			if e.mayHold() {
				fromUS := e.FirstSentUS
				if e.folded > 0 {
					fromUS = p.entries[i-1].DoneUS
				}
				takers[p.device] = append(takers[p.device], moment{e.untilUS, fromUS, p})
			}
			if e.admits() && e.Type == viewing.Start {
				starts[p.device] = append(starts[p.device], moment{e.fromUS, e.DoneUS, p})
			}
		}
	}
	for device, screen := range h.devices {
		screen.takers = newEarliest(takers[device])
		screen.starts = newEarliest(starts[device])
	}
}

// sureUS is until when the playback held a stream beyond doubt because of e, which
// admitted or renewed it, unless its own stop ended it: the end of the lease that it
// gave at least, or the first moment at which another session on the same device
// may have taken the stream.
func (h *household) sureUS(p *playback, e *entry, leaseUS int64) int64 {
	return min(e.fromUS+leaseUS-guardUS(leaseUS), h.devices[p.device].takers.afterOf(e.fromUS, p))
}

// surelyHeld are the times during which the playback held a stream beyond doubt.
func (h *household) surelyHeld(p *playback, leaseUS int64) []interval {
	var held []interval
	for i := range p.entries {
		e := &p.entries[i]
		from, end := e.DoneUS, min(h.sureUS(p, e, leaseUS), e.stopSentUS)
		if e.folded > 0 {
			from = p.entries[i-1].DoneUS
		}
		switch {
		case e.admits():
		case e.folded > 0: // what was folded admitted it
			end = min(e.FirstSentUS, h.sureUS(p, &p.entries[i-1], endless), e.stopSentUS)
		default:
			continue
		}
		if from < end {
			held = append(held, interval{from, end, p})
		}
	}
	return merge(held)
}

// merge joins the intervals that touch; the result is sorted. They may change.
func merge(all []interval) []interval {
	slices.SortFunc(all, func(a, b interval) int { return cmp.Compare(a.fromUS, b.fromUS) })
	merged := all[:0]
	for _, one := range all {
		if last := len(merged) - 1; last >= 0 && merged[last].toUS >= one.fromUS {
			merged[last].toUS = max(merged[last].toUS, one.toUS)
			continue
		}
		merged = append(merged, one)
	}
	return merged
}

// covers says whether one of the sorted intervals holds all moments from fromUS to
// toUS.
func covers(merged []interval, fromUS, toUS int64) bool {
	i, found := slices.BinarySearchFunc(merged, fromUS, func(one interval, us int64) int { return cmp.Compare(one.fromUS, us) })
	if !found {
		i--
	}
	return i >= 0 && merged[i].toUS > toUS
}

// meets says whether one of the sorted intervals holds a moment from fromUS to toUS.
func meets(merged []interval, fromUS, toUS int64) bool {
	i, _ := slices.BinarySearchFunc(merged, fromUS, func(one interval, us int64) int { return cmp.Compare(one.toUS, us+1) })
	return i < len(merged) && merged[i].fromUS <= toUS
}

// possiblyHeld are the times during which the playback may have held a stream:
// from each try to say that it plays to the end of the longest lease that it may
// have given, or to an answer that says it ended.
func (h *household) possiblyHeld(p *playback, leaseUS int64) []interval {
	var held []interval
	for i := range p.entries {
		e := &p.entries[i]
		if !e.mayHold() {
			continue
		}
		end := min(e.untilUS+leaseUS+guardUS(leaseUS), e.stoppedUS, h.devices[p.device].starts.afterOf(e.untilUS, p))
		from := e.FirstSentUS
		if e.folded > 0 {
			from = p.entries[i-1].FirstSentUS
		}
		if from < end {
			held = append(held, interval{from, end, p})
		}
	}
	return merge(held)
}

// holdings is what is known of the account's streams.
type holdings struct {
	sure     map[*playback][]interval // merged
	possible map[*playback][]interval // merged
	devices  map[uint64][]interval    // possible, merged by device: one holds one stream at most
	moments  []int64                  // at which the number of devices that may hold a stream changes
	counts   []int                    // from the moment of the same index on
}

func (h *household) holdings(leaseUS int64) *holdings {
	k := &holdings{sure: map[*playback][]interval{}, possible: map[*playback][]interval{}, devices: map[uint64][]interval{}}
	for _, p := range h.playbacks {
		k.sure[p] = h.surelyHeld(p, leaseUS)
		k.possible[p] = h.possiblyHeld(p, leaseUS)
		k.devices[p.device] = append(k.devices[p.device], k.possible[p]...)
	}
	changes := map[int64]int{}
	for device, held := range k.devices {
		held = merge(held)
		k.devices[device] = held
		for _, one := range held {
			changes[one.fromUS]++
			changes[one.toUS]--
		}
	}
	for us := range changes {
		k.moments = append(k.moments, us)
	}
	slices.Sort(k.moments)
	count := 0
	for _, us := range k.moments {
		count += changes[us]
		k.counts = append(k.counts, count)
	}
	return k
}

// mostHeld is the greatest number of devices other than one that may have held a
// stream at one moment from fromUS to toUS.
func (k *holdings) mostHeld(device uint64, fromUS, toUS int64) (most int) {
	i, found := slices.BinarySearch(k.moments, fromUS)
	if !found {
		i--
	}
	for ; i < len(k.moments) && (i < 0 || k.moments[i] <= toUS); i++ {
		if i < 0 {
			continue // before the first change nothing is held
		}
		at, count := max(k.moments[i], fromUS), k.counts[i]
		if covers(k.devices[device], at, at) {
			count--
		}
		most = max(most, count)
	}
	return most
}

// overAdmission is a moment at which more streams than the limit were held beyond
// doubt, one more than a moment before.
type overAdmission struct {
	atUS   int64
	latest *playback
	held   []*playback
}

func (h *household) overAdmissions(k *holdings) []overAdmission {
	var all []interval
	for _, p := range h.playbacks {
		all = append(all, k.sure[p]...)
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

// falseDenial is a denial that no state of the account can explain.
type falseDenial struct {
	entry *entry
	why   string
}

// falseDenials finds denials of sessions that held a stream beyond doubt, and those
// during whose whole decision fewer streams than the limit can have been held by
// other devices. A denial before certainUS says nothing.
func (h *household) falseDenials(k *holdings, certainUS int64) []falseDenial {
	var found []falseDenial
	for _, p := range h.playbacks {
		for i := range p.entries {
			e := &p.entries[i]
			if e.Fate != Denied || e.overtaken || e.Offline || e.fromUS < certainUS {
				continue
			}
			if covers(k.sure[p], e.fromUS, e.DoneUS) {
				found = append(found, falseDenial{e, "though its session held a stream"})
				continue
			}
			most := k.mostHeld(p.device, e.fromUS, e.DoneUS)
			if most < h.limit && (!p.knownBefore(e) || !h.movedOn(k, e)) {
				found = append(found, falseDenial{e, fmt.Sprintf(
					"when %d streams at most can have been held by other devices, limit %d", most, h.limit)})
			}
		}
	}
	return found
}

// knownBefore says whether the target may have known the session when it denied e:
// only one that it never heard of takes the place of what its device played before.
func (p *playback) knownBefore(e *entry) bool {
	if e.retried() {
		return true
	}
	for i := range p.entries {
		if o := &p.entries[i]; o != e && (o.there() || o.maybeThere()) && o.FirstSentUS <= e.DoneUS {
			return true
		}
	}
	return false
}

// movedOn says whether another session may have held the device's stream when e was
// denied.
func (h *household) movedOn(k *holdings, e *entry) bool {
	for _, o := range h.devices[e.Device].playbacks {
		if o != e.playback && meets(k.possible[o], e.fromUS, e.DoneUS) {
			return true
		}
	}
	return false
}

func (p *playback) String() string {
	return fmt.Sprintf("session %v (device %d, title %d)", p.id, p.device, p.title)
}
