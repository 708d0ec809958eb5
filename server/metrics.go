package server

import (
	"maps"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics are what /metrics tells. Labels are bounded: routes are the patterns of
// the API, methods those that it knows, codes the statuses that the nodes answer with.
type metrics struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	refused  prometheus.Counter

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
		duration: m.duration.WithLabelValues(s.method, s.route),
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	known := maps.Clone(*m.known.Load())
	known[s] = found
	m.known.Store(&known)
	return found
}

func newMetrics(s *Server) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "playhead_http_requests_total", Help: "Requests answered.",
		}, []string{"method", "route", "code"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "playhead_http_request_seconds", Help: "Time from a request's headers to its answer.",
			Buckets: prometheus.ExponentialBucketsRange(0.0005, 10, 16),
		}, []string{"method", "route"}),
		refused: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "playhead_http_refused_total", Help: "Requests refused because the node was at its capacity.",
		}),
	}
	m.known.Store(&map[series]measured{})
	gauge := func(name, help string, value func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value)
	}
	counter := func(name, help string, value func() uint64) prometheus.Collector {
		return prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, func() float64 { return float64(value()) })
	}
	m.registry.MustRegister(m.requests, m.duration, m.refused,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		gauge("playhead_raft_leader", "1 while this node leads.", func() float64 {
			if s.node.IsLeader() {
				return 1
			}
			return 0
		}),
		gauge("playhead_raft_applied_index", "Index of the newest log entry applied here.", func() float64 {
			return float64(s.node.AppliedIndex())
		}),
		counter("playhead_raft_leader_changes_total", "Leaders that this node has heard of, one after another.", s.node.LeaderChanges),
		counter("playhead_raft_entries_total", "Log entries that this node has submitted as leader.", func() uint64 {
			entries, _ := s.node.BatchCounts()
			return entries
		}),
		counter("playhead_raft_commands_total", "Commands that rode in these entries.", func() uint64 {
			_, commands := s.node.BatchCounts()
			return commands
		}),
		gauge("playhead_archive_index", "Index up to which the archive is on the disk.", func() float64 {
			return float64(s.archiver.synced.Load())
		}),
		gauge("playhead_archive_bytes", "Size of the archive.", func() float64 { return float64(s.archiver.bytes.Load()) }),
		gauge("playhead_archive_failed", "1 when the archive cannot be written: the node takes no snapshots until it is restarted.", func() float64 {
			if s.archiver.failure() != nil {
				return 1
			}
			return 0
		}),
		gauge("playhead_requests_in_flight", "Requests being answered now.", func() float64 {
			return float64(len(s.inFlight))
		}))
	return m
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

// knownMethod keeps a client from making labels by inventing methods.
func knownMethod(method string) string {
	switch method {
	case http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete:
		return method
	}
	return "other"
}
