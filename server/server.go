package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/labstack/echo/v4"
	"golang.org/x/sync/semaphore"

	"github.com/playhead-load/playhead/raft"
	"github.com/playhead-load/playhead/server/archive"
	"github.com/playhead-load/playhead/server/cold"
	"github.com/playhead-load/playhead/viewing"
)

// Limits of a node.
const (
	requestTimeout    = 10 * time.Second // from a request to its answer, elections included
	snapshotTimeout   = 30 * time.Minute
	readyTimeout      = time.Second
	minIndexTimeout   = 2 * time.Second // for this node to catch up with what a reader has seen
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 30 * time.Second
	writeTimeout      = time.Minute // of an answer, from the end of the request's headers
	idleTimeout       = 2 * time.Minute
	maxHeaderBytes    = 16 << 10
	answersTimeout    = 3 * time.Second // on closing, for requests under way to be answered
	flushTimeout      = time.Second     // on closing, for the last answers to be sent
	sliceTimeout      = time.Second     // on closing, for sessions to have left memory, at least
)

// ArchiveDir is the directory of a node's archive in its data directory, coldDir that
// of the sessions which left memory.
const (
	ArchiveDir = "archive"
	coldDir    = "cold"
)

// Config is what a node is told.
type Config struct {
	HTTPAddress    string // where it listens for clients, host:port; port 0 takes a free one
	Keepalive      time.Duration
	Lease          time.Duration
	DefaultStreams int
	ArchiveBytes   int64         // beyond it the oldest events are deleted from the archive; 0 keeps all
	ArchiveFor     time.Duration // older events are deleted from the archive; 0 keeps all
	SessionMemory  time.Duration // sessions last heard from so long ago leave memory for the disk; 0 keeps all
	HistoryMemory  int           // but not so many of each profile, the newest that are over
	Doors          Doors
	Now            func() time.Time // the node's clock; time.Now
	Raft           raft.Config      // HTTPAddress, Identity and Now are filled in
	Logger         *slog.Logger
}

// Server is one node. Its methods may be called from any goroutine.
type Server struct {
	nodeID      string
	rules       viewing.Rules
	keepaliveMS int64
	now         func() time.Time
	log         *slog.Logger
	views       *views
	archiver    *archiver
	cold        *cold.Store
	sweeper     *sweeper
	unread      atomic.Bool // a session could not be read from the cold store
	node        *raft.Node
	forwarder   *forwarder
	patience    *patience // of requests with the log
	elections   *patience // of requests that are to be passed on, with there being no leader
	metrics     *metrics
	doors       Doors
	secrets     atomic.Pointer[secrets]
	open        []door              // all that answers
	http        *http.Server        // what answers clients
	listener    *listener           // of clients
	admin       *listener           // of admins; nil: clients' too
	inFlight    chan struct{}       // holds a token for each request under way
	bodies      *semaphore.Weighted // memory of their bodies
	writes      *semaphore.Weighted // bytes of the bodies of those that are decided
	turns       *patience           // of writes that wait for it
	closing     atomic.Bool
}

