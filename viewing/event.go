package viewing

import "fmt"

// Millis is a moment, in milliseconds since the Unix epoch.
type Millis int64

// EventType says what a device did.
type EventType uint8

// The kinds of event, in the order of their wire numbers. Zero is no kind.
const (
	Start EventType = 1 + iota
	Keepalive
	Pause
	Resume
	Seek
	Telemetry
	Error
	Stop
)

// EventTypes lists every kind of event.
var EventTypes = [...]EventType{Start, Keepalive, Pause, Resume, Seek, Telemetry, Error, Stop}

var eventTypeNames = [...]string{"", "start", "keepalive", "pause", "resume", "seek", "telemetry", "error", "stop"}

// String is the name of the kind as it stands in JSON.
func (t EventType) String() string {
	if int(t) < len(eventTypeNames) {
		return eventTypeNames[t]
	}
	return fmt.Sprintf("type(%d)", uint8(t))
}

// ParseEventType finds the kind named by text, a name as in JSON.
func ParseEventType[T string | []byte](text T) (EventType, bool) {
	for i := 1; i < len(eventTypeNames); i++ {
		if string(text) == eventTypeNames[i] {
			return EventType(i), true
		}
	}
	return 0, false
}

// Bounds of an event's fields (docs/api.md). All are inclusive.
const (
	MaxAccountID  = 1<<53 - 1
	MaxProfileID  = 5
	MaxDeviceID   = 1<<53 - 1
	MaxTitleID    = 1<<32 - 1
	MaxSeq        = 1<<31 - 1
	MaxMediaMS    = 10_000_000_000 // position_ms, played_ms, runtime_ms, rebuffer_ms
	MaxBitrates   = 32
	MaxTextBytes  = 64
	MaxStreams    = 1000
	MinAt         = Millis(946_684_800_000)       // 2000-01-01T00:00:00Z
	MaxAt         = Millis(4_133_980_800_000) - 1 // the last millisecond of 2100
	maxErrorsKept = 32
)

// Bitrate is the time played at one rung of the ladder, cumulative for the session.
type Bitrate struct {
	Kbps     string // the rung as the device names it, usually kilobits a second
	PlayedMS int64
}

// Event is one fact about a session. (SessionID, Seq) is its identity; AccountID,
// ProfileID, DeviceID and TitleID are in every event, so that one lost start
// loses nothing else.
//
// PlayedMS, BitrateMS and RebufferMS are cumulative for the session.
type Event struct {
	SessionID  SessionID
	Seq        uint32
	Type       EventType
	ProfileID  uint8
	Offline    bool // played without a connection and uploaded later
	ResumePos  bool // a start without position_ms: it begins where the profile was
	TitleID    uint32
	At         Millis // the device's clock
	AccountID  uint64
	DeviceID   uint64
	RuntimeMS  int64 // 0: not told
	PositionMS int64
	PlayedMS   int64
	RebufferMS int64
	DeviceType string
	Country    string
	ErrorCode  string
	BitrateMS  []Bitrate // sorted by Kbps, each rung once
}

// Reset empties the event for reuse and keeps the memory of its bitrates.
func (e *Event) Reset() {
	bitrates := e.BitrateMS[:0]
	*e = Event{BitrateMS: bitrates}
}

// FieldError is a value that an event, a command or a request may not have.
type FieldError struct {
	Field    string // the JSON name of the field
	Expected string // what it must be
}

func (e *FieldError) Error() string { return e.Field + ": expected " + e.Expected }

var (
	errSession    = &FieldError{"session_id", "a UUID that is not all zeros"}
	errSeq        = &FieldError{"seq", "an integer from 0 to 2147483647"}
	errType       = &FieldError{"type", "one of start, keepalive, pause, resume, seek, telemetry, error, stop"}
	errAt         = &FieldError{"at", "an RFC 3339 time from 2000 to 2100"}
	errAccount    = &FieldError{"account_id", "an integer from 1 to 9007199254740991"}
	errProfile    = &FieldError{"profile_id", "an integer from 1 to 5"}
	errDevice     = &FieldError{"device_id", "an integer from 1 to 9007199254740991"}
	errDeviceType = &FieldError{"device_type", "1 to 64 bytes of printable ASCII"}
	errTitle      = &FieldError{"title_id", "an integer from 1 to 4294967295"}
	errCountry    = &FieldError{"country", "at most 64 bytes of printable ASCII"}
	errRuntime    = &FieldError{"runtime_ms", "an integer from 0 to 10000000000"}
	errPosition   = &FieldError{"position_ms", "an integer from 0 to 10000000000"}
	errPlayed     = &FieldError{"played_ms", "an integer from 0 to 10000000000"}
	errRebuffer   = &FieldError{"rebuffer_ms", "an integer from 0 to 10000000000"}
	errCode       = &FieldError{"error_code", "at most 64 bytes of printable ASCII"}
	errBitrates   = &FieldError{"bitrate_ms", "at most 32 different rates of 1 to 64 bytes of printable ASCII, each with an integer from 0 to 10000000000"}
)

// Validate says which field of the event is out of its bounds, nil if none is.
func (e *Event) Validate() *FieldError {
	switch {
	case e.SessionID == SessionID{}:
		return errSession
	case e.Seq > MaxSeq:
		return errSeq
	case e.Type < Start || e.Type > Stop:
		return errType
	case e.At < MinAt || e.At > MaxAt:
		return errAt
	case e.AccountID < 1 || e.AccountID > MaxAccountID:
		return errAccount
	case e.ProfileID < 1 || e.ProfileID > MaxProfileID:
		return errProfile
	case e.DeviceID < 1 || e.DeviceID > MaxDeviceID:
		return errDevice
	case e.DeviceType == "" || !printable(e.DeviceType):
		return errDeviceType
	case e.TitleID < 1:
		return errTitle
	case !printable(e.Country):
		return errCountry
	case !media(e.RuntimeMS):
		return errRuntime
	case !media(e.PositionMS):
		return errPosition
	case !media(e.PlayedMS):
		return errPlayed
	case !media(e.RebufferMS):
		return errRebuffer
	case !printable(e.ErrorCode):
		return errCode
	}
	return e.validateBitrates()
}

func (e *Event) validateBitrates() *FieldError {
	if len(e.BitrateMS) > MaxBitrates {
		return errBitrates
	}
	for i, b := range e.BitrateMS {
		if b.Kbps == "" || !printable(b.Kbps) || !media(b.PlayedMS) {
			return errBitrates
		}
		if i > 0 && e.BitrateMS[i-1].Kbps >= b.Kbps {
			return errBitrates
		}
	}
	return nil
}

func media(ms int64) bool { return ms >= 0 && ms <= MaxMediaMS }

func printable(s string) bool {
	if len(s) > MaxTextBytes {
		return false
	}
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}
