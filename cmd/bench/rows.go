package main

import (
	"fmt"
	"path"
	"strings"
	"time"
)

// Limits of what may be asked for.
const (
	minDuration    = 100 * time.Millisecond
	maxConnections = 10_000
)

// row is one load to measure.
type row struct {
	name        string
	batch       int    // events a request; 0: it reads
	level       string // of a read
	connections int    // each with one request under way
	anyNode     bool   // spread over all nodes, so that followers pass two thirds on; else the leader alone
	logStore    string // of Playhead's servers; "": serve's own choice
	peers       bool   // measured on the other systems too
	sessions    int    // of a connection; 0: sessionsEach
	titles      int    // that each session's account has a position in beforehand; 0: whatever comes
	pace        int    // events a second that an open loop sends, see stall; 0: a closed loop
	overload    bool   // more than the cluster takes: what is refused is sent again at once
}

var rows = []row{
	{name: "100-leader", batch: 100, connections: 64, peers: true},
	{name: "100-leader-wal", batch: 100, connections: 64, logStore: "wal"},
	{name: "100-any", batch: 100, connections: 64, anyNode: true},
	{name: "1000-leader", batch: 1000, connections: 16, peers: true},
	{name: "1-leader", batch: 1, connections: 1024, peers: true},
	{name: "1-leader-wal", batch: 1, connections: 1024, logStore: "wal"},
	{name: "1-any", batch: 1, connections: 1024, anyNode: true},
	{name: "1000-full", batch: 1000, connections: 10, sessions: 700_000, titles: 3},
	{name: "over-64", batch: 100, connections: 64, sessions: 10, overload: true},
	{name: "over-2048", batch: 100, connections: 2048, sessions: 10, overload: true},
	{name: "over-6144", batch: 100, connections: 6144, sessions: 10, overload: true},
	{name: "over-64-any", batch: 100, connections: 64, anyNode: true, sessions: 10, overload: true},
	{name: "over-6144-any", batch: 100, connections: 6144, anyNode: true, sessions: 10, overload: true},
	{name: "snapshot", batch: 100, connections: 50, sessions: 140_000, titles: 3, pace: 50_000},
	{name: "snapshot-10m-wal", batch: 100, connections: 50, sessions: 70_000, titles: 3, logStore: "wal", pace: 50_000},
	{name: "read-leader", level: "leader", connections: 64},
	{name: "read-linearizable", level: "linearizable", connections: 256},
	{name: "read-stale", level: "stale", connections: 64, anyNode: true},
}

func (r row) String() string {
	to := "to the leader"
	if r.anyNode {
		to = "to any node"
	}
	switch {
	case r.level != "":
		return fmt.Sprintf("GET position, %s, %s", r.level, to)
	case r.pace > 0:
		millions := float64(r.connections*r.sessions) / 1e6
		store := ""
		if r.logStore != "" {
			store = ", " + r.logStore
		}
		return fmt.Sprintf("%d a POST, %.3g M sessions, %.3g M positions%s", r.batch, millions, millions*float64(r.titles), store)
	case r.titles > 1:
		return fmt.Sprintf("%d a POST, %.0f M sessions", r.batch, float64(r.connections*r.sessions)/1e6)
	case r.overload:
		return fmt.Sprintf("%d a POST, %d connections, %s", r.batch, r.connections, to)
	}
	return fmt.Sprintf("%d a POST, %s", r.batch, to)
}

func rowNames() []string {
	names := make([]string, len(rows))
	for i, r := range rows {
		names[i] = r.name
	}
	return names
}

// chooseRows returns the rows whose names match, in their own order.
func chooseRows(patterns string) ([]row, error) {
	wanted := map[string]bool{}
	for pattern := range strings.SplitSeq(patterns, ",") {
		pattern = strings.TrimSpace(pattern)
		found := false
		for _, name := range rowNames() {
			matches, err := path.Match(pattern, name)
			if err != nil {
				return nil, fmt.Errorf("-rows: %q: %w", pattern, err)
			}
			if matches {
				wanted[name], found = true, true
			}
		}
		if !found {
			return nil, fmt.Errorf("-rows: no row is named %q: expected some of %s, or a pattern such as '1-*'", pattern, strings.Join(rowNames(), " "))
		}
	}
	var chosen []row
	for _, r := range rows {
		if wanted[r.name] {
			chosen = append(chosen, r)
		}
	}
	return chosen, nil
}
