package k6

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/playhead-load/playhead/http1"
	"github.com/playhead-load/playhead/sim/driver"
)

// Limits of what one device asks.
const (
	answerTimeout = 10 * time.Second // from the call on
	maxAnswer     = 1 << 20          // bytes of one
)

// link is the connection of a VU's devices to a target: one, since a VU does one thing at a
// time. Only the VU's goroutine uses it.
type link struct {
	address string // host:port
	host    string // for the Host header
	base    string // path before that of the API
	secure  bool

	http    *http1.Conn // nil: it has to be dialled
	request []byte
	body    []byte
}

// linkTo is the VU's link to a target, which is a URL that was checked.
func (i *instance) linkTo(target string) *link {
	if l := i.links[target]; l != nil {
		return l
	}
	u, err := url.Parse(target)
	if err != nil {
		i.fail(err)
	}
	l := &link{address: u.Host, host: u.Host, base: strings.TrimRight(u.EscapedPath(), "/"), secure: u.Scheme == "https"}
	if u.Port() == "" {
		l.address = net.JoinHostPort(u.Hostname(), u.Scheme)
	}
	i.links[target] = l
	return l
}

// do sends a request and reads its answer, which is valid until the next one. sent is when
// it was: after a connection was opened, if that had to be. ctx ends it.
func (l *link) do(ctx context.Context, d *dialing, request []byte, begun time.Time) (a *http1.Answer, sent time.Time, err error) {
	deadline := begun.Add(answerTimeout)
	if l.http != nil && (!l.http.Usable() || !l.http.Quiet()) {
		l.hangUp()
	}
	if l.http == nil {
		if err := l.open(ctx, d, deadline); err != nil {
			return nil, begun, err
		}
		begun = time.Now()
	}
	connection := l.http
	release := context.AfterFunc(ctx, func() { _ = connection.Close() })
	a, err = connection.Do(request, deadline)
	if ended := !release(); ended || err != nil {
		l.hangUp()
		if err != nil && ctx.Err() != nil {
			err = ctx.Err()
		}
	}
	return a, begun, err
}

func (l *link) open(ctx context.Context, d *dialing, deadline time.Time) error {
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	conn, err := d.dial(ctx, "tcp", l.address)
	if err != nil {
		return err
	}
	if l.secure {
		if conn, err = driver.Secured(ctx, conn, l.address, d.tls); err != nil {
			return fmt.Errorf("TLS: %w", err)
		}
	}
	l.http = http1.NewConn(conn, maxAnswer)
	return nil
}

func (l *link) hangUp() {
	if l.http != nil {
		_ = l.http.Close()
		l.http = nil
	}
}
