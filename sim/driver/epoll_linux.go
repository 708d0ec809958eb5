package driver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/playhead-load/playhead/http1"
)

// Limits of an epoll.
const (
	eventsAtOnce = 256                   // sockets that are looked at before requests are sent again
	expireEvery  = 10 * time.Millisecond // between two looks for calls that took too long
)

var errDeadline = fmt.Errorf("no answer in time: %w", os.ErrDeadlineExceeded)

// epoll is a carrier that does all in the caller's goroutine but to open connections:
// a request is one write and one read, and nobody is woken for it.
type epoll struct {
	fd      int
	nodes   []node
	ctx     context.Context
	cancel  context.CancelFunc
	events  []unix.EpollEvent
	sockets []*socket   // by number; nil: free
	free    []int32     // numbers
	idle    [][]*socket // by node, the last used last
	opening int         // connections that are being opened, and not yet in use
	opened  chan opening
	failed  []*socket // before their request was sent
	expired time.Time // when calls that took too long were last looked for
	woken   time.Time // when sockets were last looked at,
	looked  time.Time // and the time before: what was there by then, or all but a moment, has been read
	stamps  *stamps   // nil: it never rests
}

// socket is a connection that has a call, or is idle.
type socket struct {
	number   int32
	node     int
	fd       int // -1: not open
	caller   caller
	deadline time.Time
	out      []byte // of the request: what is not written yet
	memory   []byte // of out
	reading  *http1.Reading
	err      error // that it could not be opened, or written to
}

// opening is what came of opening a socket's connection.
type opening struct {
	socket *socket
	fd     int
	err    error
}

func newEpoll(nodes []node, config *Config) (*epoll, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll: %w", err)
	}
	e := &epoll{
		fd: fd, nodes: nodes, events: make([]unix.EpollEvent, eventsAtOnce),
		idle: make([][]*socket, len(nodes)), opened: make(chan opening, config.calls()),
	}
	if config.mayRest() {
		e.stamps = newStamps()
	}
	e.ctx, e.cancel = context.WithCancel(context.Background())
	return e, nil
}

func (e *epoll) call(node int, request []byte, deadline time.Time, c caller) {
	if idle := e.idle[node]; len(idle) > 0 {
		s := idle[len(idle)-1]
		e.idle[node] = idle[:len(idle)-1]
		s.caller, s.deadline = c, deadline
		e.write(s, request)
		return
	}
	s := &socket{node: node, fd: -1, caller: c, deadline: deadline, reading: http1.NewReading(maxAnswer)}
	e.keep(s, request)
	e.number(s)
	e.opening++
	go func() {
		fd, err := open(e.ctx, e.nodes[node].address, deadline)
		e.opened <- opening{s, fd, err} // has room for every call
	}()
}

// open connects to host:port, and takes the socket from Go's own poller.
func open(ctx context.Context, address string, deadline time.Time) (fd int, err error) {
	dialer := net.Dialer{Deadline: deadline}
	connection, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return -1, err
	}
	defer func() { _ = connection.Close() }()
	raw, err := connection.(*net.TCPConn).SyscallConn()
	if err != nil {
		return -1, err
	}
	controlErr := raw.Control(func(own uintptr) { fd, err = unix.FcntlInt(own, unix.F_DUPFD_CLOEXEC, 0) })
	if err = errors.Join(controlErr, err); err != nil {
		return -1, fmt.Errorf("take over a connection: %w", err)
	}
	return fd, nil
}

// number gives a socket a number, by which its events name it.
func (e *epoll) number(s *socket) {
	if last := len(e.free) - 1; last >= 0 {
		s.number, e.free = e.free[last], e.free[:last]
		e.sockets[s.number] = s
		return
	}
	s.number = int32(len(e.sockets))
	e.sockets = append(e.sockets, s)
}

// keep copies what is to be written later.
func (e *epoll) keep(s *socket, rest []byte) {
	s.memory = append(s.memory[:0], rest...)
	s.out = s.memory
}

// write sends a request, or as much of it as goes without waiting.
func (e *epoll) write(s *socket, request []byte) {
	n, err := rawWrite(s.fd, request)
	switch {
	case n == len(request):
		return
	case err != nil && !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR):
		s.err = err
		e.failed = append(e.failed, s)
		return
	}
	e.keep(s, request[max(0, n):])
	e.watch(s, unix.EPOLL_CTL_MOD, unix.EPOLLIN|unix.EPOLLOUT)
}

// writeRest goes on where write had to stop.
func (e *epoll) writeRest(s *socket) error {
	n, err := rawWrite(s.fd, s.out)
	if err != nil && !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR) {
		return err
	}
	if s.out = s.out[max(0, n):]; len(s.out) == 0 {
		e.watch(s, unix.EPOLL_CTL_MOD, unix.EPOLLIN)
	}
	return nil
}

func (e *epoll) watch(s *socket, op int, events uint32) {
	err := unix.EpollCtl(e.fd, op, s.fd, &unix.EpollEvent{Events: events | unix.EPOLLRDHUP, Fd: s.number})
	if err != nil {
		s.err = err
		e.failed = append(e.failed, s)
	}
}

func (e *epoll) await(until time.Time, rest bool, told tell) {
	e.begin()
	e.looked = e.woken
	timeout := e.timeout(until)
	if rest && e.stamps != nil && timeout > 0 {
		e.stamps.rest(until)
		timeout = 0
	}
	for {
		n, err := unix.EpollWait(e.fd, e.events, timeout)
		if err == nil { // else a signal: nothing has happened
			e.woken = time.Now()
		}
		for _, event := range e.events[:max(0, n)] {
			if s := e.sockets[event.Fd]; s != nil && s.fd >= 0 {
				e.progress(s, event.Events, told)
			}
		}
		if n < len(e.events) { // else there may be more: answers that are here are not late
			break
		}
		timeout = 0
	}
	e.expire(told)
	for len(e.failed) > 0 {
		s := e.failed[len(e.failed)-1]
		e.failed = e.failed[:len(e.failed)-1]
		if s.caller != nil {
			e.fail(s, s.err, told)
		}
	}
}

