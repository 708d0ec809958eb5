package fit

import (
	"fmt"
	"math"

	"github.com/playhead-load/playhead/sim/population"
)

// Verdict is what a line comes to.
type Verdict string

// The verdicts.
const (
	Pass      Verdict = "pass"
	Fail      Verdict = "fail"
	NotJudged Verdict = "not judged"
)

// Line is one marginal: generated against calibrated.
type Line struct {
	Group   string    `json:"group"`
	Name    string    `json:"name"`
	Verdict Verdict   `json:"verdict"`
	Why     string    `json:"why,omitempty"`    // it was not judged
	Figure  *Compared `json:"figure,omitempty"` // of a number that was judged; nothing of a distribution
	*Judged           // nil: it was not
	Source  string    `json:"source"`
	Mark    string    `json:"mark"`
}

// Judged is how far generated and calibrated are apart, and how far they may be.
type Judged struct {
	Measure   string  `json:"measure"` // of the distance
	Distance  float64 `json:"distance"`
	Tolerance float64 `json:"tolerance"`
	Reason    string  `json:"reason"` // of the tolerance
	Chance    bool    `json:"chance"` // the tolerance is what chance explains in a sample that small
}

// Compared is a generated number and the calibrated range it should be in, at scale 1.
type Compared struct {
	Generated float64 `json:"generated"`
	Low       float64 `json:"low"`
	High      float64 `json:"high"`
	Unit      string  `json:"unit"`
}

// The measures of distance.
const (
	relativeError = "relative error"
	ksDistance    = "Kolmogorov-Smirnov"
	tvDistance    = "total variation"
	hoursDistance = "hours"
)

// Tolerances, and how large chance alone may make them before a sample is too small
// to be judged.
const (
	figureTolerance, figureChanceMost             = 0.05, 0.10
	distributionTolerance, distributionChanceMost = 0.02, 0.05
	hoursTolerance                                = 0.25
)

// figure compares a number. chance is its relative standard error; why, if it is not
// empty, says that it cannot be judged.
func (j *judge) figure(name string, got float64, want population.Figure, chance float64, why string) {
	judged := Judged{
		Measure: relativeError, Distance: outside(got, want.Low, want.High), Tolerance: figureTolerance,
		Reason: fmt.Sprintf("5 %% of the figure; a standard error is %.2g %%", 100*chance),
	}
	if 3*chance > figureTolerance {
		judged.Tolerance, judged.Chance = 3*chance, true
		judged.Reason = "three standard errors: chance in a sample that small, more than 5 % of the figure"
	}
	if why == "" && !(3*chance <= figureChanceMost) {
		why = fmt.Sprintf("too small a sample: chance alone is ±%.0f %%", 100*min(1, 3*chance))
	}
	j.add(name, &Compared{got, want.Low, want.High, want.Unit}, judged, origin{want.Source, want.Mark}, why)
}

// hour compares a time of day.
func (j *judge) hour(name string, got float64, want population.Figure, why string) {
	j.add(name, &Compared{got, want.Low, want.High, want.Unit}, Judged{
		Measure: hoursDistance, Distance: hoursApart(got, want.Low), Tolerance: hoursTolerance,
		Reason: "a quarter of an hour: the figure is about an hour, not a minute",
	}, origin{want.Source, want.Mark}, why)
}

// ordered compares distributions over bins by Kolmogorov and Smirnov's distance, which
// chance leaves below 1.95/√n in 999 samples of n of 1000.
func (j *judge) ordered(name string, got, want []float64, n float64, from origin, why string) {
	j.distribution(name, ksDistance, kolmogorovSmirnov(got, want), 1.95/math.Sqrt(n), n, from, why)
}

// unordered compares distributions over kinds by their total variation, which chance
// leaves below half the sum of four standard errors of each share.
func (j *judge) unordered(name string, got, want []float64, n float64, from origin, why string) {
	chance := 0.0
	for _, share := range want {
		share /= sum(want)
		chance += 2 * math.Sqrt(share*(1-share)/n)
	}
	j.distribution(name, tvDistance, totalVariation(got, want), chance, n, from, why)
}

func (j *judge) distribution(name, measure string, distance, chance, n float64, from origin, why string) {
	judged := Judged{
		Measure: measure, Distance: distance, Tolerance: distributionTolerance,
		Reason: fmt.Sprintf("0.02, for what seeks, pauses and whole minutes blur; chance in as much as %.0f independent ones is %.2g", n, chance),
	}
	if chance > distributionTolerance {
		judged.Tolerance, judged.Chance = chance, true
		judged.Reason = fmt.Sprintf("chance in as much as %.0f independent ones", n)
	}
	if why == "" && !(chance <= distributionChanceMost) {
		why = fmt.Sprintf("too small a sample: chance alone is %.2g", min(1, chance))
	}
	j.add(name, nil, judged, from, why)
}

// add ends a line.
func (j *judge) add(name string, figure *Compared, judged Judged, from origin, why string) {
	line := Line{Group: j.group, Name: name, Source: from.source, Mark: string(from.mark)}
	switch {
	case why != "":
		line.Verdict, line.Why = NotJudged, why
	case judged.Distance <= judged.Tolerance:
		line.Verdict, line.Figure, line.Judged = Pass, figure, &judged
	default:
		line.Verdict, line.Figure, line.Judged = Fail, figure, &judged
	}
	j.report.Lines = append(j.report.Lines, line)
}

// origin is where what is calibrated comes from.
type origin struct {
	source string
	mark   population.Mark
}
