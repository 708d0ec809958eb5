// Command k6 is Grafana k6 with the playback devices of k6/x/playhead in it.
package main

import (
	"go.k6.io/k6/cmd"

	_ "github.com/playhead-load/playhead/k6" // registers k6/x/playhead
)

func main() { cmd.Execute() }
