package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"golang.org/x/sync/errgroup"
	"golang.org/x/term"

	"github.com/playhead-load/playhead/sim/driver"
)

// nodes is how many servers each cluster has.
const nodes = 3

// answerTimeout is how long a request may take before the server counts as stuck.
const answerTimeout = 20 * time.Second

// system is a kind of server to measure.
type system interface {
	name() string
	start(ctx context.Context, dir string) (cluster, error)
}

// cluster is the running servers of a system.
type cluster interface {
	// dial opens the i-th connection of a row, and makes ready what it sends.
	dial(ctx context.Context, r row, i int) (connection, error)
	cpuTime() (time.Duration, error)
	// peakBytes is the most memory that one server ever had resident.
	peakBytes() (int64, error)
	stop() error
}

// connection has one request under way.
type connection interface {
	// send sends a request and waits until all of it is answered well.
	send(ctx context.Context) error
	close() error
}

// figures are what one row measured; processor times are seconds per 100,000 events,
// or per 100,000 reads.
type figures struct {
	perS, p50MS, p99MS, cpuS, serversCPUS float64
	perServerCPUS                         float64 // events or reads a processor second of the servers
	refusedPerS, lostPerS                 float64 // requests that were sent again, see poster
	peakBytes                             int64   // resident, of the server that had most
	stall                                 stall   // of a row at a pace, and nothing else of it
}

// measure plays a row against a fresh cluster of a system.
func measure(ctx context.Context, s system, r row, cfg config) (f figures, err error) {
	dir, err := os.MkdirTemp(cfg.dir, "playhead-bench-")
	if err != nil {
		return f, err
	}
	defer func() {
		err = errors.Join(err, os.RemoveAll(dir))
		syscall.Sync() // gigabytes that are still being removed would slow the next row
	}()
	c, err := s.start(ctx, dir)
	if err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, c.stop()) }()
	l := &load{batch: max(1, r.batch)}
	defer func() { err = errors.Join(err, l.close()) }()
	if err := l.dial(ctx, c, r); err != nil {
		return f, err
	}
	if err := l.prepare(ctx, newProgress(s, r, time.Hour)); err != nil {
		return f, err
	}
	if r.pace > 0 {
		f.stall, err = measureStall(ctx, c, l, r, cfg)
		return f, err
	}
	if _, err := l.run(ctx, cfg.duration/5, nil); err != nil {
		return f, err
	}
	serversBefore, err := c.cpuTime()
	if err != nil {
		return f, err
	}
	clientBefore := driver.CPUTime()
	result, err := l.run(ctx, cfg.duration, newProgress(s, r, cfg.duration))
	if err != nil {
		return f, err
	}
	serversAfter, err := c.cpuTime()
	if err != nil {
		return f, err
	}
	client, servers := driver.CPUTime()-clientBefore, serversAfter-serversBefore
	if result.events == 0 {
		return f, fmt.Errorf("nothing was answered within %v", cfg.duration)
	}
	if f.peakBytes, err = c.peakBytes(); err != nil {
		return f, err
	}
	f.refusedPerS = float64(result.again.refused) / result.took.Seconds()
	f.lostPerS = float64(result.again.lost) / result.took.Seconds()
	per100k := 100_000 / float64(result.events)
	f.perS = float64(result.events) / result.took.Seconds()
	f.p50MS, f.p99MS = quantileMS(result.latencyUS, 50), quantileMS(result.latencyUS, 99)
	f.serversCPUS = servers.Seconds() * per100k
	f.cpuS = f.serversCPUS + client.Seconds()*per100k
	if servers > 0 {
		f.perServerCPUS = float64(result.events) / servers.Seconds()
	}
	return f, nil
}

// load is a closed loop: every connection sends, waits for its answer, and sends
// again.
type load struct {
	conns []connection
	batch int
	sent  atomic.Int64 // requests that were answered, for the progress
}

// dialsAtOnce keeps many connections from being so slow to open that a server closes
// the first of them before it is used.
const dialsAtOnce = 64

