package viewing

import "strings"

const (
	// maxTexts bounds the dictionary: device types, countries, rungs and error codes
	// are few. What comes after these is kept beside each session that tells it.
	maxTexts  = 4096
	plainText = 1<<16 - 1 // the number of a text that is not in the dictionary
)

// texts numbers the words that events repeat, in the order in which the log told
// them; the empty one is 0. It only grows.
type texts struct {
	numbers map[string]uint16
	all     []string
	hashes  []uint64
	recent  [TextSlots]uint16 // by TextSlot: to look in the map costs more
}

func newTexts() texts {
	t := texts{numbers: map[string]uint16{}}
	t.add("")
	return t
}

// number finds a text, or adds it where there is room, and is plainText otherwise.
func (t *texts) number(text string) uint16 {
	recent := &t.recent[TextSlot(text)]
	if t.all[*recent] == text {
		return *recent
	}
	if n, ok := t.numbers[text]; ok {
		*recent = n
		return n
	}
	if len(t.all) == maxTexts {
		return plainText
	}
	t.add(strings.Clone(text))
	return uint16(len(t.all) - 1)
}

func (t *texts) add(text string) {
	t.numbers[text] = uint16(len(t.all))
	t.all = append(t.all, text)
	t.hashes = append(t.hashes, hashText(text))
}

// TextSlots is how many slots there are for texts that were told lately; a power of two.
const TextSlots = 64

// TextSlot is below TextSlots. It tells the few texts that are common at one time apart:
// rungs such as 3000 and 5800 differ at the front, codes often at the end.
func TextSlot[T string | []byte](text T) uint {
	n := uint(len(text))
	if n == 0 {
		return 0
	}
	return (uint(text[0])*5 + uint(text[n/2])*17 + uint(text[n-1])*29 + n) % TextSlots
}
