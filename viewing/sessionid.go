package viewing

import (
	"bytes"
	"encoding/hex"
)

// SessionID is the UUID that a device chose for one playback, so that a repeated
// start is the same start.
type SessionID [16]byte

// Compare orders ids by their bytes: -1, 0 or +1.
func (id SessionID) Compare(other SessionID) int { return bytes.Compare(id[:], other[:]) }

// AppendText appends the 36 characters of the id to dst, in lower case.
func (id SessionID) AppendText(dst []byte) ([]byte, error) {
	dst = hex.AppendEncode(dst, id[0:4])
	for _, part := range [...][]byte{id[4:6], id[6:8], id[8:10], id[10:16]} {
		dst = append(dst, '-')
		dst = hex.AppendEncode(dst, part)
	}
	return dst, nil
}

// MarshalText is AppendText for encoding/json.
func (id SessionID) MarshalText() ([]byte, error) { return id.AppendText(make([]byte, 0, 36)) }

// UnmarshalText reads the 36 characters of a UUID, in either case.
func (id *SessionID) UnmarshalText(text []byte) error {
	parsed, ok := ParseSessionID(text)
	if !ok {
		return errSession
	}
	*id = parsed
	return nil
}

func (id SessionID) String() string {
	text, _ := id.AppendText(make([]byte, 0, 36))
	return string(text)
}

// ParseSessionID reads the 36 characters of a UUID, in either case. The id of all
// zeros is none.
func ParseSessionID[T string | []byte](text T) (SessionID, bool) {
	var id SessionID
	if len(text) != 36 {
		return id, false
	}
	at := 0
	for i := 0; i < 36; i++ {
		if i == 8 || i == 13 || i == 18 || i == 23 {
			if text[i] != '-' {
				return SessionID{}, false
			}
			continue
		}
		digit, ok := hexDigit(text[i])
		if !ok {
			return SessionID{}, false
		}
		id[at/2] = id[at/2]<<4 | digit
		at++
	}
	return id, id != SessionID{}
}

func hexDigit(c byte) (byte, bool) {
	switch {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10, true
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}
