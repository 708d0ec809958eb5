package trace

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/klauspost/compress/zstd"

	"github.com/playhead-load/playhead/viewing"
	"github.com/playhead-load/playhead/viewing/wire"
)

// Writer writes a trace. It is for one goroutine at a time.
type Writer struct {
	name    string
	file    *os.File      // nil: the stream is its owner's to close
	encoder *zstd.Encoder // nil: not compressed
	out     *bufio.Writer
	line    []byte
}

// Create makes a file for a trace, or empties it. It is compressed with zstd if its
// name ends in .zst.
func Create(path string) (*Writer, error) {
	file, err := os.Create(path)
	if err != nil {
		return nil, fmt.Errorf("write the trace: %w", err)
	}
	w := NewWriter(file, path)
	w.file = file
	if Compressed(path) {
		if w.encoder, err = zstd.NewWriter(file); err != nil {
			return nil, errors.Join(fmt.Errorf("write the trace to %s: %w", path, err), file.Close())
		}
		w.out.Reset(w.encoder)
	}
	return w, nil
}

// NewWriter writes a trace to a stream, which name names in errors. It is not
// compressed.
func NewWriter(to io.Writer, name string) *Writer {
	return &Writer{name: name, out: bufio.NewWriterSize(to, 1<<20)}
}

// Write appends an event, which must not be before the one that was written last. A
// Reader takes it if Validate does.
func (w *Writer) Write(e *viewing.Event) error {
	w.line = append(wire.AppendEventJSON(w.line[:0], e), '\n')
	_, err := w.out.Write(w.line)
	return w.fault(err)
}

// Close writes what is left and closes the file. A trace is whole only if it returns
// nil.
func (w *Writer) Close() error {
	err := w.out.Flush()
	if w.encoder != nil {
		err = errors.Join(err, w.encoder.Close())
	}
	if w.file != nil {
		err = errors.Join(err, w.file.Close())
	}
	return w.fault(err)
}

// Abort closes the file of a trace that will not be whole: a compressed one is left
// without its end, so that a reader knows. After Close it does nothing.
func (w *Writer) Abort() {
	if w.file == nil {
		_ = w.out.Flush()
		return
	}
	_ = w.file.Close()
}

func (w *Writer) fault(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("write the trace to %s: %w", w.name, err)
}
