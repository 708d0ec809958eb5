// Package faultdisk is a disk for tests that hangs, loses power and lies about
// fsync: a FUSE mount over a directory, for server processes to keep their data on.
// Only on Linux, where /dev/fuse can be opened.
//
// What it takes for being on the disk is what ext4, XFS and Btrfs promise: fsync of
// a file makes its content lasting, and that it exists; fsync of a directory the
// names in it, those renamed and removed included. Whatever else was done is lost
// with the power.
package faultdisk
