package viewing

import (
	"bytes"
	"errors"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// plainCold is a cold store in the plainest form. It fails a change that its contract
// does not foresee.
type plainCold struct {
	sessions map[coldID]ColdSession
	fails    error // of everything, if it is not nil
	asked    int   // how many sessions were looked up
}

type coldID struct {
	accountID uint64
	id        SessionID
}

func newPlainCold() *plainCold { return &plainCold{sessions: map[coldID]ColdSession{}} }

func (c *plainCold) Session(accountID uint64, id SessionID) ([]byte, error) {
	c.asked++
	return bytes.Clone(c.sessions[coldID{accountID, id}].Encoded), c.fails
}

func (c *plainCold) History(accountID uint64, profileID uint8, after *Cursor, yield func(ColdKey, []byte) bool) error {
	if c.fails != nil {
		return c.fails
	}
	var found []ColdSession
	for _, s := range c.sessions {
		if s.AccountID == accountID && s.ProfileID == profileID && (after == nil || after.compareNewestFirst(s.Cursor) < 0) {
			found = append(found, s)
		}
	}
	slices.SortFunc(found, func(a, b ColdSession) int { return a.compareNewestFirst(b.Cursor) })
	for _, s := range found {
		lent := bytes.Clone(s.Encoded)
		if !yield(s.ColdKey, lent) {
			return nil
		}
		clear(lent) // it was the store's
	}
	return nil
}

func (c *plainCold) Put(sessions []ColdSession) error {
	if c.fails != nil {
		return c.fails
	}
	for _, s := range sessions {
		id := coldID{s.AccountID, s.SessionID}
		if _, known := c.sessions[id]; known {
			return errors.New("put what is there")
		}
		s.Encoded = bytes.Clone(s.Encoded)
		c.sessions[id] = s
	}
	return nil
}

func (c *plainCold) Remove(key ColdKey) error {
	if c.fails != nil {
		return c.fails
	}
	id := coldID{key.AccountID, key.SessionID}
	if c.sessions[id].ColdKey != key {
		return errors.New("removed what is not there")
	}
	delete(c.sessions, id)
	return nil
}

// world is a state whose sessions leave, one whose sessions stay, and the plain rules.
type world struct {
	state, warm *State
	cold        *plainCold
	plain       *plainState
	now         Millis
	capture     *capturedWorld // nil: no snapshot is under way
}

// capturedWorld is a snapshot under way, and what it has to be.
type capturedWorld struct {
	snapshot *Snapshot
	encoded  []byte
	cold     *plainCold // the store as it was
	answers  map[string]any
	digest   [32]byte
	now      Millis
	since    []func(changed) any // what was done since
}

func newWorld(rules Rules) *world {
	w := &world{state: NewState(rules), warm: NewState(rules), plain: newPlainState(rules), cold: newPlainCold(), now: serverClock}
	w.state.SetCold(w.cold)
	return w
}

func (w *world) change(t *rapid.T) {
	w.now += Millis(rapid.SampledFrom([]int{0, 1, 1000, 29_999, 40_000}).Draw(t, "wait"))
	did, do := drawChange(t, w.now)
	want := do(w.plain)
	if diff := difference(want, do(w.state)); diff != "" {
		t.Fatalf("%s (-plain +state):\n%s", did, diff)
	}
	do(w.warm)
	if w.capture != nil {
		w.capture.since = append(w.capture.since, do)
	}
	w.compare(t, did)
}

func (w *world) compare(t *rapid.T, after string) {
	if err := w.state.Err(); err != nil {
		t.Fatalf("after %s: %v", after, err)
	}
	if w.state.Digest() != w.warm.Digest() {
		t.Fatalf("after %s the digest is another than that of a state that kept all", after)
	}
	if sum := w.state.sumDigest() + w.state.left.digest; sum != w.state.digest {
		t.Fatalf("after %s the digest is %x, that of the records here and there %x", after, w.state.digest, sum)
	}
	size := w.state.Size()
	if size.Sessions+size.Cold != w.warm.Size().Sessions || len(w.cold.sessions) != size.Cold {
		t.Fatalf("after %s: %+v of %d sessions, and %d in the store", after, size, w.warm.Size().Sessions, len(w.cold.sessions))
	}
}

func (w *world) evict(t *rapid.T) {
	keep := Keep{
		ForMS: rapid.SampledFrom([]int64{0, 0, 0, 60_000}).Draw(t, "keep for"),
		Views: rapid.SampledFrom([]int{0, 0, 0, 1, 3}).Draw(t, "keep views"),
	}
	before := w.state.Size()
	evicted, _, err := w.state.Evict(w.now, keep, rapid.SampledFrom([]int{1, 7, 100}).Draw(t, "pieces"))
	if err != nil {
		t.Fatalf("evict: %v", err)
	}
	if after := w.state.Size(); before.Sessions-evicted != after.Sessions || before.Cold+evicted != after.Cold {
		t.Fatalf("%d left, before %+v, after %+v", evicted, before, after)
	}
	w.compare(t, "leaving")
}

// snap takes a snapshot a step further.
func (w *world) snap(t *rapid.T) {
	c := w.capture
	switch {
	case c == nil:
		w.capture = &capturedWorld{
			snapshot: w.state.Capture(), cold: &plainCold{sessions: maps.Clone(w.cold.sessions)},
			digest: w.state.Digest(), answers: answers(w.plain, w.now), now: w.now,
		}
	case rapid.Bool().Draw(t, "another piece"):
		c.encoded, _ = c.snapshot.Append(c.encoded)
	default:
		for more := true; more; {
			c.encoded, more = c.snapshot.Append(c.encoded)
		}
		c.snapshot.Release()
		w.capture = nil
		w.restore(t, c)
	}
}

// restore reads a snapshot, and plays what was done since: the state goes on from
// there, as after a restart, or as it was.
func (w *world) restore(t *rapid.T, c *capturedWorld) {
	restored, err := ReadState(bytes.NewReader(c.encoded))
	if err != nil {
		t.Fatal(err)
	}
	restored.SetCold(c.cold)
	if diff := difference(c.answers, answers(sure{restored}, c.now)); diff != "" {
		t.Fatalf("restored (-plain +restored):\n%s", diff)
	}
	if restored.Digest() != c.digest {
		t.Fatal("the restored state has another digest")
	}
	if rapid.Bool().Draw(t, "restarts") {
		w.state, w.cold = restored, c.cold
		for _, do := range c.since {
			do(restored)
		}
		w.compare(t, "a restart")
	}
}

// wholeCells checks that each cell is a session's or free.
func (w *world) wholeCells(t *rapid.T) {
	used := uint32(0)
	for ref := uint32(1); ref <= w.state.sessions.length; ref++ {
		if r := w.state.sessions.at(ref); r.has(inCells) {
			for at := r.cells(); at != 0; at = w.state.cells.at(at).next {
				used++
			}
		}
	}
	for at := w.state.cells.free; at != 0; at = w.state.cells.at(at).next {
		used++
	}
	if used != w.state.cells.length {
		t.Fatalf("%d cells of %d are in use or free", used, w.state.cells.length)
	}
}

// TestWhatLeftMemoryIsNotMissed: sessions leave at any moment, also while a snapshot is
// taken, and nobody can tell: not by an answer, a page of a history, a digest, or what a
// restart from the snapshot and its copy of the store leads to.
func TestWhatLeftMemoryIsNotMissed(t *testing.T) {
	evicted, revived := uint64(0), uint64(0)
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(Rules{LeaseMS: 30_000, DefaultStreams: 2})
		steps := rapid.IntRange(10, 60).Draw(t, "steps")
		for step := range steps {
			switch rapid.IntRange(0, 5).Draw(t, "what") {
			default:
				w.change(t)
			case 3, 4:
				w.evict(t)
			case 5:
				w.snap(t)
			}
			if step%16 != 15 && step != steps-1 {
				continue
			}
			if diff := difference(answers(w.plain, w.now), answers(sure{w.state}, w.now)); diff != "" {
				t.Fatalf("(-plain +state):\n%s", diff)
			}
		}
		w.wholeCells(t)
		evicted, revived = evicted+w.state.left.evicted, revived+w.state.left.revived
	})
	if !t.Failed() && (evicted < 100 || revived < 20) {
		t.Errorf("%d sessions left, %d came back: too few to show anything", evicted, revived)
	}
}

