package audit

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/playhead-load/playhead/viewing"
)

// Limits of the search for a linearization.
const (
	searchTimeout = 500 * time.Millisecond // of one account
	searchLimit   = 20 * time.Second       // of all accounts
	maxOps        = 1<<16 - 2              // of one account, for their numbers in a state
)

// Linearizability counts accounts by whether some order of their starts, stops and
// denials, each somewhere between its request and its answer, explains all answers.
type Linearizability struct {
	Checked int64 // decided, the illegal ones included
	Illegal int64
	Unknown int64 // given up, for lack of time or of facts
}

// Verdict is whether all accounts that were decided are linearizable, nil if none was.
func (l Linearizability) Verdict() *bool {
	if l.Checked == 0 {
		return nil
	}
	legal := l.Illegal == 0
	return &legal
}

// opKind is what an operation on an account's streams is.
type opKind uint8

const (
	contactOp opKind = iota // a session says that it plays
	stopOp
	expireOp // the lease that a contact gave ends
)

// promise is what was answered to a contact.
type promise uint8

const (
	nothing  promise = iota // not answered, or nothing about a stream
	admitted                // it holds a stream
	refused                 // it holds none
)

// streamOp is an operation on an account's streams. One that was never answered may
// have taken effect at any time since, or never: it may be put after all others,
// where it explains nothing.
type streamOp struct {
	kind     opKind
	promise  promise
	start    bool
	fact     bool // it makes its session known even if it is refused
	session  int
	device   int
	seq      uint32
	of       int // expireOp: the contact, by its index
	entry    *entry
	renewed  *entry // the last that renewed its stream, nil if none did
	fromUS   int64
	untilUS  int64
	certain  bool  // it took effect for sure
	expireUS int64 // contactOp: its lease ends at the earliest
	goneUS   int64 // contactOp: and at the latest
}

// linearize checks one account, on one core because it competes with the target for
// the machine.
func (c *check) linearize(home *household) {
	began := time.Now()
	history := home.history(c.options.Lease.Microseconds())
	timeout := c.options.Search
	if timeout == 0 {
		timeout = searchTimeout
	}
	result := history.check(home.limit, c.certainUS(), min(timeout, searchLimit-c.searched))
	switch result {
	case porcupine.Ok:
		c.report.Linearizability.Checked++
	case porcupine.Unknown:
		c.report.Linearizability.Unknown++
	case porcupine.Illegal:
		c.report.Linearizability.Checked++
		c.report.Linearizability.Illegal++
		c.illegal(home, history)
	}
	c.searched += time.Since(began)
}

func (c *check) illegal(home *household, history *history) {
	if c.examples[KindLinearizable] == examplesPerKind {
		c.report.Violations[KindLinearizable]++
		return // an explanation is a search of its own
	}
	culprit, text := history.explain(home.limit)
	c.violation(KindLinearizable, culprit.playback, 1, text)
}

// history is what is known of the operations on an account's streams.
type history struct {
	ops      []*streamOp
	sessions int
	devices  int
	offline  bool // some session was also played offline: when it was first heard of is not known
}

// history takes the account's operations out of its log. Contacts between which a
// stream was held beyond doubt are one operation; what they said in between can
// have changed nothing.
func (h *household) history(leaseUS int64) *history {
	all := &history{sessions: len(h.playbacks)}
	devices := map[uint64]int{}
	for session, p := range h.playbacks {
		if _, ok := devices[p.device]; !ok {
			devices[p.device] = len(devices)
		}
		b := builder{history: all, home: h, leaseUS: leaseUS, session: session, device: devices[p.device]}
		for i := range p.entries {
			b.add(&p.entries[i])
		}
		b.settle()
		b.bound()
		all.ops = append(all.ops, b.mine...)
	}
	all.devices = len(devices)
	all.prune()
	return all
}

// builder takes one session's operations, by seq.
type builder struct {
	*history
	home    *household
	leaseUS int64
	session int
	device  int

	mine  []*streamOp // what is settled
	run   *streamOp   // the contact that holds the stream beyond doubt, with all that renewed it
	sure  int64       // until then, unless the session stopped
	loose []*streamOp // what may have taken effect since, or not
}

