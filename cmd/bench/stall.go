package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"golang.org/x/sync/errgroup"
)

// maxSnapshot is how long a server may take to write a snapshot.
const maxSnapshot = 5 * time.Minute

// Limits of what a server tells of itself.
const (
	maxMetrics = 10 * time.Second
	maxAnswer  = 4 << 20 // bytes
)

// stall is how a cluster answers at a rate that it can well take: with nothing else to
// do, and while its leader writes a snapshot.
type stall struct {
	calm, during result
	peakBytes    int64   // the most that one server ever had resident
	collecting   float64 // of the servers' processor time since their start, what Go's collector took
}

// Servers write snapshots of their own accord too, after so many entries: what is measured
// begins when none does.
const (
	restFor    = 3 * time.Second // without one, until it is taken that none waits to be written
	restWithin = 15 * time.Minute
	calmTries  = 5
	lookEvery  = 200 * time.Millisecond
)

// snapshotter is a cluster whose leader writes a snapshot when it is told to.
type snapshotter interface {
	// snapshot returns when it is written.
	snapshot(ctx context.Context) error
	// snapshots tells of those that the servers write, also of their own accord.
	snapshots(ctx context.Context) (snapshots, error)
	// collectorTime is the processor time that Go's collector took in all servers, as of
	// each one's newest collection.
	collectorTime(ctx context.Context) (time.Duration, error)
}

// snapshots are as many as the sum of the newest ones' indexes tells, and one more while one
// is written.
type snapshots struct {
	indexes float64
	writing bool
}

// measureStall plays a row at its pace, for a while and then for as long as the snapshot
// takes. The load is dialled and prepared.
func measureStall(ctx context.Context, c cluster, l *load, r row, cfg config) (s stall, err error) {
	leader, ok := c.(snapshotter)
	if !ok {
		return s, errors.New("it writes no snapshot on demand")
	}
	if s.calm, err = playCalm(ctx, leader, l, r, cfg); err != nil {
		return s, err
	}
	written := make(chan struct{})
	group, together := errgroup.WithContext(ctx)
	group.Go(func() error {
		defer close(written)
		return leader.snapshot(together)
	})
	s.during, err = l.runPaced(together, r.pace, written)
	if err = errors.Join(err, group.Wait()); err != nil {
		return s, err
	}
	if s.peakBytes, err = c.peakBytes(); err != nil {
		return s, err
	}
	collector, err := leader.collectorTime(ctx)
	if err != nil {
		return s, err
	}
	all, err := c.cpuTime()
	s.collecting = collector.Seconds() / all.Seconds()
	return s, err
}

// playCalm plays a row at its pace while no server writes a snapshot.
func playCalm(ctx context.Context, c snapshotter, l *load, r row, cfg config) (calm result, err error) {
	for range calmTries {
		before, err := awaitRest(ctx, c)
		if err != nil {
			return calm, err
		}
		over, cancel := context.WithTimeout(ctx, cfg.duration)
		calm, err = l.runPaced(ctx, r.pace, over.Done())
		cancel()
		if err != nil {
			return calm, err
		}
		if after, err := c.snapshots(ctx); after == before || err != nil {
			return calm, err
		}
	}
	return calm, fmt.Errorf("the servers wrote a snapshot of their own in each of %d tries to measure them without", calmTries)
}

// awaitRest returns when no server has written a snapshot for a while.
func awaitRest(ctx context.Context, c snapshotter) (now snapshots, err error) {
	ctx, cancel := context.WithTimeout(ctx, restWithin)
	defer cancel()
	for since := time.Now(); time.Since(since) < restFor; {
		before := now
		if now, err = c.snapshots(ctx); err != nil {
			return now, fmt.Errorf("wait until the servers have written their snapshots: %w", err)
		}
		if now.writing || now != before {
			since = time.Now()
		}
		waitUntil(ctx, time.Now().Add(lookEvery), nil)
	}
	return now, nil
}

// runPaced is an open loop: together the connections send so many events a second,
// until it is over. A latency begins when its request was due, also where the one
// before was not answered yet.
func (l *load) runPaced(ctx context.Context, perS int, over <-chan struct{}) (result, error) {
	every := time.Duration(l.batch*len(l.conns)) * time.Second / time.Duration(perS)
	sum := result{latencyUS: newHistogram()}
	var mu sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	begun := time.Now()
	for i, c := range l.conns {
		due := begun.Add(every * time.Duration(i) / time.Duration(len(l.conns)))
		group.Go(func() error {
			for ; waitUntil(ctx, due, over); due = due.Add(every) {
				if err := c.send(ctx); err != nil {
					return err
				}
				mu.Lock()
				sum.events += l.batch
				err := sum.latencyUS.RecordValue(min(time.Since(due).Microseconds(), maxLatencyUS))
				mu.Unlock()
				if err != nil {
					return err
				}
			}
			return ctx.Err()
		})
	}
	err := group.Wait()
	sum.took = time.Since(begun)
	return sum, err
}

