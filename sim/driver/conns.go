package driver

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"time"

	"github.com/playhead-load/playhead/http1"
)

// conns is a carrier of a goroutine for each connection, which goes with every
// system, and with TLS.
type conns struct {
	nodes   []node
	tls     *tls.Config
	dial    Dial
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
	ended    time.Time
	err      error
}

func newConns(nodes []node, config *Config) *conns {
	dial := config.Dial
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	c := &conns{
		nodes: nodes, tls: config.TLS, dial: dial, idle: make([][]*conn, len(nodes)),
		ended: make(chan *conn, config.calls()), waiting: time.NewTimer(0),
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
		go one.serve(c)
	}
	one.request = append(one.request[:0], request...)
	one.deadline, one.caller = deadline, who
	one.work <- struct{}{}
}

func (c *conns) await(until time.Time, _ bool, told tell) {
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

func (c *conns) tell(one *conn, told tell) {
	who := one.caller
	one.caller = nil
	told(who, one.answer, one.ended, one.err)
	c.idle[one.number] = append(c.idle[one.number], one)
}

func (c *conns) close() { c.cancel() }

// serve makes one call after another until the context ends.
func (c *conn) serve(of *conns) {
	defer c.hangUp()
	for {
		select {
		case <-of.ctx.Done():
			return
		case <-c.work:
		}
		c.answer, c.err = c.exchange(of)
		c.ended = time.Now()
		of.ended <- c // has room for every call
	}
}

func (c *conn) exchange(of *conns) (*http1.Answer, error) {
	if c.http != nil && (!c.http.Usable() || !c.http.Quiet()) {
		c.hangUp()
	}
	if c.http == nil {
		if err := c.dial(of); err != nil {
			return nil, err
		}
	}
	return c.http.Do(c.request, c.deadline)
}

func (c *conn) dial(of *conns) error {
	dialing, cancel := context.WithDeadline(of.ctx, c.deadline)
	defer cancel()
	connection, err := of.dial(dialing, "tcp", c.node.address)
	if err != nil {
		return err
	}
	if c.node.secure {
		if connection, err = Secured(dialing, connection, c.node.address, of.tls); err != nil {
			return err
		}
	}
	c.http = http1.NewConn(connection, maxAnswer)
	c.release = context.AfterFunc(of.ctx, func() { _ = connection.Close() }) // which ends a call under way
	return nil
}

// Secured talks TLS over a connection, to who the address, host:port, names unless config
// does, which may be nil. It closes the connection where it fails.
func Secured(ctx context.Context, plain net.Conn, address string, config *tls.Config) (net.Conn, error) {
	if config == nil || config.ServerName == "" {
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			return nil, errors.Join(err, plain.Close())
		}
		config = config.Clone()
		if config == nil {
			config = &tls.Config{MinVersion: tls.VersionTLS12}
		}
		config.ServerName = host
	}
	over := tls.Client(plain, config)
	if err := over.HandshakeContext(ctx); err != nil {
		return nil, errors.Join(err, plain.Close())
	}
	return over, nil
}

func (c *conn) hangUp() {
	if c.http != nil {
		c.release()
		_ = c.http.Close()
		c.http = nil
	}
}
