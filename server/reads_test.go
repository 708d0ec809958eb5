package server

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"
)

var (
	viewKeys = []string{
		"session_id", "title_id", "profile_id", "device_id", "device_type", "started_at", "ended_at",
		"played_ms", "position_ms", "runtime_ms", "completed",
	}
	reportKeys   = append([]string{"state", "last_seq", "events", "bitrate_ms", "rebuffer_ms", "errors"}, viewKeys...)
	positionKeys = []string{"title_id", "position_ms", "runtime_ms", "updated_at", "session_id"}
)

// TestNothingKnown: an account never seen has empty lists, all else is 404; on a
// node that has heard of nothing at all, too.
func TestNothingKnown(t *testing.T) {
	t.Parallel()
	n := startSingle(t)
	check := func() {
		t.Helper()
		sessions := n.get(t, sessionsPath(7)).want(t, http.StatusOK)
		wantKeys(t, sessions, "max_streams", "active")
		if number(t, sessions, "max_streams") != 2 || len(list(t, sessions, "active")) != 0 {
			t.Errorf("sessions of nobody: %v", sessions)
		}
		for _, path := range []string{"/continue-watching", "/history"} {
			views := n.get(t, profilePath(7, 1)+path).want(t, http.StatusOK)
			wantKeys(t, views, "views")
			if len(list(t, views, "views")) != 0 {
				t.Errorf("%s of nobody: %v", path, views)
			}
		}
		positions := n.get(t, profilePath(7, 1)+"/positions?title_id=1,2").want(t, http.StatusOK)
		wantKeys(t, positions, "positions")
		if len(list(t, positions, "positions")) != 0 {
			t.Errorf("positions of nobody: %v", positions)
		}
		n.get(t, profilePath(7, 1)+"/positions/1").wantProblem(t, http.StatusNotFound, "")
		n.get(t, sessionsPath(7)+"/"+sessionID(1)).wantProblem(t, http.StatusNotFound, "")
	}
	check()
	n.tell(t, newEvent(1, 1, "start"))
	check()
	// A known account is not a known profile, title or session.
	n.get(t, profilePath(42, 2)+"/positions/80").wantProblem(t, http.StatusNotFound, "")
	n.get(t, profilePath(42, 1)+"/positions/81").wantProblem(t, http.StatusNotFound, "")
	n.get(t, sessionsPath(42)+"/"+sessionID(2)).wantProblem(t, http.StatusNotFound, "")
}

func TestActiveSessions(t *testing.T) {
	t.Parallel()
	n := startSingle(t)
	n.tell(t, newEvent(2, 7, "start").with("profile_id", 3), newEvent(1, 2, "start"), newEvent(1, 3, "keepalive"))
	a := n.get(t, sessionsPath(42))
	a.index(t)
	body := a.want(t, http.StatusOK)
	wantKeys(t, body, "max_streams", "active")
	active := list(t, body, "active")
	if len(active) != 2 || active[0]["session_id"] != sessionID(1) || active[1]["session_id"] != sessionID(2) {
		t.Fatalf("active: %s", a.body)
	}
	for _, stream := range active {
		wantKeys(t, stream, activeKeys...)
		if timeOf(t, stream, "expires_at").Sub(timeOf(t, stream, "last_seen_at")) != n.cfg.Lease {
			t.Errorf("the lease of %v is not %v", stream, n.cfg.Lease)
		}
	}
	if number(t, active[0], "position_ms") != 3000 || number(t, active[1], "profile_id") != 3 || !timeOf(t, active[0], "started_at").Equal(begun.Add(2*time.Second)) {
		t.Errorf("active: %s", a.body)
	}
}

func TestSessionReport(t *testing.T) {
	t.Parallel()
	n := startSingle(t)
	path := sessionsPath(42) + "/" + sessionID(1)
	n.tell(t, newEvent(1, 1, "start"))
	fresh := n.get(t, path).want(t, http.StatusOK)
	wantKeys(t, fresh, reportKeys...)
	if fresh["state"] != "active" || fresh["ended_at"] != nil || fresh["completed"] != false {
		t.Errorf("a fresh session: %v", fresh)
	}
	if rates, ok := fresh["bitrate_ms"].(map[string]any); !ok || len(rates) != 0 || len(list(t, fresh, "errors")) != 0 {
		t.Errorf("bitrates and errors of a fresh session: %v", fresh)
	}
	// Out of order, with repetitions: the newest seq wins.
	rates := map[string]int{"5800": 800_000, "3000": 111_000}
	stop := newEvent(1, 2700, "stop").with("bitrate_ms", rates, "rebuffer_ms", 321)
	n.tell(t, stop, newEvent(1, 5, "error").with("error_code", "E-5", "rebuffer_ms", 9999), newEvent(1, 3, "error").with("error_code", "E-3"))
	wantOutcomes(t, n.send(t, http.MethodPost, "/v1/events", []event{stop, newEvent(1, 3, "error").with("error_code", "E-3")}), "duplicate", "duplicate")
	a := n.get(t, path)
	report := a.want(t, http.StatusOK)
	wantKeys(t, report, reportKeys...)
	for key, want := range map[string]int64{
		"title_id": 80, "profile_id": 1, "device_id": 9001, "played_ms": 2_700_000, "position_ms": 2_700_000, "runtime_ms": 2_940_000,
		"last_seq": 2700, "rebuffer_ms": 321, "events": 4,
	} {
		if got := number(t, report, key); got != want {
			t.Errorf("%s is %d, want %d", key, got, want)
		}
	}
	if report["state"] != "stopped" || report["completed"] != true || report["device_type"] != "tv" ||
		report["started_at"] != momentText(time.Second) || report["ended_at"] != momentText(2700*time.Second) {
		t.Errorf("report: %s", a.body)
	}
	got := report["bitrate_ms"].(map[string]any)
	if len(got) != 2 || got["5800"] != json.Number("800000") || got["3000"] != json.Number("111000") {
		t.Errorf("bitrate_ms is %v", got)
	}
	faults := list(t, report, "errors")
	if len(faults) != 2 || faults[0]["error_code"] != "E-3" || faults[1]["error_code"] != "E-5" || faults[1]["at"] != momentText(5*time.Second) {
		t.Fatalf("errors: %v", faults)
	}
	wantKeys(t, faults[0], "at", "error_code")
	for _, id := range []string{"x", "00000000-0000-0000-0000-000000000000", sessionID(1) + "0"} {
		n.get(t, sessionsPath(42)+"/"+id).wantProblem(t, http.StatusBadRequest, "session_id")
	}
}

