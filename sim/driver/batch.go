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
	Events int           // at most, in a request, up to wire.MaxEvents; 0 and 1: each event is a request of its own
	Linger time.Duration // how long an event waits for others, while its aggregator has nothing under way
	Binary bool          // in the compact binary type, not in JSON
}

// Limits of aggregators.
const (
	gatheredLimit = 1 << 20 // events that wait in all; more are lost, and counted
	batchBytes    = 3 << 20 // of a request's body, about: servers take 4 MiB
)

// aggregator gathers the events of some devices and sends them in batches, one at a
// time, so that what a device says stays in order.
type aggregator struct {
	node   int
	most   int      // events that may wait
	events int      // that wait, those under way included
	queue  []*batch // the first is under way or the next to be, the last takes events
	busy   bool     // the first is under way,
	waits  bool     // or waits to be sent again
	spare  []*batch
}

// batch is the events of one request.
type batch struct {
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

func newAggregators(count, nodes int) []aggregator {
	aggregators := make([]aggregator, count)
	for i := range aggregators {
		aggregators[i].node, aggregators[i].most = i%nodes, gatheredLimit/count
	}
	return aggregators
}

// gather gives an event to its device's aggregator.
func (d *Driver) gather(device int32, e *viewing.Event, dueUS int64, measured bool) {
	a := &d.aggregators[int(device)%len(d.aggregators)]
	full := a.busy && len(a.queue) > 2 // a whole batch waits
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
	if last := len(a.queue) - 1; last > 0 || last == 0 && !a.busy && !a.waits {
		if b := a.queue[last]; !b.full(limits) {
			return b
		}
	}
	b := &batch{}
	if last := len(a.spare) - 1; last >= 0 {
		b, a.spare = a.spare[last], a.spare[:last]
		*b = batch{body: b.body[:0], entries: b.entries[:0], items: b.items[:0]}
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

// sendBatches sends the first batch of each aggregator that has nothing under way, if
// it is full, or has waited long enough.
func (d *Driver) sendBatches(nowUS int64) {
	lingerUS := d.config.Batch.Linger.Microseconds()
	for i := range d.aggregators {
		a := &d.aggregators[i]
		if a.busy || a.waits || len(a.queue) == 0 {
			continue
		}
		b := a.queue[0]
		switch {
		case d.closing && b.tries == 0:
			d.abandonBatches(a)
		case b.full(d.config.Batch) || nowUS-b.firstUS >= lingerUS || b.tries > 0 || d.planEnd.Load() != nil:
			d.sendBatch(a, b)
		}
	}
}

func (d *Driver) sendBatch(a *aggregator, b *batch) {
	a.busy = true
	b.tries++
	b.sentUS = d.NowUS()
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
	d.request = d.appendAggregator(appendHead(d.request[:0], http.MethodPost, &d.nodes[a.node], []byte(eventsPath)))
	d.request = http1.AppendBody(append(d.request, contentType...), b.body)
	d.call(a.node, a)
}

// answered implements caller.
func (a *aggregator) answered(d *Driver, got *http1.Answer, err error) {
	a.busy = false
	b, doneUS := a.queue[0], d.NowUS()
	wait, again := toRepeat(got, err)
	if again {
		a.node = (a.node + 1) % len(d.nodes)
		if b.tries < d.retry.Tries {
			a.waits = true
			d.tryAgain(try{of: a}, b.tries, wait)
			return
		}
	}
	d.endBatch(a, b, d.fatesOf(got, again, len(b.items)), !again, doneUS)
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

// endBatch notes what became of a batch, and takes it off the aggregator.
func (d *Driver) endBatch(a *aggregator, b *batch, fates []audit.Fate, answered bool, doneUS int64) {
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
	}
	d.config.Log.AddAll(b.entries)
	a.shift(d)
}

// shift takes the first batch off.
func (a *aggregator) shift(d *Driver) {
	b := a.queue[0]
	a.events -= len(b.items)
	d.pending.Add(-int64(len(b.items)))
	a.queue = slices.Delete(a.queue, 0, 1)
	a.spare = append(a.spare, b)
}

// abandonBatches ends all that an aggregator has: what was sent is unanswered, the rest
// unsent.
func (d *Driver) abandonBatches(a *aggregator) {
	for len(a.queue) > 0 {
		b := a.queue[0]
		if b.tries > 0 {
			d.endBatch(a, b, d.fatesOf(nil, true, len(b.items)), false, d.NowUS())
			continue
		}
		for i := range b.items {
			n := &b.items[i]
			d.lose(n.op, true, n.dueUS, n.measured)
		}
		a.shift(d)
	}
}
