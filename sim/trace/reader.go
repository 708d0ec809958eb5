package trace

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/playhead-load/playhead/viewing"
	"github.com/playhead-load/playhead/viewing/wire"
)

// LineError says which line of a file cannot be taken, and why: Err is a
// *viewing.FieldError where a field can be named.
type LineError struct {
	File string
	Line int64 // from 1
	Err  error
}

func (e *LineError) Error() string { return fmt.Sprintf("%s: line %d: %v", e.File, e.Line, e.Err) }
func (e *LineError) Unwrap() error { return e.Err }

// errUnsorted is a line that is earlier than the one before it.
var errUnsorted = &viewing.FieldError{Field: "at", Expected: "no time before that of the line before it (playhead import sorts)"}

// Reader reads a trace event by event, and holds it to being sorted. An event that was
// played offline may stand later than when it happened: it is due with the one before.
// It is for one goroutine at a time.
type Reader struct {
	lines   *lines
	decoder wire.Decoder
	due     viewing.Millis // of the last event
}

// Open opens a trace, compressed or not, whatever its name.
func Open(path string) (*Reader, error) {
	lines, err := openLines(path)
	if err != nil {
		return nil, err
	}
	return &Reader{lines: lines, due: viewing.MinAt}, nil
}

// Next reads the next event into e, whose former content is lost but for the memory
// of its bitrates; io.EOF after the last. Empty lines are skipped. A *LineError is a
// line's; of any other error the file is at fault. Nothing can be read after either.
func (r *Reader) Next(e *viewing.Event) error {
	for {
		line, err := r.lines.next()
		if errors.Is(err, errTooLong) {
			return r.fault(fmt.Errorf("expected an event, got %w", err))
		}
		if err != nil {
			return err
		}
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		if err := r.decoder.DecodeEvent(line, e); err != nil {
			return r.fault(err)
		}
		if e.At < r.due && !e.Offline {
			return r.fault(errUnsorted)
		}
		r.due = max(r.due, e.At)
		return nil
	}
}

func (r *Reader) fault(err error) error { return &LineError{r.lines.name, r.lines.line, err} }

// rewind begins again with the first event. Only a file can, no pipe.
func (r *Reader) rewind() error {
	r.due = viewing.MinAt
	return r.lines.rewind()
}

// Close closes the file.
func (r *Reader) Close() error { return r.lines.close() }

// isEnd says whether an error of Next is the end of the trace.
func isEnd(err error) bool { return errors.Is(err, io.EOF) }
