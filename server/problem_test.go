package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/playhead-load/playhead/raft"
)

// TestNoSuchRoute: also what is not in the API is answered by a problem.
func TestNoSuchRoute(t *testing.T) {
	t.Parallel()
	n := startSingle(t)
	for _, c := range []struct {
		method, path string
		status       int
	}{
		{"GET", "/", http.StatusNotFound},
		{"GET", "/v1", http.StatusNotFound},
		{"GET", "/v2/events", http.StatusNotFound},
		{"POST", "/v1/events/", http.StatusNotFound},
		{"POST", "/v1/Events", http.StatusNotFound},
		{"GET", "/v1/accounts", http.StatusNotFound},
		{"GET", "/v1/accounts/42/profiles/1", http.StatusNotFound},
		{"GET", "/v1/edge/dial", http.StatusNotFound}, // this is no edge
		{"GET", "/v1/events", http.StatusMethodNotAllowed},
		{"DELETE", "/v1/events", http.StatusMethodNotAllowed},
		{"GET", "/v1/accounts/42", http.StatusMethodNotAllowed},
		{"PUT", "/v1/accounts/42/sessions", http.StatusMethodNotAllowed},
		{"POST", "/v1/accounts/42/profiles/1/history", http.StatusMethodNotAllowed},
		{"GET", "/v1/accounts/42/profiles/1/history/80", http.StatusMethodNotAllowed},
		{"PUT", "/v1/cluster", http.StatusMethodNotAllowed},
		{"GET", "/v1/cluster/snapshot", http.StatusMethodNotAllowed},
		{"POST", "/healthz", http.StatusMethodNotAllowed},
		{"BREW", "/v1/events", http.StatusMethodNotAllowed},
	} {
		a := n.send(t, c.method, c.path, nil)
		if a.status != c.status {
			t.Errorf("%s %s is answered %d, want %d", c.method, c.path, a.status, c.status)
			continue
		}
		a.wantProblem(t, c.status, "")
		if c.status == http.StatusMethodNotAllowed && a.header.Get("Allow") == "" {
			t.Errorf("%s %s: no Allow", c.method, c.path)
		}
	}
}

func TestHealth(t *testing.T) {
	t.Parallel()
	n := startSingle(t)
	for path, want := range map[string]string{"/healthz": "ok\n", "/readyz": "ready\n"} {
		if a := n.get(t, path); a.status != http.StatusOK || string(a.body) != want {
			t.Errorf("%s: %d %q", path, a.status, a.body)
		}
	}
	// A node that waits to be added lives, and is not ready.
	cfg := testConfig(t.TempDir())
	cfg.Raft.BootstrapExpect = 0
	lonely := startNode(t, cfg)
	if a := lonely.get(t, "/healthz"); a.status != http.StatusOK {
		t.Errorf("/healthz: %d", a.status)
	}
	ready := lonely.get(t, "/readyz")
	ready.wantProblem(t, http.StatusServiceUnavailable, "")
	for name, a := range map[string]answer{
		"readyz": ready,
		"events": lonely.send(t, http.MethodPost, "/v1/events", []event{newEvent(1, 1, "start")}),
		"read":   lonely.get(t, sessionsPath(42)),
		"quorum": lonely.get(t, sessionsPath(42)+"?consistency=linearizable"),
	} {
		a.wantProblem(t, http.StatusServiceUnavailable, "")
		if a.header.Get("Retry-After") == "" {
			t.Errorf("%s: no Retry-After", name)
		}
	}
	// Nobody watches, it would say, and it has never heard of anybody.
	lonely.get(t, sessionsPath(42)+"?consistency=stale").wantProblem(t, http.StatusServiceUnavailable, "")
	lonely.get(t, "/v1/cluster").want(t, http.StatusOK)
	// What it never applied cannot be in a snapshot.
	lonely.send(t, http.MethodPost, "/v1/cluster/snapshot", nil).wantProblem(t, http.StatusConflict, "")
}

// TestOverCapacity: beyond its capacity a node refuses before any work, and lives.
func TestOverCapacity(t *testing.T) {
	t.Parallel()
	n := startSingle(t)
	for range cap(n.inFlight) {
		n.inFlight <- struct{}{}
	}
	a := n.send(t, http.MethodPost, "/v1/events", []event{newEvent(1, 1, "start")})
	a.wantProblem(t, http.StatusTooManyRequests, "")
	if a.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	n.get(t, sessionsPath(42)).wantProblem(t, http.StatusTooManyRequests, "")
	// A busy node is alive, and tells how busy it is.
	if live := n.get(t, "/healthz"); live.status != http.StatusOK {
		t.Errorf("/healthz: %d", live.status)
	}
	if told := n.get(t, "/metrics"); told.status != http.StatusOK || !strings.Contains(string(told.body), `playhead_http_refused_total{reason="requests"} 2`) {
		t.Errorf("/metrics: %d", told.status)
	}
	for range cap(n.inFlight) {
		<-n.inFlight
	}
	n.get(t, sessionsPath(42)+"/"+sessionID(1)).wantProblem(t, http.StatusNotFound, "")
}

