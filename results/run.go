// Package results is what a run leaves behind: the record of every operation,
// its statistics, the thresholds judged against them, the folder on disk and
// the summary a person reads at the end.
//
// Answers come first: a run with a wrong one is violated, however it was measured.
// Then the instrument: a run whose generator was unfit has no verdict (void). Only
// then do thresholds count.
package results

import (
	"runtime/debug"
	"time"
)

// Schema is the value of run.json's "schema" field that this package writes.
const Schema = "playhead.run/1"

// Verdict is what a run came to.
type Verdict string

// The verdicts, from best to worst.
const (
	VerdictPass     Verdict = "pass"     // everything held
	VerdictFail     Verdict = "fail"     // a threshold was crossed
	VerdictVoid     Verdict = "void"     // the generator was unfit: there is no verdict on the target
	VerdictViolated Verdict = "violated" // an invariant was violated: the audit found a wrong answer
)

// Exit codes of a judged run.
const (
	ExitPass     = 0
	ExitVoid     = 97
	ExitViolated = 98
	ExitFail     = 99 // k6's own code for a crossed threshold
)

// Run is run.json: one run, complete. Times ending in _s are seconds, in _ms
// milliseconds, rates are per wall second. A Run is a plain value, to be used
// by one goroutine at a time.
type Run struct {
	Schema    string    `json:"schema"`            // always Schema; filled in by Write
	Version   string    `json:"version,omitempty"` // of the program that ran it
	ID        string    `json:"id"`
	Scenario  string    `json:"scenario"` // the scenario's name
	Seed      uint64    `json:"seed"`
	Model     string    `json:"model,omitempty"`      // the population's
	Scale     float64   `json:"scale,omitempty"`      // share of the population that played
	Segment   string    `json:"segment,omitempty"`    // part of it, as 2/8; empty: all of it
	Trace     string    `json:"trace,omitempty"`      // the file that was played in place of a population
	TimeScale float64   `json:"time_scale,omitempty"` // population seconds in a wall second
	Sabotage  string    `json:"sabotage,omitempty"`   // what the server was built to break on purpose
	StartedAt time.Time `json:"started_at"`
	DurationS float64   `json:"duration_s"` // wall seconds played, the warm-up included

	MeasuredS   float64 `json:"measured_s"`            // of it, the seconds that rates refer to: without the warm-up
	Interrupted bool    `json:"interrupted,omitempty"` // it was broken off before its end

	Target     Target               `json:"target"`
	Load       Load                 `json:"load"`
	Operations map[string]Operation `json:"operations"`        // by Op.String(); only operations that occurred
	Phases     map[string]Phase     `json:"phases,omitempty"`  // the same, by what was broken meanwhile
	Windows    []Window             `json:"windows,omitempty"` // the same, by the time
	Generator  Generator            `json:"generator"`
	Audit      Audit                `json:"audit"`
	Faults     []Fault              `json:"faults"`
	Thresholds []ThresholdResult    `json:"thresholds"`

	ConvergedAfterMS *float64 `json:"converged_after_ms,omitempty"` // from the end of the last fault to a write; nil: none, or no fault

	Parts []Part `json:"parts,omitempty"` // what it was joined of; empty: it was played as one

	Verdict    Verdict `json:"verdict"`
	VoidReason string  `json:"void_reason,omitempty"` // why, when Verdict is void

	Dir string `json:"-"` // the run's folder, set by Write and ReadRun
}

// Version is what the module system knows of this build.
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "unknown"
	}
	return info.Main.Version
}

// Target says what was tested.
type Target struct {
	Design   string   `json:"design"`              // External if Playhead did not boot it
	LogStore string   `json:"log_store,omitempty"` // of the nodes that Playhead booted
	Nodes    int      `json:"nodes"`
	URLs     []string `json:"urls,omitempty"` // of an external target
	// Salt was mixed into the session ids of an external target, which may have
	// been played against before.
	Salt string `json:"salt,omitempty"`
}

// External is the design of a target that Playhead did not boot.
const External = "external"

// Load sets the rate that was asked for beside what was sent and what was
// answered. All rates are events per wall second over the measured time; what was
// sent or answered after its end does not count.
type Load struct {
	TargetPerS         float64 `json:"target_per_s"`         // what the plan asked for
	OfferedPerS        float64 `json:"offered_per_s"`        // what the generator sent
	AchievedPerS       float64 `json:"achieved_per_s"`       // what was answered
	ActiveSessionsPeak int64   `json:"active_sessions_peak"` // by what the target told the devices
	Unsent             int64   `json:"unsent"`               // planned operations that were never sent
	Retries            int64   `json:"retries"`              // tries after the first
	Backlog            int64   `json:"backlog"`              // requests that had not ended when the plan had
}

// Operation is one operation's figures. Count includes errors and denials,
// and so do the percentiles: a timeout was waited for like any answer.
type Operation struct {
	Count      int64       `json:"count"`
	Errors     int64       `json:"errors"`
	Denied     int64       `json:"denied"`
	RatePerS   float64     `json:"rate_per_s"`
	ResponseMS Percentiles `json:"response_ms"`         // from the moment the operation was due
	ServiceMS  Percentiles `json:"service_ms,omitzero"` // from the moment it was sent; absent where none was
	Clipped    int64       `json:"clipped,omitempty"`   // times out of the histograms' range, recorded at its edge
}

// Percentiles of a time in milliseconds, to three significant digits. Those of no times
// are zero, and are left out where there may be none.
type Percentiles struct {
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p99.9"`
	Max  float64 `json:"max"`
}

