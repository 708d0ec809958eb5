package sim

import "cmp"

// lateWait was pushed into the window that was open.
type lateWait struct {
	due int64
	wait
}

func compareLate(a, b lateWait) int {
	return cmp.Or(cmp.Compare(a.due, b.due), compareRanks(a.wait, b.wait))
}

func (w *wheel) pushLate(l lateWait) {
	w.late = append(w.late, l)
	at := len(w.late) - 1
	for at > 0 {
		above := (at - 1) / 2
		if compareLate(w.late[above], l) <= 0 {
			break
		}
		w.late[at] = w.late[above]
		at = above
	}
	w.late[at] = l
}

// popLate takes the first of the heap, which it leaves behind the heap's end.
func (w *wheel) popLate() *wait {
	end := len(w.late) - 1
	l := w.late[end]
	w.late[end] = w.late[0]
	at := 0
	for {
		below := 2*at + 1
		if below >= end {
			break
		}
		if below+1 < end && compareLate(w.late[below+1], w.late[below]) < 0 {
			below++
		}
		if compareLate(l, w.late[below]) <= 0 {
			break
		}
		w.late[at] = w.late[below]
		at = below
	}
	if end > 0 {
		w.late[at] = l
	}
	taken := &w.late[end]
	w.late = w.late[:end]
	return &taken.wait
}