func (l *load) dial(ctx context.Context, c cluster, r row) error {
	l.conns = make([]connection, r.connections)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(dialsAtOnce)
	for i := range l.conns {
		group.Go(func() (err error) {
			if l.conns[i], err = c.dial(ctx, r, i); err != nil {
				return fmt.Errorf("connection %d: %w", i+1, err)
			}
			return nil
		})
	}
	return group.Wait()
}

// close closes the connections.
func (l *load) close() error {
	var errs []error
	for _, c := range l.conns {
		if c != nil {
			errs = append(errs, c.close())
		}
	}
	return errors.Join(errs...)
}

// preparer is a connection whose servers are to know something beforehand.
type preparer interface {
	// prepare tells them, and counts the events that it told.
	prepare(ctx context.Context, told *atomic.Int64) error
}

func (l *load) prepare(ctx context.Context, p *progress) error {
	var told atomic.Int64
	defer p.show(&told, 1)()
	group, ctx := errgroup.WithContext(ctx)
	for _, c := range l.conns {
		if c, ok := c.(preparer); ok {
			group.Go(func() error { return c.prepare(ctx, &told) })
		}
	}
	return group.Wait()
}

// result is what a run of the load came to.
type result struct {
	again     again
	events    int
	took      time.Duration
	latencyUS *hdrhistogram.Histogram
}

const maxLatencyUS = 60_000_000

func newHistogram() *hdrhistogram.Histogram { return hdrhistogram.New(1, maxLatencyUS, 3) }

func (l *load) run(ctx context.Context, duration time.Duration, p *progress) (result, error) {
	defer p.show(&l.sent, l.batch)()
	sum := result{latencyUS: newHistogram()}
	var mu sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	before := l.again()
	begun := time.Now()
	until := begun.Add(duration)
	for _, c := range l.conns {
		group.Go(func() error {
			return l.loop(ctx, c, until, func(latency time.Duration) error {
				mu.Lock() // one histogram: thousands of them would take gigabytes
				defer mu.Unlock()
				sum.events += l.batch
				return sum.latencyUS.RecordValue(min(latency.Microseconds(), maxLatencyUS))
			})
		})
	}
	err := group.Wait()
	sum.took = time.Since(begun)
	after := l.again()
	sum.again = again{after.refused - before.refused, after.lost - before.lost}
	return sum, err
}

// again counts requests that were sent again.
type again struct {
	refused int
	lost    int // unanswered, or an election left open what became of them
}

// again is of all connections; nobody sends now.
func (l *load) again() (sum again) {
	for _, c := range l.conns {
		if p, ok := c.(*poster); ok {
			sum.refused += p.again.refused
			sum.lost += p.again.lost
		}
	}
	return sum
}

func (l *load) loop(ctx context.Context, c connection, until time.Time, answered func(latency time.Duration) error) error {
	for begun := time.Now(); begun.Before(until); {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := c.send(ctx); err != nil {
			return err
		}
		now := time.Now()
		if err := answered(now.Sub(begun)); err != nil {
			return err
		}
		begun = now
		l.sent.Add(1)
	}
	return nil
}

// progressEvery is how often a row on its way is shown; a shorter one is not.
const progressEvery = time.Second

// progress shows on a terminal that a row is on its way. A nil one shows nothing.
type progress struct {
	what     string
	duration time.Duration
}

func newProgress(s system, r row, duration time.Duration) *progress {
	if duration <= 2*progressEvery || !term.IsTerminal(int(os.Stderr.Fd())) {
		return nil
	}
	return &progress{what: fmt.Sprintf("%s, %s", r, s.name()), duration: duration}
}

func (p *progress) show(sent *atomic.Int64, batch int) (stop func()) {
	if p == nil {
		return func() {}
	}
	const clearLine = "\r\033[K"
	done, cleared := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(cleared)
		ticker := time.NewTicker(progressEvery)
		defer ticker.Stop()
		begun, last := time.Now(), sent.Load()
		for {
			select {
			case <-done:
				fmt.Fprint(os.Stderr, clearLine)
				return
			case <-ticker.C:
				now := sent.Load()
				fmt.Fprintf(os.Stderr, clearLine+"  … %s  %.0f/%.0fs  %d/s", p.what, time.Since(begun).Seconds(), p.duration.Seconds(), (now-last)*int64(batch))
				last = now
			}
		}
	}()
	return func() { close(done); <-cleared }
}
