package capacity_test

import (
	"testing"
	"time"

	"github.com/playhead-load/playhead/results"
	"github.com/playhead-load/playhead/sim/capacity"
)

func TestNeeded(t *testing.T) {
	for _, c := range []struct {
		expression string
		perS       float64
		want       time.Duration
	}{
		{"p(99)<100", 100, 20 * time.Second},
		{"p(99.9)<100", 1000, 20 * time.Second},
		{"p(1)<100", 100, 20 * time.Second},
		{"med<100", 4, 10 * time.Second},
		{"rate<0.01", 1000, 2 * time.Second},
		{"rate>0.99", 1000, 2 * time.Second},
		{"rate<=0", 1000, 0}, // one is too many, however many there are
		{"p(100)<100", 1000, 0},
		{"max<100", 1000, 0},
		{"avg<100", 1000, 0},
		{"count<10", 1000, 0},
		{"p(99)<100", 0, 0},
	} {
		threshold, err := results.ParseThreshold(c.expression)
		if err != nil {
			t.Fatal(err)
		}
		if got := capacity.Needed(threshold, c.perS); (got - c.want).Abs() > time.Millisecond {
			t.Errorf("%s at %v/s: %v, want %v", c.expression, c.perS, got, c.want)
		}
	}
}
