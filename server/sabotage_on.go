//go:build sabotage

package server

import (
	"hash/crc32"
	"math/rand/v2"
	"os"
	"slices"
	"sync"

	"github.com/playhead-load/playhead/viewing"
)

// A server built with the tag `sabotage` breaks the promise that the environment
// variable names. It exists to be caught.
//
//   - drop-acknowledged acknowledges one event in 1,000 and forgets it;
//   - diverge does so with other events on each node;
//   - reject calls one event in 1,000 wrong;
//   - crash ends the node n3 at one event in 1,000;
//   - ignore-limit admits every stream;
//   - lower-limit admits one stream an account, whatever its plan;
//   - old-positions answers a question for one position as it did the first time;
//   - rewind-positions does so every second time;
//   - shift-positions tells positions that are asked for together a millisecond late;
//   - forget-view leaves the oldest view of a page of history out;
//   - strange-view adds one that nobody played to each page;
//   - forget-stream leaves the newest of an account's active sessions out;
//   - keep-streams lists each that was once listed for ever;
//   - forget-title leaves the latest of the titles to go on with out;
//   - shift-titles tells their positions a millisecond late.
var sabotage = os.Getenv("PLAYHEAD_SABOTAGE")

// own is another number in each process.
var own = rand.Uint32()

// sabotageOutcome picks by identity, so that every node treats the same events so, or
// each node others.
func sabotageOutcome(e *viewing.Event) (viewing.Outcome, bool) {
	identity := append(e.SessionID[:], byte(e.Seq>>24), byte(e.Seq>>16), byte(e.Seq>>8), byte(e.Seq))
	picked := crc32.ChecksumIEEE(identity)%1000 == 0
	switch {
	case sabotage == "drop-acknowledged" && picked:
		return viewing.Outcome{Status: viewing.Accepted}, true
	case sabotage == "diverge" && crc32.Update(own, crc32.IEEETable, identity)%1000 == 0:
		return viewing.Outcome{Status: viewing.Accepted}, true
	case sabotage == "reject" && picked:
		return viewing.Outcome{Status: viewing.Rejected}, true
	case sabotage == "crash" && picked && slices.Contains(os.Args, "n3"):
		os.Exit(1)
	}
	return viewing.Outcome{}, false
}

func sabotageLimit(streams int) int {
	switch sabotage {
	case "ignore-limit":
		return viewing.MaxStreams
	case "lower-limit":
		return 1
	}
	return streams
}

func sabotageRules(rules viewing.Rules) viewing.Rules {
	rules.DefaultStreams = sabotageLimit(rules.DefaultStreams)
	return rules
}

// sabotagedPlace is a title of a profile.
type sabotagedPlace struct {
	account uint64
	title   uint32
	profile uint8
}

// answered are the first positions that were told, and how often one was asked for.
var answered = struct {
	mu    sync.Mutex
	first map[sabotagedPlace]viewing.Position
	times map[sabotagedPlace]int
}{first: map[sabotagedPlace]viewing.Position{}, times: map[sabotagedPlace]int{}}

func sabotagePosition(account uint64, profile uint8, position viewing.Position) viewing.Position {
	answered.mu.Lock()
	defer answered.mu.Unlock()
	at := sabotagedPlace{account, position.TitleID, profile}
	if answered.times[at]++; answered.times[at] == 1 {
		answered.first[at] = position
	}
	if sabotage == "old-positions" || sabotage == "rewind-positions" && answered.times[at]%2 == 1 {
		return answered.first[at]
	}
	return position
}

func sabotagePositions(position viewing.Position) viewing.Position {
	if sabotage == "shift-positions" {
		position.PositionMS++
	}
	return position
}

func sabotageHistory(page []viewing.View) []viewing.View {
	switch {
	case sabotage == "forget-view":
		return page[:max(0, len(page)-1)]
	case sabotage == "strange-view" && len(page) > 0:
		strange := page[len(page)-1]
		strange.SessionID[0] ^= 1
		return append(page, strange)
	}
	return page
}

// listed are the active sessions that were told, by account.
var listed = struct {
	mu      sync.Mutex
	streams map[uint64][]viewing.ActiveStream
}{streams: map[uint64][]viewing.ActiveStream{}}

func sabotageActive(account uint64, active []viewing.ActiveStream) []viewing.ActiveStream {
	switch sabotage {
	case "forget-stream":
		return active[:max(0, len(active)-1)]
	case "keep-streams":
		listed.mu.Lock()
		defer listed.mu.Unlock()
		for _, kept := range listed.streams[account] {
			if !slices.ContainsFunc(active, func(a viewing.ActiveStream) bool { return a.SessionID == kept.SessionID }) {
				active = append(active, kept)
			}
		}
		listed.streams[account] = active
	}
	return active
}

func sabotageTitles(views []viewing.View) []viewing.View {
	switch sabotage {
	case "forget-title":
		return views[min(1, len(views)):]
	case "shift-titles":
		for i := range views {
			views[i].PositionMS++
		}
	}
	return views
}
