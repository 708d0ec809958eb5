package wire

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/playhead-load/playhead/viewing"
)

// plainEvent is the event as encoding/json would have it: the yardstick.
type plainEvent struct {
	SessionID  viewing.SessionID `json:"session_id"`
	Seq        uint32            `json:"seq"`
	Type       string            `json:"type"`
	At         string            `json:"at"`
	AccountID  uint64            `json:"account_id"`
	ProfileID  uint8             `json:"profile_id"`
	DeviceID   uint64            `json:"device_id"`
	DeviceType string            `json:"device_type"`
	TitleID    uint32            `json:"title_id"`
	Country    string            `json:"country,omitempty"`
	RuntimeMS  int64             `json:"runtime_ms,omitempty"`
	PositionMS *int64            `json:"position_ms,omitempty"`
	PlayedMS   *int64            `json:"played_ms,omitempty"`
	BitrateMS  map[string]int64  `json:"bitrate_ms,omitempty"`
	RebufferMS int64             `json:"rebuffer_ms,omitempty"`
	ErrorCode  string            `json:"error_code,omitempty"`
	Offline    bool              `json:"offline,omitempty"`
}

// parsePlain reads one event with encoding/json, and nothing after it.
func parsePlain(b []byte) (p plainEvent, err error) {
	decoder := json.NewDecoder(bytes.NewReader(b))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&p); err != nil {
		return p, err
	}
	if _, err := decoder.Token(); err != io.EOF {
		return p, fmt.Errorf("something follows the event")
	}
	return p, nil
}

// event gives p as an event, or why it is none.
func (p *plainEvent) event() (e viewing.Event, err error) {
	kind, ok := viewing.ParseEventType(p.Type)
	if !ok {
		return e, fmt.Errorf("type %q", p.Type)
	}
	at, err := time.Parse(time.RFC3339Nano, p.At)
	if err != nil {
		return e, err
	}
	e = viewing.Event{
		SessionID: p.SessionID, Seq: p.Seq, Type: kind, At: viewing.Millis(at.UnixMilli()),
		AccountID: p.AccountID, ProfileID: p.ProfileID, DeviceID: p.DeviceID, DeviceType: p.DeviceType, TitleID: p.TitleID,
		Country: p.Country, RuntimeMS: p.RuntimeMS, RebufferMS: p.RebufferMS, ErrorCode: p.ErrorCode, Offline: p.Offline,
	}
	switch {
	case p.PositionMS != nil:
		e.PositionMS = *p.PositionMS
	case kind != viewing.Start:
		return e, fmt.Errorf("no position_ms")
	default:
		e.ResumePos = true
	}
	switch {
	case p.PlayedMS != nil:
		e.PlayedMS = *p.PlayedMS
	case kind != viewing.Start:
		return e, fmt.Errorf("no played_ms")
	}
	for kbps, ms := range p.BitrateMS {
		e.BitrateMS = append(e.BitrateMS, viewing.Bitrate{Kbps: kbps, PlayedMS: ms})
	}
	slices.SortFunc(e.BitrateMS, func(a, b viewing.Bitrate) int { return bytes.Compare([]byte(a.Kbps), []byte(b.Kbps)) })
	if fault := e.Validate(); fault != nil {
		return e, fault
	}
	return e, nil
}

// same compares events; no bitrates are no bitrates, nil or not.
func same(a, b *viewing.Event) bool { return fmt.Sprintf("%+v", *a) == fmt.Sprintf("%+v", *b) }

func clone(e *viewing.Event) viewing.Event {
	c := *e
	c.BitrateMS = slices.Clone(e.BitrateMS)
	return c
}

// appendBody appends a body of events in a format.
func appendBody(dst []byte, format Format, events []viewing.Event) []byte {
	switch format {
	case JSON:
		dst = append(dst, '[')
	case Binary:
		dst = AppendBatchHeader(dst)
	}
	for i := range events {
		switch format {
		case JSON:
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = AppendEventJSON(dst, &events[i])
		case NDJSON:
			dst = append(AppendEventJSON(dst, &events[i]), '\n')
		case Binary:
			dst = AppendEvent(dst, &events[i])
		}
	}
	if format == JSON {
		dst = append(dst, ']')
	}
	return dst
}