// timeout is in whole milliseconds, rounded up.
func (e *epoll) timeout(until time.Time) int {
	if len(e.failed) > 0 {
		return 0
	}
	return int(max(0, time.Until(until)+time.Millisecond-1) / time.Millisecond)
}

// begin sends what waited for a connection to be opened.
func (e *epoll) begin() {
	for {
		select {
		case o := <-e.opened:
			e.opening--
			s := o.socket
			if s.fd, s.err = o.fd, o.err; s.err != nil {
				e.failed = append(e.failed, s)
				continue
			}
			if e.stamps != nil && !e.stamps.begin(s.fd) {
				e.stamps = nil
			}
			e.watch(s, unix.EPOLL_CTL_ADD, unix.EPOLLIN|unix.EPOLLOUT)
			if s.err != nil {
				continue
			}
			if err := e.writeRest(s); err != nil {
				s.err = err
				e.failed = append(e.failed, s)
			}
		default:
			return
		}
	}
}

// progress does what can be done on a socket without waiting.
func (e *epoll) progress(s *socket, events uint32, told tell) {
	if s.caller == nil { // the server has ended an idle connection, or speaks unasked
		e.idle[s.node] = slices.DeleteFunc(e.idle[s.node], func(idle *socket) bool { return idle == s })
		e.drop(s)
		return
	}
	if events&unix.EPOLLOUT != 0 && len(s.out) > 0 {
		if err := e.writeRest(s); err != nil {
			e.refused(s, err, told)
			return
		}
	}
	if events&^unix.EPOLLOUT == 0 {
		return
	}
	a, at, err := e.read(s)
	switch {
	case err != nil:
		e.fail(s, err, told)
	case a != nil:
		e.end(s, a, at, events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) == 0, told)
	}
}

// refused ends a call whose request could not be written to its end: the server may
// have answered before.
func (e *epoll) refused(s *socket, err error, told tell) {
	if a, at, _ := e.read(s); a != nil {
		e.end(s, a, at, false, told)
		return
	}
	e.fail(s, err, told)
}

// read reads what has come, and when its end came; nil as long as the answer is not whole.
func (e *epoll) read(s *socket) (a *http1.Answer, at time.Time, err error) {
	for {
		room := s.reading.Room()
		n := 0
		if e.stamps != nil {
			n, at, err = e.stamps.read(s.fd, room, e.looked, e.woken)
		} else {
			n, err = rawRead(s.fd, room)
			at = time.Now()
		}
		switch {
		case n > 0:
			s.reading.Take(n)
		case n == 0:
			s.reading.End()
		case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EINTR):
			return nil, at, nil
		default:
			return nil, at, err
		}
		a, err = s.reading.Answer()
		if a != nil || err != nil || n < len(room) {
			return a, at, err
		}
	}
}

// end tells of an answer, and keeps the connection if it is open and goes on.
func (e *epoll) end(s *socket, a *http1.Answer, at time.Time, open bool, told tell) {
	who, goesOn := s.caller, open && !a.Close && len(s.out) == 0
	s.caller = nil
	told(who, a, at, nil)
	if !goesOn {
		e.drop(s)
		return
	}
	s.reading.Next()
	e.idle[s.node] = append(e.idle[s.node], s)
}

func (e *epoll) fail(s *socket, err error, told tell) {
	who := s.caller
	s.caller = nil
	e.drop(s)
	told(who, nil, time.Now(), err)
}

// drop closes a connection, which is not among the idle ones, and forgets it.
func (e *epoll) drop(s *socket) {
	if s.fd >= 0 {
		// Before it is closed: a child that is being started may hold it open a while longer.
		_ = unix.EpollCtl(e.fd, unix.EPOLL_CTL_DEL, s.fd, nil)
		_ = unix.Close(s.fd)
		s.fd = -1
	}
	e.sockets[s.number] = nil
	e.free = append(e.free, s.number)
}

// expire ends the calls that took too long.
func (e *epoll) expire(told tell) {
	now := time.Now()
	if now.Sub(e.expired) < expireEvery {
		return
	}
	e.expired = now
	for _, s := range e.sockets {
		if s != nil && s.caller != nil && s.fd >= 0 && now.After(s.deadline) {
			e.fail(s, errDeadline, told)
		}
	}
}

func (e *epoll) close() {
	e.cancel()
	for range e.opening {
		if o := <-e.opened; o.fd >= 0 {
			_ = unix.Close(o.fd)
		}
	}
	for _, s := range e.sockets {
		if s != nil && s.fd >= 0 {
			_ = unix.Close(s.fd)
		}
	}
	_ = unix.Close(e.fd)
}

// rawRead and rawWrite call the kernel without the runtime's knowing. On sockets that do not
// block it has nothing to do meanwhile, and would wake a thread every 20 µs to look.
func rawRead(fd int, into []byte) (int, error) {
	n, err := raw(unix.SYS_READ, fd, into)
	received(fd)
	return n, err
}

func rawWrite(fd int, from []byte) (int, error) {
	sending()
	return raw(unix.SYS_WRITE, fd, from)
}

func raw(call uintptr, fd int, b []byte) (int, error) {
	n, _, errno := syscall.RawSyscall(call, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
	if errno != 0 {
		return -1, errno
	}
	return int(n), nil
}
