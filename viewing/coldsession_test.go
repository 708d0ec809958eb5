package viewing

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// goldenCold are the sessions of the golden state that leave memory, a line each: the
// key, and what the store keeps.
func goldenCold(t *testing.T) (lines []string) {
	t.Helper()
	state, cold := goldenState(), newPlainCold()
	state.SetCold(cold)
	keepTo(t, state, serverClock+300_000, Keep{}, 100, func() {})
	for _, s := range cold.sessions {
		lines = append(lines, fmt.Sprintf("%d %d %d %v %x\n", s.AccountID, s.ProfileID, s.StartedAt, s.SessionID, s.Encoded))
	}
	slices.Sort(lines)
	return lines
}

// TestGoldenColdSessions: what the cold store was given is what it is given now, and is
// read whole.
func TestGoldenColdSessions(t *testing.T) {
	const file = "testdata/cold.v1"
	lines := goldenCold(t)
	if *rewriteGolden {
		if err := os.WriteFile(file, []byte(strings.Join(lines, "")), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), strings.Join(lines, "")); diff != "" {
		t.Errorf("this version writes otherwise: take the next version's number (-golden +now):\n%s", diff)
	}
	if len(lines) < 4 {
		t.Errorf("%d sessions show little", len(lines))
	}
	for _, line := range lines {
		encoded, err := hex.DecodeString(strings.Fields(line)[4])
		if err != nil {
			t.Fatal(err)
		}
		var c coldSession
		if err := c.decode(1, SessionID{1}, encoded); err != nil {
			t.Error(err)
		}
		for size := range encoded {
			if err := c.decode(1, SessionID{1}, encoded[:size]); err == nil {
				t.Fatalf("%d of %d bytes were taken for a whole session", size, len(encoded))
			}
		}
	}
}

func FuzzColdSession(f *testing.F) {
	file, err := os.ReadFile("testdata/cold.v1")
	if err != nil {
		f.Fatal(err)
	}
	for line := range strings.Lines(string(file)) {
		encoded, err := hex.DecodeString(strings.Fields(line)[4])
		if err != nil {
			f.Fatal(err)
		}
		f.Add(encoded)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var c, again coldSession
		if c.decode(1, SessionID{1}, b) != nil {
			return
		}
		encoded := appendCold(nil, &c.sessionRecord, &c.details)
		if err := again.decode(1, SessionID{1}, encoded); err != nil {
			t.Fatalf("%x is read, and not read again: %v", b, err)
		}
		if !bytes.Equal(appendCold(nil, &again.sessionRecord, &again.details), encoded) {
			t.Fatalf("%x is read as something else when it is written again", b)
		}
	})
}

// TestColdSessionAtItsBounds: the largest values of every field come back.
func TestColdSessionAtItsBounds(t *testing.T) {
	text := strings.Repeat("~", MaxTextBytes)
	state, cold := NewState(room), newPlainCold()
	state.SetCold(cold)
	e := Event{
		SessionID: SessionID{15: 255}, Seq: MaxSeq, Type: Error, AccountID: MaxAccountID, ProfileID: MaxProfileID, DeviceID: MaxDeviceID,
		TitleID: MaxTitleID, At: MaxAt, RuntimeMS: MaxMediaMS, PositionMS: MaxMediaMS, PlayedMS: MaxMediaMS, RebufferMS: MaxMediaMS,
		DeviceType: text, Country: text, ErrorCode: text, Offline: true,
	}
	for n := range MaxBitrates {
		e.BitrateMS = append(e.BitrateMS, Bitrate{fmt.Sprintf("%s%02d", text[2:], n), MaxMediaMS})
	}
	first := e
	first.Seq, first.At = 0, MinAt
	for _, e := range []Event{e, first} {
		if err := e.Validate(); err != nil {
			t.Fatal(err)
		}
		state.Observe(MaxAt, &e)
	}
	report := func() Report {
		report, _ := sure{state}.Session(MaxAt, MaxAccountID, e.SessionID)
		return report
	}
	want, digest := report(), state.Digest()
	keepTo(t, state, MaxAt, Keep{}, 100, func() {})
	if state.Size().Sessions != 0 {
		t.Fatal("it is still in memory")
	}
	if diff := cmp.Diff(want, report()); diff != "" {
		t.Errorf("from the store (-before +after):\n%s", diff)
	}
	if got := state.Observe(MaxAt, &e); got.Status != Duplicate {
		t.Errorf("again: %v", got)
	}
	if diff := cmp.Diff(want, report()); diff != "" || state.Digest() != digest || state.sumDigest() != state.digest {
		t.Errorf("back in memory (-before +after):\n%s", diff)
	}
}

