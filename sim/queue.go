package sim

import (
	"cmp"
	"slices"
)

// The wheel's reach: fine buckets of one turn, coarse buckets of a turn each.
// What lies further away waits in the last coarse bucket and is filed again.
const (
	fineBuckets   = 4096
	coarseBuckets = 512
	bucketEvents  = 64 // events a fine bucket should hold, for its width
)

const noDevice = -1

// queue orders devices by (due, device): a timing wheel of intrusive lists
// (Varghese and Lauck 1987) whose current bucket is sorted when it is opened.
// A device is in it at most once. Nothing is allocated after newQueue but the
// growth of the open bucket.
type queue struct {
	due    []int64 // of each device
	next   []int32 // in its bucket's list
	fine   [fineBuckets]int32
	coarse [coarseBuckets]int32

	width  int64 // ms of a fine bucket
	opened int64 // number of the open bucket, time / width
	open   []entry
	taken  int // entries of open already gone
}

type entry struct {
	due    int64
	device int32
}

func compareEntries(a, b entry) int {
	if c := cmp.Compare(a.due, b.due); c != 0 {
		return c
	}
	return cmp.Compare(a.device, b.device)
}

// newQueue holds up to devices devices, none before begin.
func newQueue(devices int, begin int64, width int64) *queue {
	q := &queue{
		due: make([]int64, devices), next: make([]int32, devices),
		width: width, opened: begin / width, open: make([]entry, 0, 4*bucketEvents),
	}
	for i := range q.fine {
		q.fine[i] = noDevice
	}
	for i := range q.coarse {
		q.coarse[i] = noDevice
	}
	return q
}

// push files a device that is not in the queue. A due before the open bucket
// is due at once.
func (q *queue) push(device int32, due int64) {
	q.due[device] = due
	q.file(device, due/q.width)
}

func (q *queue) file(device int32, bucket int64) {
	switch turn := bucket/fineBuckets - q.opened/fineBuckets; {
	case bucket <= q.opened:
		e := entry{q.due[device], device}
		at, _ := slices.BinarySearchFunc(q.open[q.taken:], e, compareEntries)
		q.open = slices.Insert(q.open, q.taken+at, e)
	case turn == 0:
		head := &q.fine[bucket%fineBuckets]
		q.next[device], *head = *head, device
	default:
		turn = q.opened/fineBuckets + min(turn, coarseBuckets-1)
		head := &q.coarse[turn%coarseBuckets]
		q.next[device], *head = *head, device
	}
}

// pop takes the first device due at or before until.
func (q *queue) pop(until int64) (device int32, ok bool) {
	for q.taken == len(q.open) {
		if (q.opened+1)*q.width > until {
			return noDevice, false
		}
		q.advance()
	}
	first := q.open[q.taken]
	if first.due > until {
		return noDevice, false
	}
	q.taken++
	return first.device, true
}

// advance opens the next bucket.
func (q *queue) advance() {
	q.opened++
	q.open, q.taken = q.open[:0], 0
	if q.opened%fineBuckets == 0 {
		head := &q.coarse[q.opened/fineBuckets%coarseBuckets]
		device := *head
		*head = noDevice
		for device != noDevice {
			following := q.next[device]
			q.file(device, q.due[device]/q.width)
			device = following
		}
	}
	head := &q.fine[q.opened%fineBuckets]
	for device := *head; device != noDevice; device = q.next[device] {
		q.open = append(q.open, entry{q.due[device], device})
	}
	*head = noDevice
	slices.SortFunc(q.open, compareEntries)
}
