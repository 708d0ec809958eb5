package driver

import (
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/playhead-load/playhead/viewing"
)

// seconds of looks, each a second after the one before, at a process with two processors.
func seconds(n int, change func(second int, l *look)) *vitals {
	v := &vitals{}
	var l look
	v.begin(l)
	for second := range n {
		l.steady += time.Second
		l.wall += time.Second
		l.cpu += time.Second
		change(second, &l)
		v.note(l, 2)
	}
	return v
}

func TestVitals(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		n      int
		change func(second int, l *look)
		want   string // in the reason
	}{
		{"half of its processors", 60, func(int, *look) {}, ""},
		{"all of them in one second of ten", 60, func(second int, l *look) {
			if second%10 == 0 {
				l.cpu += time.Second
			}
		}, ""},
		{"all of them in one second of five", 60, func(second int, l *look) {
			if second%5 == 0 {
				l.cpu += 900 * time.Millisecond
			}
		}, "90 % or more of its processors in 12 of 60 seconds"},
		{"all of them in a run too short to tell", 4, func(_ int, l *look) { l.cpu += time.Second }, ""},
		{"short pauses", 10, func(_ int, l *look) { l.paused += 50 * time.Millisecond }, ""},
		{"long pauses", 10, func(_ int, l *look) { l.paused += 60 * time.Millisecond }, "6 % of the time to collect its garbage"},
		{"a clock that is slewed", 60, func(_ int, l *look) { l.wall += time.Millisecond }, ""},
		{"a clock set forward", 10, func(second int, l *look) {
			if second == 5 {
				l.wall += 3 * time.Second
			}
		}, "clock jumped by 3s"},
		{"a clock set back", 10, func(second int, l *look) {
			if second == 5 {
				l.wall -= 150 * time.Millisecond
			}
		}, "clock jumped by 150ms"},
	} {
		got := seconds(c.n, c.change).unfit()
		if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// What is judged is what the process really goes through.
func TestLooksAtThisProcess(t *testing.T) {
	begun := time.Now()
	v := &vitals{}
	before := takeLook(begun)
	v.begin(before)
	for time.Since(begun) < 300*time.Millisecond {
		runtime.GC()
	}
	after := takeLook(begun)
	v.note(after, runtime.GOMAXPROCS(0))
	if after.cpu <= before.cpu || after.paused <= before.paused || after.steady < 300*time.Millisecond {
		t.Errorf("from %+v to %+v: it collected garbage all the time", before, after)
	}
	if v.jump > 50*time.Millisecond || v.watched < 300*time.Millisecond {
		t.Errorf("clock jumped by %v in %v", v.jump, v.watched)
	}
}

// A run watches its process from the end of the warm-up on, and is judged by it.
func TestARunIsJudgedByItsVitals(t *testing.T) {
	t.Parallel()
	target := newStage(t, 1, accept)
	d := newDrive(newScript(line{session: 1, kind: viewing.Keepalive}), target.urls, func(c *Config) {
		c.WarmUp, c.Duration = 50*time.Millisecond, 200*time.Millisecond
	})
	d.play(t, t.Context())
	if d.vitals.looks == 0 || d.vitals.watched > time.Since(d.begun)-50*time.Millisecond {
		t.Errorf("%d looks at %v of a run", d.vitals.looks, d.vitals.watched)
	}
	later := d.vitals.last
	later.steady += time.Second
	later.wall += 2 * time.Second
	d.vitals.note(later, 2)
	if generator, reason := d.Fitness(0); generator.Fit || !strings.Contains(reason, "clock jumped by 1s") {
		t.Errorf("%+v %q: want unfit", generator, reason)
	}
}

func TestTooFewDescriptors(t *testing.T) {
	t.Parallel()
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if limit.Cur > 1<<40 {
		t.Skip("there is no limit here")
	}
	most := int(limit.Cur) - spareDescriptors
	if reason := tooFewDescriptors(most, 1); reason != "" {
		t.Error(reason)
	}
	if reason := tooFewDescriptors(most/3+1, 3); !strings.Contains(reason, "raise ulimit -n, or lower load.connections") {
		t.Errorf("said %q", reason)
	}
	d := newDrive(newScript(line{session: 1, kind: viewing.Keepalive}), []string{"http://127.0.0.1:1"}, nil)
	d.config.Connections = most + 1
	if generator, reason := d.Fitness(0); generator.Fit || !strings.Contains(reason, "descriptors") {
		t.Errorf("%+v %q: want unfit", generator, reason)
	}
}
