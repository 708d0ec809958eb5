//go:build unix && !linux

package target

import "syscall"

// processAttributes are those of Linux without the death signal, which only Linux
// has: servers outlive this program if it is killed.
func processAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}
