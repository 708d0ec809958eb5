package main

import (
	"fmt"
	"slices"

	"github.com/playhead-load/playhead/results"
)

// sabotages are the promises that a server built with the tag `sabotage` can break: see
// server/sabotage_on.go.
var sabotages = []string{
	"drop-acknowledged", "diverge", "reject", "crash", "ignore-limit", "lower-limit", "old-positions", "rewind-positions",
	"shift-positions", "forget-view", "strange-view", "forget-stream", "keep-streams", "forget-title", "shift-titles",
}

// sabotageNamed is the sabotage of that name, empty if none is named. The server does
// not refuse an unknown one: it would break nothing, and pass.
func sabotageNamed(name string) (string, error) {
	if name != "" && !slices.Contains(sabotages, name) {
		return "", usageError{fmt.Errorf("PLAYHEAD_SABOTAGE: expected %s, got %q", results.OneOf(sabotages), name)}
	}
	return name, nil
}
