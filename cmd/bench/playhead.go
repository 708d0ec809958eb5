package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/playhead-load/playhead/http1"
	"github.com/playhead-load/playhead/sim/target"
	"github.com/playhead-load/playhead/viewing"
	"github.com/playhead-load/playhead/viewing/wire"
)

// playhead is the system of this repository.
type playhead struct {
	binary   string
	logStore string // "": serve's own choice
}

func (p playhead) name() string { return strings.TrimSpace("playhead " + p.logStore) }

func (p playhead) start(ctx context.Context, dir string) (cluster, error) {
	var env []string
	if p.logStore != "" {
		env = append(env, "PLAYHEAD_LOG_STORE="+p.logStore)
	}
	servers, err := target.Start(ctx, target.Options{
		Binary: p.binary, DataDir: dir, LogDir: dir, Nodes: nodes,
		Keepalive: time.Minute, Lease: 150 * time.Second, DefaultStreams: 2, Env: env,
	})
	if err != nil {
		return nil, err
	}
	leader, err := servers.Leader(ctx)
	if err != nil {
		return nil, errors.Join(err, servers.Stop())
	}
	return &playheadCluster{servers, leader.URL}, nil
}

type playheadCluster struct {
	servers *target.Cluster
	leader  string
}

func (c *playheadCluster) cpuTime() (time.Duration, error) { return c.servers.CPUTime() }
func (c *playheadCluster) peakBytes() (int64, error)       { return c.servers.PeakBytes() }
func (c *playheadCluster) stop() error                     { return c.servers.Stop() }

func (c *playheadCluster) dial(ctx context.Context, r row, i int) (connection, error) {
	url := c.leader
	if r.anyNode {
		url = c.servers.URLs()[i%nodes]
	}
	address := strings.TrimPrefix(url, "http://")
	conn, err := http1.Dial(ctx, address, 0)
	if err != nil {
		return nil, err
	}
	p := &poster{conn: conn, host: address, devices: newDevices(r, i), row: r}
	if r.level == "" {
		return p, nil
	}
	return &reader{poster: p, devices: newDevices(r, i), query: "?consistency=" + r.level}, nil
}

// poster posts batches of keepalives.
type poster struct {
	conn    *http1.Conn
	host    string
	devices *devices
	row     row
	body    []byte
	request []byte
	again   again
}

func (p *poster) close() error { return p.conn.Close() }

// prepareBatch is how many events a request has beforehand.
const prepareBatch = 1000

// prepare tells of every session, and of what its account played before.
func (p *poster) prepare(ctx context.Context, told *atomic.Int64) error {
	if p.row.titles == 0 {
		return nil
	}
	tell := func(events int, next func(i int, now time.Time) *viewing.Event) error {
		for first := 0; first < events; first += prepareBatch {
			now, batch := time.Now(), min(prepareBatch, events-first)
			if err := p.post(ctx, batch, func(i int) *viewing.Event { return next(first+i, now) }); err != nil {
				return err
			}
			told.Add(int64(batch))
		}
		return nil
	}
	sessions := len(p.devices.seqs)
	for n := 1; n < p.row.titles; n++ {
		if err := tell(sessions, func(i int, now time.Time) *viewing.Event { return p.devices.past(i, n, now) }); err != nil {
			return err
		}
	}
	return tell(sessions, func(_ int, now time.Time) *viewing.Event { return p.devices.next(now) })
}

func (p *poster) send(ctx context.Context) error {
	now := time.Now()
	return p.post(ctx, p.row.batch, func(int) *viewing.Event { return p.devices.next(now) })
}

// post posts events, and where the row is one of overload posts them again until they
// are not refused.
func (p *poster) post(ctx context.Context, events int, event func(i int) *viewing.Event) error {
	p.body = append(p.body[:0], '[')
	for i := range events {
		if i > 0 {
			p.body = append(p.body, ',')
		}
		p.body = wire.AppendEventJSON(p.body, event(i))
	}
	p.body = append(p.body, ']')
	p.request = http1.AppendHead(p.request[:0], http.MethodPost, "/v1/events", p.host)
	p.request = http1.AppendHeader(p.request, "Content-Type", "application/json")
	p.request = http1.AppendBody(p.request, p.body)
	for {
		answer, err := p.conn.Do(p.request, time.Now().Add(answerTimeout))
		if hungUp := errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET); hungUp && p.row.overload { // too busy to hear a request in time
			p.again.lost++
			if err := p.redial(ctx); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return err
		}
		if p.row.overload && ctx.Err() == nil {
			switch answer.Status {
			case http.StatusTooManyRequests:
				p.again.refused++
				continue
			case http.StatusServiceUnavailable:
				p.again.lost++
				continue
			}
		}
		taken := bytes.Count(answer.Body, []byte(`"accepted"`))
		if p.row.overload { // what was sent again may have been there
			taken += bytes.Count(answer.Body, []byte(`"duplicate"`))
		}
		if answer.Status != http.StatusOK || taken != events {
			return fmt.Errorf("the server answered %d, expected %d events to be accepted: %.300s", answer.Status, events, answer.Body)
		}
		return nil
	}
}

func (p *poster) redial(ctx context.Context) error {
	conn, err := http1.Dial(ctx, p.host, 0)
	if err != nil {
		return err
	}
	_ = p.conn.Close()
	p.conn = conn
	return nil
}

// reader asks for the positions of what was posted, one after another.
type reader struct {
	*poster
	devices *devices
	query   string
}

// catchUpTimeout is how long a follower may take to show what was posted.
const catchUpTimeout = 10 * time.Second

// prepare posts what is to be read, and asks until the node shows the last of it.
func (r *reader) prepare(ctx context.Context, told *atomic.Int64) error {
	r.row.titles = 1
	if err := r.poster.prepare(ctx, told); err != nil {
		return err
	}
	for deadline := time.Now().Add(catchUpTimeout); ; {
		r.devices.at = len(r.devices.seqs) - 1
		err := r.send(ctx)
		if err == nil || time.Now().After(deadline) || !r.conn.Usable() {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		time.Sleep(time.Millisecond)
	}
}

func (r *reader) send(context.Context) error {
	now := time.Now()
	e := r.devices.next(now)
	r.request = append(r.request[:0], "GET /v1/accounts/"...)
	r.request = strconv.AppendUint(r.request, e.AccountID, 10)
	r.request = append(r.request, "/profiles/1/positions/"...)
	r.request = strconv.AppendUint(r.request, uint64(e.TitleID), 10)
	r.request = append(r.request, r.query...)
	r.request = append(r.request, " HTTP/1.1\r\n"...)
	r.request = http1.AppendHeader(r.request, "Host", r.host)
	r.request = http1.AppendNoBody(r.request)
	answer, err := r.conn.Do(r.request, now.Add(answerTimeout))
	if err != nil {
		return err
	}
	if answer.Status != http.StatusOK || !bytes.Contains(answer.Body, []byte(`"position_ms"`)) {
		return fmt.Errorf("the server answered %d, expected a position: %.300s", answer.Status, answer.Body)
	}
	return nil
}
