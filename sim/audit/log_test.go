package audit

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http/httptest"
	"runtime"
	"slices"
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

// playAndAdd adds a session of each account to a log, a keepalive a minute after another.
func playAndAdd(log *Log, accounts uint64, keepalives uint32, ends bool) {
	say := func(account uint64, seq uint32, kind viewing.EventType) {
		e := viewing.Event{
			AccountID: account, DeviceID: account, ProfileID: 1, TitleID: 1, Seq: seq, Type: kind, DeviceType: "tv",
			At: viewing.MinAt + viewing.Millis(seq)*60_000, PlayedMS: int64(seq) * 60_000,
		}
		binary.BigEndian.PutUint64(e.SessionID[:], account)
		entry := NewEntry(&e)
		entry.Fate, entry.FirstSentUS = Accepted, int64(seq)*60e6+int64(account)
		entry.LastSentUS, entry.DoneUS = entry.FirstSentUS, entry.FirstSentUS+5000
		log.Add(entry)
	}
	for seq := range keepalives + 1 {
		kind := keepalive
		if seq == 0 {
			kind = start
		}
		for account := range accounts {
			say(account+1, seq, kind)
		}
	}
	if ends {
		for account := range accounts {
			say(account+1, keepalives+1, stop)
		}
	}
}

// minuteLease is the terms of a server to which a device speaks once a minute.
const minuteLease = 150 * time.Second

// TestMemory measures what a log takes for a session, however many keepalives it sends,
// and what Check adds to it while the target is asked.
func TestMemory(t *testing.T) {
	const (
		accounts = 40_000
		checked  = 2000
		asks     = 3 // of one account: session, positions, history
	)
	for _, c := range []struct {
		name       string
		keepalives uint32
		ends       bool
		most       float64
	}{
		{"that plays, after 3 keepalives", 3, false, 270},
		{"that plays, after 30 keepalives", 30, false, 270},
		{"that has ended, after 30 keepalives", 30, true, 335},
	} {
		before := heap()
		log := NewLog()
		log.Fold(minuteLease, testLate)
		playAndAdd(log, accounts, c.keepalives, c.ends)
		perSession := float64(heap()-before) / accounts
		t.Logf("%.1f bytes a session %s", perSession, c.name)
		if perSession > c.most {
			t.Errorf("the log takes %.1f bytes a session %s, want %v at most", perSession, c.name, c.most)
		}
		runtime.KeepAlive(log)
	}
	log := NewLog()
	playAndAdd(log, checked, 50, false)
	logged := heap()
	var asking sync.Mutex // while it is measured all others wait for their answers, and make no garbage
	var asked, checking int64
	server := httptest.NewServer(handlerFunc(func(string, string) string {
		asking.Lock()
		defer asking.Unlock()
		if asked++; asked == checked*asks/2 {
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
	// The accounts being asked about are a hundredth of all here.
	added := float64(checking-logged) / (checked * 51)
	t.Logf("while it is checked %.1f bytes an event more", added)
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

// TestManyPages: a log tells each account's events as they were added, through all of its
// pages, whatever is in them.
func TestManyPages(t *testing.T) {
	const events, accounts = 2*pageLength + 5, 7
	log := NewLog()
	added := map[uint64]map[uint32]Entry{}
	random := rand.New(rand.NewPCG(1, 0))
	for i := range uint32(events) {
		e := strangeEntry(random)
		e.Account, e.Seq = uint64(i%accounts), events-i
		e.Session[0] = byte(e.Account)
		if added[e.Account] == nil {
			added[e.Account] = map[uint32]Entry{}
		}
		added[e.Account][e.Seq] = e
		log.Add(e)
	}
	if log.accounts() != accounts {
		t.Fatalf("%d accounts, want %d", log.accounts(), accounts)
	}
	for number := range uint32(accounts) {
		account, _, told := log.tell(number+1, 0)
		if len(told) != len(added[account]) || !slices.IsSortedFunc(told, inOrder) {
			t.Fatalf("account %d has %d events, want %d by session and seq", account, len(told), len(added[account]))
		}
		for _, e := range told {
			if want := added[account][e.Seq]; e.Entry != want || e.folded != 0 {
				t.Fatalf("told %+v\nwant %+v", e, want)
			}
		}
	}
}

// strangeEntry is an entry whose numbers are small, at their bounds, or beyond what a
// note holds.
func strangeEntry(random *rand.Rand) Entry {
	number := func() int64 {
		return []int64{0, 1, math.MaxUint32, math.MaxUint32 + 1, viewing.MaxMediaMS}[random.IntN(5)]
	}
	text := func() string { return []string{"", "tv", "stall"}[random.IntN(3)] }
	e := Entry{
		Session: viewing.SessionID{0, byte(random.IntN(3))}, Device: uint64(random.IntN(2)), Title: uint32(random.IntN(2)),
		Profile: uint8(random.IntN(6)), Type: viewing.EventTypes[random.IntN(8)], Fate: Fate(random.IntN(5)),
		Resumed: random.IntN(2) == 0, Offline: random.IntN(2) == 0, AtMS: viewing.Millis(number()),
		PositionMS: number(), PlayedMS: number(), RebufferMS: number(), RuntimeMS: number(), Bitrates: random.Uint64(),
		DeviceType: text(), ErrorCode: text(), FirstSentUS: number(),
	}
	if random.IntN(2) == 0 {
		e.PositionMS, e.PlayedMS, e.RebufferMS, e.RuntimeMS = 1, 2, 3, 4 // it fits
	}
	e.LastSentUS, e.DoneUS = e.FirstSentUS+number(), e.FirstSentUS+number()
	return e
}

// TestManyTexts: more device types than there are numbers for are told all the same.
func TestManyTexts(t *testing.T) {
	log := NewLog()
	const types = math.MaxUint16 + 10
	for i := range uint32(types) {
		log.Add(Entry{Account: 1, Device: 1, Seq: i, DeviceType: fmt.Sprint("type ", i)})
	}
	_, _, told := log.tell(1, 0)
	for i, e := range told {
		if want := fmt.Sprint("type ", i); e.DeviceType != want {
			t.Fatalf("device type %q, want %q", e.DeviceType, want)
		}
	}
	if len(told) != types {
		t.Errorf("%d events, want %d", len(told), types)
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
