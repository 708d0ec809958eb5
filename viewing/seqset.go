package viewing

// maxSpans bounds how many runs of seqs a session remembers: how many gaps a device
// may leave before what it says is refused until it fills some.
const maxSpans = 256

// seqSet is the set of a session's seqs that were heard: sorted runs with gaps
// between them, one run for a device that loses nothing.
type seqSet []span

type span struct{ First, Last uint32 }

// add puts seq into the set, which must have room for it, and says whether it was new.
func (s *seqSet) add(seq uint32) bool {
	runs := *s
	at := len(runs) // the first run that begins after seq
	for at > 0 && runs[at-1].First > seq {
		at--
	}
	if at > 0 && seq <= runs[at-1].Last {
		return false
	}
	joinsBefore := at > 0 && runs[at-1].Last+1 == seq
	joinsAfter := at < len(runs) && seq+1 == runs[at].First
	switch {
	case joinsBefore && joinsAfter:
		runs[at-1].Last = runs[at].Last
		runs = append(runs[:at], runs[at+1:]...)
	case joinsBefore:
		runs[at-1].Last = seq
	case joinsAfter:
		runs[at].First = seq
	default:
		runs = append(runs, span{})
		copy(runs[at+1:], runs[at:])
		runs[at] = span{seq, seq}
	}
	*s = runs
	return true
}

// hasRoom says whether seq can be added: it is known, beside a run, or there may be
// one run more.
func (s *seqSet) hasRoom(seq uint32) bool {
	if len(*s) < maxSpans {
		return true
	}
	for _, run := range *s {
		if seq+1 >= run.First && seq <= run.Last+1 {
			return true
		}
	}
	return false
}
