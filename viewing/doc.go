// Package viewing is the domain: what a playback device says, and what follows from it.
//
// It knows events, sessions, accounts, admission, leases, positions, views and
// history, and nothing else: no clock, no disk, no network, no randomness. Time
// comes in as an argument. Everything here is a value or a pure fold over
// values, so the same commands in the same order give the same state on every
// node and on every machine.
//
// The facts of a session are folded so that order and repetition cannot change
// them: counters are cumulative and the newest seq wins, the latest position is
// the greatest (at, session_id, seq), a beginning is the earliest at, an error
// list is a set. What depends on the order of arrival, and therefore on the log, is
// who holds a stream, where a start without a position begins, and how far an at
// that runs ahead of the server's clock is taken back.
package viewing
