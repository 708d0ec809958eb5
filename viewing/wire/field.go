package wire

import "github.com/playhead-load/playhead/viewing"

// field is one key of the JSON object; a set of fields is a bit mask.
type field uint8

const (
	fieldSessionID field = iota
	fieldSeq
	fieldType
	fieldAt
	fieldAccountID
	fieldProfileID
	fieldDeviceID
	fieldDeviceType
	fieldTitleID
	fieldPositionMS
	fieldPlayedMS
	fieldRuntimeMS
	fieldBitrateMS
	fieldRebufferMS
	fieldErrorCode
	fieldCountry
	fieldOffline
	fieldCount // also: no such field
)

const (
	requiredAlways = 1<<fieldPositionMS - 1 // those that stand before it
	requiredOfPlay = requiredAlways | 1<<fieldPositionMS | 1<<fieldPlayedMS
)

// fieldOf finds the field named key, fieldCount if there is none.
func fieldOf(key []byte) field {
	switch string(key) {
	case "session_id":
		return fieldSessionID
	case "seq":
		return fieldSeq
	case "type":
		return fieldType
	case "at":
		return fieldAt
	case "account_id":
		return fieldAccountID
	case "profile_id":
		return fieldProfileID
	case "device_id":
		return fieldDeviceID
	case "device_type":
		return fieldDeviceType
	case "title_id":
		return fieldTitleID
	case "position_ms":
		return fieldPositionMS
	case "played_ms":
		return fieldPlayedMS
	case "runtime_ms":
		return fieldRuntimeMS
	case "bitrate_ms":
		return fieldBitrateMS
	case "rebuffer_ms":
		return fieldRebufferMS
	case "error_code":
		return fieldErrorCode
	case "country":
		return fieldCountry
	case "offline":
		return fieldOffline
	}
	return fieldCount
}

// The faults a field can have, made once so that hostile input costs no memory.
var (
	wrong   = wrongFaults()
	missing = faultsLike(func(f *viewing.FieldError) string { return f.Expected + " (it is missing)" })
	twice   = faultsLike(func(*viewing.FieldError) string { return "once" })

	errNoObject  = &viewing.FieldError{Field: "event", Expected: "a JSON object"}
	errNotStart  = &viewing.FieldError{Field: "type", Expected: "start"}
	errHead      = &viewing.FieldError{Field: "type", Expected: "no unknown flag beside it"}
	errResume    = &viewing.FieldError{Field: "position_ms", Expected: "absent, or no resume flag"}
	errOverlong  = &viewing.FieldError{Field: "event", Expected: "nothing after its last field"}
	unknownField = "it to be absent, there is no such field"
)

// wrongFaults learns from viewing what it expects of each field, by breaking one
// field of a good event at a time: the sentences and the bounds live there.
func wrongFaults() (faults [fieldCount]*viewing.FieldError) {
	breaks := map[field]func(*viewing.Event){
		fieldSessionID:  func(e *viewing.Event) { e.SessionID = viewing.SessionID{} },
		fieldSeq:        func(e *viewing.Event) { e.Seq = viewing.MaxSeq + 1 },
		fieldType:       func(e *viewing.Event) { e.Type = 0 },
		fieldAt:         func(e *viewing.Event) { e.At = viewing.MinAt - 1 },
		fieldAccountID:  func(e *viewing.Event) { e.AccountID = 0 },
		fieldProfileID:  func(e *viewing.Event) { e.ProfileID = 0 },
		fieldDeviceID:   func(e *viewing.Event) { e.DeviceID = 0 },
		fieldDeviceType: func(e *viewing.Event) { e.DeviceType = "" },
		fieldTitleID:    func(e *viewing.Event) { e.TitleID = 0 },
		fieldPositionMS: func(e *viewing.Event) { e.PositionMS = -1 },
		fieldPlayedMS:   func(e *viewing.Event) { e.PlayedMS = -1 },
		fieldRuntimeMS:  func(e *viewing.Event) { e.RuntimeMS = -1 },
		fieldBitrateMS:  func(e *viewing.Event) { e.BitrateMS = []viewing.Bitrate{{Kbps: "", PlayedMS: 0}} },
		fieldRebufferMS: func(e *viewing.Event) { e.RebufferMS = -1 },
		fieldErrorCode:  func(e *viewing.Event) { e.ErrorCode = "\n" },
		fieldCountry:    func(e *viewing.Event) { e.Country = "\n" },
	}
	for f, damage := range breaks {
		e := viewing.Event{
			SessionID: viewing.SessionID{15: 1}, Type: viewing.Keepalive, At: viewing.MinAt,
			AccountID: 1, ProfileID: 1, DeviceID: 1, DeviceType: "tv", TitleID: 1,
		}
		damage(&e)
		faults[f] = e.Validate()
	}
	faults[fieldOffline] = &viewing.FieldError{Field: "offline", Expected: "true or false"}
	return faults
}

func faultsLike(expected func(*viewing.FieldError) string) (faults [fieldCount]*viewing.FieldError) {
	for f, fault := range wrongFaults() {
		faults[f] = &viewing.FieldError{Field: fault.Field, Expected: expected(fault)}
	}
	return faults
}

// unknown names a key that is no field, cut to 64 bytes and made printable.
func unknown(key []byte) *viewing.FieldError {
	name := append([]byte(nil), key[:min(len(key), viewing.MaxTextBytes)]...)
	for i, c := range name {
		if c < ' ' || c > '~' {
			name[i] = '?'
		}
	}
	return &viewing.FieldError{Field: string(name), Expected: unknownField}
}
