package server

import (
	"strconv"

	"github.com/labstack/echo/v4"

	"github.com/playhead-load/playhead/viewing"
	"github.com/playhead-load/playhead/viewing/wire"
)

// The shapes of the answers, as docs/api.md names them.

// timestamp is a moment in JSON: RFC 3339 in UTC with milliseconds, null for none.
type timestamp viewing.Millis

func (t timestamp) MarshalJSON() ([]byte, error) {
	if t == 0 {
		return []byte("null"), nil
	}
	b := append(make([]byte, 0, 28), '"')
	return append(wire.AppendTime(b, viewing.Millis(t)), '"'), nil
}

type streamDTO struct {
	SessionID  viewing.SessionID `json:"session_id"`
	DeviceID   uint64            `json:"device_id"`
	DeviceType string            `json:"device_type"`
	ProfileID  uint8             `json:"profile_id"`
	TitleID    uint32            `json:"title_id"`
	PositionMS int64             `json:"position_ms"`
	StartedAt  timestamp         `json:"started_at"`
	LastSeenAt timestamp         `json:"last_seen_at"`
	ExpiresAt  timestamp         `json:"expires_at,omitzero"` // absent in a denial
}

func streamsOf(active []viewing.ActiveStream) []streamDTO {
	streams := make([]streamDTO, 0, len(active))
	for _, a := range active {
		streams = append(streams, streamDTO{
			SessionID: a.SessionID, DeviceID: a.DeviceID, DeviceType: a.DeviceType,
			ProfileID: a.ProfileID, TitleID: a.TitleID, PositionMS: a.PositionMS,
			StartedAt: timestamp(a.StartedAt), LastSeenAt: timestamp(a.LastSeenAt), ExpiresAt: timestamp(a.ExpiresAt),
		})
	}
	return streams
}

type activeDTO struct {
	MaxStreams int         `json:"max_streams"`
	Active     []streamDTO `json:"active"`
}

type positionDTO struct {
	TitleID    uint32            `json:"title_id"`
	PositionMS int64             `json:"position_ms"`
	RuntimeMS  int64             `json:"runtime_ms"`
	UpdatedAt  timestamp         `json:"updated_at"`
	SessionID  viewing.SessionID `json:"session_id"`
}

func positionOf(p viewing.Position) positionDTO {
	return positionDTO{p.TitleID, p.PositionMS, p.RuntimeMS, timestamp(p.At), p.SessionID}
}

type positionsDTO struct {
	Positions []positionDTO `json:"positions"`
}

type viewDTO struct {
	SessionID  viewing.SessionID `json:"session_id"`
	TitleID    uint32            `json:"title_id"`
	ProfileID  uint8             `json:"profile_id"`
	DeviceID   uint64            `json:"device_id"`
	DeviceType string            `json:"device_type"`
	StartedAt  timestamp         `json:"started_at"`
	EndedAt    timestamp         `json:"ended_at"` // null while it is active
	PlayedMS   int64             `json:"played_ms"`
	PositionMS int64             `json:"position_ms"`
	RuntimeMS  int64             `json:"runtime_ms"`
	Completed  bool              `json:"completed"`
}

func viewOf(v viewing.View) viewDTO {
	return viewDTO{
		SessionID: v.SessionID, TitleID: v.TitleID, ProfileID: v.ProfileID,
		DeviceID: v.DeviceID, DeviceType: v.DeviceType,
		StartedAt: timestamp(v.StartedAt), EndedAt: timestamp(v.EndedAt), PlayedMS: v.PlayedMS,
		PositionMS: v.PositionMS, RuntimeMS: v.RuntimeMS, Completed: v.Completed,
	}
}

type viewsDTO struct {
	Views      []viewDTO `json:"views"`
	NextCursor string    `json:"next_cursor,omitempty"`
}

func viewsOf(views []viewing.View) []viewDTO {
	list := make([]viewDTO, 0, len(views))
	for _, v := range views {
		list = append(list, viewOf(v))
	}
	return list
}

type errorDTO struct {
	At        timestamp `json:"at"`
	ErrorCode string    `json:"error_code"`
}