// keepTo evicts in pieces until a walk has ended.
func keepTo(t testing.TB, state *State, now Millis, keep Keep, steps int, between func()) {
	t.Helper()
	for {
		_, done, err := state.Evict(now, keep, steps)
		if err != nil {
			t.Fatal(err)
		}
		if done {
			return
		}
		between()
	}
}

func (s *State) inMemory(accountID uint64, id SessionID) bool {
	return s.findSession(accountID, &id) != 0
}

func (s *State) holds(accountID uint64, id SessionID) bool {
	ref := s.findSession(accountID, &id)
	return ref != 0 && s.sessions.at(ref).has(holdsStream)
}

// TestKeep: what stays is what holds a stream, what was heard from lately, and the newest
// views of each profile, in whatever pieces the walk is made.
func TestKeep(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(Rules{LeaseMS: 30_000, DefaultStreams: 2})
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			w.change(t)
		}
		keep := Keep{ForMS: rapid.Int64Range(0, 300_000).Draw(t, "for"), Views: rapid.IntRange(0, 4).Draw(t, "views")}
		want := map[coldID]bool{}
		for accountID, account := range w.plain.accounts {
			over := map[uint8][]*plainSession{}
			for id, session := range account.sessions {
				switch {
				case w.state.holds(accountID, id): // an expired stream is taken when another is asked for, by the model sooner
					want[coldID{accountID, id}] = true
					continue
				case session.lastSeen+Millis(keep.ForMS) > w.now:
					want[coldID{accountID, id}] = true
				}
				over[session.ProfileID] = append(over[session.ProfileID], session)
			}
			for _, sessions := range over {
				slices.SortFunc(sessions, func(a, b *plainSession) int {
					return Cursor{a.StartedAt, a.ID}.compareNewestFirst(Cursor{b.StartedAt, b.ID})
				})
				for _, session := range sessions[:min(keep.Views, len(sessions))] {
					want[coldID{accountID, session.ID}] = true
				}
			}
		}
		for done := false; !done; {
			var err error
			if _, done, err = w.state.Evict(w.now, keep, rapid.IntRange(1, 20).Draw(t, "piece")); err != nil {
				t.Fatal(err)
			}
		}
		for accountID, account := range w.plain.accounts {
			for id := range account.sessions {
				if got := w.state.inMemory(accountID, id); got != want[coldID{accountID, id}] {
					t.Fatalf("%+v: session %v of account %d in memory: %v", keep, id, accountID, got)
				}
			}
		}
	})
}

