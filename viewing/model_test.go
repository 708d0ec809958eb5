package viewing

import (
	"bytes"
	"fmt"
	"math"
	"testing"

	"pgregory.net/rapid"
)

// drawEvent draws from few accounts, sessions, devices and titles, so that they meet.
func drawEvent(t *rapid.T, now Millis) Event {
	e := Event{
		SessionID: SessionID{15: byte(rapid.IntRange(1, 9).Draw(t, "session"))},
		Type:      rapid.SampledFrom(EventTypes[:]).Draw(t, "type"),
		Seq:       rapid.Uint32Range(0, 12).Draw(t, "seq"),
		AccountID: rapid.Uint64Range(1, 2).Draw(t, "account"),
		ProfileID: 1, DeviceID: 1, TitleID: 1,
		At:         now + Millis(rapid.IntRange(-20_000, 20_000).Draw(t, "at")),
		PositionMS: int64(rapid.SampledFrom([]int{0, 1, 4000, 9_500, MaxMediaMS}).Draw(t, "position")),
		PlayedMS:   rapid.Int64Range(0, MaxMediaMS).Draw(t, "played"),
		RuntimeMS:  rapid.SampledFrom([]int64{0, 5000, 10_000, MaxMediaMS}).Draw(t, "runtime"),
		RebufferMS: rapid.Int64Range(0, 3).Draw(t, "rebuffer"),
		DeviceType: rapid.SampledFrom([]string{"tv", "phone", "a"}).Draw(t, "device type"),
		Country:    rapid.SampledFrom([]string{"", "US", "DE"}).Draw(t, "country"),
		Offline:    rapid.IntRange(0, 9).Draw(t, "offline") == 0,
		ResumePos:  false,
	}
	// Mostly, but not always, a session has an identity of its own.
	who := uint32(e.SessionID[15])
	if rapid.IntRange(0, 19).Draw(t, "stranger") == 0 {
		who = 7
	}
	e.ProfileID, e.DeviceID, e.TitleID = uint8(1+who%2), uint64(1+who%4), 1+who%3
	if e.Type == Start {
		e.ResumePos = rapid.Bool().Draw(t, "resume")
	}
	if e.Type == Error || rapid.IntRange(0, 9).Draw(t, "fails") == 0 {
		e.ErrorCode = rapid.SampledFrom([]string{"", "DRM-1", "NW-2"}).Draw(t, "code")
	}
	for _, rung := range []string{"1000", "3000", "5800"} {
		if rapid.Bool().Draw(t, "rung") {
			e.BitrateMS = append(e.BitrateMS, Bitrate{rung, rapid.Int64Range(0, MaxMediaMS).Draw(t, "at a rung")})
		}
	}
	return e
}

// asked is everything that can be asked of a state, but for denials' reasons.
type asked interface {
	Active(Millis, uint64) (int, []ActiveStream)
	Session(Millis, uint64, SessionID) (Report, bool)
	Position(uint64, uint8, uint32) (Position, bool)
	History(Millis, uint64, uint8, *Cursor, int) ([]View, *Cursor)
	ContinueWatching(Millis, uint64, uint8, int) []View
}

func answers(s asked, now Millis) map[string]any {
	all := map[string]any{}
	put := func(value any, format string, args ...any) { all[fmt.Sprintf(format, args...)] = value }
	for account := uint64(1); account <= 3; account++ {
		limit, active := s.Active(now, account)
		put(limit, "limit of %d", account)
		put(active, "active of %d", account)
		for id := byte(1); id <= 9; id++ {
			report, ok := s.Session(now, account, SessionID{15: id})
			put(report, "session %d of %d, %v", id, account, ok)
		}
		for profile := uint8(1); profile <= 2; profile++ {
			for title := uint32(1); title <= 3; title++ {
				position, ok := s.Position(account, profile, title)
				put(position, "position %d/%d/%d, %v", account, profile, title, ok)
			}
			page, next := s.History(now, account, profile, nil, 2)
			put(page, "history %d/%d", account, profile)
			if next != nil {
				page, next = s.History(now, account, profile, next, 3)
				put(page, "history %d/%d, second page", account, profile)
			}
			put(next == nil, "history %d/%d ends", account, profile)
			put(s.ContinueWatching(now, account, profile, 2), "continue-watching %d/%d", account, profile)
		}
	}
	return all
}