// Open starts a node: it listens for clients and for its peers, and has read what
// its data directory holds. Serve answers from then on.
func Open(cfg Config) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	read, err := cfg.Doors.read(cfg.Raft.NodeID)
	if err != nil {
		return nil, err
	}
	listener, err := listen(cfg.HTTPAddress)
	if err != nil {
		return nil, err
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	s := &Server{
		nodeID:      cfg.Raft.NodeID,
		rules:       viewing.Rules{LeaseMS: cfg.Lease.Milliseconds(), DefaultStreams: cfg.DefaultStreams},
		keepaliveMS: cfg.Keepalive.Milliseconds(),
		now:         cfg.Now,
		log:         cfg.Logger,
		views:       newViews(),
		doors:       cfg.Doors,
		patience:    newPatience(requestTimeout - patienceStep),
		elections:   newPatience(leaderWait),
		listener:    listener,
		inFlight:    make(chan struct{}, maxInFlight),
		bodies:      semaphore.NewWeighted(maxBodiesBytes),
		writes:      semaphore.NewWeighted(maxWritesBytes),
		turns:       newPatience(writesPatience),
	}
	s.secrets.Store(read)
	keep := archive.Options{KeepBytes: cfg.ArchiveBytes, KeepFor: cfg.ArchiveFor}
	if s.archiver, err = openArchiver(filepath.Join(cfg.Raft.DataDir, ArchiveDir), keep, cfg.Logger); err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	s.views.archiver = s.archiver
	if s.cold, err = cold.Open(filepath.Join(cfg.Raft.DataDir, coldDir), cfg.Logger); err != nil {
		return nil, errors.Join(err, s.archiver.close(), listener.Close())
	}
	s.views.keepCold(s.cold)
	cfg.Raft.HTTPAddress = listener.Addr().String()
	cfg.Raft.Logger, cfg.Raft.Now = cfg.Logger, cfg.Now
	if cfg.Doors.PeerCert != "" {
		cfg.Raft.Identity = func() raft.Identity { return s.secrets.Load().identity }
	}
	s.metrics = newMetrics(s)
	cfg.Raft.OnEntry = s.metrics.entry
	if s.node, err = raft.Open(cfg.Raft, s.views); err != nil {
		return nil, errors.Join(err, s.closeStores(), listener.Close())
	}
	s.sweeper = startSweeper(s.views, viewing.Keep{ForMS: cfg.SessionMemory.Milliseconds(), Views: cfg.HistoryMemory}, cfg.Logger)
	s.forwarder = newForwarder(s.node, cfg.Logger)
	if err := s.openDoors(cfg); err != nil {
		s.forwarder.close()
		return nil, errors.Join(err, s.closeLog(context.Background()), listener.Close())
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
	case c.ArchiveBytes < 0:
		return fmt.Errorf("archive size is %d bytes: expected 0, which keeps all, or more", c.ArchiveBytes)
	case c.ArchiveFor < 0:
		return fmt.Errorf("archive retention is %v: expected 0, which keeps all, or more", c.ArchiveFor)
	case c.SessionMemory < 0 || c.SessionMemory > 0 && c.SessionMemory < time.Millisecond:
		return fmt.Errorf("session memory is %v: expected 0, which keeps all, or a millisecond or more", c.SessionMemory)
	case c.HistoryMemory < 0 || c.HistoryMemory > viewing.MaxKeptViews:
		return fmt.Errorf("history memory is %d views: expected 0 to %d", c.HistoryMemory, viewing.MaxKeptViews)
	case c.DefaultStreams < 1 || c.DefaultStreams > viewing.MaxStreams:
		return fmt.Errorf("default streams is %d: expected 1 to %d", c.DefaultStreams, viewing.MaxStreams)
	}
	if _, _, err := net.SplitHostPort(c.HTTPAddress); err != nil {
		return fmt.Errorf("http is %q: expected host:port, as in 127.0.0.1:8080", c.HTTPAddress)
	}
	if _, _, err := net.SplitHostPort(c.Doors.AdminAddress); err != nil && c.Doors.AdminAddress != "" {
		return fmt.Errorf("admin is %q: expected host:port, as in %s", c.Doors.AdminAddress, DefaultAdminAddress)
	}
	if err := c.Raft.Validate(); err != nil {
		return err
	}
	if err := c.Doors.validate(c.HTTPAddress, c.Raft.RaftAddress); err != nil {
		return err
	}
	_, err := c.Doors.read(c.Raft.NodeID)
	return err
}

// HTTPAddress is where the node listens for clients.
func (s *Server) HTTPAddress() string { return s.listener.Addr().String() }

// AdminAddress is where the node listens for admins.
func (s *Server) AdminAddress() string {
	if s.admin == nil {
		return s.HTTPAddress()
	}
	return s.admin.Addr().String()
}

// Serve answers requests until Close, or until it cannot at one of its doors.
func (s *Server) Serve() error {
	ended := make(chan error, len(s.open))
	for _, d := range s.open {
		go func() { ended <- d.serve() }()
	}
	for range s.open {
		if err := <-ended; err != nil {
			return err
		}
	}
	return nil
}

// Close ends the node; it is to be called once. Nothing is accepted any more,
// requests under way are answered (for at most half of the time that ctx leaves,
// and answersTimeout), the log hands leadership over and lets go of the disk, and
// connections still open are cut. It returns an error when requests were cut.
//
// It takes no longer than ctx allows, but for the disk, which is awaited for a while
// even then (see raft.Node.Close and sliceTimeout).
func (s *Server) Close(ctx context.Context) error {
	s.closing.Store(true)
	flushing, flushed := context.WithCancel(ctx)
	defer flushed()
	var stopping sync.WaitGroup
	for _, d := range s.open {
		stopping.Go(func() { _ = d.http.Shutdown(flushing) }) // says only that connections were open, which may never have asked
	}
	err := s.awaitRequests(ctx)
	if err != nil {
		err = errors.Join(err, s.cut()) // no handler is to run on over a closed node
	}
	s.turns.cut()
	s.patience.cut()
	s.elections.cut()
	s.forwarder.close()
	// Only now, so that no write under way meets a change of leaders.
	err = errors.Join(err, s.closeLog(ctx))
	flush := time.AfterFunc(flushTimeout, flushed)
	defer flush.Stop()
	stopping.Wait()
	_ = s.cut()
	for _, d := range s.open {
		if closing := d.listener.Close(); !errors.Is(closing, net.ErrClosed) { // it never served
			err = errors.Join(err, closing)
		}
	}
	return err
}

