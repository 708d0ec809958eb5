package audit

import "github.com/playhead-load/playhead/viewing"

// A keepalive is folded into the next one of its session when nothing can be judged by
// it that cannot be judged by the two events around it. Those say all if
//
//   - the three were accepted at the first try, in the order of their seqs, each sent
//     after the one before was answered, and each answered while the one before held
//     the stream beyond doubt: what the session held is one interval, whatever the
//     middle one said, and no other order of the account's starts and stops explains
//     more or less;
//   - no other session of the device was heard of meanwhile, and no event of the
//     account may still take effect late: nothing else ends that interval. So it does
//     not settle what the account had given up, either;
//   - it is no earlier than the one before, no later than the one after, and tells the
//     same runtime: the session's beginning, newest position and runtime are theirs;
//   - it was sent after the newest question of the account that is judged was answered:
//     that question's answer cannot be its position.
//
// How many were folded is counted, since each must be there. A question that is
// answered later but was sent before can be one that a folded keepalive would have
// decided: it is then counted as not judged.

// fold folds the session's newest note into e, if it may.
func (l *Log) fold(h *home, p *play, e *Entry) bool {
	if l.leaseUS == 0 || p.notes == 0 {
		return false
	}
	last := l.notes.at(p.notes)
	if last.kind != viewing.Keepalive || !last.is(noteFollows) || last.errorCode > 0 ||
		last.firstSentUS <= h.readUS || !l.follows(h, p, last, e) {
		return false
	}
	folded := *last
	*last = note{before: folded.before, folded: folded.folded + 1, flags: noteFollows}
	if !last.pack(e, 0) {
		*last = folded
		return false
	}
	return true
}

// follows says whether e is a keepalive that goes on with what the session's newest
// note surely holds.
func (l *Log) follows(h *home, p *play, last *note, e *Entry) bool {
	return e.Type == viewing.Keepalive && e.Fate == Accepted && !e.retried() && !e.Offline && !e.Resumed && e.ErrorCode == "" &&
		last.holds() && last.seq+1 == e.Seq && last.doneUS() < e.FirstSentUS &&
		e.DoneUS <= last.firstSentUS+l.leaseUS-guardUS(l.leaseUS) &&
		last.atMS <= e.AtMS && int64(last.runtimeMS) == e.RuntimeMS &&
		h.unsettledUS == 0 && (h.looseUS == 0 || p.sinceUS > h.looseUS+l.lateUS) && l.alone(h, p)
}

// holds says whether the note's session surely got a stream by it.
func (n *note) holds() bool {
	return n.fate() == Accepted && n.kind != viewing.Stop && n.lastAddUS == 0 && !n.is(noteOffline|noteWide)
}

// alone says whether no other session of the device was heard of since p surely holds
// a stream. Sessions stand in the order in which they were heard of.
func (l *Log) alone(h *home, p *play) bool {
	n := h.plays
	for range playsLooked {
		if n == 0 {
			return true
		}
		other := l.plays.at(n)
		if other != p {
			if other.lastUS < p.sinceUS {
				return true
			}
			if other.device == p.device {
				return false
			}
		}
		n = other.next
	}
	return false
}
