// Package trace keeps what devices did in a file: it writes traces, plays them in
// place of a population, and makes them of logs that others have.
//
// A trace is NDJSON, one event of docs/api.md a line, sorted by time, compressed
// with zstd or not; what was played offline may stand later, where it was uploaded.
// Within a session the seqs ascend, and account, profile, device and title stay the same. A [Reader] reads a trace as it comes, a [Player] also
// looks ahead over all of what it will play before it plays it, and [Import] sorts.
//
// No file is ever in memory as a whole. What is, and its bounds:
//
//	a line           MaxLineBytes; a longer one is refused and skipped
//	zstd             a window of maxWindow
//	sessions         120 bytes each at most, MaxSessions of them: while a Player looks ahead, and during Import
//	devices          a Player: 56 bytes each at most, one an event at most, of which it plays audit.MaxEvents
//	refused sessions a Player: 40 bytes each at most, until its stop is reached
//	sorting          Import: sortMemory, the rest in at most maxRuns temporary files
package trace