// waitUntil reports whether the time came before the end did.
func waitUntil(ctx context.Context, due time.Time, over <-chan struct{}) bool {
	timer := time.NewTimer(time.Until(due))
	defer timer.Stop()
	select {
	case <-over:
		return false
	case <-ctx.Done():
		return false
	default:
	}
	select {
	case <-timer.C:
		return true
	case <-over:
	case <-ctx.Done():
	}
	return false
}

func (c *playheadCluster) snapshot(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, maxSnapshot)
	defer cancel()
	_, err := ask(ctx, http.MethodPost, c.leader+"/v1/cluster/snapshot")
	return err
}

func (c *playheadCluster) snapshots(ctx context.Context) (sum snapshots, err error) {
	texts, err := c.metrics(ctx)
	for _, text := range texts {
		index, told, bad := figure(text, "playhead_raft_snapshot_index")
		writing, _, worse := figure(text, "playhead_raft_snapshot_writing")
		if told { // else there is none yet
			err = errors.Join(err, bad)
		}
		err = errors.Join(err, worse)
		sum.indexes, sum.writing = sum.indexes+index, sum.writing || writing > 0
	}
	return sum, err
}

func (c *playheadCluster) collectorTime(ctx context.Context) (sum time.Duration, err error) {
	texts, err := c.metrics(ctx)
	for _, text := range texts {
		seconds, _, bad := figure(text, "go_cpu_classes_gc_total_cpu_seconds_total")
		err = errors.Join(err, bad)
		sum += time.Duration(seconds * float64(time.Second))
	}
	return sum, err
}

// metrics is what each server tells of itself.
func (c *playheadCluster) metrics(ctx context.Context) (texts []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, maxMetrics)
	defer cancel()
	for _, url := range c.servers.URLs() {
		text, err := ask(ctx, http.MethodGet, url+"/metrics")
		if err != nil {
			return nil, err
		}
		texts = append(texts, text)
	}
	return texts, nil
}

// figure is what metrics tell of a figure without labels. Not to be told is an error too.
func figure(metrics, name string) (value float64, told bool, err error) {
	_, text, told := strings.Cut(metrics, "\n"+name+" ")
	text, _, _ = strings.Cut(text, "\n")
	if value, err = strconv.ParseFloat(text, 64); err != nil {
		err = fmt.Errorf("metrics: %s: %w", name, err)
	}
	return value, told, err
}

func ask(ctx context.Context, method, url string) (text string, err error) {
	request, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		return "", err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err == nil && response.StatusCode/100 != 2 {
		err = fmt.Errorf("%s %s: %s: %s", method, url, response.Status, body)
	}
	return string(body), err
}

var stallColumns = fmt.Sprintf("\n  %-58s %9s %7s %7s %7s %7s %7s\n",
	"load, sent at a rate", "events/s", "took s", "p50 ms", "p99 ms", "p99.9", "max")

func (t *table) addStall(out io.Writer, r row, s stall) {
	fmt.Fprint(out, t.columns)
	t.columns = ""
	for _, p := range []struct {
		when string
		result
	}{{r.String(), s.calm}, {"  while the leader writes a snapshot", s.during}} {
		fmt.Fprintf(out, "  %-58s %9.0f %7.1f %7.1f %7.1f %7.1f %7.1f\n", p.when, float64(p.events)/p.took.Seconds(), p.took.Seconds(),
			quantileMS(p.latencyUS, 50), quantileMS(p.latencyUS, 99), quantileMS(p.latencyUS, 99.9), float64(p.latencyUS.Max())/1000)
	}
	fmt.Fprintf(out, "  A server took %d MiB at most; collecting garbage, %.2f %% of the servers' processor time since their start.\n",
		s.peakBytes>>20, 100*s.collecting)
}

func quantileMS(latencyUS *hdrhistogram.Histogram, percent float64) float64 {
	return float64(latencyUS.ValueAtPercentile(percent)) / 1000
}
