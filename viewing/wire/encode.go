package wire

import (
	"strconv"
	"unicode/utf8"

	"github.com/playhead-load/playhead/viewing"
)

// AppendEventJSON appends e as one JSON object without white space, in the
// contract's order of fields. What is zero or empty among runtime_ms, bitrate_ms,
// rebuffer_ms, error_code, country and offline is left out, and so is position_ms
// of a start with ResumePos. An event that Validate accepts decodes to itself; any
// other still comes out as JSON.
func AppendEventJSON(dst []byte, e *viewing.Event) []byte {
	dst = append(dst, `{"session_id":"`...)
	dst, _ = e.SessionID.AppendText(dst)
	dst = append(dst, `","seq":`...)
	dst = strconv.AppendUint(dst, uint64(e.Seq), 10)
	dst = append(dst, `,"type":"`...)
	dst = append(dst, e.Type.String()...)
	dst = append(dst, `","at":"`...)
	dst = AppendTime(dst, e.At)
	dst = append(dst, `","account_id":`...)
	dst = strconv.AppendUint(dst, e.AccountID, 10)
	dst = append(dst, `,"profile_id":`...)
	dst = strconv.AppendUint(dst, uint64(e.ProfileID), 10)
	dst = append(dst, `,"device_id":`...)
	dst = strconv.AppendUint(dst, e.DeviceID, 10)
	dst = append(dst, `,"device_type":`...)
	dst = AppendString(dst, e.DeviceType)
	dst = append(dst, `,"title_id":`...)
	dst = strconv.AppendUint(dst, uint64(e.TitleID), 10)
	if e.Country != "" {
		dst = AppendString(append(dst, `,"country":`...), e.Country)
	}
	return append(appendMedia(dst, e), '}')
}

// appendMedia appends what was played, and how.
func appendMedia(dst []byte, e *viewing.Event) []byte {
	if e.RuntimeMS != 0 {
		dst = strconv.AppendInt(append(dst, `,"runtime_ms":`...), e.RuntimeMS, 10)
	}
	if e.Type != viewing.Start || !e.ResumePos {
		dst = strconv.AppendInt(append(dst, `,"position_ms":`...), e.PositionMS, 10)
	}
	dst = strconv.AppendInt(append(dst, `,"played_ms":`...), e.PlayedMS, 10)
	if len(e.BitrateMS) > 0 {
		dst = append(dst, `,"bitrate_ms":`...)
		separator := byte('{')
		for i := range e.BitrateMS {
			dst = AppendString(append(dst, separator), e.BitrateMS[i].Kbps)
			dst = strconv.AppendInt(append(dst, ':'), e.BitrateMS[i].PlayedMS, 10)
			separator = ','
		}
		dst = append(dst, '}')
	}
	if e.RebufferMS != 0 {
		dst = strconv.AppendInt(append(dst, `,"rebuffer_ms":`...), e.RebufferMS, 10)
	}
	if e.ErrorCode != "" {
		dst = AppendString(append(dst, `,"error_code":`...), e.ErrorCode)
	}
	if e.Offline {
		dst = append(dst, `,"offline":true`...)
	}
	return dst
}

// AppendString appends s as a JSON string with its quotes. Bytes that are no
// UTF-8 become U+FFFD.
func AppendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return append(appendEscaped(append(dst, s[:i]...), s[i:]), '"')
		}
	}
	dst = append(dst, s...)
	return append(dst, '"')
}

func appendEscaped(dst []byte, s string) []byte {
	const hexDigits = "0123456789abcdef"
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			dst = append(dst, '\\', byte(r))
		case r < ' ' || r == 0x7f:
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[r>>4], hexDigits[r&15])
		default:
			dst = utf8.AppendRune(dst, r)
		}
	}
	return dst
}
