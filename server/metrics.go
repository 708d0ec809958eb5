package server

import (
	"errors"
	"maps"
	"net/http"
	"regexp"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/playhead-load/playhead/raft"
	"github.com/playhead-load/playhead/viewing"
)

// metrics are what /metrics tells. Labels are bounded: routes are the patterns of
// the API, methods those that it knows, codes the statuses that the nodes answer with.
type metrics struct {
	registry  *prometheus.Registry
	requests  *prometheus.CounterVec
	duration  *prometheus.HistogramVec
	refused   *prometheus.CounterVec
	forwarded prometheus.Counter
	events    map[viewing.Status]prometheus.Counter
	starts    map[viewing.Status]prometheus.Counter

	entryCommands prometheus.Histogram
	entrySize     prometheus.Histogram
	commit        prometheus.Histogram
	entriesFailed prometheus.Counter

	mu    sync.Mutex
	known atomic.Pointer[map[series]measured] // replaced, never changed: to look them up by their labels costs more
}

// series is what a request is measured as.
type series struct {
	method, route string
	status        int
}

type measured struct {
	requests prometheus.Counter
	duration prometheus.Observer
}

func (m *metrics) of(s series) measured {
	if found, ok := (*m.known.Load())[s]; ok {
		return found
	}
	found := measured{
		requests: m.requests.WithLabelValues(s.method, s.route, strconv.Itoa(s.status)),
		duration: m.duration.WithLabelValues(s.method, s.route, statusClasses[s.status/100]),
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	known := maps.Clone(*m.known.Load())
	known[s] = found
	m.known.Store(&known)
	return found
}

// Why a request is refused.
const (
	refusedRequests = "requests" // too many under way
	refusedBodies   = "bodies"   // too many bytes of bodies under way
	refusedWrites   = "writes"   // too many wait to be decided
	refusedLog      = "log"      // too many commands wait for the log
)

// durationBuckets reach from an answer out of memory to requestTimeout.
var durationBuckets = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}

func newMetrics(s *Server) *metrics {
	m := &metrics{
		registry:  prometheus.NewRegistry(),
		requests:  newCounters("playhead_http_requests_total", "Requests answered.", "method", "route", "code"),
		refused:   newCounters("playhead_http_refused_total", "Requests refused because the node was at its capacity, by what there was too much of.", "reason"),
		forwarded: newCounter("playhead_http_forwarded_total", "Requests passed on to the node that leads."),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "playhead_http_request_duration_seconds", Help: "Time from a request's headers to its answer.",
			Buckets: durationBuckets,
		}, []string{"method", "route", "class"}),
		entryCommands: newHistogram("playhead_raft_entry_commands", "Commands in a log entry that this node has submitted as leader.",
			prometheus.ExponentialBuckets(1, 2, 11)),
		entrySize: newHistogram("playhead_raft_entry_size_bytes", "Size of a log entry that this node has submitted as leader.",
			prometheus.ExponentialBuckets(256, 4, 8)),
		commit: newHistogram("playhead_raft_commit_duration_seconds", "Time from an entry's submission until it was on a quorum's disks and applied here.",
			durationBuckets),
		entriesFailed: newCounter("playhead_raft_entries_failed_total", "Log entries submitted here that were refused, or whose fate is unknown."),
	}
	m.known.Store(&map[series]measured{})
	events := newCounters("playhead_events_total", "Events that this node has judged as leader.", "status")
	m.events = counterOf(events, viewing.Accepted, viewing.Duplicate, viewing.Denied, viewing.Rejected)
	starts := newCounters("playhead_starts_total", "Starts asked for that this node has judged as leader.", "status")
	m.starts = counterOf(starts, viewing.Accepted, viewing.Duplicate, viewing.Denied, viewing.Rejected)
	for _, reason := range []string{refusedRequests, refusedBodies, refusedWrites, refusedLog} {
		m.refused.WithLabelValues(reason)
	}
	m.registry.MustRegister(m.requests, m.duration, m.refused, m.forwarded, events, starts,
		m.entryCommands, m.entrySize, m.commit, m.entriesFailed, &nodeCollector{s},
		collectors.NewGoCollector(collectors.WithGoCollectorRuntimeMetrics(collectorTime)), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// collectorTime is what Go's collector takes of the processor, to hold against
// process_cpu_seconds_total.
var collectorTime = collectors.GoRuntimeMetricsRule{Matcher: regexp.MustCompile(`^/cpu/classes/gc/total:cpu-seconds$`)}

func newCounter(name, help string) prometheus.Counter {
	return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
}

func newCounters(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
}

func newHistogram(name, help string, buckets []float64) prometheus.Histogram {
	return prometheus.NewHistogram(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets})
}