type sessionDTO struct {
	viewDTO
	State      viewing.SessionState `json:"state"`
	LastSeq    uint32               `json:"last_seq"`
	Events     uint32               `json:"events"` // how many different events were heard
	BitrateMS  map[string]int64     `json:"bitrate_ms"`
	RebufferMS int64                `json:"rebuffer_ms"`
	Errors     []errorDTO           `json:"errors"`
}

func sessionOf(r viewing.Report) sessionDTO {
	dto := sessionDTO{
		viewDTO: viewOf(r.View), State: r.State, LastSeq: r.LastSeq, Events: r.Events,
		BitrateMS: map[string]int64{}, RebufferMS: r.RebufferMS, Errors: []errorDTO{},
	}
	for _, rate := range r.BitrateMS {
		dto.BitrateMS[rate.Kbps] = rate.PlayedMS
	}
	for _, e := range r.Errors {
		dto.Errors = append(dto.Errors, errorDTO{timestamp(e.At), e.Code})
	}
	return dto
}

// appendOutcomes writes the answer to a batch, on the hot path and so by hand.
func appendOutcomes(dst []byte, outcomes []viewing.Outcome) []byte {
	dst = append(dst, `{"outcomes":[`...)
	for i, o := range outcomes {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, `{"status":"`...)
		dst = append(dst, o.Status.String()...)
		dst = append(dst, '"')
		if o.Reason != "" {
			dst = append(dst, `,"reason":`...)
			dst = wire.AppendString(dst, o.Reason)
		}
		dst = append(dst, '}')
	}
	return append(dst, `]}`...)
}

// appendPosition writes a position, as positionDTO is written, by hand: it is the
// question that devices ask most.
func appendPosition(dst []byte, p viewing.Position) []byte {
	dst = append(dst, `{"title_id":`...)
	dst = strconv.AppendUint(dst, uint64(p.TitleID), 10)
	dst = append(dst, `,"position_ms":`...)
	dst = strconv.AppendInt(dst, p.PositionMS, 10)
	dst = append(dst, `,"runtime_ms":`...)
	dst = strconv.AppendInt(dst, p.RuntimeMS, 10)
	dst = append(dst, `,"updated_at":`...)
	if p.At == 0 {
		dst = append(dst, `null`...)
	} else {
		dst = append(wire.AppendTime(append(dst, '"'), p.At), '"')
	}
	dst = append(dst, `,"session_id":"`...)
	dst, _ = p.SessionID.AppendText(dst)
	return append(dst, `"}`...)
}

func appendAdmission(dst []byte, id viewing.SessionID, a viewing.Admission, keepaliveMS int64) []byte {
	dst = append(dst, `{"session_id":"`...)
	dst, _ = id.AppendText(dst)
	dst = append(dst, `","position_ms":`...)
	dst = strconv.AppendInt(dst, a.PositionMS, 10)
	dst = append(dst, `,"keepalive_ms":`...)
	dst = strconv.AppendInt(dst, keepaliveMS, 10)
	dst = append(dst, `,"expires_at":"`...)
	dst = wire.AppendTime(dst, a.ExpiresAt)
	return append(dst, `"}`...)
}

// Values of headers, made once: who answers copies them before they are sent.
var contentTypeJSON = []string{echo.MIMEApplicationJSON}

// wholeBytes is what http1 and net/http hold back of an answer until the handler ends; of
// a longer one they have to be told the length, or they would cut it into chunks.
const wholeBytes = 2 << 10

// writeJSON sends an answer whole. The names of headers are written as net/http
// would write them, and set as they are.
func writeJSON(c echo.Context, status int, body []byte) error {
	c.Response().Header()[echo.HeaderContentType] = contentTypeJSON
	return writeWhole(c, status, body)
}

// writeWhole sends an answer with its length, not in chunks.
func writeWhole(c echo.Context, status int, body []byte) error {
	if len(body) >= wholeBytes {
		c.Response().Header()[echo.HeaderContentLength] = []string{strconv.Itoa(len(body))}
	}
	c.Response().WriteHeader(status)
	_, err := c.Response().Write(body)
	return err
}
