package capacity

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/playhead-load/playhead/results"
)

// columns that free text is wrapped to.
const columns = 100

// Text writes the report for a person. It returns the error of w.
func (r *Report) Text(w io.Writer) error {
	out := &strings.Builder{}
	nodes := "nodes"
	if r.Target.Nodes == 1 {
		nodes = "node"
	}
	fmt.Fprintf(out, "\n  %s · %s, %d %s · %s · %d steps in %v · %d processors, the generator's too\n\n", r.Scenario, r.Target.Design,
		r.Target.Nodes, nodes, r.Model, len(r.Steps), time.Duration(r.TookS*float64(time.Second)).Round(time.Second), r.Target.Processors)
	for _, line := range r.headline() {
		indented(out, "  ", line)
	}
	r.steps(out)
	r.law(out)
	r.sizes(out)
	if r.Dir != "" {
		fmt.Fprintf(out, "\n  folder %s\n\n", r.Dir)
	}
	_, err := io.WriteString(w, out.String())
	return err
}

// headline is what the search came to.
func (r *Report) headline() []string {
	found := r.found()
	switch r.Ending {
	case Found:
		return []string{"✓ FOUND  " + found}
	case AllHeld:
		return []string{"✓ HELD  every load up to --max: " + found}
	case NoneHeld:
		return []string{"✗ NOTHING HELD  " + r.Reason}
	case Unbounded:
		return []string{"! NO INTERVAL  the steps agree too little, or --repeats asks for too few of them: " + found}
	case GeneratorLimit:
		if r.LowestCrossedPerS > 0 {
			return []string{"! THE GENERATOR was unfit before the target's limit was sure: " + found, r.Reason}
		}
		return []string{"! THE GENERATOR was the limit, not the target: " + found, r.Reason}
	case Violated:
		return []string{"✗ VIOLATED  " + r.Reason, found}
	}
	return []string{"! INTERRUPTED  " + found}
}

// found is what is known of the limit.
func (r *Report) found() string {
	switch c := r.Capacity; {
	case c != nil:
		return fmt.Sprintf("%s events/s (%.0f %%: %s to %s), at which half of the steps hold",
			whole(c.PerS), 100*r.Confidence, whole(c.LowPerS), whole(c.HighPerS))
	case r.HighestHeldPerS > 0 && r.LowestCrossedPerS > 0:
		return fmt.Sprintf("%s events/s held, %s did not", whole(r.HighestHeldPerS), whole(r.LowestCrossedPerS))
	case r.HighestHeldPerS > 0:
		return fmt.Sprintf("at least %s events/s", whole(r.HighestHeldPerS))
	}
	return "no load held"
}

func (r *Report) steps(out *strings.Builder) {
	fmt.Fprint(out, "\n  █ STEPS\n\n")
	fmt.Fprintf(out, "    %11s %14s %12s %12s %12s\n", "", "1 account in", "events/s", "answered", "under way")
	for i := range r.Steps {
		s := &r.Steps[i]
		fmt.Fprintf(out, "    %2d %s\n", i+1, s.row())
		if s.Reason != "" {
			indented(out, "       ", s.Reason)
		}
	}
}

// indented writes text in lines that begin with indent.
func indented(out *strings.Builder, indent, text string) {
	for _, line := range results.Wrap(text, columns-len(indent)) {
		fmt.Fprintf(out, "%s%s\n", indent, line)
	}
}

var signs = map[Outcome]string{Held: "✓", Crossed: "✗", Unfit: "!", TooShort: "·", Wrong: "✗"}

// Text is the step in one line.
func (s *Step) Text() string {
	if s.Reason == "" {
		return s.row()
	}
	return s.row() + ": " + s.Reason
}

func (s *Step) row() string {
	answered := 0.0
	if s.TargetPerS > 0 {
		answered = 100 * s.AchievedPerS / s.TargetPerS
	}
	return fmt.Sprintf("%-8s %14s %12s %10.1f %% %12.1f   %s %s", s.Phase, whole(1/s.Scale), whole(s.TargetPerS),
		answered, s.UnderWay, signs[s.Outcome], s.Outcome)
}

func (r *Report) law(out *strings.Builder) {
	fmt.Fprint(out, "\n  █ LAW  X(N) = λN / (1 + σ(N-1) + κN(N-1)), N requests under way\n\n")
	f := r.Law
	if f == nil {
		fmt.Fprintf(out, "    not fitted: %s\n", r.LawReason)
		return
	}
	fmt.Fprintf(out, "    λ %s/s   σ %.3g   κ %.3g   fitted to %d loads, %s to %s events/s\n", whole(f.Lambda), f.Sigma, f.Kappa,
		len(f.Points), whole(f.Points[0].PerS), whole(f.Points[len(f.Points)-1].PerS))
	fmt.Fprintf(out, "    held out %.1f under way: predicted %s events/s, measured %s, %+.1f %%\n", f.HeldOut.UnderWay,
		whole(f.PredictedPerS), whole(f.HeldOut.PerS), 100*f.Error)
	switch {
	case f.Refused != "":
		indented(out, "    ", "not to be believed beyond them: "+f.Refused)
	case f.PeakPerS != nil:
		fmt.Fprintf(out, "    by the law the most is about %s events/s, with %.0f under way, whatever the thresholds\n", whole(*f.PeakPerS), *f.PeakUnderWay)
	}
}

func (r *Report) sizes(out *strings.Builder) {
	if len(r.Sizes) == 0 {
		return
	}
	fmt.Fprint(out, "\n  █ WHAT A POPULATION TAKES at its peak\n\n")
	fmt.Fprintf(out, "    %-16s %14s %12s %10s %16s %16s\n", "", "streams", "events/s", "at", "shards", "nodes")
	for _, s := range r.Sizes {
		fmt.Fprintf(out, "    %-16s %14s %12s %10s %16s %16s\n", s.Population, whole(s.Streams), whole(s.PeakPerS),
			fmt.Sprintf("%02d–%02d h", s.Hour, s.Hour+1), r.between(s.ShardsLow, s.ShardsHigh), r.between(s.NodesLow, s.NodesHigh))
	}
	fmt.Fprint(out, "\n    if\n")
	for _, a := range r.Assumptions {
		lines := results.Wrap(a, columns-6)
		fmt.Fprintf(out, "    · %s\n", strings.Join(lines, "\n      "))
	}
}

// between writes low to high, or what high is the most of where no low is known.
func (r *Report) between(low, high int) string {
	switch {
	case r.Capacity == nil:
		return "at most " + results.FormatCount(high)
	case low == high:
		return results.FormatCount(low)
	}
	return results.FormatCount(low) + "–" + results.FormatCount(high)
}

// whole writes a number without decimals, a small one with two digits.
func whole(x float64) string {
	if math.Abs(x) < 10 {
		return strconv.FormatFloat(x, 'g', 2, 64)
	}
	return results.FormatCount(int64(math.Round(x)))
}
