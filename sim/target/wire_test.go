package target

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
)

// wires carry what the nodes of a cluster say to each other on their raft ports. One
// node can be cut off from the others: what is on its way is held, and arrives when it
// is joined again, as on a network that repeats what was lost.
type wires struct {
	ids    []string
	over   context.Context
	moving sync.WaitGroup

	mu      sync.Mutex
	cut     string // the node that is cut off; "": none
	changed chan struct{}
	held    map[string]int // pieces that were held, by the node cut off
}

func newWires(t *testing.T, ids []string) *wires {
	over, stop := context.WithCancel(context.Background())
	w := &wires{ids: ids, over: over, changed: make(chan struct{}), held: map[string]int{}}
	t.Cleanup(func() {
		stop()
		w.moving.Wait()
	})
	return w
}

// to is an address at which others reach a node that listens elsewhere.
func (w *wires) to(t *testing.T, id, address string) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	context.AfterFunc(w.over, func() { _ = listener.Close() })
	w.moving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			w.moving.Go(func() { w.carry(conn, id, address) })
		}
	})
	return listener.Addr().String()
}

// carry finds out who called by its first words, each of which begins with its name.
func (w *wires) carry(caller net.Conn, to, address string) {
	called, err := net.Dial("tcp", address)
	if err != nil {
		_ = caller.Close()
		return
	}
	hangUp := context.AfterFunc(w.over, func() { _ = errors.Join(caller.Close(), called.Close()) })
	defer hangUp()
	defer func() { _ = errors.Join(caller.Close(), called.Close()) }()
	var said []byte
	piece := make([]byte, 4096)
	from := ""
	for from == "" && len(said) < 4*len(piece) {
		n, err := caller.Read(piece)
		if err != nil {
			return
		}
		said = append(said, piece[:n]...)
		from = w.speaker(said)
	}
	w.wait(from, to)
	if _, err := called.Write(said); err != nil {
		return
	}
	w.moving.Go(func() {
		w.pass(caller, called, from, to)
		_ = errors.Join(caller.Close(), called.Close())
	})
	w.pass(called, caller, from, to)
}

func (w *wires) speaker(said []byte) (id string) {
	first := len(said)
	for _, one := range w.ids {
		if at := bytes.Index(said, []byte(one)); at >= 0 && at < first {
			id, first = one, at
		}
	}
	return id
}

func (w *wires) pass(in io.Reader, out io.Writer, a, b string) {
	piece := make([]byte, 64<<10)
	for {
		n, err := in.Read(piece)
		w.wait(a, b)
		if _, failed := out.Write(piece[:n]); err != nil || failed != nil {
			return
		}
	}
}

// wait lets go what may pass between two nodes.
func (w *wires) wait(a, b string) {
	for first := true; ; first = false {
		w.mu.Lock()
		cut, changed := w.cut, w.changed
		severed := cut != "" && (a == cut || b == cut)
		if severed && first {
			w.held[cut]++
		}
		w.mu.Unlock()
		if !severed {
			return
		}
		select {
		case <-changed:
		case <-w.over.Done():
			return
		}
	}
}

// isolate cuts a node off, or with "" joins all. It tells how much was held of the
// one that was cut off before.
func (w *wires) isolate(id string) (held int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	held = w.held[w.cut]
	w.cut = id
	close(w.changed)
	w.changed = make(chan struct{})
	return held
}
