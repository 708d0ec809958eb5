// Package wire is how events travel and rest: JSON for people and devices, and a
// compact binary form for the log and for devices that count bytes.
//
// It is a hot path. Encoders append to the caller's memory, and a [Decoder] that
// has warmed up allocates nothing for an ordinary event.
//
// # JSON
//
// The shape is the contract's. Decoding is stricter than encoding/json:
//
//   - a key matches exactly, not case-insensitively, and stands at most once;
//   - an unknown key is an error;
//   - null is a wrong type, not an absent value;
//   - a number is digits alone, without a leading zero: 7, never 7.0, 7e0, 07 or -0;
//   - text is printable ASCII once its escapes are undone;
//   - at most [MaxEvents] events stand in one body, nested at most 64 deep.
//
// What a Decoder accepts, encoding/json accepts too, with the same values.
//
// A fault inside one event of an array (a wrong type, an unknown field, a bad
// escape, a number with a leading zero) is that event's alone. A fault in the
// structure (a bracket, a comma, a colon, a string without an end) is the whole
// array's: nothing of it is taken. In NDJSON each line stands for itself.
//
// # Binary, version 1
//
// A body is the version byte 0x01 and then one event after another. In the log an
// event stands without the version byte: its owner keeps the version. An event is
//
//	size        uvarint, the bytes that follow
//	head        1 byte: type in bits 0-3, offline 0x10, resume 0x20, bits 6-7 zero
//	present     1 byte: profile in bits 0-2, then country 0x08, runtime 0x10,
//	            rebuffer 0x20, error 0x40, bitrates 0x80
//	session_id  16 bytes
//	seq, at     uvarint, uvarint (ms since 1970)
//	account_id, device_id, title_id    uvarint each
//	device_type text: uvarint size, bytes
//	position_ms, played_ms             uvarint each
//	country     text    if present
//	runtime_ms  uvarint if present
//	rebuffer_ms uvarint if present
//	error_code  text    if present
//	bitrate_ms  uvarint count, then text and uvarint each, sorted, if present
//
// A uvarint is that of encoding/binary; one longer than it need be is accepted.
// Nothing may follow the last field within size. A keepalive takes about 54 bytes.
package wire
