//go:build !sabotage

package main

// sabotage is the promise that this build's servers break on purpose: none, whatever the
// environment says.
func sabotage() (string, error) { return sabotageNamed("") }