// counterOf makes a counter for each status, which is told from 0 on.
func counterOf(counters *prometheus.CounterVec, statuses ...viewing.Status) map[viewing.Status]prometheus.Counter {
	of := map[viewing.Status]prometheus.Counter{}
	for _, status := range statuses {
		of[status] = counters.WithLabelValues(status.String())
	}
	return of
}

func (m *metrics) handler() echo.HandlerFunc {
	return echo.WrapHandler(promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{}))
}

// observe measures every request, and tells its problem first so that the code is
// the one that was sent.
func (m *metrics) observe(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		begun := time.Now()
		if err := next(c); err != nil {
			c.Error(err)
		}
		route := c.Path()
		if route == "" {
			route = "none"
		}
		measured := m.of(series{knownMethod(c.Request().Method), route, c.Response().Status})
		measured.requests.Inc()
		measured.duration.Observe(time.Since(begun).Seconds())
		return nil
	}
}

// statusClasses are by the first of a status's three digits.
var statusClasses = [...]string{"0xx", "1xx", "2xx", "3xx", "4xx", "5xx", "6xx", "7xx", "8xx", "9xx"}

// knownMethod keeps a client from making labels by inventing methods.
func knownMethod(method string) string {
	switch method {
	case http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete:
		return method
	}
	return "other"
}

// proposed counts what the log had no room for.
func (m *metrics) proposed(err error) {
	if errors.Is(err, raft.ErrOverloaded) {
		m.refused.WithLabelValues(refusedLog).Inc()
	}
}

// judged counts what became of events.
func (m *metrics) judged(outcomes []viewing.Outcome) {
	var counts [viewing.Rejected + 1]int
	for _, o := range outcomes {
		counts[o.Status]++
	}
	for status, counter := range m.events {
		if counts[status] > 0 {
			counter.Add(float64(counts[status]))
		}
	}
}

// entry measures an entry that this node has submitted.
func (m *metrics) entry(fate raft.EntryFate) {
	m.entryCommands.Observe(float64(fate.Commands))
	m.entrySize.Observe(float64(fate.Bytes))
	if fate.Err != nil {
		m.entriesFailed.Inc()
		return
	}
	m.commit.Observe(fate.Took.Seconds())
}

// nodeCollector tells what a node is and holds at the moment: one look at the log
// and one at the state, so that what is told together fits together.
type nodeCollector struct{ server *Server }

type look struct {
	server   *Server
	status   raft.Status
	snapshot raft.SnapshotInfo
	entries  uint64
	commands uint64
	size     viewing.Size
}

type figure struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
	of   func(look) float64
}

func newGauge(name, help string, of func(look) float64) figure {
	return figure{prometheus.NewDesc(name, help, nil, nil), prometheus.GaugeValue, of}
}

func newCount(name, help string, of func(look) uint64) figure {
	return figure{prometheus.NewDesc(name, help, nil, nil), prometheus.CounterValue, func(l look) float64 { return float64(of(l)) }}
}

