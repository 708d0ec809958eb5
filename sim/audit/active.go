package audit

import (
	"context"
	"fmt"
	"slices"

	"github.com/playhead-load/playhead/viewing"
)

// endless is a lease that outlasts every run: with it a stream ends only by what its
// device did.
const endless int64 = forever / 4

// active judges the list of an account's active sessions: none that was surely
// stopped, replaced or denied is there, nor one that no device told of; and by the
// clock, if there is one, none whose lease has surely ended, and each that surely
// holds a stream.
func (c *check) active(ctx context.Context, home *household) error {
	askedUS := c.nowUS()
	if !c.activeCertain(home, askedUS) {
		return nil
	}
	ids, err := c.target.Active(ctx, home.id)
	if err != nil {
		return err
	}
	c.listedActive(home, ids, askedUS, c.nowUS())
	return nil
}

// nowUS is by the clock of the log; without one, after the end of all that ends.
func (c *check) nowUS() int64 {
	if c.options.NowUS == nil {
		return endless
	}
	return c.options.NowUS()
}

// leaseUS is the lease as far as its end can be judged.
func (c *check) leaseUS() int64 {
	if c.options.NowUS == nil {
		return endless
	}
	return c.options.Lease.Microseconds()
}

// activeCertain says whether there is anything that the list must have, or must not.
func (c *check) activeCertain(home *household, askedUS int64) bool {
	return slices.ContainsFunc(home.playbacks, func(p *playback) bool {
		return p.must+p.may > 0 && !meets(home.possiblyHeld(p, c.leaseUS()), askedUS, forever) ||
			c.mustBeActive(home, p, askedUS, askedUS)
	})
}

// mustBeActive says whether the playback surely held a stream from when the target
// was asked until it had answered.
func (c *check) mustBeActive(home *household, p *playback, askedUS, answeredUS int64) bool {
	return c.options.NowUS != nil && covers(home.surelyHeld(p, c.leaseUS()), askedUS, answeredUS)
}

func (c *check) listedActive(home *household, ids []viewing.SessionID, askedUS, answeredUS int64) {
	listed := map[viewing.SessionID]bool{}
	for _, id := range ids {
		listed[id] = true
	}
	for _, p := range home.playbacks {
		switch {
		case listed[p.id] && !meets(home.possiblyHeld(p, c.leaseUS()), askedUS, answeredUS):
			c.violation(KindHistory, p, 1, "listed as active, though it holds no stream")
		case !listed[p.id] && c.mustBeActive(home, p, askedUS, answeredUS):
			c.violation(KindHistory, p, 1, fmt.Sprintf("not listed as active %.3f s into the run, though it holds a stream",
				seconds(askedUS)))
		}
		delete(listed, p.id)
	}
	if c.options.Used {
		return
	}
	for id := range listed {
		c.violation(KindHistory, &playback{id: id, account: home.id}, 1, "listed as active, though no device told of it")
	}
}
