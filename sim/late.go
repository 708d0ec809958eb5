package sim

// lateWait was pushed into the window that was open.
type lateWait struct {
	due int64
	wait
}

func (l *lateWait) moment() moment { return moment{l.due, l.rank()} }

func (w *wheel) pushLate(l lateWait) {
	w.late = append(w.late, l)
	when := l.moment()
	at := len(w.late) - 1
	for at > 0 {
		above := (at - 1) / 2
		if !when.before(w.late[above].moment()) {
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
	when := l.moment()
	w.late[end] = w.late[0]
	at := 0
	for {
		below := 2*at + 1
		if below >= end {
			break
		}
		if below+1 < end && w.late[below+1].moment().before(w.late[below].moment()) {
			below++
		}
		if !w.late[below].moment().before(when) {
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
