package wire

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/playhead-load/playhead/viewing"
)

// MaxEvents is how many events one body may hold.
const MaxEvents = 10_000

var (
	// ErrTooMany is a body of more than MaxEvents events. Nothing of it is taken.
	ErrTooMany = fmt.Errorf("more than %d events", MaxEvents)
	// ErrNoEvents is a body without an event.
	ErrNoEvents = errors.New("no events: expected at least one")
)

// Format is how events stand in a body.
type Format uint8

// The formats of a body.
const (
	JSON   Format = iota // an array
	NDJSON               // an event a line; blank lines count for nothing
	Binary               // the version byte and events
)

var contentTypes = [...]string{"application/json", "application/x-ndjson", "application/vnd.playhead.events.v1"}

// ContentType is the media type of the format.
func (f Format) ContentType() string {
	if int(f) < len(contentTypes) {
		return contentTypes[f]
	}
	return "application/octet-stream"
}

// ParseFormat finds the format of a Content-Type header. Parameters such as
// charset are passed over, and no header at all means JSON.
func ParseFormat(contentType string) (Format, bool) {
	mediaType, _, _ := strings.Cut(contentType, ";")
	mediaType = strings.TrimSpace(mediaType)
	if mediaType == "" {
		return JSON, true
	}
	for f, name := range contentTypes {
		if strings.EqualFold(mediaType, name) {
			return Format(f), true
		}
	}
	return 0, false
}

// DecodeEvents reads a body of 1 to MaxEvents events and calls each for every one
// of them in order, i counting from 0: with a valid event, or with no event and
// what is wrong with this one (see DecodeEvent), which costs its neighbours
// nothing. e belongs to the Decoder and is overwritten after each returns; a
// caller who keeps a copy of it either copies BitrateMS too or sets e.BitrateMS to
// nil and so owns that memory.
//
// The structure of the body is judged before each is called for the first time: a
// *SyntaxError, ErrTooMany or ErrNoEvents means that nothing was handed out. An
// error from each ends the work and is returned as it is.
func (d *Decoder) DecodeEvents(b []byte, format Format, each func(i int, e *viewing.Event, err error) error) error {
	switch format {
	case JSON:
		return d.decodeArray(b, each)
	case NDJSON:
		return d.decodeLines(b, each)
	case Binary:
		return d.decodeBatch(b, each)
	}
	return fmt.Errorf("format %d: expected JSON, NDJSON or Binary", format)
}

func (d *Decoder) decodeArray(b []byte, each func(int, *viewing.Event, error) error) error {
	if err := checkArray(b); err != nil {
		return err
	}
	i := skipSpace(b, 0) + 1
	for n := 0; ; n++ {
		i = skipSpace(b, i)
		end, seen, err := d.object(b, i, &d.event)
		if err == nil {
			err = complete(seen, &d.event)
		} else {
			end, _ = skipValue(b, i)
		}
		if err := d.hand(n, err, each); err != nil {
			return err
		}
		i = skipSpace(b, end)
		if b[i] == ']' {
			return nil
		}
		i++
	}
}

// hand gives the event at hand, or what is wrong with it, to each.
func (d *Decoder) hand(n int, err error, each func(int, *viewing.Event, error) error) error {
	if err != nil {
		return each(n, nil, err)
	}
	return each(n, &d.event, nil)
}

// checkArray looks at the structure alone.
func checkArray(b []byte) error {
	i := skipSpace(b, 0)
	if i >= len(b) || b[i] != '[' {
		return &SyntaxError{i, "an array"}
	}
	i = skipSpace(b, i+1)
	if i < len(b) && b[i] == ']' {
		if end := skipSpace(b, i+1); end != len(b) {
			return &SyntaxError{end, "nothing after the array"}
		}
		return ErrNoEvents
	}
	for n := 0; ; n++ {
		if n == MaxEvents {
			return ErrTooMany
		}
		end, expected := skipValue(b, i)
		if expected != "" {
			return &SyntaxError{end, expected}
		}
		i = skipSpace(b, end)
		if i >= len(b) || b[i] != ',' && b[i] != ']' {
			return &SyntaxError{i, "a comma or a closing bracket"}
		}
		if b[i] == ']' {
			break
		}
		i++
	}
	if end := skipSpace(b, i+1); end != len(b) {
		return &SyntaxError{end, "nothing after the array"}
	}
	return nil
}

func (d *Decoder) decodeLines(b []byte, each func(int, *viewing.Event, error) error) error {
	count := 0
	for i := 0; i < len(b); {
		start, end := nextLine(b, i)
		if start < end {
			count++
		}
		i = end + 1
	}
	switch {
	case count == 0:
		return ErrNoEvents
	case count > MaxEvents:
		return ErrTooMany
	}
	for i, n := 0, 0; n < count; {
		start, end := nextLine(b, i)
		i = end + 1
		if start == end {
			continue
		}
		if err := d.hand(n, d.line(b[:end], start), each); err != nil {
			return err
		}
		n++
	}
	return nil
}

// nextLine is the line that begins at b[i], without the white space before it.
func nextLine(b []byte, i int) (start, end int) {
	end = len(b)
	if n := bytes.IndexByte(b[i:], '\n'); n >= 0 {
		end = i + n
	}
	return skipSpace(b[:end], i), end
}

// line decodes the event from b[start] to the end of b.
func (d *Decoder) line(b []byte, start int) error {
	end, seen, err := d.object(b, start, &d.event)
	if err != nil {
		return err
	}
	if end = skipSpace(b, end); end != len(b) {
		return &SyntaxError{end, "nothing after the event"}
	}
	return complete(seen, &d.event)
}