func (b *builder) add(e *entry) {
	switch {
	case e.Offline:
		b.offline = true
	case !e.there() && !e.maybeThere() && e.Fate != Denied: // rejected
	case e.Type == viewing.Stop:
		b.stop(e)
	default:
		b.contact(e)
	}
}

func (b *builder) op(kind opKind, e *entry) *streamOp {
	return &streamOp{
		kind: kind, session: b.session, device: b.device, seq: e.Seq, entry: e,
		start: e.Type == viewing.Start, fact: e.Type != viewing.Start,
		fromUS: e.fromUS, untilUS: e.DoneUS, certain: true,
	}
}

// looseOp is a try of e that was not answered.
func (b *builder) looseOp(kind opKind, e *entry) *streamOp {
	op := b.op(kind, e)
	op.fromUS, op.untilUS, op.certain = e.FirstSentUS, forever, false
	op.expireUS, op.goneUS = e.FirstSentUS+b.leaseUS-guardUS(b.leaseUS), forever
	return op
}

func (b *builder) stop(e *entry) {
	if !e.there() {
		b.loose = append(b.loose, b.looseOp(stopOp, e))
		b.sure = min(b.sure, e.FirstSentUS)
		return
	}
	if b.run != nil && e.DoneUS <= b.sure {
		// It held until now: tries before have changed nothing, and those that come
		// later are overtaken.
		b.loose, b.run.expireUS = nil, forever
	}
	b.settle()
	b.mine = append(b.mine, b.op(stopOp, e))
}

func (b *builder) contact(e *entry) {
	switch {
	case e.Fate == Denied:
		op := b.op(contactOp, e)
		if !e.overtaken {
			op.promise = refused
		}
		b.mine = append(b.mine, op)
	case e.admits():
		b.admit(e)
	case e.there():
		b.bridge(e)
		b.settle()
		op := b.op(contactOp, e)
		op.expireUS, op.goneUS = e.fromUS+b.leaseUS-guardUS(b.leaseUS), e.DoneUS+b.leaseUS+guardUS(b.leaseUS)
		b.mine = append(b.mine, op)
	}
	if !e.retried() && e.Fate != Unanswered {
		return
	}
	b.loose = append(b.loose, b.looseOp(contactOp, e))
	if e.LastSentUS-e.FirstSentUS > b.leaseUS {
		b.loose = append(b.loose, b.looseOp(contactOp, e)) // two tries can each have given a lease
	}
}

// admit takes a contact that was told that it holds a stream.
func (b *builder) admit(e *entry) {
	sure := b.home.sureUS(e.playback, e, b.leaseUS)
	if b.run != nil && (e.DoneUS <= b.sure || e.folded > 0 && e.DoneUS <= sure) {
		b.loose = nil // it held all the time: they have changed nothing
		b.run.renewed = e
	} else {
		b.bridge(e)
		b.settle()
		b.run = b.op(contactOp, e)
		b.run.promise = admitted
		b.mine = append(b.mine, b.run)
	}
	b.sure = max(b.sure, sure)
	b.run.expireUS = e.fromUS + b.leaseUS - guardUS(b.leaseUS)
	b.run.goneUS = e.DoneUS + b.leaseUS + guardUS(b.leaseUS)
}

// bridge lets the run last as long as what was folded into e may have made it: whether
// that renewed the stream, or another session had taken it, is open.
func (b *builder) bridge(e *entry) {
	if e.folded > 0 && b.run != nil {
		b.run.goneUS = max(b.run.goneUS, e.FirstSentUS+b.leaseUS+guardUS(b.leaseUS))
	}
}

// settle ends the run.
func (b *builder) settle() {
	b.mine = append(b.mine, b.loose...)
	b.run, b.loose, b.sure = nil, nil, 0
}

// bound ends the time of what was never answered where it can change nothing any
// more: a try that comes after something newer of its session is overtaken, a stop
// that comes after the last lease finds no stream. One that never came is put there.
func (b *builder) bound() {
	guard := guardUS(b.leaseUS)
	for _, op := range b.mine {
		if op.certain {
			continue
		}
		for _, newer := range b.mine {
			overtakes := newer.kind == stopOp || !op.start && (newer.fact || newer.promise == admitted)
			if newer.certain && newer.seq > op.seq && overtakes {
				op.untilUS = min(op.untilUS, max(op.fromUS, newer.untilUS))
			}
		}
		if op.kind == contactOp && op.untilUS < forever {
			op.goneUS = op.untilUS + b.leaseUS + guard
		}
	}
	var goneUS int64
	for _, op := range b.mine {
		goneUS = max(goneUS, op.goneUS)
	}
	for _, op := range b.mine {
		if op.kind == stopOp && !op.certain {
			op.untilUS = min(op.untilUS, max(op.fromUS, goneUS))
		}
	}
}