// changed is everything that changes a state.
type changed interface {
	SetMaxStreams(uint64, int)
	Hide(Millis, uint64, uint8, uint32)
	Start(Millis, *Event) Admission
	Observe(Millis, *Event) Outcome
}

// drawChange draws something to be done to a state, as often as one likes.
func drawChange(t *rapid.T, now Millis) (what string, do func(changed) (answer any)) {
	account := rapid.Uint64Range(1, 2).Draw(t, "of account")
	switch rapid.IntRange(0, 11).Draw(t, "step") {
	case 0:
		limit := rapid.IntRange(1, 3).Draw(t, "limit")
		return "limit", func(s changed) any { s.SetMaxStreams(account, limit); return nil }
	case 1:
		profile, title := uint8(rapid.IntRange(1, 2).Draw(t, "hides")), rapid.Uint32Range(1, 3).Draw(t, "hidden")
		return "hide", func(s changed) any { s.Hide(now, account, profile, title); return nil }
	case 2, 3:
		e := drawEvent(t, now)
		e.Type, e.Offline = Start, false
		return fmt.Sprintf("ask %+v", e), func(s changed) any { e := e; return s.Start(now, &e) }
	}
	e := drawEvent(t, now)
	return fmt.Sprintf("observe %+v", e), func(s changed) any { e := e; return s.Observe(now, &e) }
}

func drawStep(t *rapid.T, now Millis, state *State, plain *plainState) (did string, got, want any) {
	did, do := drawChange(t, now)
	return did, do(state), do(plain)
}

// TestStateAgreesWithThePlainRules plays random events, starts, plans and hidings
// against both forms of the rules: every answer, and everything that can be asked
// afterwards, is the same, and so is it of the state that a snapshot restores.
func TestStateAgreesWithThePlainRules(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rules := Rules{LeaseMS: 30_000, DefaultStreams: 2}
		state, plain := NewState(rules), newPlainState(rules)
		now := serverClock
		steps := rapid.IntRange(1, 40).Draw(t, "steps")
		for step := range steps {
			now += Millis(rapid.SampledFrom([]int{0, 1, 1000, 29_999, 40_000}).Draw(t, "wait"))
			did, got, want := drawStep(t, now, state, plain)
			if diff := difference(want, got); diff != "" {
				t.Fatalf("%s (-plain +state):\n%s", did, diff)
			}
			if step%8 != 0 && step != steps-1 { // to ask everything after each step is slow
				continue
			}
			if diff := difference(answers(plain, now), answers(sure{state}, now)); diff != "" {
				t.Fatalf("after %s (-plain +state):\n%s", did, diff)
			}
		}
		restored, err := ReadState(bytes.NewReader(state.AppendBinary(nil)))
		if err != nil {
			t.Fatal(err)
		}
		if diff := difference(answers(sure{state}, now), answers(sure{restored}, now)); diff != "" {
			t.Fatalf("restored (-state +restored):\n%s", diff)
		}
		if state.Digest() != restored.Digest() {
			t.Fatal("the restored state has another digest")
		}
	})
}

// TestDigestIsThatOfWhatIsThere: kept up to date by each change, it is what a walk
// over all records adds up to.
func TestDigestIsThatOfWhatIsThere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		state, plain := NewState(room), newPlainState(room)
		now := serverClock
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			now += Millis(rapid.IntRange(0, 60_000).Draw(t, "wait"))
			before := state.Digest()
			did, outcome, _ := drawStep(t, now, state, plain)
			if outcome == (Outcome{Status: Accepted}) && state.Digest() == before {
				t.Fatalf("%s changed nothing of the digest", did)
			}
		}
		if sum := state.sumDigest(); sum != state.digest {
			t.Fatalf("the digest is %x, the records' %x", state.digest, sum)
		}
	})
}

