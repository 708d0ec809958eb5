package driver

import (
	"context"
	"crypto/tls"
	"net"
	"time"

	"github.com/playhead-load/playhead/http1"
)

// conns is a carrier of a goroutine for each connection, which goes with every
// system, and with TLS.
type conns struct {
	nodes   []node
	tls     *tls.Config
	ctx     context.Context
	cancel  context.CancelFunc
	idle    [][]*conn // by node, the last used last
	ended   chan *conn
	waiting *time.Timer
}

// conn is a connection that has a call, or is idle.
type conn struct {
	node     node
	work     chan struct{} // a call is there
	http     *http1.Conn   // nil: it has to be dialled
	release  func() bool   // ends the watch over the context
	number   int           // of its node
	request  []byte
	deadline time.Time
	caller   caller
	answer   *http1.Answer
	err      error
}

func newConns(nodes []node, calls int, config *tls.Config) *conns {
	c := &conns{
		nodes: nodes, tls: config, idle: make([][]*conn, len(nodes)),
		ended: make(chan *conn, calls), waiting: time.NewTimer(0),
	}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	return c
}

func (c *conns) call(node int, request []byte, deadline time.Time, who caller) {
	var one *conn
	if idle := c.idle[node]; len(idle) > 0 {
		one = idle[len(idle)-1]
		c.idle[node] = idle[:len(idle)-1]
	} else {
		one = &conn{node: c.nodes[node], number: node, work: make(chan struct{}, 1)}
		go one.serve(c.ctx, c.tls, c.ended)
	}
	one.request = append(one.request[:0], request...)
	one.deadline, one.caller = deadline, who
	one.work <- struct{}{}
}

func (c *conns) await(until time.Time, told func(caller, *http1.Answer, error)) {
	c.waiting.Reset(time.Until(until))
	select {
	case one := <-c.ended:
		c.tell(one, told)
	case <-c.waiting.C: // where that was over before, there may be some all the same
	}
	for range cap(c.ended) {
		select {
		case one := <-c.ended:
			c.tell(one, told)
		default:
			return
		}
	}
}

func (c *conns) tell(one *conn, told func(caller, *http1.Answer, error)) {
	who := one.caller
	one.caller = nil
	told(who, one.answer, one.err)
	c.idle[one.number] = append(c.idle[one.number], one)
}

func (c *conns) close() { c.cancel() }

// serve makes one call after another until ctx ends.
func (c *conn) serve(ctx context.Context, config *tls.Config, ended chan<- *conn) {
	defer c.hangUp()
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.work:
		}
		c.answer, c.err = c.exchange(ctx, config)
		ended <- c // has room for every call
	}
}

func (c *conn) exchange(ctx context.Context, config *tls.Config) (*http1.Answer, error) {
	if c.http != nil && (!c.http.Usable() || !c.http.Quiet()) {
		c.hangUp()
	}
	if c.http == nil {
		if err := c.dial(ctx, config); err != nil {
			return nil, err
		}
	}
	return c.http.Do(c.request, c.deadline)
}

func (c *conn) dial(ctx context.Context, config *tls.Config) error {
	dialing, cancel := context.WithDeadline(ctx, c.deadline)
	defer cancel()
	var plain net.Dialer
	dial := plain.DialContext
	if c.node.secure {
		dial = (&tls.Dialer{NetDialer: &plain, Config: config}).DialContext
	}
	connection, err := dial(dialing, "tcp", c.node.address)
	if err != nil {
		return err
	}
	c.http = http1.NewConn(connection, maxAnswer)
	c.release = context.AfterFunc(ctx, func() { _ = connection.Close() }) // which ends a call under way
	return nil
}

func (c *conn) hangUp() {
	if c.http != nil {
		c.release()
		_ = c.http.Close()
		c.http = nil
	}
}
