package audit

import (
	"context"
	"time"

	"github.com/playhead-load/playhead/viewing"
)

// Target is what an audit asks. An error means that it could not be asked.
type Target interface {
	// Session is what the target knows of a session, nil if it knows nothing.
	Session(ctx context.Context, account uint64, id viewing.SessionID) (*Session, error)
	// Active is which sessions of an account are active.
	Active(ctx context.Context, account uint64) ([]viewing.SessionID, error)
	// Positions is where a profile is in titles, by title; those it never watched are left out.
	Positions(ctx context.Context, account uint64, profile uint8, titles []uint32) (map[uint32]Position, error)
	// History is all that a profile has watched, as it is listed.
	History(ctx context.Context, account uint64, profile uint8) ([]View, error)
}

// Session is what a target knows of a session. What it leaves out of the pointers is
// not compared.
type Session struct {
	View
	State      string           `json:"state"`
	LastSeq    uint32           `json:"last_seq"`
	Events     *int             `json:"events"` // nil: the target does not count them
	RebufferMS int64            `json:"rebuffer_ms"`
	BitrateMS  map[string]int64 `json:"bitrate_ms"`
	EndedAt    *time.Time       `json:"ended_at"`
	Errors     *[]PlaybackError `json:"errors"`
}

// PlaybackError is an error that a device told of.
type PlaybackError struct {
	At   time.Time `json:"at"`
	Code string    `json:"error_code"`
}

// View is a summary of a session. What a target leaves out of the pointers is not
// compared.
type View struct {
	SessionID  viewing.SessionID `json:"session_id"`
	TitleID    uint32            `json:"title_id"`
	ProfileID  uint8             `json:"profile_id"`
	DeviceID   uint64            `json:"device_id"`
	StartedAt  time.Time         `json:"started_at"`
	PlayedMS   int64             `json:"played_ms"`
	PositionMS int64             `json:"position_ms"`
	DeviceType *string           `json:"device_type"`
	RuntimeMS  *int64            `json:"runtime_ms"`
	Completed  *bool             `json:"completed"`
}

// Position is where a profile is in a title.
type Position struct {
	TitleID    uint32            `json:"title_id"`
	PositionMS int64             `json:"position_ms"`
	UpdatedAt  time.Time         `json:"updated_at"`
	SessionID  viewing.SessionID `json:"session_id"`
}