// Generator tells whether the instrument was fit to measure.
type Generator struct {
	Fit       bool    `json:"fit"`
	SendLagMS SendLag `json:"send_lag_ms"`
	CPU       float64 `json:"cpu"` // mean share of the machine's processors it used, 0 … 1
	// ConnectionsBusy is the share of requests, 0 … 1, that found every connection
	// taken when they were due: what they waited for may be the driver's own bound.
	ConnectionsBusy float64 `json:"connections_busy"`
}

// SendLag is how late operations were sent, in milliseconds after they were due.
type SendLag struct {
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
}

// Audit is what the independent auditor found. Sessions is 0 when nothing was
// audited, and then no threshold on the audit can pass.
type Audit struct {
	Sessions            int64 `json:"sessions"`            // sessions checked
	EventsAcknowledged  int64 `json:"events_acknowledged"` // by their answers they must be there
	Unacknowledged      int64 `json:"unacknowledged"`      // by their answers, or for want of one, they may be there or not
	EventsLost          int64 `json:"events_lost"`         // acknowledged, and not there
	OverAdmissions      int64 `json:"over_admissions"`     // admitted over the limit
	FalseDenials        int64 `json:"false_denials"`       // denied below it
	PositionMismatches  int64 `json:"position_mismatches"`
	HistoryMismatches   int64 `json:"history_mismatches"`
	StaleReads          int64 `json:"stale_reads"`          // answers during the run that are older than what was acknowledged
	PositionRegressions int64 `json:"position_regressions"` // positions told during the run that are older than one told before
	EventsRejected      int64 `json:"events_rejected"`      // valid, and refused
	NodeCrashes         int64 `json:"node_crashes"`         // processes that ended by themselves
	ReplicaMismatches   int64 `json:"replica_mismatches"`   // entries after which two nodes' states differed
	Uncounted           int64 `json:"uncounted,omitempty"`  // sessions whose target does not tell how many events it heard

	Accounts         int64 `json:"accounts"`                  // heard of
	AccountsReadBack int64 `json:"accounts_read_back"`        // of them, those whose sessions, positions and histories were asked for after the run
	Readings         int64 `json:"readings"`                  // answers during the run that were judged
	ReadingsUnkept   int64 `json:"readings_unkept,omitempty"` // those beyond what the auditor holds
	Unjudged         int64 `json:"unjudged,omitempty"`        // answers during the run that events which the auditor does not hold by themselves may explain

	Linearizable    *bool           `json:"linearizable"` // nil: not checked, or not decided
	Linearizability Linearizability `json:"linearizability"`

	Examples []Example `json:"examples,omitempty"` // bounded by the auditor
}

// Linearizability counts the accounts whose histories of starts and stops were
// checked. Unknown are those the checker gave up on within its time.
type Linearizability struct {
	AccountsChecked int64 `json:"accounts_checked"`
	Illegal         int64 `json:"illegal"`
	Unknown         int64 `json:"unknown"`
}

// Example is one violation, shown so that it can be looked for.
type Example struct {
	Kind      string `json:"kind"` // the count's name: events_lost, …, linearizable
	AccountID int64  `json:"account_id"`
	SessionID string `json:"session_id,omitempty"`
	Detail    string `json:"detail"`
	// History is all that the session's device knows, a line an event; of a long one its ends.
	History []string `json:"history,omitempty"`
}

// Violations counts what breaks an invariant. An audit that was not made has none.
func (a *Audit) Violations() int64 {
	n := a.EventsLost + a.OverAdmissions + a.FalseDenials + a.PositionMismatches + a.HistoryMismatches +
		a.StaleReads + a.PositionRegressions + a.EventsRejected + a.NodeCrashes + a.ReplicaMismatches + a.Linearizability.Illegal
	if a.Linearizable != nil && !*a.Linearizable && a.Linearizability.Illegal == 0 {
		n++
	}
	return n
}

// ThresholdResult is one threshold, judged.
type ThresholdResult struct {
	Metric     string   `json:"metric"`
	Expression string   `json:"expression"`
	Value      *float64 `json:"value"` // nil: there was nothing to measure, and OK is false
	OK         bool     `json:"ok"`
	Note       string   `json:"note,omitempty"` // why, when Value is nil
}

// Judge works out the verdict from the run's parts: violated before void before
// fail before pass. A generator that was late measured wrongly, but an answer that
// was wrong is wrong however late it was asked for. It does not look at, or set,
// r.Verdict.
func (r *Run) Judge() Verdict {
	if r.Audit.Violations() > 0 {
		return VerdictViolated
	}
	if !r.Generator.Fit || r.VoidReason != "" {
		return VerdictVoid
	}
	for i := range r.Thresholds {
		if !r.Thresholds[i].OK {
			return VerdictFail
		}
	}
	return VerdictPass
}

// ExitCode is the code the command ends with: 0, 97, 98 or 99. Where the
// stated verdict and the run's parts disagree, the worse one counts; a verdict
// of an unknown name is void.
func (r *Run) ExitCode() int {
	stated := r.Verdict
	if stated == "" {
		stated = VerdictPass
	}
	for _, v := range []Verdict{VerdictViolated, VerdictVoid, VerdictFail} {
		if stated == v || r.Judge() == v {
			return exitCodes[v]
		}
	}
	if stated != VerdictPass {
		return ExitVoid
	}
	return ExitPass
}

var exitCodes = map[Verdict]int{
	VerdictFail:     ExitFail,
	VerdictViolated: ExitViolated,
	VerdictVoid:     ExitVoid,
}
