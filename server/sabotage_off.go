//go:build !sabotage

package server

import "github.com/playhead-load/playhead/viewing"

// The hooks by which a server built with the tag `sabotage` breaks its promises, so that
// tests can see the auditor find out. Here they do nothing.

func sabotageOutcome(*viewing.Event) (viewing.Outcome, bool) { return viewing.Outcome{}, false }

func sabotageLimit(streams int) int { return streams }

func sabotageRules(rules viewing.Rules) viewing.Rules { return rules }

func sabotagePosition(_ uint64, _ uint8, position viewing.Position) viewing.Position { return position }

func sabotagePositions(position viewing.Position) viewing.Position { return position }

func sabotageHistory(page []viewing.View) []viewing.View { return page }

func sabotageActive(_ uint64, active []viewing.ActiveStream) []viewing.ActiveStream { return active }

func sabotageTitles(views []viewing.View) []viewing.View { return views }
