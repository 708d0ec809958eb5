//go:build sabotage

package main

import "os"

// sabotage is the promise that this build's servers break on purpose, empty if none.
func sabotage() (string, error) { return sabotageNamed(os.Getenv("PLAYHEAD_SABOTAGE")) }
