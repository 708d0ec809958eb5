package results

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Fault is one fault as it was injected. Seconds count from the start of the run. Its
// recovery counts from when it was done, also where it lasted.
type Fault struct {
	AtS              float64  `json:"at_s"`
	Kind             string   `json:"kind"`
	Detail           string   `json:"detail,omitempty"`           // what it was like: leader-from-peers, delay 20ms
	Target           string   `json:"target,omitempty"`           // ids of the nodes that were hit, with spaces between
	EndedAtS         *float64 `json:"ended_at_s,omitempty"`       // nil: it has no end
	RestartedAtS     *float64 `json:"restarted_at_s,omitempty"`   // nil: it was not restarted
	RecoveredAfterMS *float64 `json:"recovered_after_ms"`         // nil: no answer came again before the end
	WithinAfterMS    *float64 `json:"within_thresholds_after_ms"` // in whole seconds of the series; nil: never, or there was no response-time threshold
	Skipped          string   `json:"skipped,omitempty"`          // why it did not happen; AtS is when it was given up
}

// end is when the fault was over, in seconds.
func (f *Fault) end() float64 {
	if f.EndedAtS != nil {
		return *f.EndedAtS
	}
	return f.AtS
}

// maxConvergenceMS is how long after the last fault's end a write must have succeeded.
const maxConvergenceMS = 5000

// WithConvergence adds to thresholds what every run with faults is judged by, unless they
// say themselves how soon after the last fault a write must succeed.
func WithConvergence(thresholds []Threshold) []Threshold {
	if slices.ContainsFunc(thresholds, func(t Threshold) bool { return t.Metric == metricConverged }) {
		return thresholds
	}
	return append(slices.Clone(thresholds), Threshold{
		Metric: metricConverged, Expression: fmt.Sprintf("value<%d", maxConvergenceMS),
		Aggregation: "value", Operator: "<", Bound: maxConvergenceMS,
	})
}

func slowestRecovery(faults []Fault) (float64, error) {
	if err := allHappened(faults); err != nil {
		return 0, err
	}
	var slowest float64
	for _, f := range faults {
		if f.RecoveredAfterMS == nil {
			return 0, fmt.Errorf("%s at %gs: not recovered before the end", f.Kind, f.AtS)
		}
		slowest = max(slowest, *f.RecoveredAfterMS)
	}
	return slowest, nil
}

func convergence(run *Run) (float64, error) {
	if err := allHappened(run.Faults); err != nil {
		return 0, err
	}
	if run.ConvergedAfterMS == nil {
		return 0, errors.New("no write succeeded after the last fault")
	}
	return *run.ConvergedAfterMS, nil
}

func allHappened(faults []Fault) error {
	if len(faults) == 0 {
		return errors.New("no fault was injected")
	}
	for _, f := range faults {
		if f.Skipped != "" {
			return fmt.Errorf("%s at %gs: it did not happen: %s", f.Kind, f.AtS, f.Skipped)
		}
	}
	return nil
}

// NoteWithin works out from the run's series when, after each fault, the response times
// were back within the thresholds: from the end of the last second that was not, before
// the next fault that began after this one's end.
func (r *Run) NoteWithin(series []Interval) {
	for i := range r.Faults {
		f := &r.Faults[i]
		if f.Skipped != "" {
			continue
		}
		until := r.DurationS // what ends after it is no whole second
		for _, next := range r.Faults {
			if next.AtS > f.end() {
				until = min(until, next.AtS)
			}
		}
		f.WithinAfterMS = withinAfter(series, f.AtS, until)
	}
}

func withinAfter(series []Interval, fromS, untilS float64) *float64 {
	var afterMS *float64
	backS := fromS
	for _, second := range series {
		if second.AtS <= fromS || second.AtS > untilS {
			continue
		}
		if !second.Within {
			backS, afterMS = second.AtS, nil
			continue
		}
		ms := round3((backS - fromS) * 1000)
		afterMS = &ms
	}
	return afterMS
}

// JudgeBy makes the recorder say of each interval whether the response times in it are
// within the thresholds on them. It is to be called before anything is recorded.
func (r *Recorder) JudgeBy(thresholds []Threshold) {
	r.judged = slices.DeleteFunc(slices.Clone(thresholds), func(t Threshold) bool {
		return !strings.HasSuffix(t.Metric, "."+fieldResponse)
	})
}

// within says whether times of an operation are within the thresholds on them.
func (r *Recorder) within(operation string, times *hdrhistogram.Histogram) bool {
	for _, t := range r.judged {
		if t.Metric == operation+"."+fieldResponse && !t.Holds(aggregate(times, t)/1000) {
			return false
		}
	}
	return true
}
