package audit

import (
	"context"
	"fmt"
	"slices"

	"github.com/playhead-load/playhead/viewing"
)

// errorsKept is how many errors of a session, the newest, a target must keep.
const errorsKept = 32

// session judges what the target knows of one session.
func (c *check) session(ctx context.Context, p *playback) error {
	if p.must+p.may == 0 {
		return nil // a start that was denied leaves nothing that must or must not be told of
	}
	answer, err := c.target.Session(ctx, p.account, p.id)
	if err != nil {
		return err
	}
	if answer == nil {
		if p.must > 0 {
			c.violation(KindLost, p, int64(p.must), fmt.Sprintf("%d events acknowledged, the session is not known", p.must))
		}
		return nil
	}
	if answer.Events == nil {
		c.mu.Lock()
		c.report.Uncounted++
		c.mu.Unlock()
	}
	if lost, detail := p.lost(answer); lost > 0 {
		c.violation(KindLost, p, lost, detail)
		return nil
	}
	if detail := p.differs(answer); detail != "" {
		c.violation(KindHistory, p, 1, detail)
	}
	return nil
}

// lost is how many acknowledged events the target does not know, at least.
func (p *playback) lost(answer *Session) (lost int64, detail string) {
	if answer.Events != nil && *answer.Events < p.must {
		lost = int64(p.must - *answer.Events)
		detail = fmt.Sprintf("%d events acknowledged, %d there", p.must, *answer.Events)
	}
	if newest := p.newest(); newest != nil && answer.LastSeq < newest.Seq {
		lost = max(lost, 1)
		detail = fmt.Sprintf("seq %d acknowledged, the newest there is %d", newest.Seq, answer.LastSeq)
	}
	return lost, detail
}

// differs says in what the summary differs from what the device told.
func (p *playback) differs(answer *Session) string {
	e := p.bySeq(answer.LastSeq)
	if e == nil || !e.there() && !e.maybeThere() {
		return fmt.Sprintf("the newest seq there is %d, which was not told", answer.LastSeq)
	}
	if answer.Events != nil && *answer.Events > p.must+p.may {
		return fmt.Sprintf("%d events there, %d told", *answer.Events, p.must+p.may)
	}
	if stopped := answer.State == string(viewing.Stopped); stopped != (e.Type == viewing.Stop) {
		return fmt.Sprintf("the newest event is %v seq %d; there the session is %s", e.Type, e.Seq, answer.State)
	}
	rates := make([]viewing.Bitrate, 0, len(answer.BitrateMS))
	for rung, ms := range answer.BitrateMS {
		rates = append(rates, viewing.Bitrate{Kbps: rung, PlayedMS: ms})
	}
	if answer.TitleID != p.title || answer.ProfileID != p.profile || answer.DeviceID != p.device ||
		answer.PlayedMS != e.PlayedMS || e.placed() && answer.PositionMS != e.PositionMS ||
		answer.RebufferMS != e.RebufferMS || HashBitrates(rates) != e.Bitrates {
		return fmt.Sprintf("seq %d told device %d profile %d title %d played %d at %d rebuffered %d; "+
			"there it is device %d profile %d title %d played %d at %d rebuffered %d, rates %v",
			e.Seq, p.device, p.profile, p.title, e.PlayedMS, e.PositionMS, e.RebufferMS,
			answer.DeviceID, answer.ProfileID, answer.TitleID, answer.PlayedMS, answer.PositionMS, answer.RebufferMS, answer.BitrateMS)
	}
	switch {
	case answer.DeviceType != nil && *answer.DeviceType != e.DeviceType:
		return fmt.Sprintf("seq %d told device type %q, there it is %q", e.Seq, e.DeviceType, *answer.DeviceType)
	case e.Type == viewing.Stop && answer.EndedAt != nil && answer.EndedAt.UnixMilli() != int64(e.AtMS):
		return fmt.Sprintf("it stopped at %d, there it ended at %d", e.AtMS, answer.EndedAt.UnixMilli())
	}
	if detail := p.viewWrong(&answer.View); detail != "" {
		return detail
	}
	if answer.Errors != nil {
		return p.errorsWrong(*answer.Errors)
	}
	return ""
}

// viewWrong says in what a summary differs from what the device told, other than
// what its newest event told.
func (p *playback) viewWrong(v *View) string {
	if v.RuntimeMS != nil && !p.runs(*v.RuntimeMS) {
		return fmt.Sprintf("it runs %d ms there, which is not the longest that was told", *v.RuntimeMS)
	}
	if v.Completed != nil {
		// Between the extremes the target decides where the credits begin.
		atEnd := v.RuntimeMS != nil && *v.RuntimeMS > 0 && v.PositionMS >= *v.RuntimeMS
		if *v.Completed && v.PositionMS == 0 || !*v.Completed && atEnd {
			return fmt.Sprintf("it is at %d ms there, and completed is %v", v.PositionMS, *v.Completed)
		}
	}
	return p.startedWrong(v)
}

// runs says whether a runtime is the longest that was told by the events that must
// be there, or a longer one by one that may be.
func (p *playback) runs(runtimeMS int64) bool {
	var longest int64
	for i := range p.entries {
		if e := &p.entries[i]; e.there() {
			longest = max(longest, e.RuntimeMS)
		}
	}
	if runtimeMS <= longest {
		return runtimeMS == longest
	}
	return slices.ContainsFunc(p.entries, func(e entry) bool { return e.maybeThere() && e.RuntimeMS == runtimeMS })
}

// errorsWrong says whether an error is listed that was not told, or one of the newest
// is not. Their order is open.
func (p *playback) errorsWrong(listed []PlaybackError) string {
	type key struct {
		atMS int64
		code string
	}
	there := map[key]int{}
	for _, e := range listed {
		there[key{e.At.UnixMilli(), e.Code}]++
	}
	must, may := map[key]int{}, map[key]int{}
	newer := 0 // errors told after the one at hand
	for i := len(p.entries) - 1; i >= 0; i-- {
		e := &p.entries[i]
		if e.Type != viewing.Error && e.ErrorCode == "" || !e.there() && !e.maybeThere() {
			continue
		}
		k := key{int64(e.AtMS), e.ErrorCode}
		may[k]++
		if newer++; e.there() && e.ErrorCode != "" && newer <= errorsKept {
			if must[k]++; there[k] < must[k] {
				return fmt.Sprintf("error %q at %d is not listed", k.code, k.atMS)
			}
		}
	}
	for k, n := range there {
		if n > may[k] {
			return fmt.Sprintf("error %q at %d is listed %d times, told %d times", k.code, k.atMS, n, may[k])
		}
	}
	return ""
}
