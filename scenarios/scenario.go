// Package scenarios reads scenario files: who watches, for how long, against
// what, with which faults, and what the answer must be. A file with mistakes is
// told all of them at once, each with its line and column.
package scenarios

import (
	"time"

	"github.com/playhead-load/playhead/results"
)

// Scenario is one scenario file, checked, with defaults filled in. Durations
// are wall clock unless the field says otherwise. It is never changed after
// Parse and may be read by many goroutines.
type Scenario struct {
	Name        string
	Description string
	Seed        uint64 // default 1
	Population  Population

	StartAt   time.Duration // local time of day, as the time since midnight; default 20:30
	Duration  time.Duration // of the whole run, the warm-up included; default 60s
	WarmUp    time.Duration // the active sessions ramp in during it; default 10s, or a sixth of a run shorter than 60s
	TimeScale float64       // population seconds in a wall second; default 1

	Target     Target
	Load       Traffic
	Audit      Audit
	Faults     []Fault             // in the order of their At
	Thresholds []results.Threshold // in the order of the file, Metric filled in

	Raw []byte // the file, byte for byte; of an overridden scenario, one that says the same
}

// Population says who watches.
type Population struct {
	Model          string  // a name of Models
	Scale          float64 // share of the modelled population, 0 < x ≤ 1; default 1/4000
	SharedAccounts float64 // share of accounts whose password several households use, 0 … 1; default 0.1

	// Parameters replace numbers of the model by name. What names there are, and which
	// values, the model says: playhead simulate --parameters lists them.
	Parameters map[string]float64
}

// Target says what is booted to be tested.
type Target struct {
	Design         string        // a name of Designs; default raft
	Nodes          int           // 1, 3, 5 or 7; default 3
	Keepalive      time.Duration // in the population's time; default 60s
	Lease          time.Duration // in the population's time; default 150s
	DefaultStreams int           // streams of an account without a plan; default 2
	LogStore       string        // what the nodes keep their logs in, boltdb or wal; default boltdb
	BatchLinger    time.Duration // how long a write waits for others to share its log entry, on the clock on the wall; default 1ms
}

// Traffic says how the devices reach the target.
type Traffic struct {
	Connections int           // 1 … 10,000; default 64
	Timeout     time.Duration // of one request; default 10s

	Retry Retry // how a device repeats what failed

	Executor ExecutorName // default ByPopulation
	Rate     float64      // events a second: of ConstantRate, and where RampingRate begins
	Stages   []Stage      // of RampingRate
	VUs      int          // of ConstantVUs: 1 … Connections

	Batch       int           // events in a request at most, 1 … 10,000; default 1
	Aggregators int           // that share the connections, 1 … Connections; default Connections; 0 where Batch is 1
	Linger      time.Duration // how long an event waits for others, where Batch is above 1; default 10ms
	Encoding    string        // of a batch: json or binary; default json
	Reads       float64       // share of the devices that ask, 0 … 1; default 1

	Skewed   float64       // share of the devices whose clock is wrong, 0 … 1; default 0
	Skew     time.Duration // by how much at most; default 1h
	Repeated float64       // share of the events that are told again, 0 … 1; default 0; where Batch is 1
	Delayed  float64       // share of the events that are told after the next, 0 … 1; default 0; where Batch is 1
}

// Retry says how often a request is sent and how long a device waits in between, if the
// target does not name a longer wait.
type Retry struct {
	Tries      int           // 1 … 10, the first included; default 3
	Wait       time.Duration // before the second, 0 … 10s; default 1s
	Multiplier float64       // of each further wait, 1 … 10; default 1
	Jitter     float64       // share of each wait that is left to chance, 0 … 1; default 0
}

// ExecutorName says when the population's events are due, by the names of k6.
type ExecutorName string

// The executors.
const (
	ByPopulation ExecutorName = "population" // by its own clock, TimeScale times as fast
	ConstantRate ExecutorName = "constant-arrival-rate"
	RampingRate  ExecutorName = "ramping-arrival-rate"
	ConstantVUs  ExecutorName = "constant-vus" // a closed loop
)

// Stage goes to a rate of Target events a second, in a straight line.
type Stage struct {
	Duration time.Duration
	Target   float64
}

// Audit says how much is asked of the target after the run.
type Audit struct {
	ReadBack float64 // share of accounts that are asked about, 0 < x ≤ 1; default 1
}