func (s *State) sumDigest() (sum digest) {
	for ref := uint32(1); ref <= s.accounts.length; ref++ {
		sum += hashAccount(s.accounts.at(ref))
	}
	for ref := uint32(1); ref <= s.sessions.length; ref++ {
		if r := s.sessions.at(ref); r.account != 0 {
			sum += s.hashSession(r)
		}
	}
	for ref := uint32(1); ref <= s.positions.length; ref++ {
		sum += s.hashPosition(s.positions.at(ref))
	}
	for ref := uint32(1); ref <= s.hides.length; ref++ {
		sum += s.hashHide(s.hides.at(ref))
	}
	return sum
}

// TestSnapshotIsOfItsMoment: whatever changes between two of its pieces, a snapshot is
// the state as it was when it began.
func TestSnapshotIsOfItsMoment(t *testing.T) {
	state := NewState(room)
	observe := func(n, seq int) {
		e := Event{
			SessionID: SessionID{0: 1, 12: byte(n >> 16), 13: byte(n >> 8), 14: byte(n)}, Seq: uint32(seq), Type: Keepalive,
			At: serverClock + Millis(seq), AccountID: uint64(1 + n/2), ProfileID: 1, DeviceID: uint64(n + 1), DeviceType: "tv",
			TitleID: uint32(n%5 + 1), PositionMS: int64(seq) * 1000,
			BitrateMS: []Bitrate{{"3000", int64(seq) * 1000}},
		}
		if got := state.Observe(serverClock, &e); got.Status == Rejected {
			t.Fatal(got)
		}
	}
	const sessions = 5000
	for n := range sessions {
		observe(n, 0)
	}
	state.Hide(serverClock, 1, 1, 1)
	want, size := state.Digest(), state.Size()

	snapshot := state.Capture()
	var encoded []byte
	seq := 0
	for more := true; more; {
		seq++
		for n := range sessions / 7 { // old sessions, new ones, and accounts that nobody knew
			observe((n*7+seq)%sessions, seq)
			observe(sessions*seq+n, 0)
		}
		state.SetMaxStreams(uint64(seq), 3)
		state.Hide(serverClock+1, uint64(seq), 1, 1)
		encoded, more = snapshot.Append(encoded)
	}
	snapshot.Release()
	if seq < 15 {
		t.Fatalf("%d pieces are too few to show anything", seq)
	}
	if state.Digest() == want {
		t.Fatal("nothing changed")
	}
	restored, err := ReadState(bytes.NewReader(encoded))
	if err != nil {
		t.Fatal(err)
	}
	if restored.Digest() != want || restored.Size() != size {
		t.Errorf("restored %+v, captured %+v", restored.Size(), size)
	}
	again, err := ReadState(bytes.NewReader(state.AppendBinary(nil)))
	if err != nil || again.Digest() != state.Digest() {
		t.Errorf("the next snapshot is another state: %v", err)
	}
}

// TestTextsBeyondTheDictionary: a client that makes up texts fills the dictionary, and
// what comes after is kept all the same.
func TestTextsBeyondTheDictionary(t *testing.T) {
	state, plain := NewState(room), newPlainState(room)
	now := serverClock
	for n := range maxTexts + 10 {
		e := Event{
			SessionID: SessionID{15: byte(1 + n%9)}, Seq: uint32(n), Type: Error, ErrorCode: fmt.Sprintf("code %d", n), At: now,
			AccountID: 1, ProfileID: 1, DeviceID: 1, DeviceType: fmt.Sprintf("type %d", n), Country: fmt.Sprintf("country %d", n), TitleID: 1,
			BitrateMS: []Bitrate{{fmt.Sprintf("rung %d", n), int64(n)}},
		}
		again := e
		if got, want := state.Observe(now, &e), plain.Observe(now, &again); got != want {
			t.Fatalf("%d: %v, want %v", n, got, want)
		}
	}
	if len(state.texts.all) != maxTexts {
		t.Errorf("%d texts in the dictionary, want %d", len(state.texts.all), maxTexts)
	}
	if diff := difference(answers(plain, now), answers(sure{state}, now)); diff != "" {
		t.Errorf("(-plain +state):\n%s", diff)
	}
	restored, err := ReadState(bytes.NewReader(state.AppendBinary(nil)))
	if err != nil || restored.Digest() != state.Digest() || restored.sumDigest() != state.digest {
		t.Errorf("restored: %v", err)
	}
}

