package wire

import (
	"encoding/binary"
	"fmt"
	"math/bits"
)

// SyntaxError says where a body stops being what its format says it is.
type SyntaxError struct {
	Offset   int // in bytes, from the beginning of the body
	Expected string
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("at byte %d: expected %s", e.Offset, e.Expected)
}

// maxDepth is how deep JSON may nest within one event: the bits of skipValue's stack.
const maxDepth = 64

func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\r' || b[i] == '\t') {
		i++
	}
	return i
}

const (
	onesOfBytes  = 0x0101010101010101
	highsOfBytes = 0x8080808080808080
)

// stringEnd finds the closing quote of the string whose first byte is b[i]; -1 if
// there is none. plain says that no backslash stands before it.
func stringEnd(b []byte, i int) (end int, plain bool) {
	plain = true
	for {
		for i+8 <= len(b) {
			// The lowest marked byte of "has a zero byte" is always a true one
			// (Bit Twiddling Hacks, S. E. Anderson).
			word := binary.LittleEndian.Uint64(b[i:])
			quote, slash := word^(onesOfBytes*'"'), word^(onesOfBytes*'\\')
			found := ((quote-onesOfBytes)&^quote | (slash-onesOfBytes)&^slash) & highsOfBytes
			if found != 0 {
				i += bits.TrailingZeros64(found) >> 3
				break
			}
			i += 8
		}
		for i < len(b) && b[i] != '"' && b[i] != '\\' {
			i++
		}
		if i >= len(b) {
			return -1, plain
		}
		if b[i] == '"' {
			return i, plain
		}
		plain = false
		i += 2
	}
}

// inToken marks the bytes of numbers and of true, false and null, well or badly
// written.
var inToken = func() (table [256]bool) {
	for c := range table {
		table[c] = c >= '0' && c <= '9' || c|' ' >= 'a' && c|' ' <= 'z' || c == '+' || c == '-' || c == '.'
	}
	return table
}()

// skipValue finds the end of the JSON value at b[i], judging its structure and not
// its tokens: an escape or a number may be bad. If expected is not empty, the
// structure breaks at end for want of that.
func skipValue(b []byte, i int) (end int, expected string) {
	var objects uint64 // one bit a level, the deepest last: 1 is an object, 0 an array
	depth, opened := 0, false
	for {
		// Here stands a value, a key and a value, or the end of what was just opened.
		i = skipSpace(b, i)
		closing := opened && i < len(b) && b[i] == closer(objects)
		if !closing {
			if depth > 0 && objects&1 == 1 {
				if i, expected = skipKey(b, i); expected != "" {
					return i, expected
				}
			}
			if i >= len(b) {
				return i, "a value"
			}
			switch c := b[i]; {
			case c == '{' || c == '[':
				if depth == maxDepth {
					return i, "no deeper nesting"
				}
				objects, depth, opened = objects<<1, depth+1, true
				if c == '{' {
					objects |= 1
				}
				i++
				continue
			case c == '"':
				if end, _ = stringEnd(b, i+1); end < 0 {
					return len(b), "the end of a string"
				}
				i = end + 1
			case inToken[c]:
				for i < len(b) && inToken[b[i]] {
					i++
				}
			default:
				return i, "a value"
			}
		}
		opened = false
		// Here stands a comma, or the end of one level or more.
		for {
			if depth == 0 {
				return i, ""
			}
			i = skipSpace(b, i)
			if i >= len(b) {
				return i, "a comma or a closing bracket"
			}
			if b[i] == ',' {
				i++
				break
			}
			if b[i] != closer(objects) {
				return i, "a comma or a closing bracket"
			}
			objects, depth = objects>>1, depth-1
			i++
		}
	}
}

func closer(objects uint64) byte {
	if objects&1 == 1 {
		return '}'
	}
	return ']'
}

// skipKey goes from a key to the value behind its colon.
func skipKey(b []byte, i int) (next int, expected string) {
	if i >= len(b) || b[i] != '"' {
		return i, "a key"
	}
	end, _ := stringEnd(b, i+1)
	if end < 0 {
		return len(b), "the end of a string"
	}
	i = skipSpace(b, end+1)
	if i >= len(b) || b[i] != ':' {
		return i, "a colon"
	}
	return skipSpace(b, i+1), ""
}
