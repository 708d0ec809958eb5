package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// How the cost is measured.
const (
	connections     = 64
	moreConnections = connections + 1000
	memoryPerS      = 5000 // requests, whatever the connections
	busyShare       = 0.9  // of the connections that an open loop keeps busy
)

// An open loop is driven near the most that it holds: at a share of what the first row
// came to, and at less as long as that was too much.
const (
	nearlyAll   = 0.85
	rateLess    = 0.7
	rateTries   = 7
	withoutRate = 20_000 // where no row came before
)

// tail is how long a generator goes on after the last look at it.
const tail = time.Second

// warmUp begins with a row's first request.
func (cfg config) warmUp() time.Duration { return cfg.duration / 2 }

// cost is what a row measured.
type cost struct {
	perS    float64 // requests that the target was asked
	cpuS    float64 // seconds of the generator's processor time per 1M requests
	perConn float64 // bytes resident that a connection takes
	said    said    // of latency
	rate    float64 // events a second that an open loop was to send; 0: a closed one
	missing error   // why the row was not measured
}

func compareCost(ctx context.Context, cfg config, out io.Writer) error {
	var errs []error
	costs := map[string]cost{}
	fmt.Fprint(out, costColumns)
	rate := float64(withoutRate)
	for i, g := range cfg.rows {
		c, err := measureCost(ctx, g, rate, cfg)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			c = cost{missing: err}
			errs = append(errs, fmt.Errorf("%s: %w", g.name, err))
		}
		if i == 0 && c.perS > 0 {
			rate = nearlyAll * c.perS
		}
		costs[g.name] = c
		printCost(out, g, c, costs["wrk"])
	}
	printFloors(out, costs)
	return errors.Join(errs...)
}

// measureCost measures a row; a generator that is not to be had is no error.
func measureCost(ctx context.Context, g generator, rate float64, cfg config) (c cost, err error) {
	if _, _, err := g.command(load{}, cfg.programs); err != nil {
		return cost{missing: err}, nil
	}
	if !g.open {
		rate = 0
	}
	for try := 1; ; try++ {
		if c, err = measureSpeed(ctx, g, rate, cfg); err != nil {
			return c, err
		}
		if c.said.Unfit == "" || !g.open { // a closed loop is as fast as it can: its row says what was unfit
			break
		}
		if try == rateTries {
			return c, fmt.Errorf("unfit at %.0f events/s: %s", rate, c.said.Unfit)
		}
		rate *= rateLess
	}
	few, err := measureMemory(ctx, g, connections, cfg)
	if err != nil {
		return c, err
	}
	many, err := measureMemory(ctx, g, moreConnections, cfg)
	if err != nil {
		return c, err
	}
	if many.sockets <= few.sockets {
		return c, fmt.Errorf("it had %d connections open of %d, and %d of %d", few.sockets, connections, many.sockets, moreConnections)
	}
	c.perConn = float64(many.bytes-few.bytes) / float64(many.sockets-few.sockets)
	return c, nil
}

// measureSpeed plays a row on a target that answers at once. It looks twice at what the
// target was asked and what the generator used: what a generator takes to start is left
// out.
func measureSpeed(ctx context.Context, g generator, rate float64, cfg config) (c cost, err error) {
	t, err := startTarget(targetCPU, "target", "0s")
	if err != nil {
		return c, err
	}
	defer t.kill()
	p, err := start(ctx, generatorCPU, g, t, load{Connections: connections, PerS: rate, Length: cfg.warmUp() + cfg.duration + tail}, cfg)
	if err != nil {
		return c, err
	}
	defer p.kill()
	if err := rest(ctx, cfg.warmUp()); err != nil {
		return c, err
	}
	before, err := look(ctx, t, p)
	if err != nil {
		return c, err
	}
	if err := rest(ctx, cfg.duration); err != nil {
		return c, err
	}
	after, err := look(ctx, t, p)
	if err != nil {
		return c, err
	}
	requests, took, used := float64(after.asked-before.asked), after.at.Sub(before.at).Seconds(), (after.cpu - before.cpu).Seconds()
	if requests == 0 && rate == 0 {
		return c, errors.New("it sent nothing")
	}
	c = cost{perS: requests / took, cpuS: used * 1e6 / requests, rate: rate}
	if c.perS < nearlyAll*rate { // it would go on for long with what it is behind, or sends nothing at all
		c.said.Unfit = fmt.Sprintf("it sent %.0f requests/s", c.perS)
		return c, nil
	}
	if err := p.wait(ctx, endTimeout); err != nil {
		return c, err
	}
	c.said, err = g.read(p.stdout.Bytes())
	return c, err
}

// start starts a generator, and waits for its first request.
func start(ctx context.Context, cpu int, g generator, t *target, l load, cfg config) (*process, error) {
	l.URL, l.WarmUp, l.LengthS, l.Body = t.url, cfg.warmUp(), l.Length.Seconds(), postBody
	argv, stdin, err := g.command(l, cfg.programs)
	if err != nil {
		return nil, err
	}
	p, err := startProcess(cpu, argv, stdin)
	if err != nil {
		return nil, err
	}
	if err := t.await(ctx, p); err != nil {
		p.kill()
		return nil, err
	}
	return p, nil
}

// sight is how things stood at a moment.
type sight struct {
	at    time.Time
	asked int64
	cpu   time.Duration
}

func look(ctx context.Context, t *target, p *process) (s sight, err error) {
	if s.asked, err = t.asked(ctx); err != nil {
		return s, err
	}
	s.at = time.Now()
	s.cpu, err = p.cpuTime()
	return s, err
}

// rest waits for a time that is measured, or until ctx ends.
func rest(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// memory is what a generator has.
type memory struct{ bytes, sockets int64 }

// measureMemory plays a row on a target that holds its answers back, so that every
// connection is busy and the requests a second are the same, however many there are. What
// a collector has not come to yet is left out where it can be: it is more than a thousand
// connections take.
func measureMemory(ctx context.Context, g generator, connections int, cfg config) (m memory, err error) {
	held := time.Duration(busyShare * float64(connections) / memoryPerS * float64(time.Second))
	t, err := startTarget(targetCPU, "target", held.String())
	if err != nil {
		return m, err
	}
	defer t.kill()
	l := load{Connections: connections, Length: cfg.duration + endTimeout, Lean: true} // it is ended before
	if g.open {
		l.PerS = memoryPerS
	}
	p, err := start(ctx, generatorCPU, g, t, l, cfg)
	if err != nil {
		return m, err
	}
	defer p.kill()
	if err := rest(ctx, cfg.duration); err != nil {
		return m, err
	}
	if m.bytes, err = p.residentBytes(); err != nil {
		return m, err
	}
	m.sockets, err = p.sockets()
	return m, err
}
