package server

import (
	"context"
	"fmt"
	"net/http"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/playhead-load/playhead/raft"
	"github.com/playhead-load/playhead/raft/rafttest"
)

// figures are a node's metrics by name and labels, as in `name{label="value"}`; of a
// histogram how often it was observed.
func (n *testNode) figures(t testing.TB) map[string]float64 {
	t.Helper()
	families, err := n.metrics.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	figures := map[string]float64{}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			name := family.GetName()
			for _, label := range m.GetLabel() {
				name += fmt.Sprintf("{%s=%q}", label.GetName(), label.GetValue())
			}
			value := m.GetGauge().GetValue() + m.GetCounter().GetValue()
			figures[name] = value + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return figures
}

func wantFigures(t *testing.T, got map[string]float64, want map[string]float64) {
	t.Helper()
	for name, value := range want {
		if v, ok := got[name]; !ok || v != value {
			t.Errorf("%s is %v (told: %v), want %v", name, v, ok, value)
		}
	}
}

// TestMetricsTell: what happened on a node is what its metrics say.
func TestMetricsTell(t *testing.T) {
	t.Parallel()
	n := startSingle(t)
	if _, told := n.figures(t)["playhead_raft_snapshot_index"]; told {
		t.Error("it tells of a snapshot that nobody took")
	}
	n.setLimit(t, 42, 1)
	n.start(t, newEvent(1, 0, "start")).want(t, http.StatusCreated)
	n.start(t, newEvent(1, 0, "start")).want(t, http.StatusOK)
	n.start(t, newEvent(2, 0, "start")).want(t, http.StatusConflict)
	batch := []event{newEvent(1, 1, "keepalive"), newEvent(1, 1, "keepalive"), newEvent(2, 1, "keepalive").with("title_id", 81), {"seq": 1}}
	wantOutcomes(t, n.send(t, http.MethodPost, "/v1/events", batch), "accepted", "duplicate", "denied", "rejected")
	n.tell(t, newEvent(3, 0, "start").with("account_id", 43))
	n.send(t, http.MethodDelete, profilePath(42, 1)+"/history/80", nil)
	n.get(t, profilePath(42, 1)+"/positions/7").want(t, http.StatusNotFound)
	n.send(t, http.MethodPost, "/v1/cluster/snapshot", nil)
	n.metrics.proposed(raft.ErrOverloaded)
	n.metrics.proposed(context.Canceled)

	got, status := n.figures(t), n.node.Status()
	wantFigures(t, got, map[string]float64{
		"playhead_state_accounts": 2, "playhead_state_sessions": 3, "playhead_state_positions": 3, "playhead_state_hidden": 1,
		`playhead_starts_total{status="accepted"}`: 1, `playhead_starts_total{status="duplicate"}`: 1,
		`playhead_starts_total{status="denied"}`: 1, `playhead_starts_total{status="rejected"}`: 0,
		`playhead_events_total{status="accepted"}`: 2, `playhead_events_total{status="duplicate"}`: 1,
		`playhead_events_total{status="denied"}`: 1, `playhead_events_total{status="rejected"}`: 1,
		"playhead_raft_leader": 1, "playhead_raft_leader_known": 1, "playhead_raft_members": 1,
		"playhead_raft_term": float64(status.Term), "playhead_raft_commit_index": float64(status.CommitIndex), "playhead_raft_applied_index": float64(status.AppliedIndex),
		"playhead_raft_snapshot_index":                   float64(status.AppliedIndex),
		"playhead_raft_snapshot_writing":                 0,
		"playhead_raft_entries_total":                    7, // one for each write, for they came one after another
		"playhead_raft_entry_commands":                   7,
		"playhead_raft_entry_size_bytes":                 7,
		"playhead_raft_commit_duration_seconds":          7,
		"playhead_raft_entries_failed_total":             0,
		`playhead_http_refused_total{reason="requests"}`: 0, `playhead_http_refused_total{reason="bodies"}`: 0, `playhead_http_refused_total{reason="log"}`: 1,
		`playhead_http_request_duration_seconds{class="2xx"}{method="POST"}{route="/v1/accounts/:account/sessions"}`:                          2,
		`playhead_http_request_duration_seconds{class="4xx"}{method="POST"}{route="/v1/accounts/:account/sessions"}`:                          1,
		`playhead_http_request_duration_seconds{class="4xx"}{method="GET"}{route="/v1/accounts/:account/profiles/:profile/positions/:title"}`: 1,
		`playhead_http_requests_total{code="404"}{method="GET"}{route="/v1/accounts/:account/profiles/:profile/positions/:title"}`:            1,
		`playhead_http_requests_total{code="204"}{method="DELETE"}{route="/v1/accounts/:account/profiles/:profile/history/:title"}`:           1,
	})
	if got["playhead_raft_snapshot_size_bytes"] <= 0 || got["playhead_raft_snapshot_timestamp_seconds"] < float64(begun.Unix()) {
		t.Errorf("of the snapshot it tells %v bytes at %v", got["playhead_raft_snapshot_size_bytes"], got["playhead_raft_snapshot_timestamp_seconds"])
	}
	n.metrics.entry(raft.EntryFate{Commands: 1, Err: raft.ErrOutcomeUnknown})
	wantFigures(t, n.figures(t), map[string]float64{
		"playhead_raft_entries_failed_total": 1, "playhead_raft_commit_duration_seconds": 7,
	})
}

// TestMetricsOfACluster: one node leads, and who does not passes requests on.
func TestMetricsOfACluster(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	follower := c.followers(t)[0]
	eventuallyTold(t, follower, newEvent(1, 0, "start"))
	if passed := follower.figures(t)["playhead_http_forwarded_total"]; passed < 1 {
		t.Errorf("%v requests were passed on", passed)
	}
	rafttest.Eventually(t, "all tell the same of the cluster", func() bool {
		leaders := 0.0
		for _, n := range c.nodes {
			got, first := n.figures(t), c.nodes[0].figures(t)
			leaders += got["playhead_raft_leader"]
			for _, name := range []string{"playhead_raft_term", "playhead_raft_commit_index", "playhead_raft_applied_index", "playhead_state_sessions"} {
				if got[name] == 0 || got[name] != first[name] {
					return false
				}
			}
			if got["playhead_raft_members"] != 3 || got["playhead_raft_leader_known"] != 1 {
				return false
			}
		}
		return leaders == 1
	})
}

// TestMetricsAreNamedAsPrometheusWants: base units, suffixes and help. The linter is
// shown to find a bad name.
func TestMetricsAreNamedAsPrometheusWants(t *testing.T) {
	t.Parallel()
	n := startSingle(t)
	n.tell(t, newEvent(1, 0, "start"))
	n.send(t, http.MethodPost, "/v1/cluster/snapshot", nil)
	lint := func(registry prometheus.Gatherer) []promlint.Problem {
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		problems, err := promlint.NewWithMetricFamilies(families).Lint()
		if err != nil {
			t.Fatal(err)
		}
		return problems
	}
	for _, problem := range lint(n.metrics.registry) {
		t.Errorf("%s: %s", problem.Metric, problem.Text)
	}
	bad := prometheus.NewRegistry()
	bad.MustRegister(newCounter("playhead_wait_milliseconds", "Waited."))
	if len(lint(bad)) == 0 {
		t.Error("the linter has nothing against milliseconds")
	}
}
