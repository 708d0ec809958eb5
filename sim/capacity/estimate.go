package capacity

import (
	"math"

	"gonum.org/v1/gonum/stat/distuv"
)

// Confidence is that of every interval.
const Confidence = 0.95

// Trial is a step as the estimate sees it: the rate that was asked for, in events a
// second or any other unit, and whether it held.
type Trial struct {
	PerS float64
	Held bool
}

// Estimate is the rate at which half of all steps hold, in the trials' unit, with the
// interval that covers it at Confidence.
type Estimate struct {
	PerS     float64 `json:"per_s"`
	LowPerS  float64 `json:"low_per_s"`
	HighPerS float64 `json:"high_per_s"`
}

// The grid that the likelihood is looked at on.
const (
	gridRatio   = 1.5   // beyond the lowest rate that was crossed, and the highest that held
	gridStep    = 0.005 // of the rate's logarithm
	leastSpread = 0.002
	mostSpread  = 0.5
	spreads     = 15
)

// critical is by how much the log-likelihood of a rate within the interval may fall
// short of the greatest. Half of chi-squared's 3.84 is for many trials. After a dozen the
// spread is poorly known: this is what covers the truth as often as stated in seeded
// searches with ten steps of confirmation and spreads of 0.5 to 10 %.
const critical = 3.0

// EstimateOf estimates the target's limit by the method of probits: the limit of each
// step is taken to be independent of the others and lognormal around the same rate, with
// a spread that is not known. The interval has the rates whose likelihood, at the spread
// that suits each best, is not too far below the greatest. Not ok if the trials are too
// few to bound it on both sides.
func EstimateOf(trials []Trial) (estimate Estimate, ok bool) {
	low, high := math.Inf(1), 0.0
	logs := make([]float64, len(trials))
	for i, t := range trials {
		logs[i] = math.Log(t.PerS)
		if t.Held {
			high = max(high, t.PerS)
		} else {
			low = min(low, t.PerS)
		}
	}
	if high == 0 || math.IsInf(low, 1) {
		return Estimate{}, false
	}
	from, to := math.Log(min(low, high)/gridRatio), math.Log(max(low, high)*gridRatio)
	grid := make([]float64, int((to-from)/gridStep)+1)
	greatest := math.Inf(-1)
	for i := range grid {
		grid[i] = likelihood(trials, logs, from+float64(i)*gridStep)
		greatest = max(greatest, grid[i])
	}
	first, last := within(grid, greatest-critical)
	if first == 0 || last == len(grid)-1 {
		return Estimate{}, false
	}
	// Where the trials do not overlap, every rate between them is as likely: the middle.
	best, most := within(grid, greatest-0.01)
	at := func(i float64) float64 { return math.Exp(from + i*gridStep) }
	return Estimate{PerS: at(float64(best+most) / 2), LowPerS: at(float64(first - 1)), HighPerS: at(float64(last + 1))}, true
}

// within is the first and the last place of the grid that is not below least.
func within(grid []float64, least float64) (first, last int) {
	first = -1
	for i, at := range grid {
		if at < least {
			continue
		}
		if last = i; first < 0 {
			first = i
		}
	}
	return first, last
}

// likelihood is the logarithm of the trials' for a limit of that logarithm, at the spread
// that makes it greatest. logs are the logarithms of the trials' rates.
func likelihood(trials []Trial, logs []float64, limit float64) float64 {
	greatest := math.Inf(-1)
	for step := range spreads {
		spread := leastSpread * math.Pow(mostSpread/leastSpread, float64(step)/(spreads-1))
		sum := 0.0
		for i, t := range trials {
			z := (limit - logs[i]) / spread
			if !t.Held {
				z = -z
			}
			sum += math.Log(max(distuv.UnitNormal.CDF(z), math.SmallestNonzeroFloat64))
			if sum < greatest { // no trial makes it greater
				break
			}
		}
		greatest = max(greatest, sum)
	}
	return greatest
}
