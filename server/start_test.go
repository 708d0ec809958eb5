package server

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/playhead-load/playhead/raft/rafttest"
)

// The keys of docs/api.md.
var (
	deniedKeys = []string{"session_id", "device_id", "device_type", "profile_id", "title_id", "position_ms", "started_at", "last_seen_at"}
	activeKeys = append([]string{"expires_at"}, deniedKeys...)
)

func timeOf(t testing.TB, object map[string]any, key string) time.Time {
	t.Helper()
	text, _ := object[key].(string)
	at, err := time.Parse(timeLayout, text)
	if err != nil {
		t.Fatalf("%s is %v: %v", key, object[key], err)
	}
	return at
}

func TestStart(t *testing.T) {
	t.Parallel()
	n := startSingle(t)
	asked := time.Now().Truncate(time.Millisecond)
	first := n.start(t, newEvent(1, 0, "start").with("position_ms", 5000))
	body := first.want(t, http.StatusCreated)
	wantKeys(t, body, "session_id", "position_ms", "keepalive_ms", "expires_at")
	if body["session_id"] != sessionID(1) || number(t, body, "position_ms") != 5000 || number(t, body, "keepalive_ms") != 60_000 {
		t.Fatalf("admitted as %s", first.body)
	}
	if lease := timeOf(t, body, "expires_at").Sub(asked); lease < n.cfg.Lease || lease > n.cfg.Lease+within {
		t.Errorf("expires %v after it was asked, the lease is %v", lease, n.cfg.Lease)
	}
	first.index(t)

	repeated := n.start(t, newEvent(1, 0, "start").with("position_ms", 5000))
	repeated.want(t, http.StatusOK)
	if !bytes.Equal(repeated.body, first.body) {
		t.Errorf("repeated, it is %s, was %s", repeated.body, first.body)
	}
	n.start(t, newEvent(2, 0, "start").with("title_id", 81, "device_type", "phone")).want(t, http.StatusCreated)

	denied := n.start(t, newEvent(3, 0, "start").with("title_id", 82))
	p := denied.wantProblem(t, http.StatusConflict, "")
	wantKeys(t, p, "type", "title", "status", "detail", "max_streams", "active")
	if p["type"] != "too-many-streams" || number(t, p, "max_streams") != 2 {
		t.Fatalf("denied with %s", denied.body)
	}
	denied.index(t)
	active := list(t, p, "active")
	if len(active) != 2 {
		t.Fatalf("%d active, want 2", len(active))
	}
	for i, a := range active {
		wantKeys(t, a, deniedKeys...)
		if a["session_id"] != sessionID(i+1) || number(t, a, "device_id") != int64(9001+i) || number(t, a, "title_id") != int64(80+i) || number(t, a, "profile_id") != 1 {
			t.Errorf("active: %v", a)
		}
		if timeOf(t, a, "last_seen_at").Before(asked) || !timeOf(t, a, "started_at").Equal(begun) {
			t.Errorf("times of %v", a)
		}
	}
	// A denied start alone leaves nothing behind.
	n.get(t, sessionsPath(42)+"/"+sessionID(3)).wantProblem(t, http.StatusNotFound, "")
	n.tell(t, newEvent(1, 9, "stop"))
	n.start(t, newEvent(3, 0, "start").with("title_id", 82)).want(t, http.StatusCreated)
}

func TestStartResumes(t *testing.T) {
	t.Parallel()
	n := startSingle(t)
	n.tell(t, newEvent(1, 0, "start"), newEvent(1, 600, "stop"))
	resume := newEvent(2, 0, "start").with("position_ms", nil, "at", momentText(time.Minute*20))
	for _, status := range []int{http.StatusCreated, http.StatusOK} {
		if p := n.start(t, resume).want(t, status); number(t, p, "position_ms") != 600_000 {
			t.Errorf("resumes at %v", p["position_ms"])
		}
	}
	// Another profile begins at the beginning, and so does who says so.
	if p := n.start(t, newEvent(3, 0, "start").with("position_ms", nil, "profile_id", 2)).want(t, http.StatusCreated); number(t, p, "position_ms") != 0 {
		t.Errorf("another profile resumes at %v", p["position_ms"])
	}
	n.setLimit(t, 42, 3)
	if p := n.start(t, newEvent(4, 0, "start").with("position_ms", 0, "at", momentText(time.Minute*21))).want(t, http.StatusCreated); number(t, p, "position_ms") != 0 {
		t.Errorf("told 0, it begins at %v", p["position_ms"])
	}
	if p := n.get(t, profilePath(42, 1)+"/positions/80").want(t, http.StatusOK); number(t, p, "position_ms") != 0 {
		t.Errorf("the position is %v", p)
	}
}