// TestWalkIsDisturbed moves the very session that the walk would come by next, between
// any two of its pieces, so that it comes by others twice or by one with a stream.
func TestWalkIsDisturbed(t *testing.T) {
	const sessions = 7
	for views := range 4 {
		for pause := 1; pause <= sessions+2; pause++ {
			for _, stops := range []bool{true, false} {
				state, cold := NewState(room), newPlainCold()
				state.SetCold(cold)
				observe := func(now Millis, n, seq int, kind EventType) {
					e := Event{
						SessionID: SessionID{15: byte(n)}, Seq: uint32(seq), Type: kind, At: serverClock + Millis(n*pause%sessions),
						AccountID: 1, ProfileID: 1, DeviceID: uint64(n), DeviceType: "tv", TitleID: 1,
					}
					if got := state.Observe(now, &e); got.Status != Accepted {
						t.Fatal(got)
					}
				}
				for n := 1; n <= sessions; n++ {
					observe(serverClock, n, 0, Start)
					observe(serverClock, n, 1, Stop)
				}
				now := serverClock + 1000
				if _, done, err := state.Evict(now, Keep{Views: views}, pause); done || err != nil {
					t.Fatal(done, err)
				}
				moved := state.left.walk.next
				if moved == 0 {
					continue
				}
				n := int(state.sessions.at(moved).id[15])
				observe(now, n, 2, Resume)
				if stops {
					observe(now, n, 3, Stop)
				}
				keepTo(t, state, now, Keep{Views: views}, 1000, func() {})
				if err := state.Err(); err != nil || state.Size().Sessions+len(cold.sessions) != sessions {
					t.Fatalf("%d views, pause after %d: %+v, %d in the store, %v", views, pause, state.Size(), len(cold.sessions), err)
				}
				if !stops && !state.inMemory(1, SessionID{15: byte(n)}) {
					t.Errorf("%d views, pause after %d: a session with a stream has left", views, pause)
				}
			}
		}
	}
}
