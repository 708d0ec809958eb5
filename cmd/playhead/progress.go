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

	denied, errors int64 // of seconds that no line has told; of the goroutine that tells them
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

// second shows a second of the run, and what was denied or failed since the line before;
// leader is empty where no one can tell. One goroutine at a time may call it.
func (p *progress) second(duration time.Duration, s results.Interval, leader string, d *driver.Driver) {
	phase := ""
	switch {
	case d.InWarmUp():
		phase = "  warming up"
	case s.AtS > duration.Seconds():
		phase = "  the plan has ended, its last requests have not"
	}
	p.tell(duration, s, d.Pending(), leader+phase)
}

func (p *progress) tell(duration time.Duration, s results.Interval, waiting int64, more string) {
	p.denied += s.Denied
	p.errors += s.Errors
	s.Denied, s.Errors = p.denied, p.errors
	if p.update(secondLine(duration, s, waiting, more)) {
		p.denied, p.errors = 0, 0
	}
}

// secondLine is the line of a second; times of nothing are a dash.
func secondLine(duration time.Duration, s results.Interval, waiting int64, more string) string {
	p50, p99 := "–", "–"
	if s.Count > 0 {
		p50, p99 = fmt.Sprintf("%.1f ms", s.P50MS), fmt.Sprintf("%.1f ms", s.P99MS)
	}
	return fmt.Sprintf("%5.0f/%.0fs  %6.0f/s  %5d playing  p50 %8s  p99 %9s  %3d denied  %3d errors  %4d waiting%s",
		s.AtS, duration.Seconds(), s.RatePerS, s.ActiveSessions, p50, p99, s.Denied, s.Errors, waiting, more)
}

// leaderText ends the line of a second of a cluster that id leads, empty for none: which
// is worth a word once it has been led.
func leaderText(id string, led bool) string {
	switch {
	case id != "":
		return "  leader " + id
	case led:
		return "  no leader"
	}
	return ""
}

// numbered is a number of things: 1 process, 3 processes.
func numbered(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
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

// update shows a line, unless one was written a moment ago that cannot be changed.
func (p *progress) update(text string) (shown bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.quiet:
		return false
	case p.terminal:
		fmt.Fprintf(p.w, "\r\x1b[K%s", text)
		p.drawn = true
		return true
	case time.Since(p.plainAt) >= plainEvery:
		p.plainAt = time.Now()
		fmt.Fprintln(p.w, strings.TrimRight(text, " "))
		return true
	}
	return false
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
