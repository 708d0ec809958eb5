package audit

import (
	"fmt"
	"slices"

	"github.com/playhead-load/playhead/viewing"
)

// pageViews is how many views a list has at most that was asked for without a limit.
const pageViews = 20

// knownOf is what a target knew of a session while it was asked for a list.
type knownOf struct {
	must     *entry         // the newest seq that it knew for sure, nil if none
	begunMS  viewing.Millis // the earliest at that it knew for sure
	may      bool           // it may have known the session
	mayBegin viewing.Millis // the earliest at that it may have known
	folded   bool           // it may have known a keepalive that was folded
}

// known is what the target knew from fromUS, or later, until toUS.
func (p *playback) known(fromUS, toUS int64) knownOf {
	k := knownOf{begunMS: viewing.MaxAt, mayBegin: viewing.MaxAt}
	for i := range p.entries {
		e := &p.entries[i]
		k.folded = k.folded || e.folded > 0 && fromUS <= e.DoneUS && p.entries[i-1].DoneUS < toUS
		if !e.heardBy(toUS) {
			continue
		}
		k.may, k.mayBegin = true, min(k.mayBegin, e.AtMS)
		if e.there() && e.DoneUS < fromUS {
			k.must, k.begunMS = e, min(k.begunMS, e.AtMS)
		}
	}
	return k
}

// heardBy says whether the target may have known the event at a moment.
func (e *entry) heardBy(us int64) bool { return (e.there() || e.maybeThere()) && e.FirstSentUS <= us }

// verdict is what is found of something that was told: which kind of violation, "" for
// none, and why.
type verdict struct{ kind, detail string }

// begins judges when a session was said to have begun: at the earliest at that was
// acknowledged before, or at an earlier one that may have been known.
func (p *playback) begins(k *knownOf, r *Reading, v *Listed) verdict {
	for i := range p.entries {
		if e := &p.entries[i]; e.AtMS == v.StartedAt && e.heardBy(r.AnsweredUS) {
			if v.StartedAt > k.begunMS {
				return verdict{KindStale, fmt.Sprintf("it is told to begin at %d, though an event of %d was acknowledged", v.StartedAt, k.begunMS)}
			}
			return verdict{}
		}
	}
	return verdict{KindHistory, fmt.Sprintf("it is told to begin at %d, which no device told", v.StartedAt)}
}

// stands judges where a session was said to be: as its newest seq that was acknowledged
// before tells, or a newer one that may have been known. open: only a keepalive that was
// folded may explain it.
func (p *playback) stands(k *knownOf, r *Reading, v *Listed) (found verdict, open bool) {
	told := false
	for i := range p.entries {
		e := &p.entries[i]
		if !e.heardBy(r.AnsweredUS) || e.placed() && e.PositionMS != v.PositionMS {
			continue
		}
		if told = true; k.must == nil || e.Seq >= k.must.Seq {
			return verdict{}, false
		}
	}
	where := fmt.Sprintf("it is told to be at %d ms", v.PositionMS)
	switch {
	case k.folded:
		return verdict{}, true
	case told:
		return verdict{KindStale, fmt.Sprintf("%s; seq %d had told %d ms, acknowledged at %.3f s", where, k.must.Seq, k.must.PositionMS, seconds(k.must.DoneUS))}, false
	}
	return verdict{KindHistory, where + ", which its device had not told"}, false
}

// found notes a violation of an answer, if it is one.
func (c *check) found(r *Reading, p *playback, v verdict) {
	if v.kind != "" {
		c.violation(v.kind, p, 1, fmt.Sprintf("%v: %s", r, v.detail))
	}
}

// stranger judges a session in a list that no device of the profile, or the account,
// plays: it may be from before.
func (c *check) stranger(r *Reading, v *Listed) {
	if c.options.Used && (r.Of == Active || v.StartedAt < c.beganAt) {
		return
	}
	c.found(r, &playback{id: v.Session, account: r.Account}, verdict{KindHistory, "it has a session that no device told of"})
}

// twice judges that nothing is in a list twice: a session, or in Continue a title.
func (c *check) twice(home *household, r *Reading) {
	for i := range r.Listed {
		v := &r.Listed[i]
		again := slices.ContainsFunc(r.Listed[:i], func(o Listed) bool {
			return o.Session == v.Session || r.Of == Continue && o.Title == v.Title
		})
		if p := home.session(v.Session, r.Profile); again && p != nil {
			c.found(r, p, verdict{KindHistory, "it has the session or its title twice"})
		}
	}
}

