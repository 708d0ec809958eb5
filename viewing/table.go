package viewing

const (
	chunkBits    = 10
	chunkRecords = 1 << chunkBits
)

// table holds records of one kind, without pointers, in chunks that never move. A
// record's ref is its place, from 1 on; 0 is none. Refs of records that were freed
// are used again.
type table[R any] struct {
	chunks [][]R
	length uint32   // refs ever given
	free   []uint32 // of them, those to be given again
	// encode appends the record as a snapshot has it, and nothing for a free one.
	encode  func(dst []byte, r *R) []byte
	capture *capture
}

// capture is a snapshot of a table under way: the records up to length as they were
// when it began. What changes before its chunk is written is encoded first.
type capture struct {
	length uint32
	next   int // the chunk to be written next
	chunks []capturedChunk
}

type capturedChunk struct {
	taken [chunkRecords / 64]uint64 // whose old state is in saved
	saved []byte
}

// at is the record of a ref, to be read; to change it, preserve it first.
func (t *table[R]) at(ref uint32) *R {
	return &t.chunks[(ref-1)>>chunkBits][(ref-1)&(chunkRecords-1)]
}

// add gives a ref whose record is empty.
func (t *table[R]) add() uint32 {
	if n := len(t.free); n > 0 {
		ref := t.free[n-1]
		t.free = t.free[:n-1]
		t.preserve(ref)
		return ref
	}
	if int(t.length>>chunkBits) == len(t.chunks) {
		t.chunks = append(t.chunks, make([]R, chunkRecords))
	}
	t.length++
	return t.length
}

// remove frees a record that was preserved.
func (t *table[R]) remove(ref uint32) {
	var none R
	*t.at(ref) = none
	t.free = append(t.free, ref)
}

// live is how many records are in use.
func (t *table[R]) live() int { return int(t.length) - len(t.free) }

// preserve keeps the record for a snapshot under way. It must be called before each
// change.
func (t *table[R]) preserve(ref uint32) {
	c := t.capture
	if c == nil || ref > c.length {
		return
	}
	number, bit := int((ref-1)>>chunkBits), (ref-1)&(chunkRecords-1)
	if number < c.next {
		return
	}
	chunk := &c.chunks[number]
	if word := &chunk.taken[bit/64]; *word&(1<<(bit%64)) == 0 {
		*word |= 1 << (bit % 64)
		chunk.saved = t.encode(chunk.saved, t.at(ref))
	}
}

func (t *table[R]) beginCapture() {
	t.capture = &capture{length: t.length, chunks: make([]capturedChunk, (int(t.length)+chunkRecords-1)>>chunkBits)}
}

// captureNext appends the next chunk's records to dst, and says whether there was one.
func (t *table[R]) captureNext(dst []byte) ([]byte, bool) {
	c := t.capture
	if c.next == len(c.chunks) {
		return dst, false
	}
	chunk := &c.chunks[c.next]
	dst = append(dst, chunk.saved...)
	first := uint32(c.next)<<chunkBits + 1
	for i := range min(chunkRecords, c.length-first+1) {
		if chunk.taken[i/64]&(1<<(i%64)) == 0 {
			dst = t.encode(dst, t.at(first+i))
		}
	}
	chunk.saved = nil
	c.next++
	return dst, true
}

func (t *table[R]) endCapture() { t.capture = nil }
