package capacity

import (
	"math"
	"time"

	"github.com/playhead-load/playhead/results"
)

// beyond is how many operations lie beyond the percentile that a step is judged by, or
// make up the share, if it stands at its bound: 20 of them know it to about a fifth.
const beyond = 20

// Needed is how long a step must measure for a threshold to be told, when the operations
// that it is of occur that often a second. 0 for what does not depend on a number of
// samples, and for what does not occur.
func Needed(t results.Threshold, perS float64) time.Duration {
	tail := 0.0
	switch t.Aggregation {
	case "p":
		tail = min(t.Percentile, 100-t.Percentile) / 100
	case "med":
		tail = 0.5
	case "rate":
		tail = min(t.Bound, 1-t.Bound)
	}
	if tail <= 0 || perS <= 0 {
		return 0
	}
	seconds := beyond / tail / perS
	return time.Duration(min(seconds*float64(time.Second), math.MaxInt64/2))
}