// prune leaves out what comes too late to explain anything, and adds the ends of
// leases that do not.
func (h *history) prune() {
	lastUS := int64(-1) // by then all that must be explained has been answered
	for _, op := range h.ops {
		if op.kind == contactOp && op.promise != nothing {
			lastUS = max(lastUS, op.untilUS)
		}
	}
	h.ops = slices.DeleteFunc(h.ops, func(op *streamOp) bool { return op.fromUS > lastUS })
	for i, op := range h.ops {
		if op.kind == contactOp && op.promise != refused && op.expireUS <= lastUS {
			h.ops = append(h.ops, &streamOp{
				kind: expireOp, session: op.session, device: op.device, of: i, entry: op.entry,
				fromUS: op.expireUS, untilUS: op.goneUS, certain: op.goneUS != forever,
			})
		}
	}
}

// check searches for an order. Denials before certainUS may have reasons from before
// the run.
func (h *history) check(limit int, certainUS int64, timeout time.Duration) porcupine.CheckResult {
	denied := false
	for _, op := range h.ops {
		if op.promise == refused {
			denied = true
			if op.fromUS < certainUS {
				return porcupine.Unknown
			}
		}
	}
	switch {
	case h.devices <= limit && !denied:
		return porcupine.Ok // a device holds one stream at most
	case h.offline, len(h.ops) > maxOps, timeout <= 0:
		return porcupine.Unknown
	}
	return porcupine.CheckOperationsTimeout(h.model(limit), h.operations(), timeout)
}

func (h *history) operations() []porcupine.Operation {
	operations := make([]porcupine.Operation, len(h.ops))
	for i, op := range h.ops {
		operations[i] = porcupine.Operation{ClientId: op.session, Input: i, Call: op.fromUS, Return: op.untilUS}
	}
	return operations
}

// explain names the operation that no order found explains, with those around it.
func (h *history) explain(limit int) (culprit *entry, text string) {
	_, info := porcupine.CheckOperationsVerbose(h.model(limit), h.operations(), searchTimeout)
	var longest []int
	for _, partial := range info.PartialLinearizations()[0] {
		if len(partial) > len(longest) {
			longest = partial
		}
	}
	inOrder := make([]bool, len(h.ops))
	for _, i := range longest {
		inOrder[i] = true
	}
	first := -1
	for i, op := range h.ops {
		if !inOrder[i] && op.promise != nothing && (first < 0 || op.untilUS < h.ops[first].untilUS) {
			first = i
		}
	}
	if first < 0 {
		first = 0
	}
	return h.ops[first].entry, fmt.Sprintf("limit %d, no order explains the answers up to: %s", limit, h.around(first))
}

// around tells the operations that were answered last before one was, and it.
func (h *history) around(i int) string {
	const most = 8
	var told []*streamOp
	for _, op := range h.ops {
		if op.kind != expireOp && op.fromUS <= h.ops[i].untilUS && (op.untilUS <= h.ops[i].untilUS || !op.certain) {
			told = append(told, op)
		}
	}
	slices.SortFunc(told, func(a, b *streamOp) int {
		return cmp.Or(cmp.Compare(a.entry.DoneUS, b.entry.DoneUS), cmp.Compare(a.seq, b.seq))
	})
	var text []string
	for _, op := range told[max(0, len(told)-most):] {
		e := op.entry
		line := fmt.Sprintf("device %d %v %v, sent %.3f s, told %.3f s",
			e.Device, e.Type, e.Fate, seconds(e.FirstSentUS), seconds(e.DoneUS))
		if op.renewed != nil {
			line += fmt.Sprintf(", renewed until %.3f s", seconds(op.renewed.DoneUS))
		}
		text = append(text, line)
	}
	return strings.Join(text, "; ")
}
