package audit

import (
	"fmt"
	"maps"
	"slices"

	"github.com/playhead-load/playhead/viewing"
)

// toldContinue judges what a profile was told to go on with: titles that it has begun and
// not completed, the latest first, each where its latest position is.
func (c *check) toldContinue(home *household, r *Reading) {
	open := false
	var before *span
	for i := range r.Listed {
		v := &r.Listed[i]
		p := home.session(v.Session, r.Profile)
		if p == nil {
			c.stranger(r, v)
			before = nil
			continue
		}
		at, left := c.toldTitle(home, r, p, v)
		if at != nil && before != nil && before.to < at.from {
			c.found(r, p, verdict{KindHistory, "it has an older title before this one"})
		}
		before, open = at, open || left
	}
	c.twice(home, r)
	left := c.lacksTitle(home, r, before)
	c.left(open || left)
}

// span is a time by the clocks of devices, its ends included.
type span struct{ from, to viewing.Millis }

// toldTitle judges a title in the list. at is when that was told which the list tells of
// it, nil if that is not known.
func (c *check) toldTitle(home *household, r *Reading, p *playback, v *Listed) (at *span, open bool) {
	if v.Title != p.title {
		c.found(r, p, verdict{KindHistory, fmt.Sprintf("the session plays title %d, not %d", p.title, v.Title)})
		return nil, false
	}
	known := home.told(r.Profile, v.Title, r.AskedUS, r.AnsweredUS, nil)
	told := false
	for i := range p.entries {
		e := &p.entries[i]
		if !e.heardBy(r.AnsweredUS) || e.placed() && e.PositionMS != v.PositionMS {
			continue
		}
		told = true
		if e == known.must || known.notBefore(e) {
			if at == nil {
				at = &span{e.AtMS, e.AtMS}
			}
			at.from, at.to = min(at.from, e.AtMS), max(at.to, e.AtMS)
		}
	}
	where := fmt.Sprintf("title %d is told to be at %d ms", v.Title, v.PositionMS)
	switch runs := home.runtimes(r, v.Title); {
	case at == nil && known.folded:
		return nil, true
	case at == nil && told:
		c.found(r, known.must.playback, verdict{KindStale, fmt.Sprintf("%s; seq %d of session %v had told %d ms, acknowledged at %.3f s",
			where, known.must.Seq, known.must.Session, known.must.PositionMS, seconds(known.must.DoneUS))})
	case at == nil:
		c.found(r, p, verdict{KindHistory, where + ", which its device had not told"})
	case v.Completed || runs.completed(v.PositionMS):
		c.found(r, p, verdict{KindHistory, where + ", which completes it"})
	}
	return at, known.folded && at == nil
}

// lacksTitle judges the titles that are not in the list: no one may have been begun and
// not completed, unless the list is full of later ones. last is when that was told which
// the last in the list tells, nil if it is not known.
func (c *check) lacksTitle(home *household, r *Reading, last *span) (open bool) {
	titles := map[uint32]bool{}
	for _, p := range home.playbacks {
		if p.profile == r.Profile {
			titles[p.title] = true
		}
	}
	for i := range r.Listed {
		delete(titles, r.Listed[i].Title)
	}
	full := r.More || len(r.Listed) >= pageViews
	for _, title := range slices.Sorted(maps.Keys(titles)) {
		known := home.told(r.Profile, title, r.AskedUS, r.AnsweredUS, nil)
		must, runs := known.must, home.runtimes(r, title)
		begun := must != nil && must.placed() && runs.incomplete(must.PositionMS)
		for _, e := range known.may {
			begun = begun && (!known.notBefore(e) || e.placed() && runs.incomplete(e.PositionMS))
		}
		switch {
		case known.folded:
			open = true
		case !begun, c.options.Used && must.AtMS < c.beganAt, full && (last == nil || must.AtMS <= last.to):
		default:
			c.found(r, must.playback, verdict{KindStale, fmt.Sprintf("it lacks title %d; seq %d had told %d ms, acknowledged at %.3f s",
				title, must.Seq, must.PositionMS, seconds(must.DoneUS))})
		}
	}
	return open
}

// runtimes are the longest that a target knew of a title: for sure, and at most.
type runtimes struct{ mustMS, mayMS int64 }

func (h *household) runtimes(r *Reading, title uint32) (runs runtimes) {
	for _, p := range h.playbacks {
		if p.profile != r.Profile || p.title != title {
			continue
		}
		for i := range p.entries {
			e := &p.entries[i]
			if e.heardBy(r.AnsweredUS) {
				runs.mayMS = max(runs.mayMS, e.RuntimeMS)
			}
			if e.there() && e.DoneUS < r.AskedUS {
				runs.mustMS = max(runs.mustMS, e.RuntimeMS)
			}
		}
	}
	return runs
}

// A title is completed from nine tenths of its runtime on (docs/api.md).

// completed says whether the title surely is, at a position.
func (t runtimes) completed(positionMS int64) bool {
	return t.mustMS > 0 && positionMS*10 >= t.mayMS*9
}

// incomplete says whether it surely is not.
func (t runtimes) incomplete(positionMS int64) bool {
	return t.mayMS == 0 || positionMS*10 < t.mustMS*9
}
