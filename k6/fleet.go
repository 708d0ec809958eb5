package k6

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/grafana/sobek"
	"go.k6.io/k6/lib"

	"github.com/playhead-load/playhead/results"
)

// restAfterFailure is how long a fleet that has failed keeps who calls it again: a script
// that goes on regardless does not spin.
const restAfterFailure = time.Second

// fleet is a Fleet of a script: the VU's part of the devices of a population. Its methods
// run on the VU's goroutine; what takes time, on another.
type fleet struct {
	of       *instance
	settings settings
	number   int // the VU's first fleet, its second …
	calling  string
	part     *part // nil before the first run
	failed   error
	over     atomic.Bool // audited
	told     atomic.Bool // that it failed
}

// newFleet is the class Fleet. It does no I/O.
func (i *instance) newFleet(call sobek.ConstructorCall) *sobek.Object {
	rt := i.vu.Runtime()
	options, err := object("Fleet", call.Argument(0))
	if err != nil {
		i.fail(err)
	}
	s, err := readSettings(options)
	if err != nil {
		i.fail(ofFleet(oneLine(err)))
	}
	i.fleets++
	f := &fleet{of: i, settings: s, number: i.fleets}
	this := call.This
	for name, method := range map[string]func(sobek.FunctionCall) sobek.Value{"run": f.run, "audit": f.audit} {
		if err := this.Set(name, rt.ToValue(method)); err != nil {
			i.fail(err)
		}
	}
	return nil
}

// run plays so much more of the plan, as '10s' or in milliseconds; without an argument as
// much as the scenario lasts. It resolves when all that is due in it was put on its way, to
// what has been measured so far.
func (f *fleet) run(call sobek.FunctionCall) sobek.Value {
	lasts := f.settings.scenario.Duration
	if v := call.Argument(0); !sobek.IsUndefined(v) {
		var err error
		if lasts, err = readDuration("run", v); err != nil {
			f.fail(err)
		}
	}
	return f.promise("run", func(ctx context.Context) (any, error) {
		if f.part.driver == nil {
			if err := f.part.begin(ctx); err != nil {
				return nil, err
			}
		}
		if err := f.part.turns.Play(ctx, lasts); err != nil {
			return nil, err
		}
		return f.part.progress(), nil
	})
}

// audit ends the fleet's plan, waits for its last answers and compares all that its devices
// know with what the target answers. It resolves to the counts.
func (f *fleet) audit(sobek.FunctionCall) sobek.Value {
	if f.part == nil && f.failed == nil {
		f.fail(errors.New("audit: nothing was played: call run() first"))
	}
	state := f.of.vu.State()
	return f.promise("audit", func(ctx context.Context) (any, error) {
		record, err := f.part.end(ctx)
		f.over.Store(true)
		if record != nil {
			f.tell(ctx, state, record)
		}
		if err != nil {
			return nil, err
		}
		return auditOf(record), nil
	})
}

// promise does something aside, one thing at a time, and until the VU's context ends. What
// came of it is noted where the VU's own goroutine is.
func (f *fleet) promise(what string, do func(ctx context.Context) (any, error)) sobek.Value {
	vu := f.of.vu
	state := vu.State()
	switch {
	case state == nil:
		f.fail(fmt.Errorf("%s: expected to be called from a function that k6 runs: where a script begins, nothing may be asked of a server", what))
	case f.calling != "":
		f.fail(fmt.Errorf("%s: %s has not ended yet: await it", what, f.calling))
	case f.over.Load():
		f.fail(fmt.Errorf("%s: the fleet was audited, and has ended", what))
	}
	ctx := vu.Context()
	promise, resolve, reject := vu.Runtime().NewPromise()
	enqueue := vu.RegisterCallback()
	f.calling = what
	settle := func(value any, err error) {
		enqueue(func() error {
			f.calling, f.failed = "", err
			if err != nil {
				return reject(err)
			}
			return resolve(value)
		})
	}
	switch failed := f.failed; {
	case failed != nil:
		go rest(ctx, func() { settle(nil, failed) })
		return vu.Runtime().ToValue(promise)
	case f.part == nil:
		if err := f.prepare(ctx, state); err != nil {
			f.mark(state, err)
			settle(nil, err)
			return vu.Runtime().ToValue(promise)
		}
	}
	done := make(chan outcome, 1)
	go func() {
		value, err := do(ctx)
		done <- outcome{value, err}
	}()
	go func() {
		var o outcome
		select {
		case o = <-done:
		case <-ctx.Done():
		}
		switch {
		case ctx.Err() != nil:
			f.part.cancel()
			o = outcome{err: ofFleet(fmt.Errorf("%s: the test has ended before it", what))}
		case o.err != nil:
			o.err = ofFleet(fmt.Errorf("%s: %w", what, oneLine(o.err)))
			f.mark(state, o.err)
		}
		settle(o.value, o.err)
	}()
	return vu.Runtime().ToValue(promise)
}

// fail throws an error of a call of the script.
func (f *fleet) fail(err error) { f.of.fail(ofFleet(err)) }

func ofFleet(err error) error { return fmt.Errorf("%s: %w", classFleet, err) }

type outcome struct {
	value any
	err   error
}

// rest ends what is asked of a fleet that has failed, after a while.
func rest(ctx context.Context, end func()) {
	select {
	case <-ctx.Done():
	case <-time.After(restAfterFailure):
	}
	end()
}

// mark makes the test one that has failed: a script whose fleet cannot play has tested
// nothing, whatever its thresholds say.
func (f *fleet) mark(state *lib.State, err error) {
	if err == nil {
		return
	}
	f.told.Store(true)
	state.Logger.Error(err.Error())
	if state.TestStatus != nil {
		state.TestStatus.MarkFailed()
	}
}

// prepare makes the VU's part. Nothing is asked of the target yet.
func (f *fleet) prepare(ctx context.Context, state *lib.State) error {
	mine, err := f.of.module.allotments.next(ctx, state, f.number)
	if err != nil {
		return ofFleet(err)
	}
	tags := state.Tags.GetCurrentValues().Tags
	m := newMeter(f.of.module, f.of.metrics, state.Samples, tags, mine.lasts, mine.here)
	f.part = newPart(f.settings, mine, dialingOf(state), m)
	m.zero(ctx)
	context.AfterFunc(f.part.ctx, func() {
		if !f.over.Load() && !f.told.Load() && f.settings.audited {
			state.Logger.Warn("Fleet: the test has ended, and nothing was audited: await fleet.audit() after the last run()")
		}
	})
	return nil
}

// progress is what run resolves to.
func (p *part) progress() map[string]any {
	var count, errs, denied int64
	for _, o := range p.driver.Recorder().Operations(0) {
		count, errs, denied = count+o.Count, errs+o.Errors, denied+o.Denied
	}
	return map[string]any{
		"operations": count, "errors": errs, "denied": denied,
		"active_sessions": p.driver.Active(), "pending": p.driver.Pending(),
	}
}

// auditOf is what audit resolves to.
func auditOf(run *results.Run) map[string]any {
	told := map[string]any{
		"sessions": run.Audit.Sessions, "events_acknowledged": run.Audit.EventsAcknowledged,
		"violations": run.Audit.Violations(), "accounts_linearizable": run.Audit.Linearizability.AccountsChecked,
		"unfit": "", "out": run.Dir, "verdict": string(run.Verdict),
	}
	if !run.Generator.Fit {
		told["unfit"] = run.VoidReason
	}
	for _, c := range auditCounts {
		told[c.name] = c.count(&run.Audit)
	}
	return told
}
