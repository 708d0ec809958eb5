// Package faults breaks a node from within, its disk and its clock, for whoever started
// it with a socket for that: nothing outside reaches either of a Go program. It is there
// for runs, which give one to the nodes of their own clusters only.
package faults

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/playhead-load/playhead/raft"
)

// Limits of the socket.
const (
	maxCommandBytes = 256
	answerWithin    = time.Second // from a connection's beginning
	maxOffset       = 24 * time.Hour
	maxSlow         = time.Minute
)

// Faults is what is broken of a node. Its methods may be called from any goroutine.
type Faults struct {
	Disk   raft.Disk
	offset atomic.Int64 // nanoseconds that the node's clock is ahead
}

// Now is the node's clock.
func (f *Faults) Now() time.Time { return time.Now().Add(time.Duration(f.offset.Load())) }

// Listen takes commands at a socket that only this user may use, until it is closed. One
// that was left there by a node that was killed is replaced. A command is a line, and
// answered with one, "ok" or what is wrong with it:
//
//	disk slow 20ms | disk full | disk hang | disk ok
//	clock 30s | clock -1h | clock 0s
func (f *Faults) Listen(path string) (io.Closer, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("listen for faults: %w", err)
	}
	listener, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("listen for faults: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("listen for faults: %w", err), listener.Close())
	}
	go f.serve(listener)
	return listener, nil
}

// serve answers one connection after another.
func (f *Faults) serve(listener net.Listener) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		f.answer(conn)
	}
}

func (f *Faults) answer(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(answerWithin))
	line, err := bufio.NewReader(io.LimitReader(conn, maxCommandBytes)).ReadString('\n')
	if err != nil {
		return
	}
	answer := "ok"
	if err := f.do(strings.Fields(line)); err != nil {
		answer = err.Error()
	}
	_, _ = fmt.Fprintln(conn, answer)
}

func (f *Faults) do(words []string) error {
	switch command := strings.Join(words, " "); {
	case command == "disk full":
		f.Disk.Fill()
	case command == "disk hang":
		f.Disk.Hang()
	case command == "disk ok":
		f.Disk.Heal()
	case len(words) == 3 && words[0] == "disk" && words[1] == "slow":
		by, err := duration(words[2], 0, maxSlow)
		if err != nil {
			return err
		}
		f.Disk.Slow(by)
	case len(words) == 2 && words[0] == "clock":
		offset, err := duration(words[1], -maxOffset, maxOffset)
		if err != nil {
			return err
		}
		f.offset.Store(int64(offset))
	default:
		return fmt.Errorf("unknown command %q", command)
	}
	return nil
}

func duration(text string, least, most time.Duration) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err != nil || d < least || d > most {
		return 0, fmt.Errorf("expected a duration from %v to %v, got %q", least, most, text)
	}
	return d, nil
}
