package k6

import (
	"context"
	"crypto/tls"
	"net"
	"syscall"

	"go.k6.io/k6/lib"
	"go.k6.io/k6/lib/netext"

	"github.com/playhead-load/playhead/sim/driver"
)

// dialing is how a VU reaches a target: by k6's dialer, which minds its options for hosts,
// DNS and what is blocked, and counts data_sent and data_received.
type dialing struct {
	dial driver.Dial
	tls  *tls.Config
}

func dialingOf(state *lib.State) dialing {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if state.TLSConfig != nil {
		config = state.TLSConfig.Clone() // k6's own offers h2 once it was used for http.get
	}
	config.NextProtos = []string{"http/1.1"}
	dialer := state.Dialer
	return dialing{tls: config, dial: func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dialer.DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		if counted, ok := conn.(*netext.Conn); ok {
			if under, ok := counted.Conn.(syscall.Conn); ok {
				return socket{conn, under}, nil
			}
		}
		return conn, nil
	}}
}

// socket is a connection of k6's of which can be seen whether it is still open.
type socket struct {
	net.Conn
	under syscall.Conn
}

// SyscallConn implements syscall.Conn.
func (s socket) SyscallConn() (syscall.RawConn, error) { return s.under.SyscallConn() }
