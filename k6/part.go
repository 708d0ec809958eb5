package k6

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/playhead-load/playhead/plan"
	"github.com/playhead-load/playhead/results"
	"github.com/playhead-load/playhead/sim"
	"github.com/playhead-load/playhead/sim/audit"
	"github.com/playhead-load/playhead/sim/driver"
)

// part is what one VU plays of a fleet: the engine of playhead run on its share of the
// accounts. Its goroutines touch no JavaScript.
type part struct {
	settings
	segment sim.Segment
	dialing dialing
	meter   *meter
	out     string
	salt    uint64

	ctx     context.Context // of the engine, which goes on from one iteration to the next
	cancel  context.CancelFunc
	log     *audit.Log // nil: nothing is audited
	driver  *driver.Driver
	turns   *driver.Turns
	begun   time.Time
	cpu     time.Duration // of this process when it began
	ended   chan time.Duration
	watched chan struct{}

	mu     sync.Mutex
	series []results.Interval
}

// newPart is a part that has asked nothing yet. of is how many are played in this process.
func newPart(s settings, a allotment, d dialing, m *meter) *part {
	p := &part{
		settings: s, segment: a.within(s.segment), dialing: d, meter: m, out: s.out,
		salt: rand.Uint64() & sim.MaxSalt, turns: driver.NewTurns(),
		ended: make(chan time.Duration, 1), watched: make(chan struct{}),
	}
	p.ctx, p.cancel = context.WithCancel(m.module.ctx)
	if p.out != "" && p.segment.Of > 1 {
		p.out = filepath.Join(p.out, fmt.Sprintf("%d-of-%d", p.segment.Part, p.segment.Of))
	}
	if s.audited {
		p.log = audit.NewLog()
		p.log.Fold(plan.Lease(s.scenario), driver.Late)
	}
	return p
}

func (p *part) access() driver.Access { return driver.Access{TLS: p.dialing.tls, Dial: p.dialing.dial} }

// begin asks the target for its terms, tells it the accounts' plans, and has the engine
// wait for the first turn. ctx is of the asking only.
func (p *part) begin(ctx context.Context) error {
	if err := p.vacant(); err != nil {
		return err
	}
	s := p.scenario
	terms, err := plan.AskTerms(ctx, p.targets[0], p.access(), plan.Lease(s))
	if err != nil {
		return fmt.Errorf("target %s: %w", p.targets[0], err)
	}
	if err := plan.CheckTerms(terms, plan.Keepalive(s), plan.Lease(s)); err != nil {
		return fmt.Errorf("target %s: %w", p.targets[0], err)
	}
	people, err := plan.Population(s)
	if err != nil {
		return err
	}
	fleet, err := plan.Fleet(people, s, p.segment, p.salt, nil)
	if err != nil {
		return err
	}
	if err := p.tellPlans(ctx, fleet); err != nil {
		return fmt.Errorf("target %s: %w", p.targets[0], err)
	}
	config := p.config()
	config.Fleet = fleet
	if p.driver, err = driver.New(config); err != nil {
		return err
	}
	p.driver.Recorder().Each(p.meter.tell)
	p.driver.Recorder().JudgeBy(s.Thresholds)
	p.cpu, p.begun = driver.CPUTime(), time.Now()
	clock := make(chan struct{})
	go func() { p.ended <- p.driver.Run(p.ctx, func() { close(clock) }) }()
	<-clock
	p.meter.module.watching.Go(p.watch)
	return nil
}

// config is how this part is played: the load is divided among all parts.
func (p *part) config() driver.Config {
	config := plan.Driver(p.scenario)
	config.Targets, config.TLS, config.Dial, config.Turns = p.targets, p.dialing.tls, p.dialing.dial, p.turns
	config.Duration = 0
	config.Log = discard{}
	if p.log != nil {
		config.Log = p.log
	}
	config.Connections = atLeast(config.Connections, p.segment)
	if config.Batch.Aggregators > 0 { // else as many as connections
		config.Batch.Aggregators = min(atLeast(config.Batch.Aggregators, p.segment), config.Connections)
	}
	parts := float64(max(1, p.segment.Of))
	config.Executor.Rate /= parts
	for i := range config.Executor.Stages {
		config.Executor.Stages[i].Rate /= parts
	}
	config.Executor.VUs = shareOf(config.Executor.VUs, p.segment)
	return config
}

