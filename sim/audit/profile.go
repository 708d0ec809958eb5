package audit

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/playhead-load/playhead/viewing"
)

// profile judges where a profile was and what it has watched.
func (c *check) profile(ctx context.Context, home *household, profile uint8) error {
	byTitle := map[uint32][]*playback{}
	for _, p := range home.playbacks {
		must, _ := p.counts()
		if p.profile == profile && must > 0 {
			byTitle[p.title] = append(byTitle[p.title], p)
		}
	}
	if len(byTitle) == 0 {
		return nil
	}
	titles := slices.Sorted(maps.Keys(byTitle))
	positions, err := c.reader.positions(ctx, home.id, profile, titles)
	if err != nil {
		return err
	}
	for _, title := range titles {
		answer, known := positions[title]
		c.position(home, byTitle[title], answer, known)
	}
	views, err := c.reader.history(ctx, home.id, profile)
	if err != nil {
		return err
	}
	c.history(home, profile, views)
	return nil
}

// latest orders entries as positions are: by at, session, seq.
func latest(a, b *Entry) int {
	return cmp.Or(cmp.Compare(a.AtMS, b.AtMS), a.Session.Compare(b.Session), cmp.Compare(a.Seq, b.Seq))
}

// position judges one title's: it is told by the latest event that must be there,
// or by a later one that may be.
func (c *check) position(home *household, plays []*playback, answer position, known bool) {
	var must *Entry
	var of *playback
	var may []*Entry
	for _, p := range home.sameViewing(plays[0]) {
		for i := range p.entries {
			e := &p.entries[i]
			if e.there() && (must == nil || latest(e, must) > 0) {
				must, of = e, p
			}
			if e.maybeThere() {
				may = append(may, e)
			}
		}
	}
	if known && tellsPosition(must, answer) {
		return
	}
	for _, e := range may {
		if known && latest(e, must) > 0 && tellsPosition(e, answer) {
			return
		}
	}
	detail := fmt.Sprintf("profile %d title %d: seq %d told %d ms; the target knows no position", of.profile, of.title, must.Seq, must.PositionMS)
	if known {
		detail = fmt.Sprintf("profile %d title %d: seq %d told %d ms; the target says %d ms by session %v",
			of.profile, of.title, must.Seq, must.PositionMS, answer.PositionMS, answer.SessionID)
	}
	c.violation(KindPosition, of, 1, detail+": "+of.told())
}

func tellsPosition(e *Entry, answer position) bool {
	if e.Session != answer.SessionID || int64(e.AtMS) != answer.UpdatedAt.UnixMilli() {
		return false
	}
	return e.PositionMS == answer.PositionMS || e.Resumed && e.Fate == Unanswered
}

// sameViewing are the playbacks of the same title by the same profile.
func (h *household) sameViewing(as *playback) []*playback {
	var same []*playback
	for _, p := range h.playbacks {
		if p.profile == as.profile && p.title == as.title {
			same = append(same, p)
		}
	}
	return same
}

// history judges a profile's list: every session that must be there once, none
// that was not told, the newest beginning first.
func (c *check) history(home *household, profile uint8, views []view) {
	told := map[viewing.SessionID]*playback{}
	for _, p := range home.playbacks {
		if p.profile == profile {
			told[p.id] = p
		}
	}
	listed := map[viewing.SessionID]bool{}
	for i, v := range views {
		p := told[v.SessionID]
		switch {
		case p == nil:
			stranger := &playback{id: v.SessionID, account: home.id}
			c.violation(KindHistory, stranger, 1, fmt.Sprintf("profile %d: the history has a session that no device told of", profile))
			continue
		case listed[v.SessionID]:
			c.violation(KindHistory, p, 1, fmt.Sprintf("profile %d: the history has the session twice", profile))
		case i > 0 && views[i-1].StartedAt.Before(v.StartedAt):
			c.violation(KindHistory, p, 1, fmt.Sprintf("profile %d: the history has an older session before it", profile))
		}
		listed[v.SessionID] = true
		if detail := p.listedWrong(v); detail != "" {
			c.violation(KindHistory, p, 1, detail)
		}
	}
	for id, p := range told {
		if must, _ := p.counts(); must > 0 && !listed[id] {
			c.violation(KindHistory, p, 1, fmt.Sprintf("profile %d: the history lacks the session: %s", profile, p.told()))
		}
	}
}

// listedWrong says in what a listed view differs from what the device told, as far
// as it is certain.
func (p *playback) listedWrong(v view) string {
	must, may := p.counts()
	if must == 0 && may == 0 {
		return "the history has a session all of whose events were denied: " + p.told()
	}
	if may > 0 {
		return "" // which event was the newest is not known
	}
	began := p.entries[0].AtMS
	for i := range p.entries {
		if e := &p.entries[i]; e.there() {
			began = e.AtMS
			break
		}
	}
	newest := p.newest()
	if v.PlayedMS != newest.PlayedMS || v.PositionMS != newest.PositionMS || v.StartedAt.UnixMilli() != int64(began) {
		return fmt.Sprintf("told: began %d, played %d ms, at %d ms; listed: began %d, played %d ms, at %d ms",
			began, newest.PlayedMS, newest.PositionMS, v.StartedAt.UnixMilli(), v.PlayedMS, v.PositionMS)
	}
	return ""
}
