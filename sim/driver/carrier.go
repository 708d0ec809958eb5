package driver

import (
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/playhead-load/playhead/http1"
)

// carrier takes calls to the nodes of a target and brings back what was answered, on
// connections that it keeps. One goroutine uses it.
type carrier interface {
	// call sends a request, whose bytes are the caller's again when call returns. What
	// became of it is told by await, at the deadline at the latest.
	call(node int, request []byte, deadline time.Time, c caller)
	// await waits for the end of calls, until a moment at most, and tells of all that
	// have ended by then. A carrier that knows when an answer came without being there
	// rests until that moment, if it may, whatever ends before.
	await(until time.Time, rest bool, told tell)
	// close gives up all calls: nobody is told of them.
	close()
}

// tell tells a caller of an answer, which is valid until it has returned, and when it came;
// or of an error.
type tell func(c caller, a *http1.Answer, at time.Time, err error)

// caller has made a call.
type caller interface {
	// answered tells what came of it. After an error it is not known whether the
	// request was carried out.
	answered(d *Driver, a *http1.Answer, at time.Time, err error)
}

// node is one of the target's, as requests name it.
type node struct {
	address string // host:port
	host    string // for the Host header
	base    string // path before that of the API
	secure  bool
}

// nodesOf reads base URLs of http or https.
func nodesOf(targets []string) ([]node, error) {
	nodes := make([]node, len(targets))
	for i, target := range targets {
		u, err := url.Parse(target)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return nil, fmt.Errorf("target %q: expected http://host:port or https://host:port", target)
		}
		address := u.Host
		if u.Port() == "" {
			address = net.JoinHostPort(u.Hostname(), u.Scheme)
		}
		nodes[i] = node{address, u.Host, strings.TrimRight(u.EscapedPath(), "/"), u.Scheme == "https"}
	}
	return nodes, nil
}
