package driver

import (
	"slices"
	"testing"
	"time"

	"github.com/playhead-load/playhead/results"
)

// A second is of every phase that was on in some of it, each named once.
func TestPhases(t *testing.T) {
	t.Parallel()
	d := newDrive(newScript(line{}), []string{"http://127.0.0.1:1"}, nil)
	d.begun = time.Now()
	var got []string
	second := func() { got = append(got, d.Interval().Phase) }
	second()
	endPause := d.BeginPhase("pause")
	second()
	endKill := d.BeginPhase("kill")
	endAnother := d.BeginPhase("pause")
	second()
	endPause()
	endKill()
	second()
	second()
	endAnother()
	d.BeginPhase("clock")()
	second()
	second()
	want := []string{results.PhaseCalm, "pause", "kill + pause", "kill + pause", "pause", "clock + pause", results.PhaseCalm}
	if !slices.Equal(got, want) {
		t.Errorf("phases %q, want %q", got, want)
	}
}

func TestStolenTime(t *testing.T) {
	t.Parallel()
	before, after := processorTimes{all: 1000, stolen: 10}, processorTimes{all: 1400, stolen: 110}
	if got := after.stolenSince(before); got == nil || *got != 0.25 {
		t.Errorf("stolen %v, want a quarter", got)
	}
	for _, c := range [][2]processorTimes{{{}, after}, {before, before}, {after, before}} {
		if got := c[1].stolenSince(c[0]); got != nil {
			t.Errorf("from %+v to %+v: %v, want nothing", c[0], c[1], *got)
		}
	}
	if now := readProcessorTimes(); now.stolen > now.all {
		t.Errorf("%+v: more stolen than there is", now)
	}
}
