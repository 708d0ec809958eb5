package wire

import "github.com/playhead-load/playhead/viewing"

const maxInterned = 4096 // texts that a Decoder remembers

// interner gives one string for equal bytes. When it is full it forgets all and
// begins again, so that junk costs allocations only while it lasts.
type interner struct {
	recent [viewing.TextSlots]string // found without hashing
	known  map[string]string
}

// intern is not ok when text is longer than any text may be.
func (in *interner) intern(text []byte) (string, bool) {
	if len(text) == 0 {
		return "", true
	}
	recent := &in.recent[viewing.TextSlot(text)]
	if *recent == string(text) {
		return *recent, true
	}
	if len(text) > viewing.MaxTextBytes {
		return "", false
	}
	s, found := in.known[string(text)]
	if !found {
		s = in.remember(string(text))
	}
	*recent = s
	return s, true
}

func (in *interner) remember(s string) string {
	if in.known == nil {
		in.known = make(map[string]string)
	}
	if len(in.known) >= maxInterned {
		clear(in.known)
	}
	in.known[s] = s
	return s
}