// nodeFigures are told always, snapshotFigures once there is a snapshot.
var (
	nodeFigures = []figure{
		newGauge("playhead_http_requests_in_flight", "Requests being answered now.", func(l look) float64 { return float64(len(l.server.inFlight)) }),
		newGauge("playhead_http_connections", "Connections of clients.", func(l look) float64 { return float64(l.server.listener.open.Load()) }),
		newCount("playhead_http_connections_refused_total", "Connections turned away because the node had all that it takes.", func(l look) uint64 { return l.server.listener.turned.Load() }),
		newGauge("playhead_raft_leader", "1 while this node leads.", func(l look) float64 { return oneIf(l.server.node.IsLeader()) }),
		newGauge("playhead_raft_leader_known", "1 while this node knows a leader.", func(l look) float64 { return oneIf(l.status.LeaderID != "") }),
		newGauge("playhead_raft_members", "Nodes in the newest configuration that this node knows.", func(l look) float64 { return float64(l.server.node.MemberCount()) }),
		newGauge("playhead_raft_term", "The newest term that this node knows.", func(l look) float64 { return float64(l.status.Term) }),
		newGauge("playhead_raft_commit_index", "Index of the newest log entry that this node knows to be committed.", func(l look) float64 { return float64(l.status.CommitIndex) }),
		newGauge("playhead_raft_applied_index", "Index of the newest log entry applied here.", func(l look) float64 { return float64(l.status.AppliedIndex) }),
		newCount("playhead_raft_leader_changes_total", "Leaders that this node has heard of, one after another.", func(l look) uint64 { return l.server.node.LeaderChanges() }),
		newCount("playhead_raft_entries_total", "Log entries that this node has submitted as leader.", func(l look) uint64 { return l.entries }),
		newCount("playhead_raft_commands_total", "Commands that rode in these entries.", func(l look) uint64 { return l.commands }),
		newGauge("playhead_raft_snapshot_writing", "1 while a snapshot is written to this node's disk, its own or one that it is sent.", func(l look) float64 { return oneIf(l.server.node.WritesSnapshot()) }),
		newGauge("playhead_archive_index", "Index up to which the archive is on the disk.", func(l look) float64 { return float64(l.server.archiver.synced.Load()) }),
		newGauge("playhead_archive_size_bytes", "Size of the archive.", func(l look) float64 { return float64(l.server.archiver.bytes.Load()) }),
		newGauge("playhead_archive_failed", "1 when the archive cannot be written: the node takes no snapshots until it is restarted.", func(l look) float64 { return oneIf(l.server.archiver.failure() != nil) }),
		newGauge("playhead_state_accounts", "Accounts in the state.", func(l look) float64 { return float64(l.size.Accounts) }),
		newGauge("playhead_state_sessions", "Sessions in memory, those that are over included.", func(l look) float64 { return float64(l.size.Sessions) }),
		newGauge("playhead_cold_sessions", "Sessions that left memory and are on the disk.", func(l look) float64 { return float64(l.size.Cold) }),
		newGauge("playhead_cold_size_bytes", "Size on the disk of the sessions that left memory.", func(l look) float64 { return float64(l.server.cold.Size().Bytes) }),
		newGauge("playhead_cold_failed", "1 when sessions cannot be moved to the disk, or one could not be read from it since the node was started.", func(l look) float64 { return oneIf(l.server.coldFailed()) }),
		newCount("playhead_cold_evicted_total", "Sessions that left memory.", func(l look) uint64 { return l.size.Evicted }),
		newCount("playhead_cold_revived_total", "Sessions that came back to memory, because of an event.", func(l look) uint64 { return l.size.Revived }),
		newGauge("playhead_state_positions", "Positions in the state.", func(l look) float64 { return float64(l.size.Positions) }),
		newGauge("playhead_state_hidden", "Titles hidden from a history.", func(l look) float64 { return float64(l.size.Hidden) }),
	}
	snapshotFigures = []figure{
		newGauge("playhead_raft_snapshot_timestamp_seconds", "When the newest snapshot on this node's disk was begun, Unix time.", func(l look) float64 { return float64(l.snapshot.At.UnixMilli()) / 1000 }),
		newGauge("playhead_raft_snapshot_index", "Index of the newest log entry in that snapshot.", func(l look) float64 { return float64(l.snapshot.Index) }),
		newGauge("playhead_raft_snapshot_size_bytes", "Size of that snapshot.", func(l look) float64 { return float64(l.snapshot.Bytes) }),
	}
)

func (s *Server) coldFailed() bool {
	return s.sweeper.failed.Load() || s.unread.Load() || s.cold.Failure() != nil
}

func oneIf(holds bool) float64 {
	if holds {
		return 1
	}
	return 0
}

// Describe implements prometheus.Collector.
func (c *nodeCollector) Describe(to chan<- *prometheus.Desc) {
	for _, figures := range [...][]figure{nodeFigures, snapshotFigures} {
		for _, f := range figures {
			to <- f.desc
		}
	}
}

// Collect implements prometheus.Collector.
func (c *nodeCollector) Collect(to chan<- prometheus.Metric) {
	l := look{server: c.server, status: c.server.node.Status(), size: c.server.views.size()}
	l.entries, l.commands = c.server.node.BatchCounts()
	tell := func(figures []figure) {
		for _, f := range figures {
			to <- prometheus.MustNewConstMetric(f.desc, f.kind, f.of(l))
		}
	}
	tell(nodeFigures)
	var taken bool
	if l.snapshot, taken = c.server.node.LastSnapshot(); taken {
		tell(snapshotFigures)
	}
}
