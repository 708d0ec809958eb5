package driver

import (
	"math"
	"net/http"
	"testing"

	"github.com/playhead-load/playhead/results"
	"github.com/playhead-load/playhead/sim/audit"
	"github.com/playhead-load/playhead/viewing"
)

// A target that answers everything, but after the plan's end, did not keep up.
func TestLoadIsOfThePlansTime(t *testing.T) {
	t.Parallel()
	const devices, connections = 6, 2
	release := make(chan struct{})
	target := newStage(t, 1, func(w http.ResponseWriter, h heard) { <-release; accept(w, h) })
	var lines []line
	for i := range int32(devices) {
		lines = append(lines, line{device: i, session: 1, kind: viewing.Keepalive})
	}
	d := newDrive(newScript(lines...), target.urls, func(c *Config) { c.Connections = connections })
	if d.Backlog() != 0 || d.ConnectionsBusy() != 0 {
		t.Errorf("backlog %d, connections busy %v before the beginning", d.Backlog(), d.ConnectionsBusy())
	}
	played := make(chan struct{})
	go func() { defer close(played); d.Run(t.Context(), func() {}) }()
	eventually(t, "the plan has ended", func() bool { return d.planEnd.Load() != nil })
	close(release)
	<-played
	d.mustBalance(t)
	d.mustFates(t, map[audit.Fate]int64{audit.Accepted: devices})
	if load := d.Load(1); load.TargetPerS != devices || load.OfferedPerS != connections || load.AchievedPerS != 0 {
		t.Errorf("load %+v, want %d due, %d sent and none answered by the plan's end", load, devices, connections)
	}
	if got := d.Backlog(); got != devices {
		t.Errorf("backlog %d, want %d", got, devices)
	}
	if got := d.Recorder().Operations(1)["keepalive"]; got.Count != devices || got.RatePerS != 0 {
		t.Errorf("%+v: want %d, none of them at the plan's rate", got, devices)
	}
	if got, want := d.ConnectionsBusy(), float64(devices-connections)/devices; math.Abs(got-want) > 1e-9 {
		t.Errorf("connections busy for %v of the requests, want %v", got, want)
	}
}

func TestUnsentRequestsBeyondTheLimitAreCounted(t *testing.T) {
	t.Parallel()
	u := unsentList{requests: make([]unsent, unsentLimit)}
	u.add(results.OpStop, 2000)
	u.add(results.OpStop, 9000)
	u.add(results.OpStop, 5000)
	if len(u.requests) != unsentLimit {
		t.Errorf("%d requests remembered, want %d", len(u.requests), unsentLimit)
	}
	u.requests = nil
	recorder := results.NewRecorder(0, 0)
	u.record(recorder, 1_009_000)
	if got := recorder.Operations(1)["stop"]; got.Count != 3 || got.Errors != 3 || math.Abs(got.ResponseMS.Max-1000) > 1 {
		t.Errorf("%+v: want 3 errors after the second since the latest", got)
	}
}
