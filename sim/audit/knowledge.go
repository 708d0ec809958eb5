package audit

import (
	"cmp"
	"slices"

	"github.com/playhead-load/playhead/viewing"
)

// playback is a session as its device knows it, its entries by seq.
type playback struct {
	id      viewing.SessionID
	account uint64
	device  uint64
	title   uint32
	profile uint8
	entries []Entry
}

// household is an account as its devices know it.
type household struct {
	id        uint64
	limit     int
	playbacks []*playback
}

// knowledge sorts a log by accounts and sessions. defaultStreams is the limit of
// an account whose own was never set.
func (l *Log) knowledge(defaultStreams int) []*household {
	l.mu.Lock()
	entries := slices.Clone(l.entries)
	l.mu.Unlock()
	slices.SortFunc(entries, func(a, b Entry) int {
		return cmp.Or(cmp.Compare(a.Account, b.Account), a.Session.Compare(b.Session), cmp.Compare(a.Seq, b.Seq))
	})
	var households []*household
	var home *household
	var play *playback
	for i := range entries {
		e := &entries[i]
		if home == nil || home.id != e.Account {
			home, play = &household{id: e.Account, limit: defaultStreams}, nil
			if limit, ok := l.limits[e.Account]; ok {
				home.limit = limit
			}
			households = append(households, home)
		}
		if play == nil || play.id != e.Session {
			play = &playback{id: e.Session, account: e.Account, device: e.Device, title: e.Title, profile: e.Profile}
			home.playbacks = append(home.playbacks, play)
		}
		play.entries = append(play.entries, *e)
	}
	return households
}

// counts says how many of the session's events must and how many may be there.
func (p *playback) counts() (must, may int) {
	for i := range p.entries {
		switch {
		case p.entries[i].there():
			must++
		case p.entries[i].maybeThere():
			may++
		}
	}
	return must, may
}

// bySeq finds the entry that told seq.
func (p *playback) bySeq(seq uint32) *Entry {
	for i := range p.entries {
		if p.entries[i].Seq == seq {
			return &p.entries[i]
		}
	}
	return nil
}

// newest is the entry with the greatest seq that must be there, nil if none must.
func (p *playback) newest() *Entry {
	for i := len(p.entries) - 1; i >= 0; i-- {
		if p.entries[i].there() {
			return &p.entries[i]
		}
	}
	return nil
}
