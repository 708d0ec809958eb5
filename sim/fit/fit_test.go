package fit_test

import (
	"context"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/playhead-load/playhead/sim"
	"github.com/playhead-load/playhead/sim/fit"
	"github.com/playhead-load/playhead/sim/population"
	"github.com/playhead-load/playhead/viewing"
)

const (
	midnight = viewing.Millis(1_447_977_600_000) // 2015-11-20T00:00:00Z
	minute   = 60_000
	day      = 24 * 60 * minute
)

func model(t *testing.T) population.Model {
	t.Helper()
	m, err := population.Named("netflix-2015")
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func populate(t *testing.T, m population.Model) *population.Population {
	t.Helper()
	p, err := population.New(m, population.Options{Seed: 1, Scale: 1.0 / 1000})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// play watches a fleet of that model for so long.
func play(ctx context.Context, t *testing.T, m population.Model, length viewing.Millis, keepaliveMS int64) *fit.Sample {
	t.Helper()
	fleet := sim.NewFleet(populate(t, m), sim.FleetOptions{Seed: 1, StartMS: midnight, KeepaliveMS: keepaliveMS})
	return fit.Watch(ctx, fleet, fit.Options{From: midnight, Until: midnight + length, KeepaliveMS: keepaliveMS})
}

func names(report *fit.Report, verdict fit.Verdict) []string {
	var found []string
	for _, line := range report.Lines {
		if line.Verdict == verdict {
			found = append(found, line.Name)
		}
	}
	return found
}

// change is a model that is another in one way, and the lines that fail by it.
type change struct {
	edit  func(*population.Model)
	fails []string
}

var wrongPopulations = map[string]change{
	"another device mix": {
		func(m *population.Model) { m.Devices[0].Streams, m.Devices[2].Streams = 0.60, 0.20 },
		[]string{"devices"},
	},
	"plans of one stream": {
		func(m *population.Model) { m.Plans[0].Share, m.Plans[1].Share = 0.35, 0.35 },
		[]string{"stream limits"},
	},
	"more profiles": {
		func(m *population.Model) { m.Profiles[3].Share, m.Profiles[4].Share = 0.12, 0.11 },
		[]string{"profiles"},
	},
	"another country": {
		func(m *population.Model) { m.Zones[4].Country = "FR" },
		[]string{"countries"},
	},
	"flattened popularity": {
		func(m *population.Model) { m.PopularityPower.Value = 0.35 },
		[]string{"popularity, plays by rank", "plays of the top 1 %", "plays of the top 10 %", "plays of the top 20 %"},
	},
	"doubled pause length": {
		func(m *population.Model) { m.PauseMedian.Value *= 2 },
		[]string{"seconds of a pause"},
	},
	"half as many pauses again": {
		func(m *population.Model) { m.Pauses.Value *= 1.5 },
		[]string{"pauses an hour"},
	},
	"more seeks": {
		func(m *population.Model) { m.Seeks.Value *= 1.15 },
		[]string{"seeks an hour"},
	},
	"televisions that are switched off": {
		func(m *population.Model) { m.EndsWithoutStop.Value = 0.04 },
		[]string{"ends without a stop"},
	},
	"an evening that begins earlier": {
		func(m *population.Model) { m.PeakHour.Value = 20 },
		[]string{"hour of the peak", "streams over the day"},
	},
	"longer films": {
		func(m *population.Model) { m.FilmMedian.Value, m.FilmFirst.Value = 120, 12 },
		[]string{"runtimes of films", "minutes played of films"},
	},
}

func by(f *population.Figure, factor float64) { f.Low, f.High = f.Low*factor, f.High*factor }

var otherFigures = map[string]change{
	"streams":     {func(m *population.Model) { by(&m.Figures.StreamsMean, 1.1) }, []string{"streams at once, mean"}},
	"peak":        {func(m *population.Model) { by(&m.Figures.PeakToMean, 1.1) }, []string{"streams, peak hour / mean"}},
	"trough":      {func(m *population.Model) { m.TroughToPeak.Value = 0.3 }, []string{"streams over the day", "streams, trough hour / peak hour"}},
	"starts":      {func(m *population.Model) { by(&m.Figures.Starts, 0.9) }, []string{"starts, mean"}},
	"starts peak": {func(m *population.Model) { by(&m.Figures.StartsPeak, 0.9) }, []string{"starts, peak hour"}},
	"keepalives": {func(m *population.Model) { by(&m.Figures.Keepalives, 1.1) },
		[]string{"keepalives if none were cut, mean", "keepalives sent, mean"}},
	"keepalives peak": {func(m *population.Model) { by(&m.Figures.KeepalivesPeak, 1.1) },
		[]string{"keepalives if none were cut, peak", "keepalives sent, peak hour"}},
	"plays":        {func(m *population.Model) { by(&m.Figures.Plays, 1.1) }, []string{"a day and account"}},
	"minutes":      {func(m *population.Model) { by(&m.Figures.Minutes, 1.15) }, []string{"minutes a day and account"}},
	"minutes less": {func(m *population.Model) { by(&m.Figures.Minutes, 0.8) }, []string{"minutes a day and account"}},
	"a play": {func(m *population.Model) { by(&m.Figures.MinutesAPlay, 1.15) },
		[]string{"minutes a play"}},
	"complete":      {func(m *population.Model) { by(&m.Figures.Complete, 1.1) }, []string{"complete"}},
	"under half":    {func(m *population.Model) { by(&m.Figures.UnderHalf, 1.1) }, []string{"under half"}},
	"top":           {func(m *population.Model) { by(&m.Figures.TopHundredth, 1.1) }, []string{"plays of the top 1 %"}},
	"top tenth":     {func(m *population.Model) { by(&m.Figures.TopTenth, 1.1) }, []string{"plays of the top 10 %"}},
	"top fifth":     {func(m *population.Model) { by(&m.Figures.TopFifth, 1.1) }, []string{"plays of the top 20 %"}},
	"runtimes":      {func(m *population.Model) { m.EpisodeMin.Value = 24 }, []string{"runtimes of episodes"}},
	"pauses spread": {func(m *population.Model) { m.PauseSigma.Value = 1.3 }, []string{"seconds of a pause"}},
	"binges": {func(m *population.Model) { by(&m.Figures.NextEpisode, 1.2) },
		[]string{"episodes that follow in a row", "next episode after a complete one"}},
}

// TestADayFits: every marginal is judged and passes, and is one that the tests below
// see fail.
func TestADayFits(t *testing.T) {
	report := fit.Judge(play(t.Context(), t, model(t), day, minute), populate(t, model(t)))
	seenToFail := map[string]bool{}
	for _, changes := range []map[string]change{wrongPopulations, otherFigures} {
		for _, each := range changes {
			for _, name := range each.fails {
				seenToFail[name] = true
			}
		}
	}
	for _, line := range report.Lines {
		if line.Verdict != fit.Pass {
			t.Errorf("%s: %s: %+v", line.Name, line.Verdict, line)
		}
		if !seenToFail[line.Name] {
			t.Errorf("%s: no test sees it fail", line.Name)
		}
		if line.Source == "" || line.Mark == "" || line.Reason == "" {
			t.Errorf("%s: a source, a mark and a reason are expected, got %+v", line.Name, line)
		}
	}
}

// TestEachDetectorFires: of a population that is wrong in one way, what that way shows
// in fails and nothing else does.
func TestEachDetectorFires(t *testing.T) {
	for name, wrong := range wrongPopulations {
		t.Run(name, func(t *testing.T) {
			m := model(t)
			wrong.edit(&m)
			report := fit.Judge(play(t.Context(), t, m, day, minute), populate(t, model(t)))
			got := names(report, fit.Fail)
			slices.Sort(got)
			slices.Sort(wrong.fails)
			if diff := cmp.Diff(wrong.fails, got); diff != "" {
				t.Errorf("failed (-want +got):\n%s", diff)
			}
		})
	}
}

// TestEachFigureIsCompared: when one figure of the calibration is another, the lines
// that are compared with it fail and no others.
func TestEachFigureIsCompared(t *testing.T) {
	sample := play(t.Context(), t, model(t), day, minute)
	for name, other := range otherFigures {
		t.Run(name, func(t *testing.T) {
			m := model(t)
			other.edit(&m)
			got := names(fit.Judge(sample, populate(t, m)), fit.Fail)
			slices.Sort(got)
			if diff := cmp.Diff(other.fails, got); diff != "" {
				t.Errorf("failed (-want +got):\n%s", diff)
			}
		})
	}
}

// TestKeepalivesAreCounted: devices that are late with each keepalive fail as such.
func TestKeepalivesAreCounted(t *testing.T) {
	fleet := sim.NewFleet(populate(t, model(t)), sim.FleetOptions{Seed: 1, StartMS: midnight, KeepaliveMS: minute * 5 / 4})
	sample := fit.Watch(t.Context(), fleet, fit.Options{From: midnight, Until: midnight + day, KeepaliveMS: minute})
	want := []string{"keepalives sent, mean", "keepalives sent, peak hour"}
	if diff := cmp.Diff(want, names(fit.Judge(sample, populate(t, model(t))), fit.Fail)); diff != "" {
		t.Errorf("failed (-want +got):\n%s", diff)
	}
}

// TestTooShortIsNotJudged: three hours say nothing of a day, and nothing passes for it.
func TestTooShortIsNotJudged(t *testing.T) {
	report := fit.Judge(play(t.Context(), t, model(t), 180*minute, 10*minute), populate(t, model(t)))
	whys := map[string]string{}
	for _, line := range report.Lines {
		whys[line.Name] = line.Why
		if (line.Verdict == fit.NotJudged) != (line.Judged == nil) {
			t.Errorf("%s: %s with %+v", line.Name, line.Verdict, line.Judged)
		}
	}
	for name, want := range map[string]string{
		"streams at once, mean": "3h of a day",
		"minutes a play":        "3h, a play counts 4h after its hour",
		"keepalives sent, mean": "a keepalive every 10m, the figures are for 1m",
		"ends without a stop":   "3h, a play counts 4h after its hour",
		"stream limits":         "",
	} {
		if whys[name] != want {
			t.Errorf("%s: not judged: %q, want %q", name, whys[name], want)
		}
	}
	if failed := names(report, fit.Fail); len(failed) > 0 || report.Count(fit.Pass) == 0 {
		t.Errorf("%d passed, %q failed; what can be judged passes", report.Count(fit.Pass), failed)
	}
}

// TestNothingIsNotJudged: a plan shorter than a minute passes nothing but its accounts.
func TestNothingIsNotJudged(t *testing.T) {
	report := fit.Judge(play(t.Context(), t, model(t), minute/2, minute), populate(t, model(t)))
	if diff := cmp.Diff([]string{"stream limits", "profiles"}, names(report, fit.Pass)); diff != "" {
		t.Errorf("passed (-want +got):\n%s", diff)
	}
}

// TestInterrupted: what was played until then is told, as a part.
func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	fleet := sim.NewFleet(populate(t, model(t)), sim.FleetOptions{Seed: 1, StartMS: midnight, KeepaliveMS: minute})
	sample := fit.Watch(ctx, fleet, fit.Options{From: midnight, Until: midnight + day, KeepaliveMS: minute,
		Progress: func(at viewing.Millis, _ int64) {
			if at == midnight+90*minute {
				cancel()
			}
		}})
	if report := fit.Judge(sample, populate(t, model(t))); !report.Partial || report.PlayedS != 90*60 || report.Events["keepalive"] == 0 {
		t.Errorf("partial %v, %v s, %v events; want 90 minutes, told as a part", report.Partial, report.PlayedS, report.Events)
	}
}
