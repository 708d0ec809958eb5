package wire

import "github.com/playhead-load/playhead/viewing"

// maxInterned bounds the texts that a Decoder remembers.
const maxInterned = 4096

// interner gives one string for equal bytes. When it is full it forgets all and
// begins again, so that junk costs allocations only while it lasts.
type interner struct {
	known map[string]string
}

// intern is not ok when text is longer than any text may be.
func (in *interner) intern(text []byte) (string, bool) {
	if s, found := in.known[string(text)]; found {
		return s, true
	}
	if len(text) > viewing.MaxTextBytes {
		return "", false
	}
	if in.known == nil {
		in.known = make(map[string]string)
	}
	if len(in.known) >= maxInterned {
		clear(in.known)
	}
	s := string(text)
	in.known[s] = s
	return s, true
}