func TestStartRefused(t *testing.T) {
	t.Parallel()
	n := startSingle(t)
	good := newEvent(1, 0, "start")
	cases := []struct {
		field string
		event any
	}{
		{"account_id", good.with("account_id", 43)},
		{"type", good.with("type", "keepalive")},
		{"offline", good.with("offline", true)},
		{"played_ms", good.with("played_ms", -1)},
		{"event", []event{good}},
		{"event", 7},
	}
	for _, b := range badEvents(1) {
		if e, ok := b.event.(event); ok && e["type"] == "keepalive" && b.field != "position_ms" && b.field != "played_ms" {
			cases = append(cases, struct {
				field string
				event any
			}{b.field, e.with("type", "start")})
		}
	}
	for _, c := range cases {
		n.send(t, http.MethodPost, sessionsPath(42), c.event).wantProblem(t, http.StatusBadRequest, c.field)
	}
	for _, body := range []string{"", "{", `{"session_id"}`, `{"type":"start"} x`} {
		a := n.send(t, http.MethodPost, sessionsPath(42), body)
		if a.status != http.StatusBadRequest || a.header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%q is answered %d %s", body, a.status, a.body)
		}
	}
	for _, account := range []string{"0", "-1", "x", "9007199254740992", "18446744073709551616", "%20", "1.0"} {
		n.send(t, http.MethodPost, sessionsPath(account), good).wantProblem(t, http.StatusBadRequest, "account_id")
	}
	if active := list(t, n.get(t, sessionsPath(42)).want(t, http.StatusOK), "active"); len(active) != 0 {
		t.Errorf("active after refusals: %v", active)
	}
}

func TestStartOnTheSameDevice(t *testing.T) {
	t.Parallel()
	n := startSingle(t)
	n.setLimit(t, 42, 1)
	n.start(t, newEvent(1, 0, "start")).want(t, http.StatusCreated)
	// The crashed television is started again: its old session ends.
	n.start(t, newEvent(2, 0, "start").with("device_id", 9001)).want(t, http.StatusCreated)
	active := list(t, n.get(t, sessionsPath(42)).want(t, http.StatusOK), "active")
	if len(active) != 1 || active[0]["session_id"] != sessionID(2) {
		t.Fatalf("active: %v", active)
	}
	if s := n.get(t, sessionsPath(42)+"/"+sessionID(1)).want(t, http.StatusOK); s["state"] == "active" {
		t.Errorf("the replaced session is %v", s)
	}
	wantOutcomes(t, n.send(t, http.MethodPost, "/v1/events", []event{newEvent(1, 1, "keepalive")}), "denied")
	p := n.start(t, newEvent(1, 0, "start")).wantProblem(t, http.StatusConflict, "")
	wantKeys(t, p, "type", "title", "status", "detail", "max_streams", "active")

	// One session id is one viewer, device and title.
	for _, other := range []event{
		newEvent(2, 3, "start"), newEvent(2, 3, "start").with("device_id", 9001, "title_id", 81), newEvent(2, 3, "start").with("device_id", 9001, "profile_id", 2),
	} {
		n.start(t, other).wantProblem(t, http.StatusBadRequest, "session_id")
	}
	// In another account the same id is another session.
	n.start(t, newEvent(2, 0, "start").with("account_id", 43)).want(t, http.StatusCreated)
}

// TestStartOfASessionDeniedAndStopped: a denial lists what is active, also when that is nothing.
func TestStartOfASessionDeniedAndStopped(t *testing.T) {
	t.Parallel()
	n := startSingle(t)
	n.setLimit(t, 42, 1)
	n.tell(t, newEvent(1, 0, "start"))
	wantOutcomes(t, n.send(t, http.MethodPost, "/v1/events", []event{
		newEvent(2, 3, "keepalive"), newEvent(2, 4, "stop"), newEvent(1, 1, "stop"),
	}), "denied", "accepted", "accepted")
	p := n.start(t, newEvent(2, 1, "start")).wantProblem(t, http.StatusConflict, "")
	wantKeys(t, p, "type", "title", "status", "detail", "max_streams", "active")
	if active := list(t, p, "active"); len(active) != 0 {
		t.Errorf("active: %v", active)
	}
}

