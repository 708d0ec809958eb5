package viewing

// maxSpans bounds how many runs of seqs a session remembers. A device that
// leaves more gaps than this has the two oldest runs taken as one.
const maxSpans = 64

// seqSet is the set of a session's seqs that were heard: sorted runs with gaps
// between them, one run for a device that loses nothing.
type seqSet []span

type span struct{ First, Last uint32 }

// add puts seq into the set and says whether it was new.
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
	if len(runs) > maxSpans {
		runs[1].First = runs[0].First
		runs = append(runs[:0], runs[1:]...)
	}
	*s = runs
	return true
}
