package viewing

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// room is a limit that no drawn set of sessions reaches, so that what is checked
// here is the folds and not admission.
var room = Rules{LeaseMS: 150_000, DefaultStreams: 100}

// drawSessions draws the events of a few sessions of one account, each session's
// in the order of its seqs and its counters never falling.
func drawSessions(t *rapid.T) []Event {
	var events []Event
	for i := range rapid.IntRange(1, 4).Draw(t, "sessions") {
		id := SessionID{0: byte(i + 1), 15: rapid.Byte().Draw(t, "id")}
		profile := uint8(rapid.IntRange(1, 2).Draw(t, "profile"))
		title := uint32(rapid.IntRange(1, 2).Draw(t, "title"))
		at := Millis(1_700_000_000_000 + rapid.Int64Range(0, 50).Draw(t, "at"))
		var played int64
		offline := rapid.Bool().Draw(t, "offline")
		for seq := range rapid.IntRange(1, 8).Draw(t, "events") {
			at += Millis(rapid.Int64Range(0, 60_000).Draw(t, "gap"))
			played += rapid.Int64Range(0, 60_000).Draw(t, "played")
			kind := EventTypes[rapid.IntRange(1, len(EventTypes)-2).Draw(t, "type")]
			e := Event{
				SessionID: id, Seq: uint32(seq), Type: kind, At: at,
				AccountID: 1, ProfileID: profile, DeviceID: uint64(i + 1), DeviceType: "tv",
				Offline: offline, TitleID: title, RuntimeMS: 3_000_000, PlayedMS: played,
				PositionMS: rapid.Int64Range(0, 3_000_000).Draw(t, "position"),
				BitrateMS:  []Bitrate{{"3000", played / 2}, {"5800", played - played/2}},
			}
			if seq == 0 {
				e.Type = Start
			}
			if e.Type == Error {
				e.ErrorCode = fmt.Sprintf("E%d", seq)
			}
			events = append(events, e)
		}
		if rapid.Bool().Draw(t, "stops") {
			events[len(events)-1].Type, events[len(events)-1].ErrorCode = Stop, ""
		}
	}
	return events
}

// serverClock is later than every drawn at, so that none is taken back.
const serverClock = Millis(1_800_000_000_000)

func observeAll(events []Event) *State {
	state := NewState(room)
	for i := range events {
		e := events[i]
		state.Observe(serverClock, &e)
	}
	return state
}

// facts are the parts of a state that the order of events may not change: the
// summaries, the positions, the histories.
func facts(state *State, events []Event) map[string]any {
	known := map[string]any{}
	for _, e := range events {
		report, _ := sure{state}.Session(serverClock, 1, e.SessionID)
		report.State = "" // who holds a stream depends on the order, and so does when a session ended
		report.EndedAt = 0
		known["session "+e.SessionID.String()] = report
		known[fmt.Sprintf("position %d/%d", e.ProfileID, e.TitleID)], _ = state.Position(1, e.ProfileID, e.TitleID)
	}
	for profile := uint8(1); profile <= 2; profile++ {
		views, _ := sure{state}.History(serverClock, 1, profile, nil, 100)
		for i := range views {
			views[i].EndedAt = 0
		}
		known[fmt.Sprintf("history %d", profile)] = views
	}
	return known
}

func TestAnyOrderAndRepetitionEndsInTheSameFacts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		events := drawSessions(t)
		want := facts(observeAll(events), events)
		again := slices.Concat(events, rapid.SliceOf(rapid.SampledFrom(events)).Draw(t, "repeated"))
		shuffled := rapid.Permutation(again).Draw(t, "order")
		if diff := cmp.Diff(want, facts(observeAll(shuffled), events)); diff != "" {
			t.Fatalf("another order of the same events ended in other facts (-in order +shuffled):\n%s", diff)
		}
	})
}

func TestLossOfOtherThanTheLastEventsLosesNoTotals(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		events := drawSessions(t)
		var heard []Event
		for i, e := range events {
			last := i+1 == len(events) || events[i+1].SessionID != e.SessionID
			if last || rapid.Bool().Draw(t, "heard") {
				heard = append(heard, e)
			}
		}
		whole, lossy := observeAll(events), observeAll(rapid.Permutation(heard).Draw(t, "order"))
		for _, e := range events {
			want, _ := sure{whole}.Session(serverClock, 1, e.SessionID)
			got, _ := sure{lossy}.Session(serverClock, 1, e.SessionID)
			if want.LastSeq != got.LastSeq || want.PlayedMS != got.PlayedMS || want.PositionMS != got.PositionMS ||
				want.RuntimeMS != got.RuntimeMS || want.Completed != got.Completed || !slices.Equal(want.BitrateMS, got.BitrateMS) {
				t.Fatalf("session %v: want %+v, got %+v", e.SessionID, want, got)
			}
			wantPosition, _ := whole.Position(1, e.ProfileID, e.TitleID)
			gotPosition, _ := lossy.Position(1, e.ProfileID, e.TitleID)
			if wantPosition != gotPosition {
				t.Fatalf("profile %d title %d: want %+v, got %+v", e.ProfileID, e.TitleID, wantPosition, gotPosition)
			}
		}
	})
}

