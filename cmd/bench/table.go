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
	load, ratio, inServers := r.String(), "", ""
	if isPeer {
		load, ratio, inServers = "", fmt.Sprintf("%.3f", ours.cpuS/f.cpuS), fmt.Sprintf("%.3f", ours.serversCPUS/f.serversCPUS)
	}
	fmt.Fprintf(out, "  %-27s %-13s %9.0f %8.1f %8.1f %10.2f %11.2f %10s %11s\n", load, s.name(), f.perS, f.p50MS, f.p99MS, f.cpuS, f.serversCPUS, ratio, inServers)
}
