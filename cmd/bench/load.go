package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"golang.org/x/sync/errgroup"

	"github.com/playhead-load/playhead/viewing"
	"github.com/playhead-load/playhead/viewing/wire"
)

// sessionsEach is how many sessions a connection keeps alive, one account each, so
// that no limit is met.
const sessionsEach = 1000

// answerTimeout is how long a batch may take before the server counts as stuck.
const answerTimeout = 10 * time.Second

// load is a closed loop: every connection posts, waits for its answer, and posts
// again. It shows the most that the cluster takes, not how it answers at a rate.
type load struct {
	row   row
	conns []*conn
}

func newLoad(urls []string, r row) *load {
	l := &load{row: r}
	for i := range r.connections {
		l.conns = append(l.conns, &conn{
			address:      strings.TrimPrefix(urls[i%len(urls)], "http://"),
			firstAccount: uint64(1 + i*sessionsEach),
			batch:        r.batch,
		})
	}
	return l
}

// close closes the connections.
func (l *load) close() error {
	var errs []error
	for _, c := range l.conns {
		if c.net != nil {
			errs = append(errs, c.net.Close())
		}
	}
	return errors.Join(errs...)
}

// result is what a run of the load came to.
type result struct {
	events    int
	took      time.Duration
	latencyUS *hdrhistogram.Histogram
}

const maxLatencyUS = 60_000_000

func newHistogram() *hdrhistogram.Histogram { return hdrhistogram.New(1, maxLatencyUS, 3) }

func (l *load) run(ctx context.Context, duration time.Duration) (result, error) {
	parent := ctx
	ctx, cancel := context.WithTimeout(ctx, duration)
	defer cancel()
	sum := result{latencyUS: newHistogram()}
	var mu sync.Mutex
	var group errgroup.Group
	begun := time.Now()
	for _, c := range l.conns {
		group.Go(func() error {
			events, latency, err := c.post(ctx)
			mu.Lock()
			defer mu.Unlock()
			sum.events += events
			sum.latencyUS.Merge(latency)
			return err
		})
	}
	err := group.Wait()
	sum.took = time.Since(begun)
	return sum, errors.Join(err, parent.Err())
}

// conn is one connection and the sessions that it keeps alive.
type conn struct {
	address      string
	firstAccount uint64
	batch        int

	net     net.Conn
	reader  *bufio.Reader
	next    int // session to keep alive next
	seqs    [sessionsEach]uint32
	body    []byte
	request []byte
	answer  []byte
}

// post posts batches until the end of ctx.
func (c *conn) post(ctx context.Context) (events int, latencyUS *hdrhistogram.Histogram, err error) {
	latencyUS = newHistogram()
	if c.net == nil {
		if c.net, err = net.Dial("tcp", c.address); err != nil {
			return 0, latencyUS, err
		}
		c.reader = bufio.NewReader(c.net)
	}
	for ctx.Err() == nil {
		c.build()
		begun := time.Now()
		if err := c.net.SetDeadline(begun.Add(answerTimeout)); err != nil {
			return events, latencyUS, err
		}
		if _, err := c.net.Write(c.request); err != nil {
			return events, latencyUS, err
		}
		if err := c.readAnswer(); err != nil {
			return events, latencyUS, err
		}
		if err := latencyUS.RecordValue(min(time.Since(begun).Microseconds(), maxLatencyUS)); err != nil {
			return events, latencyUS, err
		}
		events += c.batch
	}
	return events, latencyUS, nil
}

// build makes the next batch: keepalives of the sessions in turn.
func (c *conn) build() {
	now := viewing.Millis(time.Now().UnixMilli())
	c.body = append(c.body[:0], '[')
	for i := range c.batch {
		if i > 0 {
			c.body = append(c.body, ',')
		}
		e := viewing.Event{
			Seq: c.seqs[c.next], Type: viewing.Keepalive, At: now, AccountID: c.firstAccount + uint64(c.next),
			ProfileID: 1, DeviceID: c.firstAccount + uint64(c.next), DeviceType: "tv", TitleID: uint32(1 + c.next),
			Country: "US", RuntimeMS: 5_400_000, PositionMS: int64(c.seqs[c.next]) * 60_000, PlayedMS: int64(c.seqs[c.next]) * 60_000,
		}
		binary.BigEndian.PutUint64(e.SessionID[8:], e.AccountID)
		c.seqs[c.next]++
		c.next = (c.next + 1) % sessionsEach
		c.body = wire.AppendEventJSON(c.body, &e)
	}
	c.body = append(c.body, ']')
	c.request = append(c.request[:0], "POST /v1/events HTTP/1.1\r\nHost: "...)
	c.request = append(c.request, c.address...)
	c.request = append(c.request, "\r\nContent-Type: application/json\r\nContent-Length: "...)
	c.request = strconv.AppendInt(c.request, int64(len(c.body)), 10)
	c.request = append(c.request, "\r\n\r\n"...)
	c.request = append(c.request, c.body...)
}

// readAnswer reads one HTTP answer, and wants every event of the batch accepted.
func (c *conn) readAnswer() error {
	status, err := c.reader.ReadSlice('\n')
	if err != nil {
		return err
	}
	if !bytes.Contains(status, []byte(" 200 ")) {
		return fmt.Errorf("the server answered %s", bytes.TrimSpace(status))
	}
	length := -1
	for {
		line, err := c.reader.ReadSlice('\n')
		if err != nil {
			return err
		}
		line = bytes.TrimSpace(line)
		if len(line) == 0 {
			break
		}
		if value, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
			if length, err = strconv.Atoi(string(value)); err != nil {
				return err
			}
		}
	}
	if length < 0 {
		return errors.New("the server answered without Content-Length")
	}
	c.answer = append(c.answer[:0], make([]byte, length)...)
	if _, err := io.ReadFull(c.reader, c.answer); err != nil {
		return err
	}
	if n := bytes.Count(c.answer, []byte(`"accepted"`)); n != c.batch {
		return fmt.Errorf("%d of %d events were accepted: %.300s", n, c.batch, c.answer)
	}
	return nil
}
