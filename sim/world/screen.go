package world

import (
	"context"
	"time"

	"github.com/playhead-load/playhead/sim/audit"
	"github.com/playhead-load/playhead/viewing"
)

// pageViews is how many views of a history are asked for at once: few, so that there
// are pages.
const pageViews = 3

// screen asks a machine what every screen asks, for the auditor.
type screen struct {
	machine Machine
	now     viewing.Millis
}

var _ audit.Target = screen{}

// Session implements audit.Target.
func (s screen) Session(_ context.Context, account uint64, id viewing.SessionID) (*audit.Session, error) {
	report, known, err := s.machine.Session(s.now, account, id)
	if !known || err != nil {
		return nil, err
	}
	events := int(report.Events)
	errors := []audit.PlaybackError{}
	for _, e := range report.Errors {
		errors = append(errors, audit.PlaybackError{At: moment(e.At), Code: e.Code})
	}
	found := &audit.Session{
		View: viewOf(report.View), State: string(report.State), LastSeq: report.LastSeq, Events: &events,
		RebufferMS: report.RebufferMS, BitrateMS: map[string]int64{}, Errors: &errors,
	}
	for _, rate := range report.BitrateMS {
		found.BitrateMS[rate.Kbps] = rate.PlayedMS
	}
	if report.EndedAt != 0 {
		ended := moment(report.EndedAt)
		found.EndedAt = &ended
	}
	return found, nil
}

// Active implements audit.Target.
func (s screen) Active(_ context.Context, account uint64) ([]viewing.SessionID, error) {
	var ids []viewing.SessionID
	_, active := s.machine.Active(s.now, account)
	for _, stream := range active {
		ids = append(ids, stream.SessionID)
	}
	return ids, nil
}

// Positions implements audit.Target.
func (s screen) Positions(_ context.Context, account uint64, profile uint8, titles []uint32) (map[uint32]audit.Position, error) {
	known := map[uint32]audit.Position{}
	for _, title := range titles {
		if p, ok := s.machine.Position(account, profile, title); ok {
			known[title] = audit.Position{TitleID: p.TitleID, PositionMS: p.PositionMS, UpdatedAt: moment(p.At), SessionID: p.SessionID}
		}
	}
	return known, nil
}

// History implements audit.Target.
func (s screen) History(_ context.Context, account uint64, profile uint8) ([]audit.View, error) {
	var all []audit.View
	var after *viewing.Cursor
	for {
		page, next, err := s.machine.History(s.now, account, profile, after, pageViews)
		if err != nil {
			return nil, err
		}
		for _, v := range page {
			all = append(all, viewOf(v))
		}
		if after = next; next == nil {
			return all, nil
		}
	}
}

func viewOf(v viewing.View) audit.View {
	return audit.View{
		SessionID: v.SessionID, TitleID: v.TitleID, ProfileID: v.ProfileID, DeviceID: v.DeviceID,
		StartedAt: moment(v.StartedAt), PlayedMS: v.PlayedMS, PositionMS: v.PositionMS,
		DeviceType: &v.DeviceType, RuntimeMS: &v.RuntimeMS, Completed: &v.Completed,
	}
}

func moment(ms viewing.Millis) time.Time { return time.UnixMilli(int64(ms)) }
