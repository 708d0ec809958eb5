package driver

import (
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
	Linger      time.Duration // how long an event waits for others, while its aggregator could send it
	Binary      bool          // in the compact binary type, not in JSON
}

// Limits of aggregators.
const (
	gatheredLimit = 1 << 20 // events that wait in all; more are lost, and counted
	batchBytes    = 3 << 20 // of a request's body, about: servers take 4 MiB
)

// aggregator gathers the events of some devices and sends them in batches, several at a
// time. What a device says stays in order: while an event of it is under way no other is
// sent.
type aggregator struct {
	node     int
	most     int      // events that may wait
	atOnce   int      // batches that may be under way
	events   int      // that wait, those under way included
	queue    []*batch // not sent yet; the last takes events
	underway []*batch // sent and not ended: some may wait to be sent again
	spare    []*batch
}

// batch is the events of one request.
type batch struct {
	of      *aggregator
	node    int // that it was sent to last
	body    []byte
	entries []audit.Entry // of its events,
	items   []item        // and what else there is of each
	apart   int           // so many items' devices have nothing under way
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

func (s devices) remove(device int32) { s[device>>6] &^= 1 << (device & 63) }

func newAggregators(config *Config, nodes int) []aggregator {
	count := config.Batch.Aggregators
	if count == 0 {
		count = config.Connections
	}
	aggregators := make([]aggregator, count)
	for i := range aggregators {
		aggregators[i] = aggregator{node: i % nodes, most: gatheredLimit / count, atOnce: max(1, config.Connections/count)}
	}
	return aggregators
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
	b := a.taking(d.config.Batch)
	if len(b.items) == 0 {
		b.firstUS = d.NowUS()
	}
	b.append(e, d.config.Batch.Binary)
	b.entries = append(b.entries, audit.NewEntry(e))
	b.items = append(b.items, item{dueUS, device, opFor(e), measured})
	a.events++
	d.pending.Add(1)
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

func (b *batch) full(limits Batch) bool {
	return len(b.items) >= limits.Events || len(b.body) >= batchBytes
}

func (b *batch) append(e *viewing.Event, binary bool) {
	switch {
	case binary && len(b.items) == 0:
		b.body = wire.AppendEvent(wire.AppendBatchHeader(b.body), e)
	case binary:
		b.body = wire.AppendEvent(b.body, e)
	case len(b.items) == 0:
		b.body = wire.AppendEventJSON(append(b.body, '['), e)
	default:
		b.body = wire.AppendEventJSON(append(b.body, ','), e)
	}
}

// sendBatches sends what each aggregator has gathered, as far as it may: batches that are
// full, or have waited long enough.
func (d *Driver) sendBatches(nowUS int64) {
	lingerUS := d.config.Batch.Linger.Microseconds()
	for i := range d.aggregators {
		a := &d.aggregators[i]
		if d.closing {
			d.loseGathered(a)
		}
		for len(a.queue) > 0 && len(a.underway) < a.atOnce {
			b := a.queue[0]
			due := b.full(d.config.Batch) || nowUS-b.firstUS >= lingerUS || d.planEnd.Load() != nil
			if !due || !d.standsApart(b) {
				break
			}
			a.queue = slices.Delete(a.queue, 0, 1)
			a.underway = append(a.underway, b)
			for i := range b.items {
				d.telling.add(b.items[i].device)
			}
			d.sendBatch(b)
		}
	}
}

// standsApart reports whether no device of a batch has an event under way. The batch is
// the next of its aggregator: what was so stays so.
func (d *Driver) standsApart(b *batch) bool {
	for ; b.apart < len(b.items); b.apart++ {
		if d.telling.has(b.items[b.apart].device) {
			return false
		}
	}
	return true
}

func (d *Driver) sendBatch(b *batch) {
	b.tries++
	b.sentUS, b.node = d.NowUS(), b.of.node
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
	d.call(b.node, b)
}

// answered implements caller.
func (b *batch) answered(d *Driver, got *http1.Answer, err error) {
	doneUS := d.NowUS()
	wait, again := toRepeat(got, err)
	if again {
		if b.of.node == b.node { // else another batch has moved on
			b.of.node = (b.node + 1) % len(d.nodes)
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
	a := b.of
	a.underway = slices.DeleteFunc(a.underway, func(one *batch) bool { return one == b })
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
		}
		d.leave(b)
	}
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
