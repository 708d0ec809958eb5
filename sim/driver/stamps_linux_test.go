package driver

import (
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/playhead-load/playhead/http1"
	"github.com/playhead-load/playhead/viewing"
)

// TestWhenAnAnswerCame: who looks late is told when it came all the same, be it in one piece
// or two.
func TestWhenAnAnswerCame(t *testing.T) {
	t.Parallel()
	const looksLater = 100 * time.Millisecond
	for name, pieces := range map[string][]string{
		"whole":  {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"},
		"pieces": {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n", "\r\n{}"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = listener.Close() }()
			nodes, err := nodesOf([]string{"http://" + listener.Addr().String()})
			if err != nil {
				t.Fatal(err)
			}
			c, err := newCarrier(nodes, &Config{Connections: 1})
			if err != nil {
				t.Fatal(err)
			}
			defer c.close()
			target := &slowTarget{pieces, make(chan struct{}), make(chan struct{}), make(chan [2]time.Time)}
			defer close(target.answer)
			go target.serve(t, listener)
			for range 2 { // on a new connection, and on one that is kept
				o := &once{}
				c.call(0, new(Driver).appendRequest(nil, requestOf(viewing.Keepalive), &nodes[0]), time.Now().Add(time.Minute), o)
				var came time.Time
				told := func(who caller, a *http1.Answer, at time.Time, err error) {
					if err != nil || a.Status != http.StatusOK {
						t.Errorf("%v, %v, want an answer", a, err)
					}
					came = at
					who.answered(nil, a, at, err)
				}
				for asked := false; !asked; {
					select {
					case <-target.asked:
						asked = true
					default: // until the connection is open, and the request on its way
						c.await(time.Now().Add(time.Millisecond), false, told)
					}
				}
				target.answer <- struct{}{}
				wrote := <-target.written
				c.await(wrote[1].Add(looksLater), true, told)
				switch looked := time.Now(); {
				case !o.told:
					t.Fatal("nothing is told of an answer that is here")
				case looked.Sub(wrote[1]) < looksLater:
					t.Errorf("it looked %v after the answer was written: it did not rest", looked.Sub(wrote[1]))
				case came.Before(wrote[0]) || came.After(wrote[1].Add(looksLater/2)):
					t.Errorf("it came %v after its last piece began to be written, and that took %v", came.Sub(wrote[0]), wrote[1].Sub(wrote[0]))
				}
			}
		})
	}
}

// slowTarget answers what comes on one connection in pieces, each time when it is told to.
type slowTarget struct {
	pieces  []string
	asked   chan struct{}
	answer  chan struct{}
	written chan [2]time.Time // before and after the last piece
}

func (s *slowTarget) serve(t *testing.T, listener net.Listener) {
	connection, err := listener.Accept()
	if err != nil {
		t.Error(err)
		return
	}
	defer func() { _ = connection.Close() }()
	request := make([]byte, 4096)
	for {
		if _, err := connection.Read(request); err != nil {
			return
		}
		s.asked <- struct{}{}
		if _, ok := <-s.answer; !ok {
			return
		}
		var before time.Time
		for _, piece := range s.pieces {
			before = time.Now()
			if _, err := io.WriteString(connection, piece); err != nil {
				t.Error(err)
				return
			}
		}
		s.written <- [2]time.Time{before, time.Now()}
	}
}
