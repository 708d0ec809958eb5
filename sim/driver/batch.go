package driver

import (
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/playhead-load/playhead/http1"
	"github.com/playhead-load/playhead/results"
	"github.com/playhead-load/playhead/sim/audit"
	"github.com/playhead-load/playhead/viewing"
	"github.com/playhead-load/playhead/viewing/wire"
)

// Batch says how events are put together into requests.
type Batch struct {
	Events      int           // at most, in a request, up to wire.MaxEvents; 0 and 1: each event is a request of its own
	Aggregators int           // that share the connections; 0: as many as connections
	Linger      time.Duration // how long an event waits for others at most, while its aggregator could send it
	Binary      bool          // in the compact binary type, not in JSON
}

// Limits of aggregators.
const (
	gatheredLimit = 1 << 20 // events that wait in all; more are lost, and counted
	batchBytes    = 3 << 20 // of a request's body, about: servers take 4 MiB
)

// aggregator gathers the events of some devices and sends them in batches, several at a
// time. What a device says stays in order: it has events in one batch at a time, and what
// it says meanwhile is held.
type aggregator struct {
	phaseUS  int64 // by how much its moments to send are earlier than the first one's
	node     int
	moves    int              // from node to node
	most     int              // events that may wait
	atOnce   int              // batches that may be under way
	events   int              // that wait, those under way included
	queue    []*batch         // not sent yet; the last takes events
	underway []*batch         // sent and not ended: some may wait to be sent again
	held     map[int32][]held // of each device that has events in a batch: what it says meanwhile, in order
	spare    []*batch
}

// batch is the events of one request.
type batch struct {
	of      *aggregator
	node    int // that it was sent to last,
	moves   int // and how often its aggregator had moved by then
	body    []byte
	entries []audit.Entry // of its events,
	items   []item        // and what else there is of each
	firstUS int64         // when its first event was put into it
	sentUS  int64
	tries   int
}

// item is an event of a batch.
type item struct {
	dueUS    int64
	device   int32
	op       results.Op
	measured bool
}

// held is an event whose device has others in a batch.
type held struct {
	body  []byte // of the event alone
	entry audit.Entry
	item  item
}

// devices is a set of devices.
type devices []uint64

func (s devices) has(device int32) bool {
	word := int(device >> 6)
	return word < len(s) && s[word]>>(device&63)&1 != 0
}

func (s *devices) add(device int32) {
	for int(device>>6) >= len(*s) {
		*s = append(*s, 0)
	}
	(*s)[device>>6] |= 1 << (device & 63)
}

// remove takes out a device that is in the set.
func (s devices) remove(device int32) { s[device>>6] &^= 1 << (device & 63) }

// newAggregators divides the connections among the aggregators.
func newAggregators(config *Config, nodes int) ([]aggregator, error) {
	count := config.Batch.Aggregators
	switch {
	case count == 0:
		count = config.Connections
	case count > config.Connections:
		return nil, fmt.Errorf("%d aggregators: expected as many as connections at most, %d", count, config.Connections)
	}
	aggregators := make([]aggregator, count)
	for i := range aggregators {
		atOnce := config.Connections / count
		if i < config.Connections%count {
			atOnce++
		}
		aggregators[i] = aggregator{
			phaseUS: config.Batch.Linger.Microseconds() * int64(i) / int64(count),
			node:    i % nodes, most: gatheredLimit / count, atOnce: atOnce,
			held: map[int32][]held{},
		}
	}
	return aggregators, nil
}

// gather gives an event to its device's aggregator.
func (d *Driver) gather(device int32, e *viewing.Event, dueUS int64, measured bool) {
	a := &d.aggregators[int(device)%len(d.aggregators)]
	full := len(a.underway) == a.atOnce && len(a.queue) > 1 // a whole batch waits
	d.notePlaced(dueUS, measured, full, false)
	if a.events == a.most {
		d.lose(opFor(e), true, dueUS, measured)
		return
	}
	a.events++
	d.pending.Add(1)
	binary, entry, one := d.config.Batch.Binary, audit.NewEntry(e), item{dueUS, device, opFor(e), measured}
	b := d.joins(a, device)
	if b == nil {
		a.held[device] = append(a.held[device], held{appendEvent(nil, e, binary), entry, one})
		return
	}
	b.body = appendEvent(b.next(d.NowUS(), binary), e, binary)
	b.entries, b.items = append(b.entries, entry), append(b.items, one)
}

