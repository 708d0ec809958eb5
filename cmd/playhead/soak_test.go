//go:build soak

package main

import "testing"

// TestSoakScript plays what takes longer than a test may.
func TestSoakScript(t *testing.T) { playScripts(t, "testdata/soak") }