// cut closes every connection.
func (s *Server) cut() error {
	var errs []error
	for _, d := range s.open {
		errs = append(errs, d.http.Close())
	}
	return errors.Join(errs...)
}

// closeLog closes the log, then the archive, which ends with the state's digest
// unless ctx asks for haste, and the cold store. The log comes first: nothing of this
// node's own is to keep the leadership from the others.
func (s *Server) closeLog(ctx context.Context) error {
	s.sweeper.end()
	err := s.node.Close(ctx)
	swept := s.sweeper.await(ctx)
	if err == nil && swept == nil && ctx.Err() == nil {
		s.views.read(0, func(state *viewing.State, now viewing.Millis) {
			s.archiver.capture(s.node.Place(), now, state.Digest())
		})
	}
	if swept != nil || errors.Is(err, raft.ErrBusy) { // the cold store is in use, and left as it is: it begins anew
		return errors.Join(err, swept, s.archiver.close())
	}
	return errors.Join(err, s.closeStores())
}

func (s *Server) closeStores() error { return errors.Join(s.archiver.close(), s.cold.Close()) }

// awaitRequests waits until no request is under way, and lets no further one begin:
// it takes the place of each.
func (s *Server) awaitRequests(ctx context.Context) error {
	within := answersTimeout
	if deadline, ok := ctx.Deadline(); ok {
		within = min(within, time.Until(deadline)/2)
	}
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	for taken := range cap(s.inFlight) {
		select {
		case s.inFlight <- struct{}{}:
		case <-ctx.Done():
			if busy := len(s.inFlight) - taken; busy > 0 {
				return fmt.Errorf("%d requests under way were cut: %w", busy, ctx.Err())
			}
			return nil // an ended ctx asks for haste
		}
	}
	return nil
}

func (s *Server) clock() viewing.Millis { return viewing.Millis(s.now().UnixMilli()) }

// route is one of the API of docs/api.md.
type route struct {
	method, path string
	who          audience
	handle       echo.HandlerFunc
}

func (s *Server) api() []route {
	const (
		account = "/v1/accounts/:account"
		profile = account + "/profiles/:profile"
		cluster = "/v1/cluster"
	)
	return []route{
		{http.MethodPost, "/v1/events", forTellers, s.postEvents},
		{http.MethodPut, account, forAdmins, s.putAccount},
		{http.MethodPost, account + "/sessions", forDevices, s.postSession},
		{http.MethodGet, account + "/sessions", forDevices, s.getActive},
		{http.MethodGet, account + "/sessions/:session", forDevices, s.getSession},
		{http.MethodGet, profile + "/positions/:title", forDevices, s.getPosition},
		{http.MethodGet, profile + "/positions", forDevices, s.getPositions},
		{http.MethodGet, profile + "/continue-watching", forDevices, s.getContinueWatching},
		{http.MethodGet, profile + "/history", forDevices, s.getHistory},
		{http.MethodDelete, profile + "/history/:title", forDevices, s.deleteFromHistory},

		{http.MethodGet, cluster, forAdmins, s.getCluster},
		{http.MethodGet, cluster + "/digests", forAdmins, s.getDigests},
		{http.MethodPost, cluster + "/members", forAdmins, s.postMember},
		{http.MethodDelete, cluster + "/members/:id", forAdmins, s.deleteMember},
		{http.MethodPost, cluster + "/leadership", forAdmins, s.postLeadership},
		{http.MethodPost, cluster + "/snapshot", forAdmins, s.postSnapshot},

		{http.MethodGet, "/healthz", forAll, s.getHealth},
		{http.MethodGet, "/readyz", forAll, s.getReady},
		{http.MethodGet, "/metrics", forAdmins, s.metrics.handler()},
	}
}

// routes is as much of the API as there is for these audiences. Where it is checked,
// they are asked for their tokens.
func (s *Server) routes(checked bool, audiences ...audience) *echo.Echo {
	e := echo.New()
	e.HideBanner = true
	e.HTTPErrorHandler = writeProblem
	e.Use(s.metrics.observe, s.bound, wholeQuery)
	for _, r := range s.api() {
		if checked {
			r.handle = s.admit(r.who, r.handle)
		}
		if slices.Contains(audiences, r.who) {
			e.Add(r.method, r.path, r.handle)
		}
	}
	return e
}

func isTimeout(err error) bool {
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) || os.IsTimeout(err)
}