// joins is the batch that takes the next event of a device; nil while the device has events
// in another.
func (d *Driver) joins(a *aggregator, device int32) *batch {
	b := a.taking(d.config.Batch)
	if d.telling.has(device) && !b.tells(device) {
		return nil
	}
	d.telling.add(device)
	return b
}

// letGo puts what is held of a device that has no event in a batch any more into the batch
// that takes events: all of it, unless the batch becomes full.
func (d *Driver) letGo(a *aggregator, device int32) {
	waiting := a.held[device]
	for len(waiting) > 0 {
		b := d.joins(a, device)
		if b == nil {
			a.held[device] = waiting
			return
		}
		h := &waiting[0]
		b.body = append(b.next(d.NowUS(), d.config.Batch.Binary), h.body...)
		b.entries, b.items = append(b.entries, h.entry), append(b.items, h.item)
		waiting = waiting[1:]
	}
	delete(a.held, device)
}

// taking is the batch that takes the next event.
func (a *aggregator) taking(limits Batch) *batch {
	if last := len(a.queue) - 1; last >= 0 && !a.queue[last].full(limits) {
		return a.queue[last]
	}
	b := &batch{of: a}
	if last := len(a.spare) - 1; last >= 0 {
		b, a.spare = a.spare[last], a.spare[:last]
		*b = batch{of: a, body: b.body[:0], entries: b.entries[:0], items: b.items[:0]}
	}
	a.queue = append(a.queue, b)
	return b
}

// tells reports whether the batch has an event of a device.
func (b *batch) tells(device int32) bool {
	return slices.ContainsFunc(b.items, func(one item) bool { return one.device == device })
}

func (b *batch) full(limits Batch) bool {
	return len(b.items) >= limits.Events || len(b.body) >= batchBytes
}

// next is the body of the batch as it is before its next event.
func (b *batch) next(nowUS int64, binary bool) []byte {
	first := len(b.items) == 0
	if first {
		b.firstUS = nowUS
	}
	switch {
	case binary && first:
		return wire.AppendBatchHeader(b.body)
	case binary:
		return b.body
	case first:
		return append(b.body, '[')
	}
	return append(b.body, ',')
}

func appendEvent(dst []byte, e *viewing.Event, binary bool) []byte {
	if binary {
		return wire.AppendEvent(dst, e)
	}
	return wire.AppendEventJSON(dst, e)
}

// sendBatches sends what each aggregator has gathered, as far as it may: batches that are
// full, or at their moment.
func (d *Driver) sendBatches(nowUS int64) {
	for i := range d.aggregators {
		a := &d.aggregators[i]
		if d.closing {
			d.loseGathered(a)
		}
		for len(a.queue) > 0 && len(a.underway) < a.atOnce {
			b := a.queue[0]
			if len(b.items) == 0 || !b.full(d.config.Batch) && !d.lingered(b, nowUS) && d.planEnd.Load() == nil {
				break
			}
			a.queue = slices.Delete(a.queue, 0, 1)
			a.underway = append(a.underway, b)
			d.sendBatch(b)
		}
	}
}

// lingered reports whether a moment to send has come since the batch's first event.
// Aggregators have one in each linger, one after another, as if they knew nothing of each
// other: all at the same moment, each would wait for what the target makes of the others.
func (d *Driver) lingered(b *batch, nowUS int64) bool {
	lingerUS := d.config.Batch.Linger.Microseconds()
	return lingerUS == 0 || (nowUS+b.of.phaseUS)/lingerUS > (b.firstUS+b.of.phaseUS)/lingerUS
}

