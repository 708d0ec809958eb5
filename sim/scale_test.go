package sim_test

import (
	"flag"
	"runtime"
	"runtime/debug"
	"syscall"
	"testing"
	"time"

	"github.com/playhead-load/playhead/sim"
	"github.com/playhead-load/playhead/sim/population"
	"github.com/playhead-load/playhead/viewing"
)

var devices = flag.Int("devices", 1_000_000, "devices of BenchmarkDevices")

// BenchmarkDevices plays an evening of netflix-2015 at the scale that has so many
// devices. make bench-sim shows it at ten million.
//
//   - told: each event in full, as a driver and a trace have it.
//   - steps: when, which device, and what, in the same order, of which any can be told.
func BenchmarkDevices(b *testing.B) {
	model, err := population.Named("netflix-2015")
	if err != nil {
		b.Fatal(err)
	}
	const perAccount = 2.7155 // devices; what there are is reported
	p, err := population.New(model, population.Options{Seed: 1, Scale: float64(*devices) / perAccount / model.Members.Value})
	if err != nil {
		b.Fatal(err)
	}
	begun := time.Now()
	f := sim.NewFleet(p, sim.FleetOptions{Seed: 1, StartMS: prime, WarmUpMS: minute, KeepaliveMS: minute})
	var e viewing.Event
	if _, ok := f.Next(viewing.MaxAt, &e); !ok {
		b.Fatal("no event")
	}
	first := time.Since(begun)
	for _, mode := range []struct {
		name string
		step func() bool
	}{
		{"steps", func() bool { _, ok := f.Advance(viewing.MaxAt); return ok }},
		{"told", func() bool { _, ok := f.Next(viewing.MaxAt, &e); return ok }},
	} {
		b.Run(mode.name, func(b *testing.B) {
			b.ReportAllocs()
			used := cpuTime(b)
			b.ResetTimer()
			for range b.N {
				if !mode.step() {
					b.Fatal("no event")
				}
			}
			b.StopTimer()
			b.ReportMetric(float64(b.N)/(cpuTime(b)-used).Seconds()/1e6, "M-events/CPU-s")
			b.ReportMetric(float64(f.Bytes())/float64(f.Devices()), "B/device")
			b.ReportMetric(float64(f.Devices())/1e6, "M-devices")
			b.ReportMetric(float64(f.Active())/1e6, "M-playing")
			b.ReportMetric(first.Seconds(), "s-to-first")
			b.ReportMetric(resident(b)/1e6, "MB-resident")
			b.ReportMetric(pause(), "ms-gc-pause")
		})
	}
}

// pause collects garbage and is how long all waited for it; ms.
func pause() float64 {
	var before, after debug.GCStats
	debug.ReadGCStats(&before)
	runtime.GC()
	debug.ReadGCStats(&after)
	return float64((after.PauseTotal - before.PauseTotal).Microseconds()) / 1000
}

func cpuTime(b *testing.B) time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// resident is the most memory that the process ever had.
func resident(b *testing.B) float64 {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	if runtime.GOOS == "darwin" {
		return float64(used.Maxrss)
	}
	return float64(used.Maxrss) * 1024
}
