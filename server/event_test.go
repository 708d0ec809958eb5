package server

import (
	"fmt"
	"net/http"
	"testing"
	"time"
)

// event is one event in the shape of docs/api.md.
type event map[string]any

// sessionID is the n-th session's.
func sessionID(n int) string { return fmt.Sprintf("00000000-0000-4000-8000-%012d", n) }

// begun is when the tests' devices began to play.
var begun = time.Now().Add(-time.Hour).UTC().Truncate(time.Millisecond)

const timeLayout = "2006-01-02T15:04:05.000Z"

func momentText(afterBegun time.Duration) string { return begun.Add(afterBegun).Format(timeLayout) }

// newEvent is an event of session n of account 42 on its own device: seq seconds
// into the playback.
func newEvent(n, seq int, kind string) event {
	return event{
		"session_id": sessionID(n), "seq": seq, "type": kind, "at": momentText(time.Duration(seq) * time.Second),
		"account_id": 42, "profile_id": 1, "device_id": 9000 + n, "device_type": "tv", "title_id": 80,
		"runtime_ms": 2_940_000, "position_ms": seq * 1000, "played_ms": seq * 1000,
	}
}

// with is the event with other values; nil takes the key away.
func (e event) with(pairs ...any) event {
	changed := event{}
	for k, v := range e {
		changed[k] = v
	}
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] == nil {
			delete(changed, pairs[i].(string))
		} else {
			changed[pairs[i].(string)] = pairs[i+1]
		}
	}
	return changed
}

func sessionsPath(account any) string { return fmt.Sprintf("/v1/accounts/%v/sessions", account) }

func profilePath(account, profile any) string {
	return fmt.Sprintf("/v1/accounts/%v/profiles/%v", account, profile)
}

// start asks to start and does not judge the answer.
func (n *testNode) start(t testing.TB, e event) answer {
	t.Helper()
	return n.send(t, http.MethodPost, sessionsPath(e["account_id"]), e)
}

// wantOutcomes checks the answer to a batch and returns the statuses.
func wantOutcomes(t testing.TB, a answer, statuses ...string) []map[string]any {
	t.Helper()
	object := a.want(t, http.StatusOK)
	wantKeys(t, object, "outcomes")
	outcomes := list(t, object, "outcomes")
	if len(outcomes) != len(statuses) {
		t.Fatalf("%d outcomes for %d events: %s", len(outcomes), len(statuses), a.body)
	}
	for i, o := range outcomes {
		if o["status"] != statuses[i] {
			t.Fatalf("event %d is %v, want %s: %s", i, o["status"], statuses[i], a.body)
		}
		_, has := o["reason"].(string)
		if bad := statuses[i] == "rejected" || statuses[i] == "denied"; bad != has {
			t.Fatalf("event %d: a reason stands with denied and rejected alone: %s", i, a.body)
		}
	}
	return outcomes
}

// tell sends events and wants each of them to be accepted.
func (n *testNode) tell(t testing.TB, events ...event) answer {
	t.Helper()
	a := n.send(t, http.MethodPost, "/v1/events", events)
	statuses := make([]string, len(events))
	for i := range statuses {
		statuses[i] = "accepted"
	}
	wantOutcomes(t, a, statuses...)
	return a
}

// setLimit sets an account's max_streams.
func (n *testNode) setLimit(t testing.TB, account, streams int) {
	t.Helper()
	n.send(t, http.MethodPut, fmt.Sprintf("/v1/accounts/%d", account), map[string]int{"max_streams": streams}).want(t, http.StatusOK)
}