// TestIndexFindsWhatItHolds compares an index, whose hashes are made to collide, with a
// map through insertions and removals.
func TestIndexFindsWhatItHolds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := newIndex()
		held := map[uint32]uint64{}
		for step := range rapid.IntRange(1, 300).Draw(t, "steps") {
			ref := rapid.Uint32Range(1, 60).Draw(t, "ref")
			if hash, ok := held[ref]; ok {
				x.remove(hash, ref)
				delete(held, ref)
			} else {
				hash := rapid.SampledFrom([]uint64{0, 1, 1 << 31, math.MaxUint32, 7 << 56, 7<<56 | math.MaxUint32}).Draw(t, "hash")
				x.insert(hash, ref)
				held[ref] = hash
			}
			for ref, hash := range held {
				found := false
				for p := x.probe(hash); p.next(); {
					found = found || p.ref == ref
				}
				if !found {
					t.Fatalf("step %d: %d is lost", step, ref)
				}
			}
		}
		for ref, hash := range held {
			x.remove(hash, ref)
		}
		for i := range x.shards {
			for _, slot := range x.shards[i].slots {
				if slot != 0 || x.shards[i].used != 0 {
					t.Fatal("an emptied index holds something")
				}
			}
		}
	})
}

func TestCellsKeepWhatIsWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var c cells
		refs, held := map[int]uint32{}, map[int][]byte{}
		for range rapid.IntRange(1, 100).Draw(t, "steps") {
			key := rapid.IntRange(0, 7).Draw(t, "key")
			b := rapid.SliceOfN(rapid.Byte(), 0, 3*cellBytes).Draw(t, "bytes")
			refs[key] = c.write(refs[key], b)
			held[key] = b
			total := 0
			for key, want := range held {
				got := c.appendTo(nil, refs[key])
				padded := (len(want) + cellBytes - 1) / cellBytes * cellBytes
				if len(got) != padded || !bytes.Equal(got[:len(want)], want) || len(bytes.Trim(got[len(want):], "\x00")) != 0 {
					t.Fatalf("%d: %x, want %x", key, got, want)
				}
				total += padded / cellBytes
			}
			for ref := c.free; ref != 0; ref = c.at(ref).next {
				total++
			}
			if uint32(total) != c.length {
				t.Fatalf("%d cells in use and free, %d there", total, c.length)
			}
		}
	})
}

// TestObserveAllIsObserveOfEach: looking ahead changes nothing.
func TestObserveAllIsObserveOfEach(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		together, one := NewState(room), NewState(room)
		for range rapid.IntRange(1, 4).Draw(t, "batches") {
			var events, again []Event
			for range rapid.IntRange(0, 3*batchEvents).Draw(t, "events") {
				e := drawEvent(t, serverClock)
				events, again = append(events, e), append(again, e)
			}
			var want []Outcome
			for i := range again {
				want = append(want, one.Observe(serverClock, &again[i]))
			}
			if diff := difference(want, together.ObserveAll(serverClock, events, nil)); diff != "" {
				t.Fatalf("(-one by one +together):\n%s", diff)
			}
		}
		if together.Digest() != one.Digest() {
			t.Fatal("another state")
		}
	})
}
