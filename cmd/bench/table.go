package main

import (
	"fmt"
	"io"
)

var (
	writeColumns = "\n  Processor time (CPU-s) is per 100,000 events, and that of the servers alone beside it. The last columns are\n" +
		"  Playhead's divided by the peer's: 0.1 is a tenth.\n" +
		fmt.Sprintf("\n  %-27s %-13s %9s %8s %8s %10s %11s %10s %11s\n",
			"load", "system", "events/s", "p50 ms", "p99 ms", "CPU-s/100k", "in servers", "÷ the peer", "in servers")
	overloadColumns = "\n  More connections than the cluster has use for. What is refused (429) is sent again at once, and its latency\n" +
		"  begins with the first try. The last column is the most memory that one server had resident.\n" +
		fmt.Sprintf("\n  %-41s %9s %6s %6s %8s %8s %11s %12s\n", "load", "events/s", "429/s", "lost/s", "p50 ms", "p99 ms", "in servers", "MiB at most")
	readColumns = fmt.Sprintf("\n  %-41s %9s %8s %8s %10s %11s %24s\n",
		"load", "reads/s", "p50 ms", "p99 ms", "CPU-s/100k", "in servers", "reads/s a server's core")
)

// table prints its columns' names before its first row.
type table struct{ columns string }

func newTable(columns string) *table { return &table{columns} }

func (t *table) add(out io.Writer, r row, s system, f, ours figures, isPeer bool) {
	fmt.Fprint(out, t.columns)
	t.columns = ""
	if r.level != "" {
		fmt.Fprintf(out, "  %-41s %9.0f %8.2f %8.2f %10.2f %11.2f %24.0f\n", r, f.perS, f.p50MS, f.p99MS, f.cpuS, f.serversCPUS, f.perServerCPUS)
		return
	}
	if r.overload {
		fmt.Fprintf(out, "  %-41s %9.0f %6.0f %6.0f %8.0f %8.0f %11.2f %12.0f\n", r, f.perS, f.refusedPerS, f.lostPerS, f.p50MS, f.p99MS, f.serversCPUS, float64(f.peakBytes)/(1<<20))
		return
	}
	load, ratio, inServers := r.String(), "", ""
	if isPeer {
		load, ratio, inServers = "", fmt.Sprintf("%.3f", ours.cpuS/f.cpuS), fmt.Sprintf("%.3f", ours.serversCPUS/f.serversCPUS)
	}
	fmt.Fprintf(out, "  %-27s %-13s %9.0f %8.1f %8.1f %10.2f %11.2f %10s %11s\n", load, s.name(), f.perS, f.p50MS, f.p99MS, f.cpuS, f.serversCPUS, ratio, inServers)
}