func (d *Driver) sendBatch(b *batch) {
	b.tries++
	now := time.Now()
	b.sentUS, b.node, b.moves = d.sinceBegunUS(now), b.of.node, b.of.moves
	for i := range b.items {
		n := &b.items[i]
		if b.tries == 1 {
			b.entries[i].FirstSentUS = b.sentUS
			if n.measured {
				d.counts.sent.Add(1)
			}
		} else if n.measured {
			d.counts.retries.Add(1)
		}
	}
	contentType := contentJSON
	switch {
	case d.config.Batch.Binary:
		contentType = contentBinary
	case b.tries == 1:
		b.body = append(b.body, ']')
	}
	d.request = d.appendAggregator(appendHead(d.request[:0], http.MethodPost, &d.nodes[b.node], []byte(eventsPath)))
	d.request = http1.AppendBody(append(d.request, contentType...), b.body)
	d.call(b.node, now, b)
}

// answered implements caller.
func (b *batch) answered(d *Driver, got *http1.Answer, at time.Time, err error) {
	doneUS := max(b.sentUS, d.sinceBegunUS(at))
	wait, again := toRepeat(got, err)
	if again {
		if a := b.of; a.moves == b.moves { // else another batch has moved it on
			a.node, a.moves = (a.node+1)%len(d.nodes), a.moves+1
		}
		if b.tries < d.retry.Tries {
			d.tryAgain(try{batch: b}, b.tries, wait)
			return
		}
	}
	d.endBatch(b, d.fatesOf(got, again, len(b.items)), !again, doneUS)
}

// fatesOf is what was answered to each event of a batch.
func (d *Driver) fatesOf(got *http1.Answer, again bool, events int) []audit.Fate {
	d.fates = d.fates[:0]
	fate := audit.Unanswered
	if !again {
		var ok bool
		if d.fates, ok = readOutcomes(got, d.fates, events); ok {
			return d.fates
		}
		if got.Status >= 400 {
			fate = audit.Rejected
		}
	}
	d.fates = d.fates[:0]
	for range events {
		d.fates = append(d.fates, fate)
	}
	return d.fates
}

// endBatch notes what became of a batch that was sent, and takes it off its aggregator.
func (d *Driver) endBatch(b *batch, fates []audit.Fate, answered bool, doneUS int64) {
	for i := range b.items {
		n, e := &b.items[i], &b.entries[i]
		e.LastSentUS, e.DoneUS, e.Fate = b.sentUS, doneUS, fates[i]
		failed := answered && e.Fate == audit.Unanswered
		d.measured(n.measured).Record(n.op, n.dueUS, b.sentUS, doneUS, resultOf(e.Fate, failed))
		d.playing.heard(n.device, e)
		d.noteWrite(e)
		d.noteEvent(e, n.measured)
		if e.Fate == audit.Denied {
			d.config.Fleet.Denied(n.device, e.Session)
		}
		d.telling.remove(n.device)
	}
	d.config.Log.AddAll(b.entries)
	b.of.underway = slices.DeleteFunc(b.of.underway, func(one *batch) bool { return one == b })
	if len(b.of.held) > 0 {
		for i := range b.items {
			d.letGo(b.of, b.items[i].device)
		}
	}
	d.leave(b)
}

// leave gives back a batch that is with nobody any more.
func (d *Driver) leave(b *batch) {
	b.of.events -= len(b.items)
	d.pending.Add(-int64(len(b.items)))
	b.of.spare = append(b.of.spare, b)
}

// loseGathered gives up what an aggregator has not sent.
func (d *Driver) loseGathered(a *aggregator) {
	for _, b := range a.queue {
		for i := range b.items {
			n := &b.items[i]
			d.lose(n.op, true, n.dueUS, n.measured)
			d.telling.remove(n.device)
		}
		d.leave(b)
	}
	for _, waiting := range a.held {
		for i := range waiting {
			n := &waiting[i].item
			d.lose(n.op, true, n.dueUS, n.measured)
		}
		a.events -= len(waiting)
		d.pending.Add(-int64(len(waiting)))
	}
	clear(a.held)
	clear(a.queue)
	a.queue = a.queue[:0]
}

// abandonBatches ends all that an aggregator has: what was sent is unanswered, the rest
// unsent.
func (d *Driver) abandonBatches(a *aggregator) {
	for len(a.underway) > 0 {
		b := a.underway[0]
		d.endBatch(b, d.fatesOf(nil, true, len(b.items)), false, d.NowUS())
	}
	d.loseGathered(a)
}
