package driver

import (
	"context"
	"errors"
	"time"
)

// Turns let a plan be played piece by piece. Between two of them the plan's clock stands
// still, while what is under way goes on: answers are read when they come, and a slow
// target gets no rest. One goroutine at a time may use it, beside the driver's.
type Turns struct {
	given  chan time.Duration
	played chan struct{} // a turn's plan has been played
	over   chan struct{} // End was called
	ended  chan struct{} // Run has returned
}

// NewTurns returns turns of which none is given, for one driver.
func NewTurns() *Turns {
	return &Turns{given: make(chan time.Duration), played: make(chan struct{}, 1), over: make(chan struct{}), ended: make(chan struct{})}
}

// ErrEnded is of a turn that was given to a plan that has ended.
var ErrEnded = errors.New("the plan has ended: there are no more turns of it")

// Play has so much more of the plan played, on the clock on the wall, and returns when all
// that is due in it has been put on its way: it does not wait for answers. The error is
// that of ctx, or ErrEnded.
func (t *Turns) Play(ctx context.Context, lasts time.Duration) error {
	select {
	case t.given <- lasts:
	case <-t.over:
		return ErrEnded
	case <-t.ended:
		return ErrEnded
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-t.played:
		return nil
	case <-t.ended:
		return ErrEnded
	case <-ctx.Done():
		return ctx.Err()
	}
}

// End ends the plan. It is called once, after the last Play has returned; Run then waits
// for what is under way.
func (t *Turns) End() { close(t.over) }

// playTurns plays one turn after another until End, or the end of ctx.
func (d *Driver) playTurns(ctx context.Context) (played time.Duration) {
	turns := d.config.Turns
	for {
		lasts, more := d.nextTurn(ctx)
		if !more {
			return played
		}
		d.heldUS = (time.Since(d.begun) - played).Microseconds()
		until := played + lasts
		if played = d.play(ctx, until); played < until {
			return played
		}
		turns.played <- struct{}{}
	}
}

// nextTurn waits for one, with an eye on what is under way.
func (d *Driver) nextTurn(ctx context.Context) (lasts time.Duration, more bool) {
	for {
		select {
		case lasts = <-d.config.Turns.given:
			return lasts, true
		case <-d.config.Turns.over:
			return 0, false
		case <-ctx.Done():
			return 0, false
		default:
			d.exchange(time.Now().Add(stepEvery))
		}
	}
}
