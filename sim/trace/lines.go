package trace

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// MaxLineBytes bounds a line, its end included. The longest event that is valid takes
// less than a quarter of it, every character of its texts escaped.
const MaxLineBytes = 64 << 10

// maxWindow is the largest window of zstd that is read, the greatest that the zstd
// tool takes by itself too.
const maxWindow = 128 << 20

// errTooLong is a line beyond MaxLineBytes. The next line can be read.
var errTooLong = fmt.Errorf("a line of more than %d bytes", MaxLineBytes)

// Compressed says whether a file of that name is written with zstd.
func Compressed(path string) bool { return strings.HasSuffix(path, ".zst") }

// lines reads a file line by line, decompressed if it begins as zstd does.
type lines struct {
	name    string
	file    io.ReadCloser
	decoder *zstd.Decoder // nil: the file is not compressed
	text    *bufio.Reader
	line    int64 // the number of the last one
}

// openLines opens a file that is text in UTF-8, or zstd of it.
func openLines(path string) (*lines, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	return newLines(path, file)
}

// newLines reads a file, which is then the lines' to close.
func newLines(name string, file io.ReadCloser) (*lines, error) {
	l := &lines{name: name, file: file}
	if err := l.begin(); err != nil {
		_ = l.close()
		return nil, err
	}
	return l, nil
}

// begin reads from the file's current place on, which is its beginning.
func (l *lines) begin() error {
	raw := bufio.NewReaderSize(l.file, MaxLineBytes)
	head, err := raw.Peek(4)
	if err != nil && !isEnd(err) {
		return fmt.Errorf("read %s: %w", l.name, err)
	}
	l.line, l.text = 0, raw
	switch {
	case isZstd(head):
		l.decoder, err = zstd.NewReader(raw, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return fmt.Errorf("read %s: %w", l.name, err)
		}
		l.text = bufio.NewReaderSize(l.decoder, MaxLineBytes)
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		return fmt.Errorf("%s is compressed with gzip: decompress it first, or compress it with zstd", l.name)
	case Compressed(l.name):
		return fmt.Errorf("%s is not zstd, though it is named so: it is damaged, cut short, or misnamed", l.name)
	}
	return l.skipMark()
}

func isZstd(head []byte) bool {
	skippable := len(head) == 4 && head[0]&0xf0 == 0x50 && bytes.Equal(head[1:], []byte{0x2a, 0x4d, 0x18})
	return skippable || bytes.Equal(head, []byte{0x28, 0xb5, 0x2f, 0xfd})
}

// skipMark goes behind the byte order mark of UTF-8, and refuses UTF-16.
func (l *lines) skipMark() error {
	head, err := l.text.Peek(3)
	if err != nil && err != io.EOF {
		return l.broken(err)
	}
	switch {
	case bytes.Equal(head, []byte{0xef, 0xbb, 0xbf}):
		_, _ = l.text.Discard(len(head))
	case bytes.HasPrefix(head, []byte{0xff, 0xfe}), bytes.HasPrefix(head, []byte{0xfe, 0xff}):
		return fmt.Errorf("%s is UTF-16: expected UTF-8 (iconv -f UTF-16 -t UTF-8 converts it)", l.name)
	}
	return nil
}

// next is the next line without its end, good until the one after it; io.EOF after
// the last. After errTooLong the next line can be read, after any other error none.
func (l *lines) next() ([]byte, error) {
	text, err := l.text.ReadSlice('\n')
	if len(text) > 0 {
		l.line++
	}
	switch {
	case err == nil:
		return bytes.TrimSuffix(text[:len(text)-1], []byte{'\r'}), nil
	case err == io.EOF && len(text) > 0:
		return text, nil
	case err == io.EOF:
		return nil, io.EOF
	case !errors.Is(err, bufio.ErrBufferFull):
		return nil, l.broken(err)
	}
	for errors.Is(err, bufio.ErrBufferFull) {
		_, err = l.text.ReadSlice('\n')
	}
	if err != nil && err != io.EOF {
		return nil, l.broken(err)
	}
	return nil, errTooLong
}

// broken says why the file cannot be read on.
func (l *lines) broken(err error) error {
	switch {
	case l.decoder == nil:
		return fmt.Errorf("read %s after line %d: %w", l.name, l.line, err)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%s is cut short: its compressed data ends in the midst after line %d; get it whole (zstd -dc gives what there is)", l.name, l.line)
	}
	return fmt.Errorf("%s is damaged: its compressed data is wrong after line %d: %w", l.name, l.line, err)
}

// rewind goes back to the beginning of the file.
func (l *lines) rewind() error {
	file, ok := l.file.(io.Seeker)
	if !ok {
		return fmt.Errorf("read %s again: expected a file", l.name)
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("read %s again: expected a file, not a pipe: %w", l.name, err)
	}
	l.release()
	return l.begin()
}

func (l *lines) release() {
	if l.decoder != nil {
		l.decoder.Close()
		l.decoder = nil
	}
}

func (l *lines) close() error {
	l.release()
	return l.file.Close()
}
