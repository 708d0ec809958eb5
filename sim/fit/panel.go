package fit

// Panel is a marginal as a picture: calibrated and generated over the same axis, as
// curves or as bars.
type Panel struct {
	Title  string
	X, Y   string // what the axes show, with the unit
	LogX   bool
	Step   float64  // between two marks of the horizontal axis; 0: round numbers
	Labels []string // of bars; nil: curves

	Generated, Calibrated []Point
}

// Point is one of a curve, or a bar of which X is the number.
type Point struct{ X, Y float64 }

func (j *judge) curves(title, x, y string, logX bool, generated, calibrated []Point) {
	j.report.Panels = append(j.report.Panels, Panel{
		Title: title, X: x, Y: y, LogX: logX, Generated: generated, Calibrated: calibrated,
	})
}

// bars shows shares of a whole.
func (j *judge) bars(title, x, y string, labels []string, generated, calibrated []float64) {
	p := Panel{Title: title, X: x, Y: y, Labels: labels}
	for i := range labels {
		p.Generated = append(p.Generated, Point{float64(i), generated[i]})
		p.Calibrated = append(p.Calibrated, Point{float64(i), calibrated[i]})
	}
	j.report.Panels = append(j.report.Panels, p)
}

// overDay shows minutes of the day as their means of ten.
func (j *judge) overDay(title, y string, generated, calibrated []float64) {
	if j.needDay() != "" {
		return
	}
	const width = 10
	tens := func(minutes []float64) (points []Point) {
		for i := 0; i < len(minutes); i += width {
			points = append(points, Point{(float64(i) + width/2) / 60, sum(minutes[i:i+width]) / width})
		}
		return points
	}
	j.report.Panels = append(j.report.Panels, Panel{
		Title: title, X: "hour of the day", Y: y, Step: 3, Generated: tens(generated), Calibrated: tens(calibrated),
	})
}

// cumulated has the share of a histogram up to the end of each bin, the first of which
// ends at first.
func cumulated(bins []float64, first float64) []Point {
	points, total, upTo := make([]Point, len(bins)), sum(bins), 0.0
	for i, v := range bins {
		upTo += v
		points[i] = Point{float64(i) + first, upTo / total}
	}
	return points
}
