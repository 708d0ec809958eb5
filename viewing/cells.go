package viewing

// cellBytes is what a cell holds: the bitrates of a session that played two rungs.
const cellBytes = 20

// cells holds byte strings of any length in chains of small cells, without pointers.
// A string's end is not kept: it is padded with zeros, and has to tell its end itself.
type cells struct {
	chunks [][]cell
	length uint32
	free   uint32 // the first of a chain of free cells
}

type cell struct {
	next  uint32
	bytes [cellBytes]byte
}

func (c *cells) at(ref uint32) *cell {
	return &c.chunks[(ref-1)>>chunkBits][(ref-1)&(chunkRecords-1)]
}

// write puts b where the chain at ref was, 0 for a new one, and returns its ref: 0 if
// b is empty.
func (c *cells) write(ref uint32, b []byte) uint32 {
	if len(b) == 0 {
		c.release(ref)
		return 0
	}
	first := ref
	if first == 0 {
		first = c.add()
	}
	for at := c.at(first); ; at = c.at(at.next) {
		n := copy(at.bytes[:], b)
		clear(at.bytes[n:])
		if b = b[n:]; len(b) == 0 {
			c.release(at.next)
			at.next = 0
			return first
		}
		if at.next == 0 {
			at.next = c.add()
		}
	}
}

func (c *cells) add() uint32 {
	if ref := c.free; ref != 0 {
		at := c.at(ref)
		c.free, at.next = at.next, 0
		return ref
	}
	if int(c.length>>chunkBits) == len(c.chunks) {
		c.chunks = append(c.chunks, make([]cell, chunkRecords))
	}
	c.length++
	return c.length
}

// release frees the chain that begins at ref.
func (c *cells) release(ref uint32) {
	for ref != 0 {
		at := c.at(ref)
		next := at.next
		c.free, at.next = ref, c.free
		ref = next
	}
}

// appendTo appends the chain's bytes, its padding included.
func (c *cells) appendTo(dst []byte, ref uint32) []byte {
	for ref != 0 {
		at := c.at(ref)
		dst = append(dst, at.bytes[:]...)
		ref = at.next
	}
	return dst
}
