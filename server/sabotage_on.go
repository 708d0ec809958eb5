//go:build sabotage

package server

import (
	"hash/crc32"
	"math/rand/v2"
	"os"

	"github.com/playhead-load/playhead/viewing"
)

// A server built with the tag `sabotage` breaks the promise that the environment
// variable names: drop-acknowledged acknowledges one event in 1,000 and forgets
// it, diverge does so with other events on each node, ignore-limit admits every stream, lower-limit admits one stream an account
// whatever its plan. It exists to be caught.
var sabotage = os.Getenv("PLAYHEAD_SABOTAGE")

// own is another number in each process.
var own = rand.Uint32()

// sabotageDrops picks by identity, so that every node forgets the same events, or each
// node others.
func sabotageDrops(e *viewing.Event) bool {
	identity := append(e.SessionID[:], byte(e.Seq>>24), byte(e.Seq>>16), byte(e.Seq>>8), byte(e.Seq))
	switch sabotage {
	case "drop-acknowledged":
		return crc32.ChecksumIEEE(identity)%1000 == 0
	case "diverge":
		return crc32.Update(own, crc32.IEEETable, identity)%1000 == 0
	}
	return false
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
