package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/playhead-load/playhead/sim/driver/drivertest"
)

var costColumns = fmt.Sprintf(`
  %d connections, a POST of %d bytes each request. Processor time (CPU-s) is the generator's own, per million
  requests. A connection's memory is what %d more of them take, without garbage, but for k6. Latencies are the
  generator's: of a closed loop from sent to answered, of an open one from due to
  answered, at the rate beside it.

  %-24s %11s %9s %7s %15s %8s %8s
`, connections, len(postBody), moreConnections-connections, "generator", "requests/s", "CPU-s/1M", "÷ wrk", "KiB/connection", "p50 ms", "p99 ms")

func printCost(out io.Writer, g generator, c, wrk cost) {
	if c.missing != nil {
		fmt.Fprintf(out, "  %-24s %v\n", g.name, c.missing)
		return
	}
	name, ratio := g.name, ""
	if c.rate > 0 {
		name = fmt.Sprintf("%s, %.0f/s", g.name, c.rate)
	}
	if wrk.cpuS > 0 {
		ratio = fmt.Sprintf("%.2f", c.cpuS/wrk.cpuS)
	}
	fmt.Fprintf(out, "  %-24s %11.0f %9.1f %7s %15.1f %8.2f %8.2f\n", name, c.perS, c.cpuS, ratio, c.perConn/1024, c.said.P50, c.said.P99)
	if c.said.Unfit != "" {
		fmt.Fprintf(out, "    unfit: %s\n", c.said.Unfit)
	}
}

// floor is what Playhead's driver is to reach.
type floor struct {
	what  string
	peer  string
	least float64 // of the peer's processor time divided by the driver's
}

var floors = []floor{
	{"processor time at most 1.25 × wrk's", "wrk", 1 / 1.25},
	{"2.5 × better than net/http, or more", "net/http", 2.5},
	{"3 × better than vegeta, or more", "vegeta", 3},
	{"10 × better than k6's http.post, or more", "k6", 10},
}

// mostPerConnection is how many bytes a connection of the driver may take.
const mostPerConnection = 12 << 10

// printFloors says of each floor whether it is met by the driver's rows that were
// measured.
func printFloors(out io.Writer, costs map[string]cost) {
	for _, loop := range []struct{ row, name string }{{openRow, "an open loop"}, {closedRow, "a closed loop"}} {
		ours := costs[loop.row]
		if ours.perS == 0 {
			continue
		}
		fmt.Fprintf(out, "\n  Playhead's driver at one event a request, in %s:\n", loop.name)
		for _, f := range floors {
			peer := costs[f.peer]
			if peer.perS == 0 {
				fmt.Fprintf(out, "  %-7s %s\n", "?", f.what)
				continue
			}
			ratio := peer.cpuS / ours.cpuS
			figure := fmt.Sprintf("%.1f ×", ratio)
			if f.least < 1 {
				figure = fmt.Sprintf("%.2f ×", 1/ratio)
			}
			fmt.Fprintf(out, "  %-7s %-42s %s\n", met(ratio >= f.least), f.what, figure)
		}
		fmt.Fprintf(out, "  %-7s %-42s %.1f KiB\n", met(ours.perConn <= mostPerConnection), "at most 12 KiB a connection", ours.perConn/1024)
	}
}

func met(ok bool) string {
	if ok {
		return "met"
	}
	return "missed"
}

var accuracyColumns = fmt.Sprintf(`
  A target that freezes 1 s in every 5, at an open %d requests/s for %v. Milliseconds; a figure that is more than
  %.0f %% from the truth is named.

  %-24s %8s %8s %8s %8s %9s   %s
`, freezePerS, freezeLength, 100*drivertest.Tolerance, "generator", "p50", "p90", "p99", "max", "requests", "untrue")

func printAccuracy(out io.Writer, name string, f told) {
	if f.missing != nil {
		fmt.Fprintf(out, "  %-24s %v\n", name, f.missing)
		return
	}
	p := f.said.Percentiles
	fmt.Fprintln(out, strings.TrimRight(fmt.Sprintf("  %-24s %8.1f %8.1f %8.1f %8.1f %9d   %s",
		name, p.P50, p.P90, p.P99, p.Max, f.requests, strings.Join(f.untrue, " ")), " "))
}
