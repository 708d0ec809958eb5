package capacity

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"time"
)

// Schema is the value of capacity.json's "schema" field.
const Schema = "playhead.capacity/1"

// Report is capacity.json: one search, complete. Rates are events per wall second,
// times ending in _s seconds. Who plays the steps fills in all but what Conclude does.
type Report struct {
	Schema    string    `json:"schema"` // always Schema; filled in by Conclude
	Version   string    `json:"version,omitempty"`
	Scenario  string    `json:"scenario"`
	Seed      uint64    `json:"seed"` // of the first step; each has its own
	Model     string    `json:"model"`
	TimeScale float64   `json:"time_scale"`
	Keepalive string    `json:"keepalive"` // in the population's time
	Target    Target    `json:"target"`
	StartedAt time.Time `json:"started_at"`
	TookS     float64   `json:"took_s"`

	Ending Ending `json:"ending"`
	Reason string `json:"reason,omitempty"` // of an ending that needs one
	Steps  []Step `json:"steps"`

	HighestHeldPerS   float64   `json:"highest_held_per_s,omitempty"` // absent: none
	LowestCrossedPerS float64   `json:"lowest_crossed_per_s,omitempty"`
	Confidence        float64   `json:"confidence"`
	Capacity          *Estimate `json:"capacity"` // nil: the steps do not bound it
	Law               *Fit      `json:"law"`      // nil: LawReason says why
	LawReason         string    `json:"law_reason,omitempty"`
	Sizes             []Size    `json:"sizes"`
	Assumptions       []string  `json:"assumptions"`

	Dir string `json:"-"` // the folder that holds it
}

// Target says what was measured, and on what.
type Target struct {
	Design     string `json:"design"`
	Nodes      int    `json:"nodes"`
	Processors int    `json:"processors"` // of the machine, shared with the generator
}

// Outcomes that a Search is not told of.
const (
	TooShort Outcome = "too-short" // it could not tell, and is played again, longer
	Wrong    Outcome = "wrong"     // an answer was, which ends the search
)

// Step is one run of the scenario.
type Step struct {
	Phase        Phase   `json:"phase"`
	Scale        float64 `json:"scale"` // share of the population
	Seed         uint64  `json:"seed"`
	DurationS    float64 `json:"duration_s"` // the warm-up included
	TargetPerS   float64 `json:"target_per_s"`
	AchievedPerS float64 `json:"achieved_per_s"`
	UnderWay     float64 `json:"under_way"` // requests, on average
	Outcome      Outcome `json:"outcome"`
	Reason       string  `json:"reason,omitempty"` // of any outcome but held
	Folder       string  `json:"folder"`           // of the run, in the report's
	// ConnectionsBusy is the share of requests, 0 … 1, that found every connection taken.
	ConnectionsBusy float64 `json:"connections_busy"`
}

// KeepsUp is the least share of what was due that a target answers by the end of a step
// that it holds. Below it the load is not the one that was asked for.
const KeepsUp = 0.95

func (s *Step) keptUp() bool {
	return s.Outcome != Unfit && s.TargetPerS > 0 && s.AchievedPerS >= KeepsUp*s.TargetPerS
}

// Conclude works out what the steps come to: the estimate, the law, and what each of the
// demands takes. It replaces what was concluded before.
func (r *Report) Conclude(demands []Demand) {
	r.Schema, r.Confidence = Schema, Confidence
	r.Capacity, r.Law, r.LawReason, r.Sizes, r.Assumptions = nil, nil, "", []Size{}, r.assumptions()
	r.HighestHeldPerS, r.LowestCrossedPerS = 0, 0
	var trials []Trial
	for i := range r.Steps {
		s := &r.Steps[i]
		if s.Phase == Sweep { // too short to be judged
			continue
		}
		switch s.Outcome {
		case Held:
			r.HighestHeldPerS = max(r.HighestHeldPerS, s.TargetPerS)
		case Crossed:
			if r.LowestCrossedPerS == 0 || s.TargetPerS < r.LowestCrossedPerS {
				r.LowestCrossedPerS = s.TargetPerS
			}
		default:
			continue
		}
		trials = append(trials, Trial{PerS: s.TargetPerS, Held: s.Outcome == Held})
	}
	low, high := highestBelow(trials, r.LowestCrossedPerS), math.Inf(1)
	if estimate, ok := EstimateOf(trials); ok {
		r.Capacity = &estimate
		low, high = estimate.LowPerS, estimate.HighPerS
	} else if r.Ending == Found { // its loads bounded it, the rates that they came to do not
		r.Ending = Unbounded
	}
	fit, err := FitLaw(r.points())
	if r.Law = fit; err != nil {
		r.LawReason = err.Error()
	}
	if low == 0 || r.Ending == Violated { // a wrong answer is worth nothing at any rate
		return
	}
	for _, d := range demands {
		r.Sizes = append(r.Sizes, SizeOf(d, r.Target.Nodes, low, high))
	}
}

// highestBelow is the highest rate that held below the lowest that did not, 0 if there is
// none. Without an interval it is what the target holds.
func highestBelow(trials []Trial, lowestCrossed float64) float64 {
	highest := 0.0
	for _, t := range trials {
		if t.Held && (lowestCrossed == 0 || t.PerS < lowestCrossed) {
			highest = max(highest, t.PerS)
		}
	}
	return highest
}

// assumptions are what the sizes stand on.
func (r *Report) assumptions() []string {
	all := []string{
		"accounts are spread evenly over shards that share nothing, each with a leader of its own",
		fmt.Sprintf("a shard has a machine like this one: its %d nodes on %d processors and one disk, of which the generator took its part here; between machines there is a network that was not measured", r.Target.Nodes, r.Target.Processors),
		fmt.Sprintf("events and reads are mixed and sent as in the scenario, a keepalive every %s", r.Keepalive),
		"nothing is kept back for growth, for a node that is down, or for a moment busier than the average day's busiest hour",
	}
	if r.TimeScale > 1 {
		all = append(all, fmt.Sprintf("state costs nothing: at %g times the pace the target held a %[1]gth of the sessions that go with this rate", r.TimeScale))
	}
	return all
}

// points are the means of the steps that the target kept up with, by their load.
func (r *Report) points() []Point {
	var points []Point
	steps := map[float64]int{}
	at := map[float64]int{}
	for i := range r.Steps {
		s := &r.Steps[i]
		if !s.keptUp() || s.UnderWay <= 0 {
			continue
		}
		if steps[s.Scale]++; steps[s.Scale] == 1 {
			at[s.Scale] = len(points)
			points = append(points, Point{})
		}
		p := &points[at[s.Scale]]
		p.UnderWay += s.UnderWay
		p.PerS += s.AchievedPerS
	}
	for scale, i := range at {
		points[i].UnderWay /= float64(steps[scale])
		points[i].PerS /= float64(steps[scale])
	}
	return points
}

// JSON writes the report for programs.
func (r *Report) JSON(w io.Writer) error {
	out := json.NewEncoder(w)
	out.SetIndent("", "  ")
	out.SetEscapeHTML(false)
	return out.Encode(r)
}
