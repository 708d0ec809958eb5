package world

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/playhead-load/playhead/sim/audit"
	"github.com/playhead-load/playhead/viewing"
)

// Kinds of violation that the world finds itself, beside the auditor's.
const (
	KindRecovery   = "recovery_mismatches"   // the state after a crash is not the one before
	KindReplay     = "replay_mismatches"     // all entries anew make another state
	KindUnanswered = "unanswered_after_calm" // the faults were over, and a device was not answered
)

// Bounds of what the auditor must allow for.
const (
	lateUS = latestUS + 2*slowDiskUS + 4*secondUS // a request takes effect by then
	// An order that explains an account's answers is found at once, or hardly ever.
	searchFor = 100 * time.Millisecond
	settleUS  = queueEvents * maxTries * (timeoutUS + 2*waitUS) / 2 // after the faults, a queue may still be full
)

// Verdict is what was found of a story.
type Verdict struct {
	Audit      audit.Report
	Violations map[string]int64 // by kind, the auditor's and the world's own
	Examples   []string         // of each kind a few, with what is known of it
	Counts     Counts
	Story      [32]byte // the digest of every line
}

// Kinds lists the kinds of violation that were found, sorted; empty: the story is right.
func (v *Verdict) Kinds() []string { return slices.Sorted(maps.Keys(v.Violations)) }

// findings are what the world finds itself.
type findings struct {
	counts   map[string]int64
	examples []string
}

func (w *World) find(kind, format string, args ...any) {
	f := &w.findings
	if f.counts == nil {
		f.counts = map[string]int64{}
	}
	const mostExamples = 3
	if f.counts[kind]++; f.counts[kind] <= mostExamples {
		f.examples = append(f.examples, fmt.Sprintf("%s: %s, %d s into the story", kind, fmt.Sprintf(format, args...), w.nowUS/secondUS))
	}
}

// lostInCalm finds an event that was sent after the faults, and not answered.
func (w *World) lostInCalm(d *device, r *request) {
	if e := &r.tellings[0].entry; e.LastSentUS >= w.faultsUS {
		w.find(KindUnanswered, "device %d gave up %v seq %d of session %v", d.number, e.Type, e.Seq, e.Session)
	}
}

// droppedInCalm finds an event for which there was no room long after the faults.
func (w *World) droppedInCalm(d *device) {
	if w.nowUS >= w.faultsUS+settleUS {
		w.find(KindUnanswered, "the queue of device %d is still full", d.number)
	}
}

// entry is what the device knows of an event, for the auditor. A copy that the network
// made is a try of its own. The auditor takes no clock for wrong: at is what a server
// must make of it, by the stamp under which the event first was there.
func (w *World) entry(t *telling) audit.Entry {
	e := t.entry
	if t.copied && e.FirstSentUS == e.LastSentUS {
		e.FirstSentUS--
	}
	if stamp, known := w.server.heard[identity{e.Session, e.Seq}]; known && e.AtMS > stamp+viewing.MaxAheadMS {
		e.AtMS = stamp + viewing.MaxAheadMS
	}
	return e
}

// judge compares everything that the devices know with what the server answers, now
// and when every lease has ended.
func (w *World) judge() (Verdict, error) {
	s := w.server
	for i := range w.devices {
		if d := &w.devices[i]; len(d.queue) > 0 {
			w.find(KindUnanswered, "device %d still waits with %d events", d.number, len(d.queue))
		}
	}
	s.moved()
	if replayed := s.replay().Digest(); replayed != s.state.Digest() {
		w.find(KindReplay, "%d entries anew make another state", len(s.disk.entries))
	}
	w.counts.Ahead = w.ahead()
	v := Verdict{Violations: map[string]int64{}, Counts: w.counts, Examples: w.findings.examples}
	log := w.log()
	for pass, search := range [...]time.Duration{w.search, -1} {
		w.nowUS += int64(pass) * 2 * w.pace.leaseMS * 1000
		report, err := log.CheckTarget(context.Background(), screen{s.machine, s.now()}, audit.Options{
			Lease: time.Duration(w.pace.leaseMS) * time.Millisecond, DefaultStreams: defaultStreams, Late: lateUS * time.Microsecond,
			NowUS: func() int64 { return w.nowUS }, Search: search,
		})
		if err != nil {
			return v, err
		}
		if pass == 0 {
			v.Audit = report
		}
		for _, example := range report.Examples {
			v.Examples = append(v.Examples, fmt.Sprintf("%s: account %d session %v: %s\n%s",
				example.Kind, example.Account, example.Session, example.Detail, strings.Join(example.History, "\n")))
		}
		for kind, n := range report.Violations {
			v.Violations[kind] = max(v.Violations[kind], n)
		}
	}
	maps.Copy(v.Violations, w.findings.counts)
	w.lines.Sum(v.Story[:0])
	return v, nil
}

// ahead counts the events whose at a server takes back.
func (w *World) ahead() (n int) {
	for _, t := range w.told {
		if w.entry(t).AtMS != t.entry.AtMS {
			n++
		}
	}
	return n
}