// tellPlans tells the target how many streams each account has, and the auditor.
func (p *part) tellPlans(ctx context.Context, fleet *sim.Fleet) error {
	limits := map[uint64]int{}
	for _, account := range fleet.Accounts() {
		limits[account.ID] = account.MaxStreams
		if p.log != nil {
			p.log.SetLimit(account.ID, account.MaxStreams)
		}
	}
	return driver.SetLimits(ctx, p.targets, limits, p.scenario.Load.Connections, p.access())
}

// vacant is an error where the folder of the run holds one already.
func (p *part) vacant() error {
	if p.out == "" {
		return nil
	}
	if err := os.MkdirAll(p.out, 0o755); err != nil {
		return fmt.Errorf("out: %w", err)
	}
	switch _, err := os.Stat(filepath.Join(p.out, results.RunFile)); {
	case err == nil:
		return fmt.Errorf("out: %s holds a run already: name another folder, or remove it", p.out)
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("out: %w", err)
	}
	return nil
}

// watch ends one second after another, and hands k6 what was measured in it, until the
// driver has ended, or the part was cancelled.
func (p *part) watch() {
	defer close(p.watched)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-p.ctx.Done():
			p.meter.settle(p.driver.Interval)
			return
		case played := <-p.ended:
			p.second(true)
			p.ended <- played // for who ends the part
			return
		case <-tick.C:
			p.second(false)
		}
	}
}

func (p *part) second(last bool) {
	second := p.driver.Interval()
	p.mu.Lock()
	p.series = append(p.series, second)
	p.mu.Unlock()
	active := second.ActiveSessions
	if last {
		p.driver.Recorder().Unsent(p.meter.tell)
		p.meter.unsent(p.driver.Load(1).Unsent)
		active = 0
	}
	p.meter.flush(p.ctx, active, last)
}

// end plays no further, waits for what is under way and audits. The error is of what kept
// it from that; the record is then that of a run without a verdict.
func (p *part) end(ctx context.Context) (*results.Run, error) {
	p.turns.End()
	select {
	case <-p.watched:
	case <-p.ctx.Done():
		return nil, p.ctx.Err()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	played := <-p.ended
	cpu := (driver.CPUTime() - p.cpu).Seconds() / time.Since(p.begun).Seconds() / float64(processors())
	record := p.record(played, cpu)
	trouble := p.audit(ctx, record)
	if trouble != nil {
		record.VoidReason = trouble.Error()
	}
	return record, errors.Join(trouble, p.write(record))
}

func (p *part) audit(ctx context.Context, record *results.Run) error {
	if p.log == nil {
		return nil
	}
	s := p.scenario
	report, err := p.log.Check(ctx, audit.Options{
		TLS: p.dialing.tls, Dial: p.dialing.dial, URLs: p.targets, Lease: plan.Lease(s), DefaultStreams: s.Target.DefaultStreams,
		Late: driver.Late, NowUS: p.driver.NowUS, Used: true, ReadBack: s.Audit.ReadBack, Seed: s.Seed,
	})
	record.Audit = report.Record()
	if err != nil {
		return fmt.Errorf("the audit could not be completed: %w", err)
	}
	return nil
}

// discard is the log of a part that is not audited.
type discard struct{}

func (discard) Add(audit.Entry)          {}
func (discard) AddAll([]audit.Entry)     {}
func (discard) AddReading(audit.Reading) {}

// oneLine is an error as one line.
func oneLine(err error) error {
	return errors.New(strings.Join(strings.Fields(strings.ReplaceAll(err.Error(), "\n", "; ")), " "))
}
