// Package server is the reference server: an HTTP adapter over the replicated log
// and the views that follow from it.
//
// A write becomes a command, the command goes into the log, and the answer comes
// from applying it: nothing is answered before a quorum holds it on disk. A node
// that does not lead passes the request on to the one that does. Reads are
// answered from the views in memory, as fresh as the reader asked for.
package server
