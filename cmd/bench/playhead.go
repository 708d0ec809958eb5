package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/playhead-load/playhead/http1"
	"github.com/playhead-load/playhead/sim/target"
	"github.com/playhead-load/playhead/viewing/wire"
)

// playhead is the system of this repository.
type playhead struct{ binary string }

func (playhead) name() string { return "playhead" }

func (p playhead) start(ctx context.Context, dir string) (cluster, error) {
	servers, err := target.Start(ctx, target.Options{
		Binary: p.binary, DataDir: dir, LogDir: dir, Nodes: nodes,
		Keepalive: time.Minute, Lease: 150 * time.Second, DefaultStreams: 2,
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
	if r.level == "" {
		return &poster{conn: conn, host: address, devices: newDevices(i), batch: r.batch}, nil
	}
	// What is read must be there.
	d := newDevices(i)
	first := &poster{conn: conn, host: address, devices: d, batch: sessionsEach}
	if err := first.send(ctx); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	questions := &reader{conn: conn, host: address, devices: newDevices(i), query: "?consistency=" + r.level}
	if err := questions.awaitAll(ctx); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return questions, nil
}

// poster posts batches of keepalives.
type poster struct {
	conn    *http1.Conn
	host    string
	devices *devices
	batch   int
	body    []byte
	request []byte
}

func (p *poster) close() error { return p.conn.Close() }

func (p *poster) send(context.Context) error {
	now := time.Now()
	p.body = append(p.body[:0], '[')
	for i := range p.batch {
		if i > 0 {
			p.body = append(p.body, ',')
		}
		p.body = wire.AppendEventJSON(p.body, p.devices.next(now))
	}
	p.body = append(p.body, ']')
	p.request = http1.AppendHead(p.request[:0], http.MethodPost, "/v1/events", p.host)
	p.request = http1.AppendHeader(p.request, "Content-Type", "application/json")
	p.request = http1.AppendBody(p.request, p.body)
	answer, err := p.conn.Do(p.request, now.Add(answerTimeout))
	if err != nil {
		return err
	}
	if answer.Status != http.StatusOK || bytes.Count(answer.Body, []byte(`"accepted"`)) != p.batch {
		return fmt.Errorf("the server answered %d, expected %d events to be accepted: %.300s", answer.Status, p.batch, answer.Body)
	}
	return nil
}

// reader asks for the positions of what was posted, one after another.
type reader struct {
	conn    *http1.Conn
	host    string
	devices *devices
	query   string
	request []byte
}

func (r *reader) close() error { return r.conn.Close() }

// catchUpTimeout is how long a follower may take to show what was posted.
const catchUpTimeout = 10 * time.Second

// awaitAll asks until the node shows what was posted last.
func (r *reader) awaitAll(ctx context.Context) error {
	for deadline := time.Now().Add(catchUpTimeout); ; {
		r.devices.at = sessionsEach - 1
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
