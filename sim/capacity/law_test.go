package capacity_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/playhead-load/playhead/sim/capacity"
)

// underWay is how many requests are under way at the loads of these tests.
var underWay = []float64{1, 2, 3, 4, 8, 16, 32, 64}

// points are what a system answers at the loads of these tests.
func points(perS func(n float64) float64) []capacity.Point {
	var all []capacity.Point
	for _, n := range underWay {
		all = append(all, capacity.Point{UnderWay: n, PerS: perS(n)})
	}
	return all
}

// searched are the loads of a search that ends at 95 % of the law's peak. What is under
// way is off by a share of that standard deviation.
func searched(law capacity.Law, noise float64, chance *rand.Rand) []capacity.Point {
	_, peak := law.Peak()
	var all []capacity.Point
	for _, share := range []float64{1. / 8, 1. / 4, 1. / 2, 0.7, 0.8, 0.9, 0.95, 1} {
		p := capacity.Point{PerS: 0.95 * share * peak}
		for law.PerS(p.UnderWay) < p.PerS {
			p.UnderWay += 0.01
		}
		p.UnderWay *= 1 + noise*chance.NormFloat64()
		all = append(all, p)
	}
	return all
}

// TestLawIsFound again from what it gives, whatever its numbers.
func TestLawIsFound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		law := capacity.Law{
			Lambda: rapid.Float64Range(1, 1e5).Draw(t, "lambda"),
			Sigma:  rapid.Float64Range(0.001, 0.3).Draw(t, "sigma"),
			Kappa:  rapid.Float64Range(0.00001, 0.01).Draw(t, "kappa"),
		}
		f, err := capacity.FitLaw(points(law.PerS))
		if err != nil || f.Refused != "" {
			t.Fatalf("%v, %+v", err, f)
		}
		for _, each := range [][2]float64{{f.Lambda, law.Lambda}, {f.Sigma, law.Sigma}, {f.Kappa, law.Kappa}, {f.Error + 1, 1}} {
			if math.Abs(each[0]/each[1]-1) > 1e-5 {
				t.Errorf("got %+v, want %+v", f.Law, law)
			}
		}
	})
}

// TestLawFromNoisyLoads: where what is under way is known to 1 % the law is hardly ever
// refused, and where it is known to 6 % often. What is not refused has its peak where it is.
func TestLawFromNoisyLoads(t *testing.T) {
	const fits = 300
	law, chance := capacity.Law{Lambda: 1000, Sigma: 0.05, Kappa: 0.001}, rand.New(rand.NewPCG(1, 1))
	_, peak := law.Peak()
	for _, c := range []struct{ noise, fewest, most, off float64 }{{0.01, 0, 0.03, 0.05}, {0.06, 0.2, 0.7, 0.25}} {
		refused, off := 0.0, 0.0
		for range fits {
			f, err := capacity.FitLaw(searched(law, c.noise, chance))
			if err != nil {
				t.Fatal(err)
			}
			if f.Refused != "" {
				refused += 1. / fits
				continue
			}
			off += math.Abs(*f.PeakPerS/peak-1) / fits
		}
		t.Logf("noise %v: refused %.2f, peaks %.3f off", c.noise, refused, off)
		if refused < c.fewest || refused > c.most || off > c.off*(1-refused) {
			t.Errorf("noise %v: refused %.2f, want %v to %v; peaks %.3f off", c.noise, refused, c.fewest, c.most, off)
		}
	}
}

// TestLawIsRefused where the system has another, or none.
func TestLawIsRefused(t *testing.T) {
	law := capacity.Law{Lambda: 1000, Sigma: 0.05, Kappa: 0.001}
	for name, c := range map[string]struct {
		perS func(n float64) float64
		want string
	}{
		"a cliff":                     {func(n float64) float64 { return law.PerS(n) / (1 + math.Floor(n/64)) }, "off at the load held out"},
		"a limit without queueing":    {func(n float64) float64 { return min(100*n, 1000) }, "is below 0"},
		"cheaper the more there are":  {func(n float64) float64 { return 100 * math.Pow(n, 1.2) }, "is below 0"},
		"throughput bends up":         {func(n float64) float64 { return 100*math.Sqrt(n) + 0.5*n }, "κ is below 0"},
		"rising and falling by turns": {func(n float64) float64 { return 100 * n * (1.5 + math.Cos(n)) }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			f, err := capacity.FitLaw(points(c.perS))
			if err != nil {
				t.Fatal(err)
			}
			if f.Refused == "" || !strings.Contains(f.Refused, c.want) {
				t.Errorf("refused %q, want %q: %+v, %.1f %% off", f.Refused, c.want, f.Law, 100*f.Error)
			}
			if f.PeakPerS != nil {
				t.Errorf("a law that was refused tells of a peak: %v", *f.PeakPerS)
			}
		})
	}
}

func TestLawIsNotFitted(t *testing.T) {
	law := capacity.Law{Lambda: 1000, Sigma: 0.05, Kappa: 0.001}
	alike := make([]capacity.Point, 6)
	for i := range alike {
		alike[i] = capacity.Point{UnderWay: 8, PerS: law.PerS(8)}
	}
	alike = append(alike, capacity.Point{UnderWay: 16, PerS: law.PerS(16)})
	fallsFirst := points(func(n float64) float64 { return n / (0.1*n - 0.15) })
	for name, points := range map[string][]capacity.Point{
		"no load": nil, "three loads and the greatest": points(law.PerS)[:4], "one load six times, and the greatest": alike, "less than no time alone": fallsFirst[1:],
	} {
		if f, err := capacity.FitLaw(points); err == nil {
			t.Errorf("%s: fitted %+v", name, f.Law)
		}
	}
}

// TestPeak: it is where the law says, and no load gives more.
func TestPeak(t *testing.T) {
	for _, c := range []struct{ lambda, sigma, kappa, n, perS float64 }{
		{1000, 0.02, 0.0001, 98.99, 25189.6},
		{1, 0, 0.01, 10, 5.263},
		{1000, 0.05, 0, math.Inf(1), 20000},
	} {
		law := capacity.Law{Lambda: c.lambda, Sigma: c.sigma, Kappa: c.kappa}
		t.Run(fmt.Sprint(law), func(t *testing.T) {
			n, perS := law.Peak()
			if n != c.n && math.Abs(n/c.n-1) > 0.001 || math.Abs(perS/c.perS-1) > 0.001 {
				t.Errorf("peak %v at %v, want %v at %v", perS, n, c.perS, c.n)
			}
			for m := 1.0; m < 1000; m++ {
				if law.PerS(m) > perS*(1+1e-9) {
					t.Errorf("%v at %v is more than the peak, %v", law.PerS(m), m, perS)
				}
			}
		})
	}
}
