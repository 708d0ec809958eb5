package viewing

import "cmp"

// Position is where a profile is in a title: the event with the greatest
// (At, SessionID, Seq) says so.
type Position struct {
	TitleID    uint32
	SessionID  SessionID
	Seq        uint32
	At         Millis // the device's clock, not beyond the server's by more than MaxAheadMS
	PositionMS int64
	RuntimeMS  int64 // the longest that was told of the title, 0 if none was
}

// Completed says whether a title counts as watched to its end: nine tenths of
// it, because the rest is credits.
func Completed(positionMS, runtimeMS int64) bool {
	return runtimeMS > 0 && positionMS*10 >= runtimeMS*9
}

// newerThan orders positions by (At, SessionID, Seq).
func (p Position) newerThan(other Position) bool {
	order := cmp.Or(cmp.Compare(p.At, other.At), p.SessionID.Compare(other.SessionID), cmp.Compare(p.Seq, other.Seq))
	return order > 0
}
