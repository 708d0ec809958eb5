package capacity

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/mat"
)

// Law is the Universal Scalability Law (Gunther, Guerrilla Capacity Planning, 2007):
// with N requests under way a system answers
//
//	X(N) = λN / (1 + σ(N-1) + κN(N-1))
//
// a second. σ is the share of the work that queues, κ what keeping each in step with
// every other costs.
type Law struct {
	Lambda float64 `json:"lambda_per_s"` // with one under way
	Sigma  float64 `json:"sigma"`
	Kappa  float64 `json:"kappa"`
}

// PerS is the throughput with n under way.
func (l Law) PerS(n float64) float64 {
	return l.Lambda * n / (1 + l.Sigma*(n-1) + l.Kappa*n*(n-1))
}

// Peak is the greatest throughput and what is under way then. Without κ more is always
// better: n is infinite, and perS what it comes close to, infinite without σ too.
func (l Law) Peak() (n, perS float64) {
	if l.Kappa > 0 {
		n = math.Sqrt(max(1-l.Sigma, 0) / l.Kappa)
		return n, l.PerS(n)
	}
	return math.Inf(1), l.Lambda / l.Sigma
}

// Point is one load that the target kept up with.
type Point struct {
	UnderWay float64 `json:"under_way"` // requests, on average: their rate times their service time (Little)
	PerS     float64 `json:"per_s"`     // events
}

// maxError is how far the law may be from the point held out.
const maxError = 0.10

// leastPoints is how many loads a fit takes: one more than the law has numbers.
const leastPoints = 4

// fittedUpTo is the share of the greatest throughput up to which loads are fitted to. The
// law is checked well beyond them, and not on the neighbour of a load that it knows.
const fittedUpTo = 0.9

// Fit is a law fitted to the smaller loads, and checked on the greatest.
type Fit struct {
	Law
	Points        []Point `json:"points"` // that it was fitted to
	HeldOut       Point   `json:"held_out"`
	PredictedPerS float64 `json:"predicted_per_s"` // with as much under way as at HeldOut
	Error         float64 `json:"relative_error"`  // of the prediction
	Refused       string  `json:"refused,omitempty"`

	// What the law says beyond the points; absent where it was refused, or has no peak.
	PeakUnderWay *float64 `json:"peak_under_way,omitempty"`
	PeakPerS     *float64 `json:"peak_per_s,omitempty"`
}

// FitLaw fits the law by least squares of the relative error of N/X, in which it is
// linear. Refused says why the law must not be believed beyond the points: it is off at
// the point held out, or a number came out negative, which nothing that queues can have.
// The error says why there is no fit at all.
func FitLaw(points []Point) (*Fit, error) {
	if len(points) == 0 {
		return nil, errors.New("the target kept up with no load")
	}
	points = slices.Clone(points)
	slices.SortFunc(points, func(a, b Point) int { return cmp.Compare(a.PerS, b.PerS) })
	f := &Fit{HeldOut: points[len(points)-1]}
	for _, p := range points {
		if p.PerS <= fittedUpTo*f.HeldOut.PerS {
			f.Points = append(f.Points, p)
		}
	}
	if n := len(f.Points); n < leastPoints {
		return nil, fmt.Errorf("it takes %d loads up to %g of the greatest throughput, there are %d", leastPoints, fittedUpTo, n)
	}
	var err error
	if f.Law, err = leastSquares(f.Points); err != nil {
		return nil, err
	}
	f.PredictedPerS = f.PerS(f.HeldOut.UnderWay)
	f.Error = f.PredictedPerS/f.HeldOut.PerS - 1
	f.judge()
	return f, nil
}

func leastSquares(points []Point) (Law, error) {
	rows := mat.NewDense(len(points), 3, nil)
	ones := mat.NewVecDense(len(points), nil)
	for i, p := range points {
		n, y := p.UnderWay, p.UnderWay/p.PerS
		rows.SetRow(i, []float64{1 / y, (n - 1) / y, n * (n - 1) / y})
		ones.SetVec(i, 1)
	}
	var solved mat.VecDense
	if err := solved.SolveVec(rows, ones); err != nil {
		return Law{}, fmt.Errorf("the loads are too much alike to fit a law to: %w", err)
	}
	a := solved.RawVector().Data
	if !(a[0] > 0) {
		return Law{}, errors.New("a request alone came out to take no time")
	}
	return Law{Lambda: 1 / a[0], Sigma: a[1] / a[0], Kappa: a[2] / a[0]}, nil
}

func (f *Fit) judge() {
	switch {
	case f.Sigma < 0:
		f.Refused = "σ is below 0: a request costs less the more there are, which the law has no word for"
	case f.Kappa < 0:
		f.Refused = "κ is below 0: throughput bends up, which the law has no word for"
	case !(math.Abs(f.Error) <= maxError):
		f.Refused = fmt.Sprintf("it is %.0f %% off at the load held out, more than %.0f %%", 100*math.Abs(f.Error), 100*maxError)
	}
	if n, perS := f.Peak(); f.Refused == "" && !math.IsInf(n, 1) {
		f.PeakUnderWay, f.PeakPerS = &n, &perS
	}
}
