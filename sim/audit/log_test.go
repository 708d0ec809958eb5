package audit

import (
	"encoding/binary"
	"fmt"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/playhead-load/playhead/viewing"
)

// heap is what is reachable, in bytes.
func heap() int64 {
	var stats runtime.MemStats
	runtime.GC()
	runtime.GC() // what finalizers and pools held for one collection
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}

// TestMemory measures what a log takes for an event, and what Check adds to it while
// the target is asked.
func TestMemory(t *testing.T) {
	const (
		accounts = 2000
		each     = 100 // events of one
		asks     = 3   // of one account: session, positions, history
	)
	before := heap()
	log := NewLog()
	for seq := range uint32(each) {
		for account := range uint64(accounts) {
			e := viewing.Event{
				AccountID: account + 1, DeviceID: 1, ProfileID: 1, TitleID: 1, Seq: seq, Type: viewing.Keepalive, DeviceType: "tv",
			}
			binary.BigEndian.PutUint64(e.SessionID[:], account+1)
			entry := NewEntry(&e)
			entry.Fate, entry.FirstSentUS, entry.LastSentUS, entry.DoneUS = Accepted, int64(seq), int64(seq), int64(seq)+1
			log.Add(entry)
		}
	}
	logged := heap()
	var asking sync.Mutex // while it is measured all others wait for their answers, and make no garbage
	var asked, checking int64
	server := httptest.NewServer(handlerFunc(func(string, string) string {
		asking.Lock()
		defer asking.Unlock()
		if asked++; asked == accounts*asks/2 {
			checking = heap()
		}
		return ""
	}))
	defer server.Close()
	options := testOptions()
	options.URLs = []string{server.URL}
	if _, err := log.Check(t.Context(), options); err != nil {
		t.Fatal(err)
	}
	runtime.KeepAlive(log)
	const events = accounts * each
	perEvent, added := float64(logged-before)/events, float64(checking-logged)/events
	t.Logf("%.1f bytes an event, and %.1f while it is checked", perEvent, added)
	if perEvent > 160 {
		t.Errorf("the log takes %.1f bytes an event, want 160 at most", perEvent)
	}
	// The accounts being asked about are a hundredth of all here.
	if checking == 0 || added > 16 {
		t.Errorf("Check adds %.1f bytes an event after %d questions, want 16 at most", added, asked)
	}
}

// TestOverflow: a log that could not hold all is not judged.
func TestOverflow(t *testing.T) {
	log := NewLog()
	log.most = 2
	for seq := range uint32(5) {
		log.Add(event{"a", 1, seq, keepalive, Accepted, int64(seq), int64(seq) + 1, 0}.entry())
	}
	report, err := log.Check(t.Context(), testOptions())
	if err == nil || !strings.Contains(err.Error(), "incomplete") {
		t.Errorf("error %v, want one that says that the audit is incomplete", err)
	}
	if report.Overflowed != 3 || len(report.Violations) != 0 {
		t.Errorf("report %+v, want 3 overflowed and no violation", report)
	}
}

// TestManyBlocks: an index finds the events of each account through all of a log.
func TestManyBlocks(t *testing.T) {
	const events, accounts = 2*blockEntries + 5, 7
	log := NewLog()
	for i := range uint32(events) {
		log.Add(Entry{Account: uint64(i % accounts), Seq: events - i})
	}
	known, found := log.index(), 0
	if len(known.accounts) != accounts {
		t.Fatalf("%d accounts, want %d", len(known.accounts), accounts)
	}
	for _, account := range known.accounts {
		last := uint32(0)
		for _, e := range known.of(account) {
			if e.Account != account || e.Seq <= last {
				t.Fatalf("account %d has seq %d of account %d after %d", account, e.Seq, e.Account, last)
			}
			last = e.Seq
			found++
		}
	}
	if found != events {
		t.Errorf("%d events, want %d", found, events)
	}
}

// TestRejected: no valid event may be called wrong.
func TestRejected(t *testing.T) {
	wrong := event{"a", 1, 1, viewing.Error, Rejected, 1000, 1010, 0}.entry()
	wrong.ErrorCode, wrong.DeviceType = "stall", "tv"
	report := judge(logOf(1, event{"a", 1, 0, start, Accepted, 0, 10, 0}.entry(), wrong, wrong), testOptions())
	expect(t, report, KindRejected)
	if report.Violations[KindRejected] != 2 {
		t.Errorf("%d rejected, want 2", report.Violations[KindRejected])
	}
	for _, text := range []string{"error seq 1", "device 1 (tv)", "title 7", "error stall"} {
		if !strings.Contains(report.Examples[0].Detail, text) {
			t.Errorf("example %q lacks %q", report.Examples[0].Detail, text)
		}
	}
}

// TestUncounted: sessions whose events the target does not count are told.
func TestUncounted(t *testing.T) {
	target := rightAnswers()
	delete(target.sessions["a"], "events")
	delete(target.sessions["o"], "events")
	server := httptest.NewServer(handlerFunc(target.get))
	defer server.Close()
	options := testOptions()
	options.URLs = []string{server.URL}
	report, err := logOf(2, rightLog()...).Check(t.Context(), options)
	if err != nil || report.Uncounted != 2 {
		t.Errorf("uncounted %d, error %v; want 2 sessions", report.Uncounted, err)
	}
}

// TestErrorsKept: of many errors a target must list the newest 32, and may list all.
func TestErrorsKept(t *testing.T) {
	const told = 40
	p := &playback{}
	for seq := range uint32(told) {
		e := event{"a", 1, seq, viewing.Error, Accepted, 0, 1, 0}.entry()
		e.AtMS, e.ErrorCode = viewing.MinAt+viewing.Millis(seq), fmt.Sprint(seq)
		p.entries = append(p.entries, entry{Entry: e})
	}
	listed := func(from, to int) (errors []PlaybackError) {
		for i := from; i < to; i++ {
			errors = append(errors, PlaybackError{time.UnixMilli(int64(p.entries[i].AtMS)), p.entries[i].ErrorCode})
		}
		return errors
	}
	for _, c := range []struct {
		from, to int
		right    bool
	}{{0, told, true}, {told - 32, told, true}, {told - 31, told, false}, {0, 32, false}} {
		if detail := p.errorsWrong(listed(c.from, c.to)); (detail == "") != c.right {
			t.Errorf("errors %d to %d of %d: %q, want right: %v", c.from, c.to, told, detail, c.right)
		}
	}
}
