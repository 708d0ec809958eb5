package raft

// Limits of the files that a snapshot carries.
const (
	MaxSnapshotFiles = 1 << 14
	MaxFileNameBytes = 64
)
