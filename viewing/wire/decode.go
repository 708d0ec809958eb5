package wire

import (
	"strconv"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/playhead-load/playhead/viewing"
)

// maxDigits is more than any field has, and few enough not to overflow.
const maxDigits = 18

// Decoder reads events. The zero value is ready. It keeps its memory from one call
// to the next, so that ordinary events cost no allocation, and is for one
// goroutine at a time. Nothing it gives out points into the bytes it read.
type Decoder struct {
	texts   interner
	scratch []byte        // text whose escapes were undone
	event   viewing.Event // what DecodeEvents hands out
}

// DecodeEvent reads b, one JSON object with nothing but white space around it,
// into e, whose former content is lost but for the memory of its bitrates. The
// error is a *viewing.FieldError where a field can be named and a *SyntaxError
// otherwise, shared and not to be changed; e then holds no event.
func (d *Decoder) DecodeEvent(b []byte, e *viewing.Event) error {
	seen, err := d.document(b, e)
	if err != nil {
		return err
	}
	return complete(seen, e)
}

// DecodeStart is DecodeEvent for an event that must be a start.
func (d *Decoder) DecodeStart(b []byte, e *viewing.Event) error {
	seen, err := d.document(b, e)
	if err != nil {
		return err
	}
	if seen&(1<<fieldType) != 0 && e.Type != viewing.Start {
		return errNotStart
	}
	return complete(seen, e)
}

func (d *Decoder) document(b []byte, e *viewing.Event) (seen uint32, err error) {
	end, seen, err := d.object(b, skipSpace(b, 0), e)
	if err != nil {
		return seen, err
	}
	if end = skipSpace(b, end); end != len(b) {
		return seen, &SyntaxError{end, "nothing after the event"}
	}
	return seen, nil
}

// complete asks whether the fields seen are enough, and whether they are good.
func complete(seen uint32, e *viewing.Event) error {
	required := uint32(requiredOfPlay)
	if e.Type == viewing.Start {
		required = requiredAlways
		e.ResumePos = seen&(1<<fieldPositionMS) == 0
	}
	if absent := required &^ seen; absent != 0 {
		for f := range fieldCount {
			if absent&(1<<f) != 0 {
				return missing[f]
			}
		}
	}
	if fault := e.Validate(); fault != nil {
		return fault
	}
	return nil
}

// object reads the object at b[i] into e, and says where it ends and which fields
// it had.
func (d *Decoder) object(b []byte, i int, e *viewing.Event) (end int, seen uint32, err error) {
	e.Reset()
	if i >= len(b) {
		return i, 0, &SyntaxError{i, "a JSON object"}
	}
	if b[i] != '{' {
		return i, 0, errNoObject
	}
	i = skipSpace(b, i+1)
	if i < len(b) && b[i] == '}' {
		return i + 1, 0, nil
	}
	for {
		key, next, ok := d.key(b, i)
		if !ok {
			return next, seen, &SyntaxError{next, "a key and a colon"}
		}
		f := fieldOf(key)
		if f == fieldCount {
			return i, seen, unknown(key)
		}
		if seen&(1<<f) != 0 {
			return i, seen, twice[f]
		}
		seen |= 1 << f
		if next, ok = d.value(f, b, next, e); !ok {
			return i, seen, wrong[f]
		}
		i = skipSpace(b, next)
		if i >= len(b) || b[i] != ',' && b[i] != '}' {
			return i, seen, &SyntaxError{i, "a comma or a closing bracket"}
		}
		if b[i] == '}' {
			return i + 1, seen, nil
		}
		i = skipSpace(b, i+1)
	}
}

// key reads a key and its colon; next is where the value begins, or where the
// fault is.
func (d *Decoder) key(b []byte, i int) (key []byte, next int, ok bool) {
	key, next, ok = d.text(b, i)
	if !ok {
		return nil, i, false
	}
	next = skipSpace(b, next)
	if next >= len(b) || b[next] != ':' {
		return nil, next, false
	}
	return key, skipSpace(b, next+1), true
}

// value reads the value of f at b[i] into e; not ok is a wrong type or a value too
// large for its place. What remains is Validate's.
func (d *Decoder) value(f field, b []byte, i int, e *viewing.Event) (end int, ok bool) {
	switch f {
	case fieldBitrateMS:
		return d.bitrates(b, i, e)
	case fieldOffline:
		return boolean(b, i, &e.Offline)
	case fieldSessionID, fieldType, fieldAt, fieldDeviceType, fieldErrorCode, fieldCountry:
		text, end, ok := d.text(b, i)
		return end, ok && d.setText(f, text, e)
	default:
		n, end, ok := integer(b, i)
		return end, ok && setInteger(f, n, e)
	}
}

func (d *Decoder) setText(f field, text []byte, e *viewing.Event) (ok bool) {
	if len(text) > viewing.MaxTextBytes {
		return false // unescape may have cut it
	}
	switch f {
	case fieldSessionID:
		e.SessionID, ok = viewing.ParseSessionID(text)
	case fieldType:
		e.Type, ok = viewing.ParseEventType(text)
	case fieldAt:
		e.At, ok = ParseTime(text)
	case fieldDeviceType:
		e.DeviceType, ok = d.texts.intern(text)
	case fieldErrorCode:
		e.ErrorCode, ok = d.texts.intern(text)
	case fieldCountry:
		e.Country, ok = d.texts.intern(text)
	}
	return ok
}