// TestAdmissionKeepsTheLimit plays random devices against random limits and
// compares with the plainest possible account of who holds a stream.
func TestAdmissionKeepsTheLimit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.IntRange(1, 3).Draw(t, "limit")
		state := NewState(Rules{LeaseMS: 150_000, DefaultStreams: limit})
		now := serverClock
		type held struct {
			device uint64
			until  Millis
		}
		holding := map[SessionID]held{}
		seqs := map[SessionID]uint32{}
		asked := map[SessionID]bool{} // admitted once, or denied and kept all the same
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			now += Millis(rapid.Int64Range(0, 70_000).Draw(t, "wait"))
			for id, h := range holding {
				if h.until <= now {
					delete(holding, id)
				}
			}
			n := rapid.IntRange(0, 7).Draw(t, "session")
			id, device := SessionID{0: byte(n + 1)}, uint64(n/2+1)
			e := Event{SessionID: id, Seq: seqs[id], AccountID: 1, ProfileID: 1, DeviceID: device, DeviceType: "tv", TitleID: uint32(n + 1), At: now}
			e.Type = rapid.SampledFrom([]EventType{Start, Keepalive, Keepalive, Stop}).Draw(t, "type")
			seqs[id]++
			outcome := state.Observe(now, &e)
			others, sameDevice := 0, false
			for other, h := range holding {
				if h.device != device {
					others++
				} else if other != id {
					sameDevice = true
				}
			}
			_, holds := holding[id]
			switch {
			case e.Type == Stop:
				delete(holding, id)
				if outcome.Status != Accepted {
					t.Fatalf("stop: %v", outcome)
				}
			case holds || others < limit && (!asked[id] || !sameDevice):
				if outcome.Status != Accepted {
					t.Fatalf("there was room for %v: %v", e, outcome)
				}
				for other, h := range holding {
					if h.device == device {
						delete(holding, other)
					}
				}
				holding[id] = held{device, now + 150_000}
				asked[id] = true
			default:
				if outcome.Status != Denied {
					t.Fatalf("there was no room for %v: %v", e, outcome)
				}
				asked[id] = asked[id] || e.Type != Start
			}
			if _, active := state.Active(now, 1); len(active) != len(holding) || len(active) > limit {
				t.Fatalf("%d active by the state, %d by the account of it, limit %d", len(active), len(holding), limit)
			}
		}
	})
}

func TestSnapshotIsTheWholeState(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		events := rapid.Permutation(drawSessions(t)).Draw(t, "order")
		state := observeAll(events)
		state.Hide(serverClock, 1, 1, 1)
		state.SetMaxStreams(7, 4)
		encoded := state.AppendBinary(nil)

		restored, err := ReadState(bytes.NewReader(encoded))
		if err != nil {
			t.Fatal(err)
		}
		if restored.Digest() != state.Digest() {
			t.Fatal("the restored state has another digest")
		}
		if diff := cmp.Diff(facts(state, events), facts(restored, events)); diff != "" {
			t.Fatal(diff)
		}
		next := events[0]
		next.Seq, next.Type = 1000, Keepalive
		again := next
		if a, b := state.Observe(serverClock+1, &next), restored.Observe(serverClock+1, &again); a != b || restored.Digest() != state.Digest() {
			t.Fatalf("the restored state goes on otherwise: %v and %v", a, b)
		}

		cut := rapid.IntRange(0, len(encoded)-1).Draw(t, "cut")
		if _, err := ReadState(bytes.NewReader(encoded[:cut])); err == nil {
			t.Fatalf("%d of %d bytes were taken for a whole state", cut, len(encoded))
		}
	})
}

func FuzzSnapshot(f *testing.F) {
	f.Add(observeAll([]Event{{SessionID: SessionID{1}, Type: Start, AccountID: 1, ProfileID: 1, DeviceID: 1, DeviceType: "tv", TitleID: 1}}).AppendBinary(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		state, err := ReadState(bytes.NewReader(b))
		if err != nil {
			return
		}
		again, err := ReadState(bytes.NewReader(state.AppendBinary(nil)))
		if err != nil || again.Digest() != state.Digest() {
			t.Fatalf("%x is read, and not read again: %v", b, err)
		}
	})
}

func TestSeqSetKnowsWhatItHeard(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var set seqSet
		known := map[uint32]bool{}
		for _, seq := range rapid.SliceOf(rapid.Uint32Range(0, maxSpans)).Draw(t, "seqs") {
			if set.add(seq) == known[seq] {
				t.Fatalf("%d: known is %v", seq, known[seq])
			}
			known[seq] = true
		}
	})
}

// TestGapsAreBounded: a device that leaves more gaps than a session remembers is
// refused, and nothing that was accepted is forgotten.
func TestGapsAreBounded(t *testing.T) {
	state := NewState(room)
	event := func(seq uint32) Event {
		return Event{SessionID: SessionID{1}, Seq: seq, Type: Keepalive, At: serverClock, AccountID: 1, ProfileID: 1, DeviceID: 1, DeviceType: "tv", TitleID: 1}
	}
	observe := func(seq uint32) Outcome {
		e := event(seq)
		return state.Observe(serverClock, &e)
	}
	for run := range uint32(maxSpans) {
		if got := observe(2 * run); got.Status != Accepted {
			t.Fatalf("seq %d: %v", 2*run, got)
		}
	}
	if got := observe(2 * maxSpans); got != (Outcome{Rejected, ReasonTooManyGaps}) {
		t.Errorf("one gap too many: %v", got)
	}
	for run := range uint32(maxSpans) {
		if got := observe(2 * run); got.Status != Duplicate {
			t.Fatalf("seq %d again: %v", 2*run, got)
		}
	}
	if got := observe(1); got.Status != Accepted {
		t.Errorf("a gap is filled: %v", got)
	}
	if got := observe(2 * maxSpans); got.Status != Accepted {
		t.Errorf("there is room again: %v", got)
	}
	if report, _ := (sure{state}).Session(serverClock, 1, SessionID{1}); report.Events != maxSpans+2 {
		t.Errorf("%d events, want %d", report.Events, maxSpans+2)
	}
}