// TestColdStoreFails: readers are told, a change remembers it, and what was to leave stays.
func TestColdStoreFails(t *testing.T) {
	state, cold := goldenState(), newPlainCold()
	state.SetCold(cold)
	now := serverClock + 300_000
	cold.fails = errors.New("the disk is gone")
	before := state.Size()
	if _, _, err := state.Evict(now, Keep{}, 100); !errors.Is(err, cold.fails) || state.Size() != before {
		t.Fatalf("%v, %+v", err, state.Size())
	}
	cold.fails = nil
	keepTo(t, state, now, Keep{}, 100, func() {})
	var gone ColdKey
	for _, s := range cold.sessions {
		if s.AccountID == 1 {
			gone = s.ColdKey
		}
	}
	encoded := state.AppendBinary(nil)
	lost, err := ReadState(bytes.NewReader(encoded)) // and nobody gives it its store
	if err != nil {
		t.Fatal(err)
	}
	cold.fails = errors.New("the disk is gone")
	for _, s := range []*State{state, lost} {
		wants := cold.fails
		if s == lost {
			wants = errNoCold
		}
		if _, _, err := s.Session(now, gone.AccountID, gone.SessionID); !errors.Is(err, wants) {
			t.Errorf("session: %v", err)
		}
		if _, _, err := s.History(now, gone.AccountID, gone.ProfileID, nil, 10); !errors.Is(err, wants) {
			t.Errorf("history: %v", err)
		}
		if err := s.Err(); err != nil {
			t.Errorf("reading changed it: %v", err)
		}
		e := Event{SessionID: gone.SessionID, AccountID: gone.AccountID, ProfileID: gone.ProfileID, DeviceID: 1, TitleID: 1}
		s.Observe(now, &e)
		if err := s.Err(); !errors.Is(err, wants) || !strings.Contains(err.Error(), gone.SessionID.String()) {
			t.Errorf("a change: %v", err)
		}
	}
	fails := 0
	for profile := uint8(1); profile <= 2; profile++ {
		if _, err := state.ContinueWatching(now, 1, profile, 10); errors.Is(err, cold.fails) {
			fails++
		}
	}
	if fails == 0 {
		t.Error("continue-watching was not told")
	}

	damaged := newPlainCold()
	for id, s := range cold.sessions {
		s.Encoded = s.Encoded[:len(s.Encoded)-1]
		damaged.sessions[id] = s
	}
	lost, err = ReadState(bytes.NewReader(encoded))
	if err != nil {
		t.Fatal(err)
	}
	lost.SetCold(damaged)
	if _, _, err := lost.Session(now, gone.AccountID, gone.SessionID); !errors.Is(err, errColdSession) {
		t.Errorf("a damaged session: %v", err)
	}
	if _, _, err := lost.History(now, gone.AccountID, gone.ProfileID, nil, 10); !errors.Is(err, errColdSession) {
		t.Errorf("a damaged history: %v", err)
	}
}

