package driver

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/playhead-load/playhead/http1"
	"github.com/playhead-load/playhead/viewing"
)

// TestWhenAnAnswerCame: who looks late is told when it came all the same, be it in one piece
// or several, of which one fills what is read into.
func TestWhenAnAnswerCame(t *testing.T) {
	t.Parallel()
	const longer = 80 << 10 // than what is kept for the next answer
	room := len(http1.NewReading(maxAnswer).Room())
	short := "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
	long := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", longer) + strings.Repeat(" ", longer)
	for name, pieces := range map[string][]string{
		"whole":        {short},
		"in its head":  {short[:20], short[20:]},
		"a full piece": {long[:room], long[room:]},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			target, c := newSlowTarget(t, pieces)
			target.ask(t, c, false) // the kernel may only begin to note it
			target.ask(t, c, true)
			target.ask(t, c, true)
		})
	}
}

// slowTarget answers what comes on one connection, a piece each time when it is told to.
type slowTarget struct {
	node    node
	pieces  []string
	asked   chan struct{}
	answer  chan struct{}
	written chan [2]time.Time // before and after a piece; closed when no more are written
}

func newSlowTarget(t *testing.T, pieces []string) (*slowTarget, carrier) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	nodes, err := nodesOf([]string{"http://" + listener.Addr().String()})
	if err != nil {
		t.Fatal(err)
	}
	c, rests, err := newCarrier(nodes, &Config{Connections: 1})
	if err != nil || !rests {
		t.Fatalf("it rests: %v, %v", rests, err)
	}
	t.Cleanup(c.close)
	s := &slowTarget{nodes[0], pieces, make(chan struct{}, 1), make(chan struct{}), make(chan [2]time.Time, 1)}
	t.Cleanup(func() { close(s.answer) })
	go s.serve(listener)
	return s, c
}

// ask makes a call, and looks for each piece of its answer late.
func (s *slowTarget) ask(t *testing.T, c carrier, stamped bool) {
	t.Helper()
	const looksLater = 50 * time.Millisecond
	o := &once{}
	var came time.Time
	told := func(who caller, a *http1.Answer, at time.Time, err error) {
		if err != nil || a.Status != http.StatusOK {
			t.Errorf("%v, %v, want an answer", a, err)
		}
		came = at
		who.answered(nil, a, at, err)
	}
	c.call(0, new(Driver).appendRequest(nil, requestOf(viewing.Keepalive), &s.node), time.Now().Add(time.Minute), o)
	for end, asked := time.Now().Add(20*time.Second), false; !asked; {
		select {
		case <-s.asked:
			asked = true
		default: // until the connection is open, and the request on its way
			if c.await(time.Now().Add(time.Millisecond), false, told); o.told || time.Now().After(end) {
				t.Fatal("the target was not asked")
			}
		}
	}
	var wrote [2]time.Time
	for i := range s.pieces {
		select {
		case s.answer <- struct{}{}:
		case <-s.written:
			t.Fatal("the target has ended")
		}
		written, more := <-s.written
		if !more {
			t.Fatal("the target has ended")
		}
		wrote = written
		if c.await(wrote[1].Add(looksLater), true, told); o.told != (i == len(s.pieces)-1) {
			t.Fatalf("told: %v, with %d pieces of %d", o.told, i+1, len(s.pieces))
		}
		if looked := time.Since(wrote[1]); looked < looksLater {
			t.Errorf("it looked %v after the piece was written: it did not rest", looked)
		}
	}
	if stamped && (came.Before(wrote[0]) || came.After(wrote[1].Add(looksLater/2))) {
		t.Errorf("it came %v after its last piece began to be written, and that took %v", came.Sub(wrote[0]), wrote[1].Sub(wrote[0]))
	}
}

func (s *slowTarget) serve(listener net.Listener) {
	defer close(s.written)
	connection, err := listener.Accept()
	if err != nil { // the test is over
		return
	}
	defer func() { _ = connection.Close() }()
	request := make([]byte, 4096)
	for {
		if _, err := connection.Read(request); err != nil {
			return
		}
		s.asked <- struct{}{}
		for _, piece := range s.pieces {
			if _, more := <-s.answer; !more {
				return
			}
			before := time.Now()
			if _, err := io.WriteString(connection, piece); err != nil {
				return
			}
			s.written <- [2]time.Time{before, time.Now()}
		}
	}
}

// TestStampsOutOfReach: a stamp that cannot be true is taken back to what can.
func TestStampsOutOfReach(t *testing.T) {
	t.Parallel()
	woken := time.Now()
	looked := woken.Add(-time.Millisecond)
	for off, want := range map[time.Duration]time.Duration{
		-time.Hour:            -time.Millisecond,
		-2 * time.Millisecond: -time.Millisecond,
		-time.Millisecond / 2: -time.Millisecond / 2,
		0:                     0,
		time.Nanosecond:       time.Nanosecond,
	} {
		s := newStamps()
		s.stamp(woken.Add(off))
		if got := s.came(looked, woken).Sub(woken); got != want {
			t.Errorf("stamped %v from when it was looked at, it came at %v, want %v", off, got, want)
		}
	}
	s := newStamps()
	s.stamp(woken.Add(time.Hour))
	before := time.Now()
	if got := s.came(looked, woken); got.Before(before) || got.After(time.Now()) {
		t.Errorf("stamped an hour ahead, it came %v ahead, want now", time.Until(got))
	}
}

// TestWhoMayRest: not who sends at an answer what is next.
func TestWhoMayRest(t *testing.T) {
	t.Parallel()
	for want, configs := range map[bool][]Config{
		true:  {{}, {Batch: Batch{Events: 1}}, {Executor: Executor{Name: ConstantRate}}, {Executor: Executor{Name: RampingRate}}},
		false: {{Executor: Executor{Name: ConstantVUs}}, {Batch: Batch{Events: 2}}},
	} {
		for _, c := range configs {
			if got := c.mayRest(); got != want {
				t.Errorf("%+v %+v may rest: %v", c.Executor, c.Batch, got)
			}
		}
	}
}

// stamp has the kernel say that what is read came at a moment.
func (s *stamps) stamp(at time.Time) {
	length := unix.CmsgSpace(int(unsafe.Sizeof(unix.Timespec{})))
	s.header.SetControllen(length)
	head := (*unix.Cmsghdr)(unsafe.Pointer(&s.control))
	head.Level, head.Type = unix.SOL_SOCKET, unix.SCM_TIMESTAMPNS
	*(*unix.Timespec)(unsafe.Add(unsafe.Pointer(&s.control), unix.CmsgLen(0))) = unix.NsecToTimespec(at.UnixNano())
}
