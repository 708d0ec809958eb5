//go:build !sabotage

package server

import "github.com/playhead-load/playhead/viewing"

// The three hooks by which a server built with the tag `sabotage` breaks its
// promises, so that tests can see the auditor find out. Here they do nothing.

func sabotageDrops(*viewing.Event) bool { return false }

func sabotageLimit(streams int) int { return streams }

func sabotageRules(rules viewing.Rules) viewing.Rules { return rules }
