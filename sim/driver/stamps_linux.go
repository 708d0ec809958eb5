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

// rest waits until a moment that is near, for less than a millisecond if need be: the
// runtime's timers, and epoll_wait, know none shorter. It keeps the runtime's processor
// meanwhile, as work would, and lets others go first: connections that are being opened
// waited for tens of milliseconds without.
func (s *stamps) rest(until time.Time) {
	runtime.Gosched()
	for left := time.Until(until); left > 0; left = time.Until(until) { // a signal ends a sleep early
		length := unix.NsecToTimespec(int64(left))
		_, _, _ = syscall.RawSyscall(unix.SYS_NANOSLEEP, uintptr(unsafe.Pointer(&length)), 0, 0)
	}
}

// read reads into room, and says when that came: after what was there when its socket was
// last looked at. woken is when it was looked at now. n is below 0 with an error.
func (s *stamps) read(fd int, room []byte, looked, woken time.Time) (n int, at time.Time, err error) {
	s.into.Base = &room[0]
	s.into.SetLen(len(room))
	s.header.SetControllen(int(unsafe.Sizeof(s.control)))
	got, _, errno := syscall.RawSyscall(unix.SYS_RECVMSG, uintptr(fd), uintptr(unsafe.Pointer(&s.header)), 0)
	received(fd)
	if errno != 0 {
		return -1, woken, errno
	}
	return int(got), s.came(looked, woken), nil
}

// came is when the last segment of what was just read had come, by its number, on the
// monotonic clock of woken. Without a stamp, as at the end of a connection, that is now. The
// kernel stamps by the wall clock, which may have been set since, and a segment that was lost
// comes after the last: so it is never earlier than looked, nor later than now.
func (s *stamps) came(looked, woken time.Time) time.Time {
	head := (*unix.Cmsghdr)(unsafe.Pointer(&s.control))
	if int(s.header.Controllen) < unix.CmsgSpace(int(unsafe.Sizeof(unix.Timespec{}))) ||
		head.Level != unix.SOL_SOCKET || head.Type != unix.SCM_TIMESTAMPNS {
		return time.Now()
	}
	stamp := (*unix.Timespec)(unsafe.Add(unsafe.Pointer(&s.control), unix.CmsgLen(0)))
	since := time.Duration(stamp.Nano() - woken.UnixNano())
	if since > 0 { // it came while others were read
		return woken.Add(min(since, time.Since(woken)))
	}
	return woken.Add(max(since, looked.Sub(woken)))
}
