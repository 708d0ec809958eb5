package driver

import (
	"runtime"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// stamps read sockets together with when what is read came, which the kernel notes as it
// comes in: so who reads may be late, and yet measures no more than what the answer took.
// One goroutine at a time may use them.
type stamps struct {
	header  unix.Msghdr
	into    unix.Iovec
	control [8]uint64 // in words, for its alignment; a control message with a timespec takes 32 bytes
}

func newStamps() *stamps {
	s := &stamps{}
	s.header = unix.Msghdr{Iov: &s.into, Iovlen: 1, Control: (*byte)(unsafe.Pointer(&s.control))}
	return s
}

// begin has the kernel note when something comes to a socket, and says whether it does.
func (s *stamps) begin(fd int) bool {
	return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1) == nil
}

// rest waits until a moment, for less than a millisecond if need be: the runtime's timers,
// and epoll_wait, know none shorter. It keeps the runtime's processor meanwhile, but lets
// others go first, and whenever a signal asks for it.
func (s *stamps) rest(until time.Time) {
	for {
		runtime.Gosched()
		left := time.Until(until)
		if left <= 0 {
			return
		}
		length := unix.NsecToTimespec(int64(left))
		_, _, _ = syscall.RawSyscall(unix.SYS_NANOSLEEP, uintptr(unsafe.Pointer(&length)), 0, 0)
	}
}

// read reads into room, and says when the last of that came, by any moment of now at which
// both clocks were read. Where the kernel does not say, as of what came before it began to
// note it, and of the end of a connection, that is when it is read.
func (s *stamps) read(fd int, room []byte, now time.Time) (n int, at time.Time, err error) {
	s.into.Base = &room[0]
	s.into.SetLen(len(room))
	s.header.SetControllen(int(unsafe.Sizeof(s.control)))
	got, _, errno := syscall.RawSyscall(unix.SYS_RECVMSG, uintptr(fd), uintptr(unsafe.Pointer(&s.header)), 0)
	received(fd)
	if errno != 0 {
		return 0, now, errno
	}
	return int(got), s.came(now), nil
}

// came is when what was just read had come, on the monotonic clock of now. The kernel tells
// it on the wall clock: a step of that between the two would show in it, and in the vitals.
func (s *stamps) came(now time.Time) time.Time {
	head := (*unix.Cmsghdr)(unsafe.Pointer(&s.control))
	if int(s.header.Controllen) < unix.CmsgSpace(int(unsafe.Sizeof(unix.Timespec{}))) ||
		head.Level != unix.SOL_SOCKET || head.Type != unix.SCM_TIMESTAMPNS {
		return time.Now()
	}
	stamp := (*unix.Timespec)(unsafe.Add(unsafe.Pointer(&s.control), unix.CmsgLen(0)))
	return now.Add(time.Duration(stamp.Nano() - now.UnixNano()))
}
