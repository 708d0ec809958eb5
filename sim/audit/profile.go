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
		if p.profile == profile {
			byTitle[p.title] = append(byTitle[p.title], p)
		}
	}
	if len(byTitle) == 0 {
		return nil
	}
	titles := slices.Sorted(maps.Keys(byTitle))
	positions, err := c.target.Positions(ctx, home.id, profile, titles)
	if err != nil {
		return err
	}
	for _, title := range titles {
		if answer, known := positions[title]; known {
			c.position(byTitle[title], &answer)
		} else {
			c.position(byTitle[title], nil)
		}
	}
	views, err := c.target.History(ctx, home.id, profile)
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

// position judges what the target knows of one title, nil if nothing: it was told
// by the latest event that must be there, or by a later one that may be.
func (c *check) position(plays []*playback, answer *Position) {
	var must *entry
	var may []*entry
	for _, p := range plays {
		for i := range p.entries {
			e := &p.entries[i]
			if e.there() && (must == nil || latest(&e.Entry, &must.Entry) > 0) {
				must = e
			}
			if e.maybeThere() {
				may = append(may, e)
			}
		}
	}
	switch {
	case must != nil && answer != nil && tellsPosition(must, answer), must == nil && answer == nil:
		return
	case answer != nil && c.fromBefore(viewing.Millis(answer.UpdatedAt.UnixMilli()), must):
		return
	}
	for _, e := range may {
		if answer != nil && (must == nil || latest(&e.Entry, &must.Entry) > 0) && tellsPosition(e, answer) {
			return
		}
	}
	of, told, said := plays[0], "nothing was told", "the target knows no position"
	if must != nil {
		of, told = must.playback, fmt.Sprintf("seq %d told %d ms", must.Seq, must.PositionMS)
	}
	if answer != nil {
		said = fmt.Sprintf("the target says %d ms by session %v", answer.PositionMS, answer.SessionID)
	}
	c.violation(KindPosition, of, 1, fmt.Sprintf("profile %d title %d: %s; %s", of.profile, of.title, told, said))
}

// fromBefore says whether a position may be one of before the run, which is later than
// what was surely told, nil for nothing, by a clock that is behind.
func (c *check) fromBefore(at viewing.Millis, must *entry) bool {
	return c.options.Used && at < c.beganAt && (must == nil || at > must.AtMS)
}

func tellsPosition(e *entry, answer *Position) bool {
	if e.Session != answer.SessionID || int64(e.AtMS) != answer.UpdatedAt.UnixMilli() {
		return false
	}
	return e.PositionMS == answer.PositionMS || !e.placed()
}

// toldOf is what a target knew of a title of a profile while it was asked.
type toldOf struct {
	must   *entry   // the latest that it knew for sure, nil if none
	may    []*entry // those that it may have known besides
	folded bool     // it may have known a keepalive that was folded
}

// told is what the target knew from fromUS, or later, until toUS, other than one event.
func (h *household) told(profile uint8, title uint32, fromUS, toUS int64, but *entry) (known toldOf) {
	for _, p := range h.playbacks {
		if p.profile != profile || p.title != title {
			continue
		}
		for i := range p.entries {
			e := &p.entries[i]
			known.folded = known.folded || e.folded > 0 && fromUS <= e.DoneUS && p.entries[i-1].DoneUS < toUS
			switch {
			case e == but:
			case e.there() && e.DoneUS < fromUS:
				if known.must == nil || latest(&e.Entry, &known.must.Entry) > 0 {
					known.must = e
				}
			case (e.there() || e.maybeThere()) && e.FirstSentUS <= toUS:
				known.may = append(known.may, e)
			}
		}
	}
	return known
}

// notBefore says whether e is not earlier than what was known for sure.
func (k *toldOf) notBefore(e *entry) bool {
	return k.must == nil || latest(&e.Entry, &k.must.Entry) > 0
}

// resumes judges where the playback's starts without a position were told to begin:
// at the position of the latest event that the target knew for sure, or of a later
// one that it may have known.
func (c *check) resumes(home *household, p *playback) {
	for i := range p.entries {
		if e := &p.entries[i]; e.Resumed && e.placed() {
			c.resume(home, p, e)
		}
	}
}

func (c *check) resume(home *household, p *playback, start *entry) {
	known := home.told(p.profile, p.title, start.fromUS, start.DoneUS, start)
	must := known.must
	switch {
	case must != nil && (must.PositionMS == start.PositionMS || !must.placed()),
		must == nil && (start.PositionMS == 0 || c.options.Used), must != nil && c.options.Used && must.AtMS < c.beganAt:
		return
	}
	for _, e := range known.may {
		if known.notBefore(e) && (e.PositionMS == start.PositionMS || !e.placed()) {
			return
		}
	}
	if known.folded {
		c.report.Unjudged++
		return
	}
	if !p.wentOn(start) {
		c.misplaced(p, start, must)
	}
}

