package random_test

import (
	"fmt"
	"math"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/playhead-load/playhead/sim/random"
)

func TestFirstNumbersOfAStreamAreGolden(t *testing.T) {
	stream := random.At(random.Key(1, 2, 3), 0)
	var got []string
	for range 3 {
		got = append(got, fmt.Sprintf("%016x", stream.Uint64()))
	}
	got = append(got, fmt.Sprint(stream.Intn(1000)), fmt.Sprintf("%x %x %x %x",
		stream.Float64(), stream.Exp(), stream.Normal(), stream.Lognormal(60, 1.5)))
	const want = "27568edbaa1e399f d064cee83256672c 2d75381dddffc43d 54 " +
		"0x1.e0f064e923dp-05 0x1.edc45bb7994dcp+00 -0x1.cf1a8da10916fp-03 0x1.98a8d5485d0bap+03"
	if strings.Join(got, " ") != want {
		t.Errorf("got  %s\nwant %s", strings.Join(got, " "), want)
	}
}

func TestANumberDependsOnlyOnItsCounter(t *testing.T) {
	key := random.Key(9, 0, 0)
	stream := random.At(key, 0)
	for n := range uint32(100) {
		if got, want := random.Hash(key, n), stream.Uint64(); got != want {
			t.Fatalf("number %d: got %x by counter, %x in order", n, got, want)
		}
	}
	if stream.Counter() != 100 {
		t.Errorf("counter %d after 100 numbers", stream.Counter())
	}
}

func TestKeysDiffer(t *testing.T) {
	seen := map[uint64]bool{}
	for seed := range uint64(10) {
		for domain := range uint64(10) {
			for stream := range uint64(100) {
				seen[random.Key(seed, domain, stream)] = true
			}
		}
	}
	if len(seen) != 10_000 {
		t.Errorf("%d different keys of 10,000", len(seen))
	}
}

func TestFunctionsAreThoseOfMath(t *testing.T) {
	stream := random.At(random.Key(4, 0, 0), 0)
	near := func(name string, x, got, want float64) {
		t.Helper()
		if math.Abs(got-want) > 4e-15*max(1, math.Abs(want)) {
			t.Errorf("%s(%v): got %v, want %v", name, x, got, want)
		}
	}
	for range 10_000 {
		x := math.Exp(stream.Between(-40, 40))
		near("Ln", x, random.Ln(x), math.Log(x))
		y := stream.Between(-40, 40)
		if got, want := random.Exp(y), math.Exp(y); math.Abs(got/want-1) > 4e-15 {
			t.Errorf("Exp(%v): got %v, want %v", y, got, want)
		}
		turn := stream.Between(-1, 2)
		near("CosTurn", turn, random.CosTurn(turn), math.Cos(2*math.Pi*turn))
		near("SinTurn", turn, random.SinTurn(turn), math.Sin(2*math.Pi*turn))
	}
}

// TestFunctionsAtTheirEdges: where tables begin and end, and beyond what is told of.
func TestFunctionsAtTheirEdges(t *testing.T) {
	for k := -64 * 3; k <= 64*3; k++ {
		for _, beside := range []float64{-1e-12, 0, 1e-12} {
			x := float64(k)/128*math.Ln2 + beside
			if got, want := random.Exp(x), math.Exp(x); math.Abs(got/want-1) > 4e-15 {
				t.Errorf("Exp(%v): got %v, want %v", x, got, want)
			}
			turn := float64(k)/512 + beside
			if got, want := random.CosTurn(turn), math.Cos(2*math.Pi*turn); math.Abs(got-want) > 4e-15 {
				t.Errorf("CosTurn(%v): got %v, want %v", turn, got, want)
			}
		}
	}
	for x, as := range map[float64]float64{700: 700, 701: 700, 1e300: 700, math.Inf(1): 700, -700: -700, -701: -700, -1e300: -700, math.Inf(-1): -700} {
		if got, want := random.Exp(x), math.Exp(as); math.Abs(got/want-1) > 4e-13 {
			t.Errorf("Exp(%v): got %v, want %v", x, got, want)
		}
	}
}

// With 400,000 draws the standard error of each mean is below 0.003; the
// tolerance is five of them.
func TestMomentsOfDraws(t *testing.T) {
	const n = 400_000
	stream := random.At(random.Key(5, 0, 0), 0)
	var uniform, exponential, normal, squared, below float64
	for range n {
		uniform += stream.Float64()
		exponential += stream.Exp()
		z := stream.Normal()
		normal += z
		squared += z * z
		if stream.Lognormal(60, 1.5) < 60 {
			below++
		}
	}
	for _, c := range []struct {
		name      string
		got, want float64
	}{
		{"mean of Float64", uniform / n, 0.5}, {"mean of Exp", exponential / n, 1},
		{"mean of Normal", normal / n, 0}, {"variance of Normal", squared / n, 1},
		{"share of Lognormal below its median", below / n, 0.5},
	} {
		if math.Abs(c.got-c.want) > 0.012 {
			t.Errorf("%s: got %v, want %v", c.name, c.got, c.want)
		}
	}
}

func TestNoFusedMultiplyAdd(t *testing.T) {
	for _, arch := range []string{"arm64", "s390x"} {
		build := exec.Command("go", "build", "-gcflags=-S", "..", "../population", ".")
		build.Env = append(os.Environ(), "GOARCH="+arch, "CGO_ENABLED=0")
		listing, err := build.CombinedOutput()
		if err != nil {
			t.Skipf("cannot build for %s: %v", arch, err)
		}
		if !strings.Contains(string(listing), "TEXT") {
			t.Fatalf("%s: no listing", arch)
		}
		for line := range strings.Lines(string(listing)) {
			for _, fused := range []string{"FMADD", "FMSUB", "FNMADD", "FNMSUB"} {
				if strings.Contains(line, fused) {
					t.Errorf("%s: %s", arch, strings.TrimSpace(line))
				}
			}
		}
	}
}