// TestColdSessionElsewhere: what is kept under another profile or beginning than its
// own does not pass for a view of theirs.
func TestColdSessionElsewhere(t *testing.T) {
	for name, move := range map[string]func(key *ColdKey){
		"nowhere else":    func(*ColdKey) {},
		"another profile": func(key *ColdKey) { key.ProfileID = 3 - key.ProfileID },
		"another time":    func(key *ColdKey) { key.StartedAt++ },
	} {
		state, cold := goldenState(), newPlainCold()
		state.SetCold(cold)
		now := serverClock + 300_000
		keepTo(t, state, now, Keep{}, 100, func() {})
		for id, s := range cold.sessions {
			move(&s.ColdKey)
			cold.sessions[id] = s
		}
		told := 0
		for profile := uint8(1); profile <= 2; profile++ {
			if _, _, err := state.History(now, 1, profile, nil, 10); errors.Is(err, errColdPlace) {
				told++
			} else if err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if moved := name != "nowhere else"; moved != (told > 0) {
			t.Errorf("%s: %d of two histories are refused", name, told)
		}
	}
}

// TestFailedEvictionIsTriedAgain: what could not leave is the first to be tried again, by
// a walk of one piece or of many.
func TestFailedEvictionIsTriedAgain(t *testing.T) {
	const accounts = 50
	for _, steps := range []int{1, 30, 1000} {
		state, cold := NewState(room), newPlainCold()
		state.SetCold(cold)
		for n := range accounts {
			e := Event{
				SessionID: SessionID{15: byte(n)}, Type: Start, At: serverClock, Offline: true,
				AccountID: uint64(n + 1), ProfileID: 1, DeviceID: 1, DeviceType: "tv", TitleID: 1,
			}
			if got := state.Observe(serverClock, &e); got.Status != Accepted {
				t.Fatal(got)
			}
		}
		evict := func() (int, bool, error) { return state.Evict(serverClock+1000, Keep{}, steps) }
		cold.fails = errors.New("the disk is full")
		failed := 0
		for range 10 {
			evicted, done, err := evict()
			if errors.Is(err, cold.fails) {
				failed++
			}
			if evicted > 0 || done {
				t.Fatalf("%d steps: %d left, done %v, %v", steps, evicted, done, err)
			}
		}
		if failed < 3 {
			t.Errorf("%d steps: %d attempts of 10 failed", steps, failed)
		}
		cold.fails = nil
		keepTo(t, state, serverClock+1000, Keep{}, steps, func() {})
		if got := state.Size(); got.Sessions != 0 || got.Cold != accounts {
			t.Errorf("%d steps: after one walk %+v", steps, got)
		}
	}
}

// TestWhatIsInMemoryAsksNoDisk: events of sessions in memory, and those of accounts that
// nobody has heard of, cost no look at the store; an unknown session of a known account
// costs one.
func TestWhatIsInMemoryAsksNoDisk(t *testing.T) {
	state, cold := NewState(room), newPlainCold()
	state.SetCold(cold)
	var e Event
	observe := func(now Millis, n int, seq uint32) {
		benchEvent(&e, n, seq)
		e.Offline = seq == 0
		if got := state.Observe(now, &e); got.Status != Accepted {
			t.Fatal(got)
		}
	}
	for n := range 100 {
		observe(serverClock, n, 0)
	}
	keepTo(t, state, serverClock+1000, Keep{ForMS: 1}, 1000, func() {})
	observe(serverClock+1000, 1_000_000, 0)
	if cold.asked != 0 || len(cold.sessions) != 100 {
		t.Fatalf("%d looked up, %d in the store", cold.asked, len(cold.sessions))
	}
	observe(serverClock+1000, 7, 1)
	if cold.asked != 1 || len(cold.sessions) != 99 {
		t.Fatalf("one came back: %d looked up, %d in the store", cold.asked, len(cold.sessions))
	}
	for seq := uint32(2); seq < 10; seq++ {
		observe(serverClock+1000, 7, seq)
	}
	if cold.asked != 1 {
		t.Errorf("%d looked up", cold.asked)
	}
}

// TestMemoryIsFlat plays rounds of the same population, a day apart each: what is in
// memory after each, and what the heap holds, does not grow once there is a history.
func TestMemoryIsFlat(t *testing.T) {
	const (
		accounts = 1000
		perRound = 10 * accounts
		rounds   = 12
		warm     = 4 // rounds until each profile has the views that it keeps
		day      = Millis(86_400_000)
	)
	keep := Keep{ForMS: int64(day), Views: 20}
	state, cold := NewState(room), &countingCold{}
	state.SetCold(cold)
	var e Event
	var sessions, heap [rounds]int
	for round := range rounds {
		now := serverClock + Millis(round)*day
		for n := range perRound {
			benchEvent(&e, round*perRound+n, 0)
			e.AccountID, e.ProfileID, e.TitleID, e.At, e.DeviceID = uint64(1+n%accounts), 1, uint32(1+n%50), now, uint64(n)+1
			state.Observe(now, &e)
			e.Seq, e.Type = 1, Stop
			if got := state.Observe(now, &e); got.Status != Accepted {
				t.Fatal(got)
			}
		}
		keepTo(t, state, now, keep, 500, func() {})
		size := state.Size()
		sessions[round], heap[round] = size.Sessions, heapBytes()
		if size.Sessions+size.Cold != (round+1)*perRound || cold.count != size.Cold {
			t.Fatalf("round %d: %+v, %d in the store", round, size, cold.count)
		}
	}
	t.Logf("sessions in memory %v, heap %v bytes; %d views on the disk, %d bytes each", sessions, heap, cold.count, cold.bytes/cold.count)
	for round := warm; round < rounds; round++ {
		if sessions[round] != sessions[warm] {
			t.Errorf("round %d: %d sessions in memory, before %d", round, sessions[round], sessions[warm])
		}
		if grew := heap[round] - heap[warm]; float64(grew) > 0.05*float64(heap[warm]) {
			t.Errorf("round %d: the heap grew from %d by %d bytes", round, heap[warm], grew)
		}
	}
	if want := accounts * 20; sessions[warm] != want {
		t.Errorf("%d sessions in memory, want the newest 20 of each profile: %d", sessions[warm], want)
	}
	runtime.KeepAlive(state)
}

func heapBytes() int {
	var stats runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&stats)
	return int(min(stats.HeapAlloc, math.MaxInt))
}

// countingCold keeps nothing: sessions that never come back.
type countingCold struct{ count, bytes int }

func (c *countingCold) Put(sessions []ColdSession) error {
	c.count += len(sessions)
	for _, s := range sessions {
		c.bytes += len(s.Encoded)
	}
	return nil
}

func (*countingCold) Session(uint64, SessionID) ([]byte, error) { return nil, nil }
func (*countingCold) Remove(ColdKey) error                      { return errors.New("nothing is here") }
func (*countingCold) History(uint64, uint8, *Cursor, func(ColdKey, []byte) bool) error {
	return nil
}