// wentOn reports whether the playback itself may have told, before its start was answered,
// that it is where it was told to begin: a device that does not wait for that answer.
func (p *playback) wentOn(start *entry) bool {
	for i := range p.entries {
		e := &p.entries[i]
		known := (e.there() || e.maybeThere()) && e.FirstSentUS < start.DoneUS
		if e.Seq > start.Seq && known && (e.PositionMS == start.PositionMS || !e.placed()) {
			return true
		}
	}
	return false
}

// misplaced tells of a start that was not resumed where must, nil if nothing was told
// before, had left the title.
func (c *check) misplaced(p *playback, start, must *entry) {
	known := "nothing was told of it before"
	if must != nil {
		known = fmt.Sprintf("seq %d of session %v had told %d ms", must.Seq, must.Session, must.PositionMS)
	}
	c.violation(KindPosition, p, 1, fmt.Sprintf("profile %d title %d was resumed at %d ms %.3f s into the run; %s",
		p.profile, p.title, start.PositionMS, seconds(start.DoneUS), known))
}

// history judges a profile's list: every session that must be there once, none
// that was not told, the newest beginning first.
func (c *check) history(home *household, profile uint8, views []View) {
	told := map[viewing.SessionID]*playback{}
	for _, p := range home.playbacks {
		if p.profile == profile {
			told[p.id] = p
		}
	}
	listed := map[viewing.SessionID]bool{}
	for i, v := range views {
		p := told[v.SessionID]
		if p == nil {
			p = &playback{id: v.SessionID, account: home.id}
		}
		if i > 0 && views[i-1].StartedAt.Before(v.StartedAt) {
			c.violation(KindHistory, p, 1, fmt.Sprintf("profile %d: the history has an older session before it", profile))
		}
		if listed[v.SessionID] {
			c.violation(KindHistory, p, 1, fmt.Sprintf("profile %d: the history has the session twice", profile))
			continue
		}
		listed[v.SessionID] = true
		if told[v.SessionID] == nil {
			if !c.options.Used || v.StartedAt.UnixMilli() >= int64(c.beganAt) {
				c.violation(KindHistory, p, 1, fmt.Sprintf("profile %d: the history has a session that no device told of", profile))
			}
			continue
		}
		if detail := p.listedWrong(&v); detail != "" {
			c.violation(KindHistory, p, 1, detail)
		}
	}
	for id, p := range told {
		if p.must > 0 && !listed[id] {
			c.violation(KindHistory, p, 1, fmt.Sprintf("profile %d: the history lacks the session", profile))
		}
	}
}

// listedWrong says in what a listed view differs from what the device told.
func (p *playback) listedWrong(v *View) string {
	if p.must+p.may == 0 {
		return "the history has a session that was denied or rejected, and did nothing"
	}
	if v.TitleID != p.title || v.DeviceID != 0 && v.DeviceID != p.device { // no device has the id 0: it was left out
		return fmt.Sprintf("told: title %d device %d; listed: title %d device %d", p.title, p.device, v.TitleID, v.DeviceID)
	}
	if !p.tells(v) {
		kind := "not told"
		if v.DeviceType != nil {
			kind = *v.DeviceType
		}
		return fmt.Sprintf("listed: played %d ms, at %d ms, device type %s, which was not told last", v.PlayedMS, v.PositionMS, kind)
	}
	return p.viewWrong(v)
}

// tells says whether the newest event that must be there, or a newer one that may
// be, told what the view says.
func (p *playback) tells(v *View) bool {
	for i := len(p.entries) - 1; i >= 0; i-- {
		e := &p.entries[i]
		if !e.there() && !e.maybeThere() {
			continue
		}
		if e.PlayedMS == v.PlayedMS && (e.PositionMS == v.PositionMS || !e.placed()) &&
			(v.DeviceType == nil || *v.DeviceType == e.DeviceType) {
			return true
		}
		if e.there() {
			return false
		}
	}
	return false
}

// startedWrong says whether the view began at another time than the earliest of the
// session's events that must be there, or of those before it that may be.
func (p *playback) startedWrong(v *View) string {
	must := viewing.MaxAt
	for i := range p.entries {
		if e := &p.entries[i]; e.there() {
			must = min(must, e.AtMS)
		}
	}
	began := v.StartedAt.UnixMilli()
	if p.must > 0 && began == int64(must) {
		return ""
	}
	for i := range p.entries {
		if e := &p.entries[i]; e.maybeThere() && e.AtMS <= must && began == int64(e.AtMS) {
			return ""
		}
	}
	return fmt.Sprintf("it began at %d there", began)
}
