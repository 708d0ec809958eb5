//go:build unix

package raft

import (
	"os"
	"syscall"
)

// linkedElsewhere reports whether a file has another name, a backup's for instance, or may
// have one.
func linkedElsewhere(info os.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return !ok || stat.Nlink > 1
}
