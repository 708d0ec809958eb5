package target

import "syscall"

// processAttributes put a server in a process group of its own: a terminal's
// Ctrl-C goes to the whole group, and the nodes must outlive it to be drained and
// audited. They die with this program even so, however it ends.
func processAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
