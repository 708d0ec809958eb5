package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/playhead-load/playhead/raft"
	"github.com/playhead-load/playhead/viewing"
)

// Limits of a node.
const (
	requestTimeout    = 10 * time.Second // from a request to its answer, elections included
	snapshotTimeout   = 5 * time.Minute
	readyTimeout      = time.Second
	minIndexTimeout   = 2 * time.Second // for this node to catch up with what a reader has seen
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 30 * time.Second
	writeTimeout      = time.Minute // of an answer, from the end of the request's headers
	idleTimeout       = 2 * time.Minute
	maxHeaderBytes    = 16 << 10
	maxInFlight       = 4096 // requests answered at once; beyond it 429
)

// Config is what a node is told.
type Config struct {
	HTTPAddress    string // where it listens for clients, host:port; port 0 takes a free one
	Keepalive      time.Duration
	Lease          time.Duration
	DefaultStreams int
	Raft           raft.Config // HTTPAddress is filled in
	Logger         *slog.Logger
}

// Server is one node. Its methods may be called from any goroutine.
type Server struct {
	nodeID      string
	rules       viewing.Rules
	keepaliveMS int64
	log         *slog.Logger
	views       *views
	node        *raft.Node
	forwarder   *forwarder
	metrics     *metrics
	listener    net.Listener
	http        *http.Server
	inFlight    chan struct{}
	closing     atomic.Bool
}

// Open starts a node: it listens for clients and for its peers, and has read what
// its data directory holds. Serve answers from then on.
func Open(cfg Config) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", cfg.HTTPAddress)
	if err != nil {
		return nil, fmt.Errorf("listen for clients on %s: %w", cfg.HTTPAddress, err)
	}
	s := &Server{
		nodeID:      cfg.Raft.NodeID,
		rules:       viewing.Rules{LeaseMS: cfg.Lease.Milliseconds(), DefaultStreams: cfg.DefaultStreams},
		keepaliveMS: cfg.Keepalive.Milliseconds(),
		log:         cfg.Logger,
		views:       newViews(),
		forwarder:   newForwarder(),
		listener:    listener,
		inFlight:    make(chan struct{}, maxInFlight),
	}
	cfg.Raft.HTTPAddress = listener.Addr().String()
	cfg.Raft.Logger = cfg.Logger
	if s.node, err = raft.Open(cfg.Raft, s.views); err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	s.metrics = newMetrics(s)
	s.http = &http.Server{
		Handler:           s.routes(),
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(cfg.Logger.Handler(), slog.LevelDebug),
	}
	return s, nil
}

// Validate says what no node can be opened with.
func (c *Config) Validate() error {
	switch {
	case c.Keepalive < time.Millisecond:
		return fmt.Errorf("keepalive is %v: expected a millisecond or more", c.Keepalive)
	case c.Lease <= c.Keepalive:
		return fmt.Errorf("lease is %v: expected more than the keepalive of %v, or sessions expire between two", c.Lease, c.Keepalive)
	case c.DefaultStreams < 1 || c.DefaultStreams > viewing.MaxStreams:
		return fmt.Errorf("default streams is %d: expected 1 to %d", c.DefaultStreams, viewing.MaxStreams)
	}
	if host, _, err := net.SplitHostPort(c.HTTPAddress); err == nil && len(c.Raft.Join) > 0 {
		if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
			return fmt.Errorf("http is %s: expected an address that the other nodes can dial, because they pass requests on to it", c.HTTPAddress)
		}
	}
	return c.Raft.Validate()
}

// HTTPAddress is where the node listens for clients.
func (s *Server) HTTPAddress() string { return s.listener.Addr().String() }

// Serve answers requests until Close.
func (s *Server) Serve() error {
	if err := s.http.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve: %w", err)
	}
	return nil
}

// Close hands leadership over, lets requests under way end, and stops the node.
// It takes no longer than ctx allows.
func (s *Server) Close(ctx context.Context) error {
	s.closing.Store(true)
	if s.node.IsLeader() {
		err := s.node.TransferLeadership(ctx, "")
		if err != nil && !errors.Is(err, raft.ErrMemberRefused) { // refused: there is nobody else
			s.log.Warn("leadership was not handed over; the others elect a leader", "error", err)
		}
	}
	err := s.http.Shutdown(ctx)
	if closing := s.listener.Close(); !errors.Is(closing, net.ErrClosed) { // it never served
		err = errors.Join(err, closing)
	}
	s.forwarder.client.CloseIdleConnections()
	return errors.Join(err, s.node.Close(ctx))
}

func (s *Server) clock() viewing.Millis { return viewing.Millis(time.Now().UnixMilli()) }

// routes is the API of CONTRACT §2.
func (s *Server) routes() *echo.Echo {
	e := echo.New()
	e.HideBanner = true
	e.HTTPErrorHandler = writeProblem
	e.Use(s.metrics.observe, s.bound, wholeQuery)

	e.POST("/v1/events", s.postEvents)
	account := e.Group("/v1/accounts/:account")
	account.PUT("", s.putAccount)
	account.POST("/sessions", s.postSession)
	account.GET("/sessions", s.getActive)
	account.GET("/sessions/:session", s.getSession)
	profile := account.Group("/profiles/:profile")
	profile.GET("/positions/:title", s.getPosition)
	profile.GET("/positions", s.getPositions)
	profile.GET("/continue-watching", s.getContinueWatching)
	profile.GET("/history", s.getHistory)
	profile.DELETE("/history/:title", s.deleteFromHistory)

	e.GET("/v1/cluster", s.getCluster)
	e.POST("/v1/cluster/members", s.postMember)
	e.DELETE("/v1/cluster/members/:id", s.deleteMember)
	e.POST("/v1/cluster/leadership", s.postLeadership)
	e.POST("/v1/cluster/snapshot", s.postSnapshot)

	e.GET("/healthz", s.getHealth)
	e.GET("/readyz", s.getReady)
	e.GET("/metrics", s.metrics.handler())
	return e
}

// bound refuses what is beyond the node's capacity before any work is spent on it.
// A busy node lives and can be watched: whoever asks for that is never refused.
func (s *Server) bound(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if path := c.Path(); path == "/healthz" || path == "/metrics" {
			return next(c)
		}
		select {
		case s.inFlight <- struct{}{}:
			defer func() { <-s.inFlight }()
			return next(c)
		default:
			s.metrics.refused.Inc()
			return raft.ErrOverloaded
		}
	}
}

func isTimeout(err error) bool {
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) || os.IsTimeout(err)
}