func TestLeaseEnds(t *testing.T) {
	t.Parallel()
	const lease = 200 * time.Millisecond
	n := startSingle(t, func(c *Config) { c.Keepalive, c.Lease = lease/2, lease })
	n.setLimit(t, 42, 1)
	if body := n.start(t, newEvent(1, 0, "start")).want(t, http.StatusCreated); number(t, body, "keepalive_ms") != 100 {
		t.Errorf("keepalive_ms is %v", body["keepalive_ms"])
	}
	path := sessionsPath(42) + "/" + sessionID(1)
	rafttest.Eventually(t, "the session expired", func() bool {
		return n.get(t, path).want(t, http.StatusOK)["state"] == "expired"
	})
	if active := list(t, n.get(t, sessionsPath(42)).want(t, http.StatusOK), "active"); len(active) != 0 {
		t.Errorf("active after the lease: %v", active)
	}
	// There is room: its keepalive revives it, and its stop ends it.
	n.tell(t, newEvent(1, 1, "keepalive"), newEvent(1, 2, "stop"))
	if s := n.get(t, path).want(t, http.StatusOK); s["state"] != "stopped" {
		t.Errorf("the session is %v", s["state"])
	}
	// There is none: another took it, and the keepalive is denied.
	n.start(t, newEvent(2, 0, "start")).want(t, http.StatusCreated)
	rafttest.Eventually(t, "the second expired", func() bool {
		return len(list(t, n.get(t, sessionsPath(42)).want(t, http.StatusOK), "active")) == 0
	})
	wantOutcomes(t, n.send(t, http.MethodPost, "/v1/events", []event{newEvent(3, 0, "start"), newEvent(2, 1, "keepalive")}), "accepted", "denied")
}

func TestPutAccount(t *testing.T) {
	t.Parallel()
	n := startSingle(t)
	put := func(body string) answer { return n.send(t, http.MethodPut, "/v1/accounts/42", body) }
	for _, c := range []struct{ field, body string }{
		{"max_streams", `{"max_streams":0}`},
		{"max_streams", `{"max_streams":-1}`},
		{"max_streams", `{"max_streams":1001}`},
		{"max_streams", `{"max_streams":99999999999999999999}`},
		{"max_streams", `{"max_streams":1.5}`},
		{"max_streams", `{"max_streams":"4"}`},
		{"max_streams", `{"max_streams":null}`},
		{"max_streams", `{}`},
		{"colour", `{"max_streams":4,"colour":"red"}`},
		{"MAX_STREAMS", `{"MAX_STREAMS":4}`},
		{"MAX_STREAMS", `{"MAX_STREAMS":1,"max_streams":4}`},
		{"max_streams", `{"max_streams":1,"max_streams":4}`},
		{"max_streams", `{"max_streams":4,"max\u005fstreams":4}`},
		{"Account_id", `{"max_streams":4,"Account_id":42}`},
		{"body", `null`},
		{"account_id", `{"max_streams":4,"account_id":43}`},
		{"body", `{"max_streams":4} x`},
		{"body", `{"max_streams":4}{"max_streams":5}`},
		{"body", `[{"max_streams":4}]`},
		{"body", `4`},
	} {
		p := put(c.body).wantProblem(t, http.StatusBadRequest, c.field)
		if detail := p["detail"].(string); strings.Contains(detail, "struct") {
			t.Errorf("%s shows the server's own types: %s", c.body, detail)
		}
	}
	for _, body := range []string{"", "{", "x", `{"max_streams":4`} {
		put(body).wantProblem(t, http.StatusBadRequest, "")
	}
	limit := func() int64 { return number(t, n.get(t, sessionsPath(42)).want(t, http.StatusOK), "max_streams") }
	if limit() != 2 {
		t.Errorf("refused, and yet the limit is %d", limit())
	}
	for _, streams := range []int{1000, 1, 3} {
		a := put(fmt.Sprintf(`{"max_streams":%d}`, streams))
		a.index(t)
		if body := a.want(t, http.StatusOK); number(t, body, "max_streams") != int64(streams) || limit() != int64(streams) {
			t.Errorf("set to %d: %s, limit %d", streams, a.body, limit())
		}
	}
	// A lower limit ends nothing that plays; it denies the next start.
	for i := 1; i <= 3; i++ {
		n.start(t, newEvent(i, 0, "start")).want(t, http.StatusCreated)
	}
	put(`{"max_streams":1}`).want(t, http.StatusOK)
	n.tell(t, newEvent(1, 1, "keepalive"), newEvent(2, 1, "keepalive"), newEvent(3, 1, "keepalive"))
	if active := list(t, n.get(t, sessionsPath(42)).want(t, http.StatusOK), "active"); len(active) != 3 {
		t.Errorf("%d active, want 3", len(active))
	}
	p := n.start(t, newEvent(4, 0, "start")).wantProblem(t, http.StatusConflict, "")
	if number(t, p, "max_streams") != 1 || len(list(t, p, "active")) != 3 {
		t.Errorf("denied with %v", p)
	}
}
