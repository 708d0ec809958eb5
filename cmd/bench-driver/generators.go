package main

import (
	"bufio"
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/playhead-load/playhead/results"
)

// load is what a generator is to make.
type load struct {
	URL         string        `json:"url"`
	Connections int           `json:"connections"` // k6's VUs
	PerS        float64       `json:"per_s"`       // of an open loop; 0 is a closed one
	Length      time.Duration `json:"length"`
	WarmUp      time.Duration `json:"warm_up"` // of the length
	LengthS     float64       `json:"length_s"`
	Body        string        `json:"body"`
	Lean        bool          `json:"lean"` // without garbage, for its memory to be told
}

// said is what a generator says at its end, in milliseconds. Playhead's driver also
// says why it was unfit to measure.
type said struct {
	results.Percentiles
	Unfit string `json:"unfit"`
}

// generator is one way to make load.
type generator struct {
	name        string
	open        bool // it keeps to a rate
	connections int  // on the target that freezes; 0: its own choice
	// command is how it is started, and what it is given to read. Its error says how to
	// get the program, where that is missing.
	command func(l load, p programs) (argv []string, stdin string, err error)
	read    func(output []byte) (said, error)
}

// programs are what is not part of this one.
type programs struct {
	k6        string
	wrkScript string
}

// The rows of Playhead's driver with a population.
const (
	openRow   = "playhead"
	closedRow = "playhead-closed"
)

// costRows are in the order of the table: what all are compared with comes first.
var costRows = []generator{
	{name: "wrk", command: wrk, read: readWrk},
	{name: openRow, open: true, command: self("playhead"), read: readJSON},
	{name: closedRow, command: self("playhead"), read: readJSON},
	{name: "fasthttp", command: self("fasthttp"), read: readJSON},
	{name: "net/http", command: self("nethttp"), read: readJSON},
	{name: "vegeta", command: self("vegeta"), read: readJSON},
	{name: "k6", command: k6, read: readJSON},
}

var accuracyRows = []generator{
	{name: "playhead", open: true, connections: 192, command: self("steady"), read: readJSON},
	{name: "vegeta", open: true, command: self("vegeta"), read: readJSON},
	{name: "k6-1000", open: true, connections: 1000, command: k6, read: readJSON},
	{name: "k6-50", open: true, connections: 50, command: k6, read: readJSON},
	{name: "wrk2", open: true, connections: 192, command: wrk2, read: readWrk},
	{name: "wrk", connections: 64, command: wrk, read: readWrk},
}

func namesOf(rows []generator) []string {
	names := make([]string, len(rows))
	for i, g := range rows {
		names[i] = g.name
	}
	return names
}

// chooseRows returns the rows whose names match, in their own order.
func chooseRows(rows []generator, patterns string) (chosen []generator, err error) {
	wanted := map[string]bool{}
	for pattern := range strings.SplitSeq(patterns, ",") {
		found := false
		for _, g := range rows {
			matches := pattern == "*"
			if !matches {
				if matches, err = path.Match(pattern, g.name); err != nil {
					return nil, fmt.Errorf("-rows: %q: %w", pattern, err)
				}
			}
			if matches {
				wanted[g.name], found = true, true
			}
		}
		if !found {
			return nil, fmt.Errorf("-rows: no row is named %q: expected some of %s", pattern, strings.Join(namesOf(rows), " "))
		}
	}
	for _, g := range rows {
		if wanted[g.name] {
			chosen = append(chosen, g)
		}
	}
	return chosen, nil
}

// self starts this program as a generator of that kind.
func self(kind string) func(load, programs) ([]string, string, error) {
	return func(l load, _ programs) ([]string, string, error) {
		program, err := os.Executable()
		if err != nil {
			return nil, "", err
		}
		told, err := json.Marshal(l)
		return []string{program, kind, string(told)}, "", err
	}
}

// readJSON reads what this program's processes, and k6's script, say.
func readJSON(output []byte) (s said, err error) {
	if err := json.Unmarshal(output, &s); err != nil {
		return s, fmt.Errorf("%w: %q", err, output)
	}
	return s, nil
}

//go:embed post.js
var k6Script string

func k6(l load, p programs) ([]string, string, error) {
	if _, err := os.Stat(p.k6); err != nil {
		return nil, "", fmt.Errorf("not found at %s: make bench-driver builds it", p.k6)
	}
	told, err := json.Marshal(l)
	return []string{p.k6, "run", "--quiet", "--no-usage-report", "--address", "", "-e", "LOAD=" + string(told), "-"}, k6Script, err
}

// writeWrkScript writes what makes wrk post.
func writeWrkScript(dir string) (string, error) {
	script := fmt.Sprintf("wrk.method = \"POST\"\nwrk.path = \"/v1/events\"\nwrk.headers[\"Content-Type\"] = \"application/json\"\nwrk.body = %q\n", postBody)
	name := filepath.Join(dir, "post.lua")
	return name, os.WriteFile(name, []byte(script), 0o600)
}

func wrk(l load, p programs) ([]string, string, error) {
	program, err := exec.LookPath("wrk")
	if err != nil {
		return nil, "", errors.New("not found: apt-get install wrk")
	}
	return wrkCommand(program, l, p, l.Length), "", nil
}

// wrk2Calibrates is how long wrk2 plays before it measures.
const wrk2Calibrates = 10 * time.Second

func wrk2(l load, p programs) ([]string, string, error) {
	program, err := exec.LookPath("wrk2")
	if err != nil {
		return nil, "", errors.New("not found: build github.com/giltene/wrk2, and put its wrk on the path as wrk2")
	}
	return append(wrkCommand(program, l, p, l.Length+wrk2Calibrates), "--rate", strconv.FormatFloat(l.PerS, 'f', 0, 64)), "", nil
}

func wrkCommand(program string, l load, p programs, length time.Duration) []string {
	seconds := max(1, int64((length+time.Second-1)/time.Second)) // whole ones
	return []string{program, l.URL, "--latency", "-s", p.wrkScript, "-t", "1", "-c", strconv.Itoa(l.Connections), "-d", strconv.FormatInt(seconds, 10) + "s"}
}

// readWrk reads the table of wrk and of wrk2:
//
//	Latency     1.05ms    2.33ms  50.10ms   95.00%
//	...
//	   50%    1.03ms
func readWrk(output []byte) (s said, err error) {
	to := map[string]*float64{"50": &s.P50, "90": &s.P90, "99": &s.P99}
	found := 0
	for lines := bufio.NewScanner(bytes.NewReader(output)); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		switch {
		case len(fields) == 5 && fields[0] == "Latency":
			s.Max, err = milliseconds(fields[3])
		case len(fields) == 2 && strings.HasSuffix(fields[0], "%"):
			percent := strings.TrimSuffix(strings.TrimSuffix(fields[0], "%"), ".000")
			value, wanted := to[percent]
			if !wanted {
				continue
			}
			*value, err = milliseconds(fields[1])
		default:
			continue
		}
		if err != nil {
			return s, fmt.Errorf("%q: %w", lines.Text(), err)
		}
		found++
	}
	if found != len(to)+1 {
		return s, fmt.Errorf("expected the latencies of wrk, got %q", output)
	}
	return s, nil
}

func milliseconds(text string) (float64, error) {
	d, err := time.ParseDuration(text)
	return float64(d.Microseconds()) / 1000, err
}