// sample is a line of Prometheus' text format that is no comment.
var sample = regexp.MustCompile(`^[a-zA-Z_:][a-zA-Z0-9_:]*(\{([a-z_]+="([^"\\]|\\.)*",?)*\})? (\+Inf|-Inf|NaN|[-+0-9.e]+)( [0-9]+)?$`)

func TestMetrics(t *testing.T) {
	t.Parallel()
	n := startSingle(t)
	for i := range 50 { // a client that makes up paths, methods and ids
		n.get(t, fmt.Sprintf("/made/up/%d", i))
		n.send(t, fmt.Sprintf("BREW%d", i), "/v1/events", nil)
		n.send(t, fmt.Sprintf("BREW%d", i), fmt.Sprintf("/up%d", i), nil)
		n.get(t, profilePath(i+1, i)+fmt.Sprintf("/positions/%d", i))
		n.get(t, fmt.Sprintf("/v1/accounts/%d/nonsense", i))
	}
	n.tell(t, newEvent(1, 1, "start"))
	a := n.get(t, "/metrics")
	if a.status != http.StatusOK || !strings.HasPrefix(a.header.Get("Content-Type"), "text/plain") {
		t.Fatalf("%d %s", a.status, a.header.Get("Content-Type"))
	}
	samples := 0
	for line := range strings.Lines(string(a.body)) {
		line = strings.TrimSuffix(line, "\n")
		if strings.HasPrefix(line, "# HELP ") || strings.HasPrefix(line, "# TYPE ") {
			continue
		}
		samples++
		if !sample.MatchString(line) {
			t.Errorf("no sample: %s", line)
		}
		if strings.Contains(line, "made") || strings.Contains(line, "BREW") || strings.Contains(line, "nonsense") {
			t.Errorf("a client made this label: %s", line)
		}
	}
	for _, want := range []string{
		`playhead_http_requests_total{code="200",method="POST",route="/v1/events"} 1`, "playhead_raft_leader 1", "playhead_http_request_duration_seconds_bucket",
		"playhead_raft_applied_index", "playhead_http_requests_in_flight", "go_goroutines",
		"playhead_raft_leader_changes_total 1\n", "playhead_raft_entries_total 1\n", "playhead_raft_commands_total 1\n",
	} {
		if !strings.Contains(string(a.body), want) {
			t.Errorf("%s is missing", want)
		}
	}
	if samples > 600 {
		t.Errorf("%d samples", samples)
	}
}

// TestProblemOfLog: what the log says is told by the status that says what to do.
func TestProblemOfLog(t *testing.T) {
	for _, c := range []struct {
		err    error
		status int
	}{
		{raft.ErrNotLeader, http.StatusServiceUnavailable},
		{raft.ErrNoLeader, http.StatusServiceUnavailable},
		{raft.ErrClosed, http.StatusServiceUnavailable},
		{raft.ErrOutcomeUnknown, http.StatusServiceUnavailable},
		{context.DeadlineExceeded, http.StatusServiceUnavailable},
		{context.Canceled, http.StatusServiceUnavailable},
		{raft.ErrOverloaded, http.StatusTooManyRequests},
		{raft.ErrUnknownMember, http.StatusNotFound},
		{raft.ErrMemberRefused, http.StatusConflict},
		{raft.ErrNothingToSnapshot, http.StatusConflict},
		{raft.ErrCommandTooLarge, http.StatusRequestEntityTooLarge},
		{errors.New("anything else"), http.StatusInternalServerError},
	} {
		p := problemOf(fmt.Errorf("do it: %w", c.err))
		if p.Status != c.status || p.Title == "" || p.Type == "" {
			t.Errorf("%v is told as %+v, want status %d", c.err, p, c.status)
		}
		again := slices.Contains([]int{http.StatusServiceUnavailable, http.StatusTooManyRequests}, c.status)
		if (p.retryAfterS > 0) != again {
			t.Errorf("%v: retry after %d s", c.err, p.retryAfterS)
		}
	}
}