func setInteger(f field, n uint64, e *viewing.Event) bool {
	switch f {
	case fieldSeq:
		e.Seq = uint32(n)
		return n <= viewing.MaxSeq
	case fieldAccountID:
		e.AccountID = n
	case fieldProfileID:
		e.ProfileID = uint8(n)
		return n <= viewing.MaxProfileID
	case fieldDeviceID:
		e.DeviceID = n
	case fieldTitleID:
		e.TitleID = uint32(n)
		return n <= viewing.MaxTitleID
	case fieldPositionMS:
		e.PositionMS = int64(n)
	case fieldPlayedMS:
		e.PlayedMS = int64(n)
	case fieldRuntimeMS:
		e.RuntimeMS = int64(n)
	case fieldRebufferMS:
		e.RebufferMS = int64(n)
	}
	return true
}

// bitrates reads {"5800":800000,…} and puts the rungs in order.
func (d *Decoder) bitrates(b []byte, i int, e *viewing.Event) (end int, ok bool) {
	if i >= len(b) || b[i] != '{' {
		return i, false
	}
	i = skipSpace(b, i+1)
	if i < len(b) && b[i] == '}' {
		return i + 1, true
	}
	for {
		key, next, ok := d.key(b, i)
		if !ok {
			return i, false
		}
		kbps, ok := d.texts.intern(key)
		if !ok {
			return i, false
		}
		n, next, ok := integer(b, next)
		if !ok || !insertBitrate(e, viewing.Bitrate{Kbps: kbps, PlayedMS: int64(n)}) {
			return i, false
		}
		i = skipSpace(b, next)
		if i >= len(b) || b[i] != ',' && b[i] != '}' {
			return i, false
		}
		if b[i] == '}' {
			return i + 1, true
		}
		i = skipSpace(b, i+1)
	}
}

// insertBitrate keeps the rungs sorted; not ok is one too many or one twice.
func insertBitrate(e *viewing.Event, rung viewing.Bitrate) (ok bool) {
	at := len(e.BitrateMS)
	if at == viewing.MaxBitrates {
		return false
	}
	for at > 0 && e.BitrateMS[at-1].Kbps > rung.Kbps {
		at--
	}
	if at > 0 && e.BitrateMS[at-1].Kbps == rung.Kbps {
		return false
	}
	e.BitrateMS = append(e.BitrateMS, rung)
	copy(e.BitrateMS[at+1:], e.BitrateMS[at:])
	e.BitrateMS[at] = rung
	return true
}

func boolean(b []byte, i int, value *bool) (end int, ok bool) {
	for end = i; end < len(b) && inToken[b[end]]; {
		end++
	}
	*value = string(b[i:end]) == "true"
	return end, *value || string(b[i:end]) == "false"
}

// integer reads digits without a leading zero, a sign, a fraction or an exponent.
func integer(b []byte, i int) (n uint64, end int, ok bool) {
	for end = i; end < len(b) && b[end]-'0' <= 9; end++ {
		n = n*10 + uint64(b[end]-'0')
	}
	digits := end - i
	ok = digits > 0 && digits <= maxDigits && (digits == 1 || b[i] != '0') && (end == len(b) || !inToken[b[end]])
	return n, end, ok
}

// text reads the string at b[i]. It is good until the next text.
func (d *Decoder) text(b []byte, i int) (text []byte, next int, ok bool) {
	if i >= len(b) || b[i] != '"' {
		return nil, i, false
	}
	end, plain := stringEnd(b, i+1)
	if end < 0 {
		return nil, i, false
	}
	text = b[i+1 : end]
	if !plain {
		text, ok = d.unescape(text)
		return text, end + 1, ok
	}
	return text, end + 1, true
}

// unescape undoes the escapes of s. It stops when the result is longer than any
// text may be: that is then refused for its length.
func (d *Decoder) unescape(s []byte) (text []byte, ok bool) {
	text = d.scratch[:0]
	defer func() { d.scratch = text }()
	for i := 0; i < len(s) && len(text) <= viewing.MaxTextBytes; i++ {
		if s[i] != '\\' {
			text = append(text, s[i])
			continue
		}
		i++ // stringEnd leaves no backslash without a byte behind it
		switch c := s[i]; c {
		case '"', '\\', '/':
			text = append(text, c)
		case 'b':
			text = append(text, '\b')
		case 'f':
			text = append(text, '\f')
		case 'n':
			text = append(text, '\n')
		case 'r':
			text = append(text, '\r')
		case 't':
			text = append(text, '\t')
		case 'u':
			r, ok := hex4(s, i+1)
			if !ok {
				return text, false
			}
			i += 4
			if utf16.IsSurrogate(r) {
				r = utf8.RuneError // of a pair or alone, it is not ASCII
			}
			text = utf8.AppendRune(text, r)
		default:
			return text, false
		}
	}
	return text, true
}

func hex4(s []byte, i int) (rune, bool) {
	if i+4 > len(s) {
		return 0, false
	}
	n, err := strconv.ParseUint(string(s[i:i+4]), 16, 16)
	return rune(n), err == nil
}
