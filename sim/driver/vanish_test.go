package driver

import (
	"testing"
	"time"

	"github.com/playhead-load/playhead/viewing"
)

// A share of the devices falls silent: what they do not say is not due, and nothing else
// is missing. It comes back.
func TestDevicesVanish(t *testing.T) {
	t.Parallel()
	const devices = 400
	var lines []line
	for round := range int64(3) {
		for i := range int32(devices) {
			lines = append(lines, line{dueMS: 100 * round, device: i, session: 1, seq: uint32(round), kind: viewing.Keepalive})
		}
	}
	target := newStage(t, 1, accept)
	fleet := newScript(lines...)
	var d *drive
	var vanished int64
	fleet.before = func(l line) {
		switch l.dueMS {
		case 100:
			d.Vanish(0.25, 7)
			if d.vanished.has(l.device) {
				vanished++
			}
		case 200:
			d.Vanish(0, 0)
		}
	}
	d = newDrive(fleet, target.urls, func(c *Config) { c.Duration, c.Connections = 300*time.Millisecond, 8 })
	d.play(t, t.Context())
	if vanished < devices/8 || vanished > devices*3/8 {
		t.Errorf("%d of %d devices fell silent, want a quarter", vanished, devices)
	}
	if due := d.counts.due.Load(); due != 3*devices-vanished {
		t.Errorf("%d events were due, want those of all but %d", due, vanished)
	}
	if heard := int64(len(target.requests())); heard != 3*devices-vanished {
		t.Errorf("the target heard %d events, want %d", heard, 3*devices-vanished)
	}
}
