// Package loopback hands out ports of 127.0.0.1 to servers that are to come and go:
// a port stays its holder's while nobody listens on it.
package loopback

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strconv"
)

// Ports lie below those that systems hand out to outgoing connections (from 32768 on
// Linux, 49152 elsewhere): while a node is down, the port it needs to come back must
// not become a client's.
const (
	firstPort = 10_000
	lastPort  = 32_000
	portTries = 1000
)

// Ports are addresses that are reserved until Close: the UDP port of each number is
// held open, so that no other Reserve, in this process or another one, hands it out.
// Nobody listens on the TCP ports when Reserve returns.
type Ports struct {
	Addresses []string // 127.0.0.1:port each
	held      []io.Closer
}

// Reserve reserves n ports.
func Reserve(n int) (*Ports, error) {
	p := &Ports{}
	var err error
	for range portTries + n {
		if len(p.Addresses) == n {
			return p, nil
		}
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(firstPort+rand.IntN(lastPort-firstPort)))
		var held net.PacketConn
		if held, err = net.ListenPacket("udp", address); err != nil {
			continue // another's
		}
		var listener net.Listener
		if listener, err = net.Listen("tcp", address); err != nil {
			_ = held.Close()
			continue // somebody's who did not ask here
		}
		_ = listener.Close()
		p.held = append(p.held, held)
		p.Addresses = append(p.Addresses, address)
	}
	return nil, errors.Join(fmt.Errorf("find %d free ports from %d to %d: %w", n, firstPort, lastPort, err), p.Close())
}

// Close gives the ports back.
func (p *Ports) Close() error {
	var errs []error
	for _, held := range p.held {
		errs = append(errs, held.Close())
	}
	p.held = nil
	return errors.Join(errs...)
}