// toldActive judges a list of active sessions: each must have been able to hold a stream
// while it was asked for, and what surely held one all the time must be there.
func (c *check) toldActive(home *household, known *holdings, r *Reading) {
	offUS := c.options.ClocksOff.Microseconds()
	for i := range r.Listed {
		v := &r.Listed[i]
		p := home.session(v.Session, 0)
		switch {
		case p == nil:
			c.stranger(r, v)
		case v.Title != p.title:
			c.found(r, p, verdict{KindHistory, fmt.Sprintf("the session plays title %d, not %d", p.title, v.Title)})
		case meets(known.possible[p], r.AskedUS, r.AnsweredUS):
		case p.stoppedBy(r.AskedUS):
			c.found(r, p, verdict{KindStale, "it has the session, whose stop was acknowledged before"})
		case meets(known.possible[p], r.AskedUS-offUS, r.AnsweredUS):
		default:
			c.found(r, p, verdict{KindHistory, "it has the session, which holds no stream"})
		}
	}
	c.twice(home, r)
	for _, p := range home.playbacks {
		if !r.lists(p.id) && covers(known.sure[p], r.AskedUS, r.AnsweredUS+offUS) {
			c.found(r, p, verdict{KindStale, "it lacks the session, which holds a stream"})
		}
	}
}

func (r *Reading) lists(id viewing.SessionID) bool {
	return slices.ContainsFunc(r.Listed, func(v Listed) bool { return v.Session == id })
}

// session is the account's session of that id and profile, 0 for any; nil if no device
// plays it.
func (h *household) session(id viewing.SessionID, profile uint8) *playback {
	for _, p := range h.playbacks {
		if p.id == id && (profile == 0 || p.profile == profile) {
			return p
		}
	}
	return nil
}

// stoppedBy says whether a stop of the session was acknowledged before a moment.
func (p *playback) stoppedBy(us int64) bool {
	return slices.ContainsFunc(p.entries, func(e entry) bool { return e.Type == viewing.Stop && e.there() && e.DoneUS < us })
}

// toldHistory judges the first page of a profile's history: the newest beginning first,
// each as its device told it, and none left out that belongs there.
func (c *check) toldHistory(home *household, r *Reading) {
	open := false
	for i := range r.Listed {
		v := &r.Listed[i]
		p := home.session(v.Session, r.Profile)
		if p == nil {
			c.stranger(r, v)
			continue
		}
		if i > 0 && r.Listed[i-1].StartedAt < v.StartedAt {
			c.found(r, p, verdict{KindHistory, "it has an older session before this one"})
		}
		left := c.toldView(r, p, v)
		open = open || left
	}
	c.twice(home, r)
	for _, p := range home.playbacks {
		if p.profile != r.Profile || r.lists(p.id) {
			continue
		}
		k := p.known(r.AskedUS, r.AnsweredUS)
		last := len(r.Listed) - 1
		if k.must == nil || r.More && last >= 0 && k.mayBegin <= r.Listed[last].StartedAt {
			continue // it may stand on a further page
		}
		c.found(r, p, verdict{KindStale, fmt.Sprintf("it lacks the session; seq %d was acknowledged at %.3f s", k.must.Seq, seconds(k.must.DoneUS))})
	}
	c.left(open)
}

// left counts an answer of which a folded keepalive may explain a part.
func (c *check) left(open bool) {
	if open {
		c.report.Unjudged++
	}
}

// toldView judges a view in a history. open is as in stands.
func (c *check) toldView(r *Reading, p *playback, v *Listed) (open bool) {
	k := p.known(r.AskedUS, r.AnsweredUS)
	switch {
	case !k.may:
		c.found(r, p, verdict{KindHistory, "it has the session, of which nothing was told by then that makes a view"})
		return false
	case v.Title != p.title:
		c.found(r, p, verdict{KindHistory, fmt.Sprintf("the session plays title %d, not %d", p.title, v.Title)})
		return false
	}
	if began := p.begins(&k, r, v); began.kind != "" {
		c.found(r, p, began)
		return false
	}
	stood, open := p.stands(&k, r, v)
	c.found(r, p, stood)
	return open
}
