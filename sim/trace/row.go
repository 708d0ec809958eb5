package trace

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"github.com/playhead-load/playhead/viewing"
	"github.com/playhead-load/playhead/viewing/wire"
)

// Fields are the names that an event's fields have in JSON, and so a column of CSV.
var Fields = [...]string{
	"session_id", "seq", "type", "at", "account_id", "profile_id", "device_id", "device_type", "title_id", "country",
	"runtime_ms", "position_ms", "played_ms", "bitrate_ms", "rebuffer_ms", "error_code", "offline",
}

// RequiredFields is how many of the first of Fields every event has.
const RequiredFields = 9

// names are what a log calls the fields: the names of Fields, but for those that
// were mapped.
type names [len(Fields)]string

// CheckMap says what is wrong with ImportOptions.Map; nil if nothing is.
func CheckMap(mapping map[string]string) error {
	_, err := newNames(mapping)
	return err
}

// newNames maps theirs to ours.
func newNames(mapping map[string]string) (names, error) {
	n := names(Fields)
	mapped := map[string]string{}
	for theirs, ours := range mapping {
		i := slices.Index(Fields[:], ours)
		switch other, twice := mapped[ours]; {
		case i < 0:
			return n, fmt.Errorf("%s=%s: there is no field %q; the fields are %v", theirs, ours, ours, Fields)
		case theirs == "":
			return n, fmt.Errorf("%s=%s: expected their name before the =", theirs, ours)
		case twice:
			return n, fmt.Errorf("%s is mapped from both %s and %s", ours, min(theirs, other), max(theirs, other))
		}
		n[i], mapped[ours] = theirs, theirs
	}
	return n, nil
}

// row is one line as the JSON values of its fields, nil where it has none. It
// becomes an event by the same decoder that a server has.
type row struct {
	values  [len(Fields)][]byte
	text    []byte // the event in JSON
	decoder wire.Decoder
}

// event judges the row. The error is a *viewing.FieldError where a field is at fault.
func (r *row) event(e *viewing.Event) error {
	r.text = append(r.text[:0], '{')
	for i, value := range r.values {
		if value == nil {
			continue
		}
		if len(r.text) > 1 {
			r.text = append(r.text, ',')
		}
		r.text = append(wire.AppendString(r.text, Fields[i]), ':')
		if Fields[i] == "at" {
			value = moment(value)
		}
		r.text = append(r.text, value...)
	}
	r.text = append(r.text, '}')
	return r.decoder.DecodeEvent(r.text, e)
}

// moment turns Unix milliseconds into RFC 3339, and leaves all else to be judged.
func moment(value []byte) []byte {
	ms, err := strconv.ParseInt(string(value), 10, 64)
	if err != nil {
		return value
	}
	return append(wire.AppendTime([]byte{'"'}, viewing.Millis(ms)), '"')
}

// fromJSON takes a line that is a JSON object. Keys that are not named are skipped,
// and null is no value.
func (r *row) fromJSON(line []byte, n *names) error {
	var object map[string]json.RawMessage
	if err := json.Unmarshal(line, &object); err != nil {
		return fmt.Errorf("expected a JSON object: %w", err)
	}
	for i, name := range n {
		r.values[i] = object[name]
		if string(r.values[i]) == "null" {
			r.values[i] = nil
		}
	}
	return nil
}

// fromCells takes the cells of a line of CSV. An empty one is no value.
func (r *row) fromCells(cells [][]byte, columns *columns) {
	for i, at := range columns {
		r.values[i] = nil
		if at >= 0 && len(cells[at]) > 0 {
			r.values[i] = jsonOf(Fields[i], cells[at])
		}
	}
}

// jsonOf is a cell as JSON. What the field cannot be becomes a text, which the
// decoder then refuses by the field's name.
func jsonOf(field string, cell []byte) []byte {
	plain := false
	switch field {
	case "session_id", "type", "device_type", "country", "error_code":
	case "bitrate_ms":
		plain = cell[0] == '{' && json.Valid(cell)
	case "offline":
		plain = string(cell) == "true" || string(cell) == "false"
	default: // numbers, and at as a number
		plain = !bytes.ContainsFunc(cell, func(c rune) bool { return c < '0' || c > '9' })
	}
	if plain {
		return cell
	}
	return wire.AppendString(nil, string(cell))
}
