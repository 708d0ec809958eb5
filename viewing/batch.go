package viewing

// batchEvents is how many events are looked up before the first of them is taken: the
// memory that they need is on its way from all over the state meanwhile.
const batchEvents = 32

// ObserveAll is Observe for events that arrived together, in order. It appends their
// outcomes to dst.
func (s *State) ObserveAll(now Millis, events []Event, dst []Outcome) []Outcome {
	for len(events) > 0 {
		n := min(batchEvents, len(events))
		s.touch(events[:n])
		for i := range events[:n] {
			dst = append(dst, s.Observe(now, &events[i]))
		}
		events = events[n:]
	}
	return dst
}

// touch reads a word of each record that the events will need. Its loops do one thing
// each, so that the processor waits for all their reads at once and not for one after
// another. What it finds by a tag alone may be another session's: that costs time only.
func (s *State) touch(events []Event) {
	var probes [batchEvents]probe
	var refs [batchEvents]uint32
	sum := uint32(0)
	for i := range events {
		e := &events[i]
		probes[i] = s.sessionIndex.probe(s.sessionHash(e.AccountID, &e.SessionID))
		if p := &probes[i]; len(p.slots) > 0 {
			sum += uint32(p.slots[p.at])
		}
	}
	for i := range events {
		if probes[i].next() {
			refs[i] = probes[i].ref
			r := s.sessions.at(refs[i])
			sum += r.place + uint32(r.flags) // its two cache lines
		}
	}
	for i := range events {
		if refs[i] == 0 {
			continue
		}
		r := s.sessions.at(refs[i])
		sum += s.accounts.at(r.account).holders
		if r.place != 0 {
			sum += s.positions.at(r.place).seq
		}
	}
	s.touched = sum // or the compiler would leave the reads out
}
