package main

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/playhead-load/playhead/results"
	"github.com/playhead-load/playhead/sim/driver"
)

// plainEvery is how often a line is written where there is no terminal.
const plainEvery = 5 * time.Second

// quietFor is how long a command takes before it shows how far it is.
const quietFor = 2 * time.Second

// progress shows a run while it goes on: one line that changes on a terminal,
// plain lines elsewhere. Its methods may be called from any goroutine.
type progress struct {
	mu       sync.Mutex
	w        io.Writer
	quiet    bool
	terminal bool
	drawn    bool // a line that changes stands on the terminal
	plainAt  time.Time
}

func newProgress(w io.Writer, quiet bool) *progress {
	return &progress{w: w, quiet: quiet, terminal: isTerminal(w)}
}

// stage says what the run does next.
func (p *progress) stage(format string, args ...any) { p.line("▸ "+format, args...) }

// say tells of something that happened.
func (p *progress) say(format string, args ...any) { p.line("! "+format, args...) }

func (p *progress) line(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.quiet {
		return
	}
	p.clear()
	fmt.Fprintf(p.w, format+"\n", args...)
}

// second shows a second of the run; leader is empty where no one can tell.
func (p *progress) second(duration time.Duration, s results.Interval, leader string, d *driver.Driver) {
	phase := ""
	switch {
	case d.InWarmUp():
		phase = "  warming up"
	case s.AtS > duration.Seconds():
		phase = "  the plan has ended, its last requests have not"
	}
	text := fmt.Sprintf("%5.0f/%.0fs  %6.0f/s  %5d playing  p50 %5.1f ms  p99 %6.1f ms  %3d denied  %3d errors  %4d waiting%s%s",
		s.AtS, duration.Seconds(), s.RatePerS, s.ActiveSessions, s.P50MS, s.P99MS, s.Denied, s.Errors, d.Pending(), leader, phase)
	p.update(text)
}

// counted returns a function that shows how much of something is done.
func (p *progress) counted(what string) func(done, of int) {
	return func(done, of int) {
		if done == of || done%100 == 0 {
			p.update(fmt.Sprintf("%s %d of %d", what, done, of))
		}
	}
}

// share returns a function that shows how much of something is done, 0 … 1, if it takes
// longer than quietFor.
func (p *progress) share(what string) func(done float64) {
	begun := time.Now()
	return func(done float64) {
		if time.Since(begun) > quietFor {
			p.update(fmt.Sprintf("%s %.0f %%", what, 100*done))
		}
	}
}

func (p *progress) update(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.quiet:
	case p.terminal:
		fmt.Fprintf(p.w, "\r\x1b[K%s", text)
		p.drawn = true
	case time.Since(p.plainAt) >= plainEvery:
		p.plainAt = time.Now()
		fmt.Fprintln(p.w, strings.TrimRight(text, " "))
	}
}

// end leaves the terminal clean for what follows.
func (p *progress) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
}

func (p *progress) clear() {
	if p.drawn {
		fmt.Fprint(p.w, "\r\x1b[K")
		p.drawn = false
	}
}
