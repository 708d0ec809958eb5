//go:build !unix

package raft

import "os"

// linkedElsewhere reports whether a file may have another name.
func linkedElsewhere(os.FileInfo) bool { return true }
