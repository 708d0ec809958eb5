package viewing

// The records of a state. They hold no pointers: refs lead to other records, texts
// are numbers of the dictionary, and what few sessions have is in cells. A record
// whose account is 0 is free.

type accountRecord struct {
	id         uint64
	maxStreams uint32 // 0: never told
	holders    uint32 // a chain of the sessions with a stream, some perhaps past their lease
	others     uint32 // a chain of the other sessions
	positions  uint32 // a chain
	hides      uint32 // how many titles its profiles have hidden
	sessions   uint32 // how many are in memory
}

// Lengths of media of a session, 40 bits each.
const (
	mediaPosition = iota
	mediaPlayed
	mediaRuntime
	mediaRebuffer
	medias
)

// Flags of a session.
const (
	wasAdmitted uint8 = 1 << iota // it held a stream once
	wasDenied                     // it was refused one once, and what it did was kept all the same
	holdsStream                   // it holds a stream while its lease lasts
	hasGaps                       // its seqs have gaps; their runs are in its details
	hasErrors                     // it has errors, in its details
	inCells                       // its details are in cells
)

// Moments of a session, 48 bits each.
const (
	startedAt = iota // the earliest at of its events
	updatedAt        // the at of its newest event
	firstSeen        // the server's clock when it was first heard of
	lastSeen         // the server's clock when it was last heard from
	moments
)

// inlineBytes is what a record holds of its details itself: the bitrates of a session
// that played two rungs.
const inlineBytes = 12

// sessionRecord is what is known of one playback: 116 bytes.
type sessionRecord struct {
	id         SessionID
	account    uint32
	next       uint32 // of its account's holders, or others
	previous   uint32
	place      uint32 // its title's position
	title      uint32
	deviceLow  uint32
	deviceHigh uint32
	lastSeq    uint32
	events     uint32 // how many different events were heard
	momentLow  [moments]uint32
	mediaLow   [medias]uint32
	momentHigh [moments]uint16
	kind       uint16 // its device's type
	country    uint16
	mediaHigh  [medias]uint8
	inline     [inlineBytes]byte // its details, or the ref of their cells if it has inCells
	profile    uint8
	lastType   EventType // of its newest event
	flags      uint8
}

func (r *sessionRecord) device() uint64 { return uint64(r.deviceHigh)<<32 | uint64(r.deviceLow) }

func (r *sessionRecord) setDevice(id uint64) { r.deviceLow, r.deviceHigh = uint32(id), uint32(id>>32) }

func (r *sessionRecord) media(which int) int64 {
	return int64(r.mediaHigh[which])<<32 | int64(r.mediaLow[which])
}

func (r *sessionRecord) setMedia(which int, ms int64) {
	r.mediaLow[which], r.mediaHigh[which] = uint32(ms), uint8(ms>>32)
}

func (r *sessionRecord) moment(which int) Millis {
	return Millis(r.momentHigh[which])<<32 | Millis(r.momentLow[which])
}

func (r *sessionRecord) setMoment(which int, at Millis) {
	r.momentLow[which], r.momentHigh[which] = uint32(at), uint16(at>>32)
}

func (r *sessionRecord) has(flag uint8) bool { return r.flags&flag != 0 }

func (r *sessionRecord) set(flag uint8, on bool) {
	r.flags &^= flag
	if on {
		r.flags |= flag
	}
}

// firstSeq is the first seq heard of a session without gaps.
func (r *sessionRecord) firstSeq() uint32 { return r.lastSeq + 1 - r.events }

// expiresAt is the moment from which the session holds no stream unless it is
// heard from again.
func (r *sessionRecord) expiresAt(leaseMS int64) Millis { return r.moment(lastSeen) + Millis(leaseMS) }

func (r *sessionRecord) active(now Millis, leaseMS int64) bool {
	return r.has(holdsStream) && now < r.expiresAt(leaseMS)
}

// isOf says whether the event names the same viewer, device and title.
func (r *sessionRecord) isOf(e *Event) bool {
	return r.profile == e.ProfileID && r.device() == e.DeviceID && r.title == e.TitleID
}

// overtakes says whether the session already knows something newer than e, so
// that e cannot tell whether it plays now.
func (r *sessionRecord) overtakes(e *Event) bool {
	if r.events == 0 || e.Seq > r.lastSeq {
		return false
	}
	return e.Seq < r.lastSeq || (r.lastType == Stop && e.Type != Stop)
}

// positionRecord is where a profile is in a title: 52 bytes.
type positionRecord struct {
	session      SessionID
	account      uint32
	next         uint32 // of its account's positions
	title        uint32
	seq          uint32
	atLow        uint32
	positionLow  uint32
	runtimeLow   uint32
	atHigh       uint16
	positionHigh uint8
	runtimeHigh  uint8
	profile      uint8
}

// value is the position, in the shape that readers see.
func (r *positionRecord) value() Position {
	return Position{
		TitleID: r.title, SessionID: r.session, Seq: r.seq,
		At:         Millis(r.atHigh)<<32 | Millis(r.atLow),
		PositionMS: int64(r.positionHigh)<<32 | int64(r.positionLow),
		RuntimeMS:  int64(r.runtimeHigh)<<32 | int64(r.runtimeLow),
	}
}

func (r *positionRecord) setValue(p Position) {
	r.session, r.seq = p.SessionID, p.Seq
	r.atLow, r.atHigh = uint32(p.At), uint16(p.At>>32)
	r.positionLow, r.positionHigh = uint32(p.PositionMS), uint8(p.PositionMS>>32)
	r.runtimeLow, r.runtimeHigh = uint32(p.RuntimeMS), uint8(p.RuntimeMS>>32)
}

// hideRecord is a title that a profile has hidden.
type hideRecord struct {
	at      Millis // when, by the server's clock
	account uint32
	title   uint32
	profile uint8
}
