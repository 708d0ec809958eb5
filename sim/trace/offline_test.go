package trace

import (
	"testing"

	"github.com/playhead-load/playhead/viewing"
)

// TestPlayerUploads: what was played offline is due where it stands, and told as it
// happened.
func TestPlayerUploads(t *testing.T) {
	uploaded := event(2, 0, 300, viewing.Start)
	uploaded.Offline = true
	content := text(event(1, 0, 1000, viewing.Start), uploaded, event(1, 1, 2000, viewing.Stop))
	p := play(t, file(t, "x", content), PlayerOptions{})
	var e viewing.Event
	for _, want := range []struct {
		due, at viewing.Millis
	}{{1000, 1000}, {1000, 300}, {2000, 2000}} {
		step, ok := p.Next(beginning+5000, &e)
		if !ok || step.DueMS != beginning+want.due || e.At != beginning+want.at {
			t.Errorf("got %+v at %d, %v, want due %d, at %d", step, e.At-beginning, ok, want.due, want.at)
		}
	}
}
