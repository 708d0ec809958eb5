package sim

import "slices"

// sort empties a bucket into the open window: a counting sort by due, and then by rank
// what is due in the same millisecond.
func (w *wheel) sort(bucket *uint32, now uint32) {
	w.taken, w.open = 0, w.open[:0]
	if *bucket == 0 {
		return
	}
	clear(w.counts)
	for place := *bucket; place != 0; {
		chunk, count := w.chunk(place)
		for i := range chunk[1:count] {
			w.counts[chunk[1+i].due-now]++
		}
		place = chunk[0].due
	}
	total := uint32(0)
	for i, count := range w.counts {
		w.counts[i] = total
		total += count
	}
	w.open = slices.Grow(w.open, int(total))[:total]
	for *bucket != 0 {
		chunk, count := w.chunk(*bucket)
		for i := range chunk[1:count] {
			each := &chunk[1+i]
			to := &w.counts[each.due-now]
			w.open[*to] = *each
			*to++
		}
		w.release(bucket, chunk)
	}
	w.sortTies()
}

func (w *wheel) sortTies() {
	for begin := 0; begin < len(w.open); {
		end := begin + 1
		for end < len(w.open) && w.open[end].due == w.open[begin].due {
			end++
		}
		if end-begin > manyTies {
			slices.SortFunc(w.open[begin:end], compareRanks)
		} else {
			insertTies(w.open[begin:end])
		}
		begin = end
	}
}

const manyTies = 32

func insertTies(ties []wait) {
	for i := 1; i < len(ties); i++ {
		each := ties[i]
		rank := each.rank()
		at := i
		for ; at > 0 && ties[at-1].rank() > rank; at-- {
			ties[at] = ties[at-1]
		}
		ties[at] = each
	}
}
