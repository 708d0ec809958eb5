package viewing

// Cold keeps the sessions that have left a state's memory. Together with those in
// memory they are all that were ever heard of: a session is here or there, and what a
// state answers does not depend on where.
//
// A state calls Put and Remove while it is changed, and so never while it is read;
// Session and History at any time, any number at once. An error means that the disk
// failed: what the state would answer without it would be wrong.
type Cold interface {
	// Session returns the encoding of a session, the caller's to keep; nil where there
	// is none.
	Session(accountID uint64, id SessionID) (encoded []byte, err error)
	// History yields a profile's sessions, the newest beginning first (Cursor's order),
	// from after the cursor on (nil: from the newest), until yield returns false. What
	// it yields is the store's, and valid until yield returns.
	History(accountID uint64, profileID uint8, after *Cursor, yield func(key ColdKey, encoded []byte) bool) error
	// Put keeps sessions, all of them or none.
	Put(sessions []ColdSession) error
	// Remove forgets a session that came back to memory.
	Remove(key ColdKey) error
}

// ColdKey names a session by what it is looked up with: its id, and its place in its
// profile's history.
type ColdKey struct {
	AccountID uint64
	ProfileID uint8
	Cursor
}

// ColdSession is a session that leaves memory.
type ColdSession struct {
	ColdKey
	Encoded []byte // opaque to the store
}
