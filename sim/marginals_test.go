package sim_test

import (
	"math"
	"testing"

	"github.com/playhead-load/playhead/sim"
	"github.com/playhead-load/playhead/viewing"
)

// A virtual day at 1/1000: 62,000 accounts, about 73,000 sittings and 270,000
// plays. Sittings are the independent units, so a share of plays has a standard
// error near 0.002 and a mean over them near 0.4 %; tolerances are at least
// four of those. Keepalives every 10 minutes change no play, only the time the
// test takes.
func TestADayHasTheMarginalsOfItsModel(t *testing.T) {
	const accounts, meanStreams = 62_000, 4100
	f := newFleet(t, setting{scale: 1.0 / 1000, seed: 1, start: midnight, keepalive: 10 * minute})
	day := watchDay(f)
	plays, stops := float64(day.plays), float64(day.stops)
	for _, c := range []struct {
		name                 string
		got, want, tolerance float64
	}{
		{"mean streams / planned", day.mean / meanStreams, 1, 0.025},
		{"peak hour / mean", day.peak / day.mean, 1.66, 0.07},
		{"trough hour / peak hour", day.trough / day.peak, 0.2, 0.03},
		{"depth of the day's cosine", day.depth, 2.0 / 3, 0.025},
		{"peak hour", day.peakAt, 20.82, 0.15},
		{"plays a day and account", plays / accounts, 4.4, 0.12},
		{"minutes a play", day.playedMin / plays, 21.4, 0.5},
		{"minutes a day and account", day.playedMin / accounts, 93, 3},
		{"complete", float64(day.complete) / stops, 0.20, 0.01},
		{"under half", float64(day.underHalf) / stops, 0.56, 0.012},
		{"ends without a stop", 1 - stops/plays, 0.03, 0.003},
		{"streams on tv", day.kinds["tv"], 0.70, 0.012}, {"streams on web", day.kinds["web"], 0.15, 0.012},
		{"streams on phone", day.kinds["phone"], 0.10, 0.012}, {"streams on tablet", day.kinds["tablet"], 0.05, 0.012},
		{"views of the top 1 %", float64(day.top1) / plays, 0.20, 0.01},
		{"views of the top 10 %", float64(day.top10) / plays, 0.58, 0.015},
		{"views of the top 20 %", float64(day.top20) / plays, 0.74, 0.015},
		{"pauses an hour", float64(day.count[viewing.Pause]) / day.playedMin * 60, 0.6, 0.02},
		{"seeks an hour", float64(day.count[viewing.Seek]) / day.playedMin * 60, 1, 0.025},
	} {
		t.Logf("%-28s %.4f", c.name, c.got)
		if math.Abs(c.got-c.want) > c.tolerance {
			t.Errorf("%s: got %.4f, want %.4f ± %.4f", c.name, c.got, c.want, c.tolerance)
		}
	}
}

type dayWatched struct {
	mean, peak, trough, depth, peakAt float64
	plays, stops, complete, underHalf int
	top1, top10, top20                int
	playedMin                         float64
	kinds                             map[string]float64
	count                             map[viewing.EventType]int
}

// watchDay plays 28 hours: the day, and four in which its last plays end.
// Plays are those that begin within the day; what is announced at its beginning
// is half over and not counted.
func watchDay(f *sim.Fleet) *dayWatched {
	day := &dayWatched{kinds: map[string]float64{}, count: map[viewing.EventType]int{}}
	played := map[viewing.SessionID]int64{}
	var minutes [24 * 60]float64
	var e viewing.Event
	for m := range 28 * 60 {
		for {
			if _, ok := f.Next(midnight+viewing.Millis(m)*minute, &e); !ok {
				break
			}
			day.see(&e, played, m < 24*60)
		}
		if m < len(minutes) {
			minutes[m] = float64(f.Active())
		}
	}
	var cos, sin float64
	for h := range 24 {
		sum := 0.0
		for m := h * 60; m < h*60+60; m++ {
			sum += minutes[m] / 60
			turn := 2 * math.Pi * float64(m) / (24 * 60)
			cos += minutes[m] * math.Cos(turn) / (12 * 60)
			sin += minutes[m] * math.Sin(turn) / (12 * 60)
		}
		day.mean += sum / 24
		day.peak = max(day.peak, sum)
		if day.trough == 0 || sum < day.trough {
			day.trough = sum
		}
	}
	day.depth = math.Hypot(cos, sin) / day.mean
	day.peakAt = math.Mod(math.Atan2(sin, cos)/(2*math.Pi)*24+24, 24)
	for kind := range day.kinds {
		day.kinds[kind] /= day.playedMin
	}
	return day
}

func (day *dayWatched) see(e *viewing.Event, played map[viewing.SessionID]int64, within bool) {
	if e.Type == viewing.Start && e.At > midnight && within {
		day.plays++
		played[e.SessionID] = 0
		day.top1 += one(e.TitleID <= 72)
		day.top10 += one(e.TitleID <= 720)
		day.top20 += one(e.TitleID <= 1440)
	}
	before, ours := played[e.SessionID]
	if !ours {
		return
	}
	day.count[e.Type]++
	minutes := float64(e.PlayedMS-before) / minute
	day.playedMin += minutes
	day.kinds[e.DeviceType] += minutes
	played[e.SessionID] = e.PlayedMS
	if e.Type == viewing.Stop {
		day.stops++
		day.complete += one(e.PositionMS == e.RuntimeMS)
		day.underHalf += one(2*e.PositionMS < e.RuntimeMS)
	}
}

func one(b bool) int {
	if b {
		return 1
	}
	return 0
}

// Keepalives are fewer than playbacks a minute: what a play, a pause or a seek
// cuts off an unfinished minute, and paused playbacks, send none. The ratio's
// standard error over an hour is near 0.002.
func TestKeepalivesAMinute(t *testing.T) {
	f := newFleet(t, setting{scale: 1.0 / 4000, seed: 2, start: prime - 10*minute})
	var e viewing.Event
	keepalives, active := 0, 0.0
	for m := range viewing.Millis(70) {
		for {
			if _, ok := f.Next(prime+(m-10)*minute, &e); !ok {
				break
			}
			if e.Type == viewing.Keepalive && m >= 10 {
				keepalives++
			}
		}
		if m >= 10 {
			active += float64(f.Active())
		}
	}
	ratio := float64(keepalives) / active
	t.Logf("%.4f keepalives a minute and playback", ratio)
	if math.Abs(ratio-0.935) > 0.012 {
		t.Errorf("%.4f keepalives a minute and playback, want 0.935", ratio)
	}
}
