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
		i = quoteOrBackslash(b, i)
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

// quoteOrBackslash finds the first of either from b[i] on, eight bytes at a time.
// It is at least len(b) if there is none.
func quoteOrBackslash(b []byte, i int) int {
	for ; i+8 <= len(b); i += 8 {
		// The lowest marked byte of "has a zero byte" is always a true one
		// (Bit Twiddling Hacks, S. E. Anderson).
		word := binary.LittleEndian.Uint64(b[i:])
		quote, slash := word^(onesOfBytes*'"'), word^(onesOfBytes*'\\')
		found := ((quote-onesOfBytes)&^quote | (slash-onesOfBytes)&^slash) & highsOfBytes
		if found != 0 {
			return i + bits.TrailingZeros64(found)>>3
		}
	}
	for i < len(b) && b[i] != '"' && b[i] != '\\' {
		i++
	}
	return i
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
	depth := 0
	for {
		i = skipSpace(b, i)
		if depth > 0 && objects&1 == 1 {
			if i, expected = skipKey(b, i); expected != "" {
				return i, expected
			}
		}
		if i < len(b) && (b[i] == '{' || b[i] == '[') {
			if depth == maxDepth {
				return i, "no deeper nesting"
			}
			objects, depth = objects<<1, depth+1
			if b[i] == '{' {
				objects |= 1
			}
			if i = skipSpace(b, i+1); i >= len(b) || b[i] != closer(objects) {
				continue
			}
		} else if i, expected = skipScalar(b, i); expected != "" {
			return i, expected
		}
		// Here stands a comma, or the end of one level or more.
		for ; ; i++ {
			if depth == 0 {
				return i, ""
			}
			i = skipSpace(b, i)
			if i < len(b) && b[i] == ',' {
				i++
				break
			}
			if i >= len(b) || b[i] != closer(objects) {
				return i, "a comma or a closing bracket"
			}
			objects, depth = objects>>1, depth-1
		}
	}
}

// skipScalar goes behind a string, a number or a word.
func skipScalar(b []byte, i int) (next int, expected string) {
	if i < len(b) && b[i] == '"' {
		end, _ := stringEnd(b, i+1)
		if end < 0 {
			return len(b), "the end of a string"
		}
		return end + 1, ""
	}
	for next = i; next < len(b) && inToken[b[next]]; {
		next++
	}
	if next == i {
		return i, "a value"
	}
	return next, ""
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
