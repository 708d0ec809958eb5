package scenarios

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const population = "population: {model: netflix-2015}\n"

const expectedThreshold = "expected an aggregation such as p(99), avg, min, max, med, count, rate or value, then <, <=, >, >=, == or !=, then a number"

// badScenarios are scenarios with mistakes, and every line they must get.
var badScenarios = []struct {
	name, source, want string
}{
	{"empty", "", `1:1: the file is empty, expected a scenario`},
	{"only a comment", "# later\n", `1:1: the file is empty, expected a scenario`},
	{"only a document mark", "---\n", `1:1: the file is empty, expected a scenario`},
	{"text", "hello", `1:1: expected a scenario, keys such as name and population, got "hello"`},
	{"a list", "- a\n- b\n", `1:1: expected a scenario, keys such as name and population, got a list`},
	{"nothing that must be there", "seed: 1\n", `
1:1: name is missing
1:1: population.model is missing`},
	{"parameters", "name: x\npopulation:\n  model: netflix-2015\n  parameters: {pauses: 1, pauses: 2, seeks: often, short_view: .nan}\n", `
4:27: duplicate key "pauses", first in line 4
4:45: population.parameters.seeks: expected a number, got "often"
4:64: population.parameters.short_view: expected a number, got .nan`},
	{"parameters that are none", "name: x\npopulation:\n  model: netflix-2015\n  parameters:\n", `4:3: population.parameters: expected names and numbers, got nothing`},
	{"population without a model", "name: x\npopulation:\n  scale: 1/10\n", `3:3: population.model is missing`},
	{"keys without values", "name:\npopulation:\n  model:\nduration:\ntarget:\nfaults:\nthresholds:\n", `
1:1: name: expected text, got nothing
3:3: population.model: expected live-event, netflix-2015, netflix-2018 or netflix-2025, got nothing
4:1: duration: expected a duration such as 60s or 1h30m, got nothing
5:1: target: expected keys and values, got nothing
6:1: faults: expected a list of faults, got nothing
7:1: thresholds: expected metrics and their conditions, got nothing`},
	{"unknown keys", "nmae: y\nname: x\n" + population + "target:\n  node: 3\nload: {timeouts: 1s, velocity: 3}\nfaults:\n  - at: 1s\n    kind: kill-leader\n    restart_afer: 5s\nzebra: 1\n", `
1:1: unknown key "nmae", did you mean "name"?
5:3: unknown key "node" in target, did you mean "nodes"?
6:8: unknown key "timeouts" in load, did you mean "timeout"?
6:22: unknown key "velocity" in load, expected connections, timeout, retry, executor, rate, start_rate, stages, vus, batch, aggregators, linger, encoding, reads, skewed, skew, repeated or delayed
10:5: unknown key "restart_afer" in faults[0], did you mean "restart_after"?
11:1: unknown key "zebra", expected name, description, seed, population, start_at, duration, warm_up, time_scale, target, load, audit, faults or thresholds`},
	{"duplicate keys", "name: x\n" + population + "name: y\ntarget:\n  nodes: 3\n  nodes: 5\nthresholds:\n  start.errors: [\"rate<1\"]\n  start.errors: [\"rate<0.2\"]\n", `
3:1: duplicate key "name", first in line 1
6:3: duplicate key "nodes", first in line 5
9:3: duplicate key "start.errors", first in line 8`},
	{"wrong types", "name: 2015\ndescription: [a]\nseed: one\npopulation: netflix-2015\nstart_at: 20\nduration: 60\nwarm_up: 1.5\ntime_scale: fast\ntarget: [raft]\nload: 5\nfaults: {at: 1s}\nthresholds: [p]\n", `
1:7: name: expected text in quotes, got 2015
2:14: description: expected text, got a list
3:7: seed: expected a whole number from 0 to 9007199254740991, got "one"
4:13: population: expected keys and values, got "netflix-2015"
5:11: start_at: expected a time of day in quotes such as "20:30", got 20
6:11: duration: expected a duration such as 60s or 1h30m, got the number 60: add its unit, as in 60s
7:10: warm_up: expected a duration such as 60s or 1h30m, got the number 1.5: add its unit, as in 1.5s
8:13: time_scale: expected a number above 0, at most 3600, got "fast"
9:9: target: expected keys and values, got a list
10:7: load: expected keys and values, got 5
11:9: faults: expected a list of faults, got keys and values
12:13: thresholds: expected keys and values, got a list`},
	{"name as a path", "name: ../x\n" + population, `1:7: name: expected 1 to 64 letters, digits, dots, dashes and underscores, beginning with a letter or a digit, got "../x"`},
	{"unknown names", "name: x\npopulation:\n  model: netflix-1998\ntarget:\n  design: sql\nfaults:\n  - at: 1s\n    kind: kill-all\n", `
3:10: population.model: expected live-event, netflix-2015, netflix-2018 or netflix-2025, got "netflix-1998", did you mean "netflix-2018"?
5:11: target.design: expected raft, got "sql"
8:11: faults[0].kind: expected kill, kill-leader, pause, partition, network, disk, clock, transfer-leadership, membership, rolling-restart or vanish, got "kill-all"`},
	{"out of range", "name: x\nseed: -1\npopulation:\n  model: netflix-2015\n  scale: 1/0\n  shared_accounts: 1.1\nstart_at: \"24:00\"\ntime_scale: 0\ntarget:\n  nodes: 4\n  default_streams: 0\nload:\n  connections: 10001\n", `
2:7: seed: expected a whole number from 0 to 9007199254740991, got -1
5:10: population.scale: expected a fraction such as 1/4000, or a number above 0, at most 1, got "1/0"
6:20: population.shared_accounts: expected a share from 0 to 1, got 1.1
7:11: start_at: expected a time of day in quotes such as "20:30", got "24:00"
8:13: time_scale: expected a number above 0, at most 3600, got 0
10:10: target.nodes: expected 1, 3, 5 or 7, got 4
11:20: target.default_streams: expected a whole number from 1 to 100, got 0
13:16: load.connections: expected a whole number from 1 to 10000, got 10001`},
	{"further out of range", "name: x\nseed: 99999999999999999999999\npopulation: {model: netflix-2015, scale: 1.5, shared_accounts: .nan}\ntime_scale: .inf\ntarget: {nodes: 9}\nload: {connections: 1.5}\n", `
2:7: seed: expected a whole number from 0 to 9007199254740991, got "99999999999999999999999"
3:42: population.scale: expected a fraction such as 1/4000, or a number above 0, at most 1, got 1.5
3:64: population.shared_accounts: expected a share from 0 to 1, got .nan
4:13: time_scale: expected a number above 0, at most 3600, got .inf
5:17: target.nodes: expected a whole number from 1 to 7, got 9
6:21: load.connections: expected a whole number from 1 to 10000, got 1.5`},
	{"nothing to read back", "name: x\n" + population + "audit: {read_back: 0}\n", `3:20: audit.read_back: expected a fraction such as 1/4000, or a number above 0, at most 1, got 0`},
	{"impossible durations", "name: x\n" + population + "duration: 0s\nwarm_up: -1s\ntarget: {keepalive: soon, lease: 25h}\nload: {timeout: 0s}\n", `
3:11: duration: expected a duration of 1ms or more, got "0s"
4:10: warm_up: expected a duration that is not negative, got "-1s"
5:21: target.keepalive: expected a duration such as 60s or 1h30m, got "soon"
5:34: target.lease: expected a duration of 24h or less, got "25h"
6:17: load.timeout: expected a duration of 1ms or more, got "0s"`},
	{"times that do not fit together", "name: x\n" + population + "duration: 30s\nwarm_up: 30s\ntarget:\n  lease: 60s\nfaults:\n  - at: 30s\n    kind: kill-leader\n    restart_after: 1s\n  - at: 20s\n    kind: kill-leader\n    restart_after: 10s\n", `
4:10: warm_up: expected less than the duration of 30s, got "30s"
6:10: target.lease: expected more than the keepalive of 1m, got "60s"
8:9: faults[0].at: expected a time before the end at 30s, got "30s"
13:20: faults[1].restart_after: expected a restart before the end at 30s (it would be at 30s), got "10s"`},
	{"keepalive beyond the lease", "name: x\n" + population + "target: {keepalive: 150s}\n", `3:21: target.keepalive: expected less than the lease of 2m30s, got "150s"`},
	{"incomplete faults", "name: x\n" + population + "faults:\n  - at: 1s\n  - kind: kill-leader\n  - 5\n", `
4:5: faults[0].kind is missing
5:5: faults[1].at is missing
6:5: faults[2]: expected keys and values, got 5`},
	{"flaws of events in batches", "name: x\n" + population + "load: {batch: 2, repeated: 0.1, delayed: 2, skew: 0s}\n", `
3:28: load.repeated is of events that are requests of their own, and load.batch is 2
3:42: load.delayed: expected a share from 0 to 1, got 2
3:42: load.delayed is of events that are requests of their own, and load.batch is 2
3:51: load.skew: expected a duration of 1ms or more, got "0s"`},
	{"aggregators without batches", "name: x\n" + population + "load: {aggregators: 2}\n", `
3:21: load.aggregators is of events in batches, and load.batch is 1`},
	{"more aggregators than connections", "name: x\n" + population + "load: {batch: 2, connections: 3, aggregators: 4}\n", `
3:47: load.aggregators: expected a whole number from 1 to 3, got 4`},
	{"executors", "name: x\n" + population + "load: {executor: constant-arrival-rate, vus: 3, reads: 2}\n", `
3:18: load.executor: constant-arrival-rate needs load.rate
3:46: load.vus is of the executor constant-vus, and load.executor is constant-arrival-rate
3:56: load.reads: expected a share from 0 to 1, got 2`},
	{"retries", "name: x\n" + population + "load: {retry: {tries: 11, wait: 11s, multiplier: 0.5, jitter: 2, limit: 1}}\n", `
3:23: load.retry.tries: expected a whole number from 1 to 10, got 11
3:33: load.retry.wait: expected a duration of at most 10s, got "11s"
3:50: load.retry.multiplier: expected a number from 1 to 10, got 0.5
3:63: load.retry.jitter: expected a share from 0 to 1, got 2
3:66: unknown key "limit" in load.retry, expected tries, wait, multiplier or jitter`},
	{"no retries", "name: x\n" + population + "load: {retry: 3}\n", `
3:15: load.retry: expected keys and values, got 3`},
	{"stages", "name: x\n" + population + "load: {executor: ramping-arrival-rate, stages: [{target: -1}], encoding: binary}\n", `
3:49: load.stages[0].duration is missing
3:58: load.stages[0].target: expected a number from 0 to 10000000, got -1
3:74: load.encoding: expected json, where load.batch is 1, got "binary"`},
	{"no leader to fail over to", "name: x\n" + population + "target: {nodes: 1}\nfaults: [{at: 1s, kind: kill-leader}]\n", `4:25: faults[0].kind: kill-leader needs target.nodes of 3 or more, got 1`},
	{"faults of every kind", "name: x\n" + population + "target: {nodes: 1}\nfaults:\n" +
		"  - {at: 1s, kind: kill, for: 1s, restart_after: 1s, target: minority}\n" +
		"  - {at: 1s, kind: pause, target: everybody, shape: one, when: never}\n" +
		"  - {at: 1s, kind: partition, for: 1s}\n" +
		"  - {at: 1s, kind: partition, shape: ring, for: 1s, target: leader, period: 1s}\n" +
		"  - {at: 1s, kind: partition, shape: flapping, for: 60s, period: 1ms}\n" +
		"  - {at: 1s, kind: network, for: 1s}\n" +
		"  - {at: 1s, kind: network, for: 1s, loss: 1, reorder: 0.1, delay: 11s, bandwidth_kbps: 0}\n" +
		"  - {at: 1s, kind: disk, mode: slow, for: 1s}\n" +
		"  - {at: 1s, kind: disk, mode: hang, delay: 1s}\n" +
		"  - {at: 1s, kind: clock, mode: bump, period: 1s, offset: 25h, for: 1s}\n" +
		"  - {at: 1s, kind: membership, for: 1s}\n" +
		"  - {at: 1s, kind: vanish, share: 1.5, for: 1s}\n", `
5:35: faults[0].restart_after: for says the same, leave one of them out
5:62: faults[0].target: minority needs target.nodes of 3 or more, got 1
6:5: faults[1].for is missing
6:35: faults[1].target: expected leader, follower, random, minority, majority or all, got "everybody"
6:46: faults[1].shape: pause takes at, when, kind, target or for
6:64: faults[1].when: expected recovered, got "never"
7:5: faults[2].shape is missing
7:20: faults[2].kind: partition needs target.nodes of 3 or more, got 1
8:20: faults[3].kind: partition needs target.nodes of 3 or more, got 1
8:38: faults[3].shape: ring needs target.nodes of 5 or more, got 1
8:53: faults[3].target is of a shape about one node: the shape ring has none
8:69: faults[3].period is of the shape flapping: leave it out
9:20: faults[4].kind: partition needs target.nodes of 3 or more, got 1
9:53: faults[4].for: expected an end before the end at 1m (it would be at 1m1s), got "60s"
9:66: faults[4].period: expected a duration of 10ms or more, got "1ms"
10:20: faults[5].kind: network between nodes needs target.nodes of 3 or more, got 1
10:20: faults[5].kind: network needs one of delay, jitter, loss, duplicate, reorder or bandwidth_kbps
11:20: faults[6].kind: network between nodes needs target.nodes of 3 or more, got 1
11:44: faults[6].loss: expected a share above 0, below 1, got 1
11:47: faults[6].reorder is of requests: between nodes there are bytes alone, which TCP keeps in order; add between: clients
11:68: faults[6].delay: expected a duration of 10s or less, got "11s"
11:89: faults[6].bandwidth_kbps: expected a whole number from 1 to 10000000, got 0
12:5: faults[7].delay is missing
13:5: faults[8].for is missing
13:38: faults[8].delay is of the mode slow: leave it out
14:39: faults[9].period is of the mode strobe: leave it out
14:59: faults[9].offset: expected a duration such as 30s or -30s, at most 24h either way, got "25h"
15:20: faults[10].kind: membership needs target.nodes of 3 or more, got 1
16:35: faults[11].share: expected a share above 0, at most 1, got 1.5`},
	{"near misses", "name: x\npopulation: {model: netflix2015}\ntarget: {log_store: bolt}\nload: {executor: constant-vu, batch: 2, encoding: BINARI}\nfaults:\n" +
		"  - {at: 1s, kind: kill-leader, targt: leader, restart_afer: 1s}\n" +
		"  - {at: 1s, kind: pause, for: 1s, targt: leadr, shap: one}\n" +
		"  - {at: 1s, kind: paus, for: 1s, shap: one}\n", `
2:21: population.model: expected live-event, netflix-2015, netflix-2018 or netflix-2025, got "netflix2015", did you mean "netflix-2015"?
3:21: target.log_store: expected boltdb or wal, got "bolt", did you mean "boltdb"?
4:18: load.executor: expected population, constant-arrival-rate, ramping-arrival-rate or constant-vus, got "constant-vu", did you mean "constant-vus"?
4:51: load.encoding: expected json or binary, got "BINARI", did you mean "binary"?
6:33: unknown key "targt" in faults[0], expected at, when, kind, for or restart_after
6:48: unknown key "restart_afer" in faults[0], did you mean "restart_after"?
7:36: unknown key "targt" in faults[1], did you mean "target"?
7:50: unknown key "shap" in faults[1], expected at, when, kind, target or for
8:20: faults[2].kind: expected kill, kill-leader, pause, partition, network, disk, clock, transfer-leadership, membership, rolling-restart or vanish, got "paus", did you mean "pause"?
8:35: unknown key "shap" in faults[2], did you mean "shape"?`},
	{"thresholds", "name: x\n" + population + "thresholds:\n" +
		"  start.reponse_ms: [\"p(99)<500\"]\n" +
		"  start.response_ms: [\"p(99)<\", \"rate<1\", 5, 'max<9']\n" +
		"  start.errors: \"rate<1\"\n" +
		"  stop.errors:\n    - \"rate<0.01\"\n    - p(99)<1\n    - p(101)<1\n", `
4:3: thresholds: unknown metric "start.reponse_ms", did you mean "start.response_ms"?
5:23: thresholds.start.response_ms: "p(99)<": ` + expectedThreshold + `
5:33: thresholds.start.response_ms: "rate<1": metric start.response_ms takes avg, min, max, med or p(N), not rate
5:43: thresholds.start.response_ms: expected a condition such as "p(99)<500", got 5
6:17: thresholds.start.errors: expected a list of conditions such as ["p(99)<500"], got "rate<1"
9:7: thresholds.stop.errors: "p(99)<1": metric stop.errors takes rate or count, not p(99)
10:7: thresholds.stop.errors: "p(101)<1": expected a percentile from 0 to 100, got p(101)`},
	{"thresholds that decide nothing", "name: x\n" + population + "thresholds:\n" +
		"  start.errors: [\"rate<5\", \"rate<1%\", \"rate<=1\", \"rate>1\", \"rate==5\", \"rate!=500\", \"rate<0\"]\n" +
		"  stop.denied: [\"rate<1\", \"rate>0\", \"rate==0\", \"rate!=1\", \"rate>=1\", \"rate<=0\", \"count<5\"]\n" +
		"  start.response_ms: [\"max<1%\"]\n" +
		"  seek.errors: [\"rate<=100\", \"rate<150%\", \"rate<-5%\", \"rate<Inf%\", \"rate<99.99999%\", \"rate<100%\", \"rate<0%\", \"rate<7%\"]\n", `
4:18: thresholds.start.errors: "rate<5": a rate is a share from 0 to 1, so this always holds: for 5 % write 0.05
4:28: thresholds.start.errors: "rate<1%": expected a share from 0 to 1: for 1 % write 0.01
4:39: thresholds.start.errors: "rate<=1": a rate is a share from 0 to 1, so this always holds
4:50: thresholds.start.errors: "rate>1": a rate is a share from 0 to 1, so this never holds
4:60: thresholds.start.errors: "rate==5": a rate is a share from 0 to 1, so this never holds: for 5 % write 0.05
4:71: thresholds.start.errors: "rate!=500": a rate is a share from 0 to 1, so this always holds
4:84: thresholds.start.errors: "rate<0": a rate is a share from 0 to 1, so this never holds
6:23: thresholds.start.response_ms: "max<1%": ` + expectedThreshold + `
7:17: thresholds.seek.errors: "rate<=100": a rate is a share from 0 to 1, so this always holds
7:30: thresholds.seek.errors: "rate<150%": expected a share from 0 to 1
7:43: thresholds.seek.errors: "rate<-5%": expected a share from 0 to 1
7:55: thresholds.seek.errors: "rate<Inf%": expected a share from 0 to 1
7:68: thresholds.seek.errors: "rate<99.99999%": expected a share from 0 to 1
7:86: thresholds.seek.errors: "rate<100%": expected a share from 0 to 1
7:99: thresholds.seek.errors: "rate<0%": expected a share from 0 to 1
7:110: thresholds.seek.errors: "rate<7%": expected a share from 0 to 1: for 7 % write 0.07`},
	{"a metric unlike any", "name: x\n" + population + "thresholds: {beauty: [\"max<\"]}\n", `
3:14: thresholds: unknown metric "beauty"; expected audit.events_lost, audit.over_admissions, audit.false_denials, audit.position_mismatches, audit.history_mismatches, audit.stale_reads, audit.position_regressions, audit.events_rejected, audit.node_crashes, audit.replica_mismatches, faults.recovered_after_ms, faults.converged_after_ms, load.achieved_ratio, or <operation>.response_ms, service_ms, errors or denied with an operation of operations, start, keepalive, pause, resume, seek, telemetry, error, stop, upload, position, history, continue-watching or active-sessions
3:23: thresholds.beauty: "max<": ` + expectedThreshold},
	{"two documents", "---\nname: x\n" + population + "---\nname: y\n", `5:1: expected one document in the file, here begins another`},
	{"anchors, aliases, merges, tags, directives", "%YAML 1.2\n---\nname: &a x\ndescription: *a\n<<: {a: b}\nseed: !!int 3\n", `
1:1: directives are not supported
3:7: anchors, aliases and merges are not supported, write the value out
4:14: anchors, aliases and merges are not supported, write the value out
5:1: anchors, aliases and merges are not supported, write the value out
6:7: tags are not supported`},
	{"a list that is not closed", "name: x\nfaults: [\n", `2:9: YAML: sequence end token ']' not found`},
	{"a quote that is not closed", "name: \"x\nseed: 3\n", `1:7: YAML: could not find end character of double-quoted text`},
	{"a value that is none", "name: x\nname y\n", `2:1: YAML: non-map value is specified`},
	{"a key inside a value", "name: x\n  seed: 3\n", `1:7: YAML: mapping value is not allowed in this context`},
	{"nesting", "name: " + strings.Repeat("[", 1000), `1:23: more than 16 lists and mappings inside each other`},
	{"nesting in a line", "name:\n  " + strings.Repeat("- ", 1000), `2:35: more than 16 lists and mappings inside each other`},
	{"not UTF-8", "name: x\ndescription: caf\xe9\n", `2:17: expected text in UTF-8 without control characters`},
	{"control characters", "name: x\nseed: \x00\n", `2:7: expected text in UTF-8 without control characters`},
	{"places after CRLF, comments, wide letters and blocks",
		"name: x\r\n# ☂ é\r\n" + "description: |\r\n  é\r\n\r\n  b\r\npopulation: { model: netflix-2015, \"☂\": 1, scale: 2 }\r\nseed: -2 # é\r\n", `
7:36: unknown key "☂" in population, expected model, scale, shared_accounts or parameters
7:51: population.scale: expected a fraction such as 1/4000, or a number above 0, at most 1, got 2
8:7: seed: expected a whole number from 0 to 9007199254740991, got -2`},
}