func TestPositions(t *testing.T) {
	t.Parallel()
	n := startSingle(t)
	for i := 1; i <= 3; i++ {
		n.tell(t, newEvent(i, i, "start").with("title_id", i, "offline", true))
	}
	one := n.get(t, profilePath(42, 1)+"/positions/2")
	one.index(t)
	position := one.want(t, http.StatusOK)
	wantKeys(t, position, positionKeys...)
	if number(t, position, "title_id") != 2 || number(t, position, "position_ms") != 2000 || number(t, position, "runtime_ms") != 2_940_000 ||
		position["updated_at"] != momentText(2*time.Second) || position["session_id"] != sessionID(2) {
		t.Errorf("position: %s", one.body)
	}
	several := n.get(t, profilePath(42, 1)+"/positions?title_id=3,99,1")
	positions := list(t, several.want(t, http.StatusOK), "positions")
	if len(positions) != 2 || number(t, positions[0], "title_id") != 3 || number(t, positions[1], "title_id") != 1 {
		t.Errorf("positions: %s", several.body)
	}
	for _, p := range positions {
		wantKeys(t, p, positionKeys...)
	}
	// An event that is older by (at, session_id, seq) moves nothing, whenever it comes.
	n.tell(t, newEvent(0, 1, "seek").with("title_id", 2, "offline", true, "session_id", sessionID(9), "position_ms", 1))
	if again := n.get(t, profilePath(42, 1)+"/positions/2"); string(again.body) != string(one.body) {
		t.Errorf("moved to %s", again.body)
	}
}

func TestBadReads(t *testing.T) {
	t.Parallel()
	n := startSingle(t)
	titles := "1"
	for range maxTitlesAsked {
		titles += ",1"
	}
	p := profilePath(42, 1)
	for _, c := range []struct{ path, field string }{
		{sessionsPath(0), "account_id"},
		{sessionsPath("x"), "account_id"},
		{sessionsPath("9007199254740992"), "account_id"},
		{sessionsPath("x") + "/" + sessionID(1), "account_id"},
		{profilePath(42, 0) + "/history", "profile_id"},
		{profilePath(42, 6) + "/continue-watching", "profile_id"},
		{profilePath(42, 257) + "/positions/1", "profile_id"},
		{profilePath(0, 1) + "/history", "account_id"},
		{p + "/positions/0", "title_id"},
		{p + "/positions/4294967296", "title_id"},
		{p + "/positions/x", "title_id"},
		{p + "/positions", "title_id"},
		{p + "/positions?title_id=", "title_id"},
		{p + "/positions?title_id=1,", "title_id"},
		{p + "/positions?title_id=1,x", "title_id"},
		{p + "/positions?title_id=" + titles, "title_id"},
		{p + "/history?limit=0", "limit"},
		{p + "/history?limit=101", "limit"},
		{p + "/history?limit=-1", "limit"},
		{p + "/history?limit=x", "limit"},
		{p + "/continue-watching?limit=0", "limit"},
		{p + "/continue-watching?limit=101", "limit"},
		{p + "/history?cursor=x", "cursor"},
		{p + "/history?cursor=AAAA", "cursor"},
		{p + "/history?cursor=%00%ff", "cursor"},
		{p + "/history?consistency=strong", "consistency"},
		{sessionsPath(42) + "?consistency=Leader", "consistency"},
		{sessionsPath(42) + "/" + sessionID(1) + "?consistency=,", "consistency"},
		{p + "/positions/1?consistency=eventual", "consistency"},
		{p + "/positions?title_id=1&consistency=x", "consistency"},
		{p + "/continue-watching?consistency=x", "consistency"},
	} {
		n.get(t, c.path).wantProblem(t, http.StatusBadRequest, c.field)
	}
	for _, query := range []string{"limit=%zz", "limit=5;consistency=stale", "consistency=linearizable%"} {
		n.get(t, p+"/history?"+query).wantProblem(t, http.StatusBadRequest, "")
	}
	for _, index := range []string{"x", "-1", "1.5", "18446744073709551616"} {
		n.get(t, p+"/history", headerMinIndex, index).wantProblem(t, http.StatusBadRequest, headerMinIndex)
	}
	for _, path := range []string{profilePath(42, 9) + "/history/1", p + "/history/0", profilePath("x", 1) + "/history/1"} {
		if a := n.send(t, http.MethodDelete, path, nil); a.status != http.StatusBadRequest {
			t.Errorf("DELETE %s is answered %d", path, a.status)
		}
	}
}