func TestProblems(t *testing.T) {
	for _, tc := range badScenarios {
		t.Run(tc.name, func(t *testing.T) {
			s, err := Parse("bad.yaml", []byte(tc.source))
			if err == nil {
				t.Fatalf("no error, got %+v", s)
			}
			want := ""
			for line := range strings.Lines(strings.TrimPrefix(tc.want, "\n")) {
				want += "bad.yaml:" + line
			}
			if diff := cmp.Diff(want, err.Error()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestListsAreBounded(t *testing.T) {
	source := "name: x\n" + population + "faults:\n" + strings.Repeat("  - {at: 1s, kind: kill-leader}\n", MaxFaults+1) +
		"thresholds:\n  start.errors:\n" + strings.Repeat("    - rate<1\n", MaxThresholds) + "  stop.errors: [rate<1]\n"
	_, err := Parse("long.yaml", []byte(source))
	want := "long.yaml:104:5: faults: expected at most 100 faults\nlong.yaml:207:17: thresholds: expected at most 100"
	if err == nil || err.Error() != want {
		t.Errorf("error:\n%v\nwant:\n%s", err, want)
	}
	_, err = Parse("long.yaml", []byte("name: x\nfaults: ["+strings.Repeat("1,", maxTokens)+"]"))
	if err == nil || !strings.Contains(err.Error(), "the scenario is too long: more than 20000 words and marks") {
		t.Errorf("error %v, want one about the length", err)
	}
}

func TestSuggest(t *testing.T) {
	for word, want := range map[string]string{
		"durration": "duration", "Duration": "duration", "wramup": "warm_up", "seeds": "seed", "ttarget": "target", "x": "", "": "", "population_model": "",
	} {
		got, _ := suggest(word, []string{"duration", "warm_up", "seed", "target", "population"})
		if got != want {
			t.Errorf("suggest(%q) = %q, want %q", word, got, want)
		}
	}
}
