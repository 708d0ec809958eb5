package viewing

import (
	"crypto/sha256"
	"encoding/binary"
	"math/bits"
)

// digest is the sum of the hashes of a state's records. It is kept up to date with
// every change, so that replicas can be compared at any index; two states that
// differ in a record have the same one by an accident of 1 in 2^64. The hashes are of
// what the records say, not of refs or numbers of texts, which may differ.
type digest uint64

// Digest is equal for equal states, whatever the order in which they came about, on
// every machine. It costs nothing: it is kept up to date.
func (s *State) Digest() [sha256.Size]byte {
	var b [6 * 8]byte
	for i, v := range [...]uint64{
		uint64(s.rules.LeaseMS), uint64(s.rules.DefaultStreams), uint64(s.digest),
		uint64(s.accounts.live()), uint64(s.sessions.live() + s.left.sessions), uint64(s.positions.live()),
	} {
		binary.BigEndian.PutUint64(b[8*i:], v)
	}
	return sha256.Sum256(b[:])
}

// mix is one step of a hash: the multiplication of wyhash.
func mix(hash, value uint64) uint64 {
	high, low := bits.Mul64(hash^0xa0761d6478bd642f, value^0xe7037ed1a0b428db)
	return high ^ low
}

func mixID(hash uint64, id *SessionID) uint64 {
	return mix(mix(hash, binary.BigEndian.Uint64(id[:8])), binary.BigEndian.Uint64(id[8:]))
}

// hashText is FNV-1a.
func hashText[T string | []byte](text T) uint64 {
	hash := uint64(0xcbf29ce484222325)
	for i := range len(text) {
		hash = (hash ^ uint64(text[i])) * 0x100000001b3
	}
	return hash
}

// Each kind of record begins its hash with a number of its own.
const (
	hashOfAccount = 1 + iota
	hashOfSession
	hashOfPosition
	hashOfHide
)

func hashAccount(r *accountRecord) digest {
	return digest(mix(mix(hashOfAccount, r.id), uint64(r.maxStreams)))
}

func (s *State) hashSession(r *sessionRecord) digest {
	hash := mixID(mix(hashOfSession, s.accounts.at(r.account).id), &r.id)
	hash = mix(hash, r.device())
	hash = mix(hash, uint64(r.title)<<32|uint64(r.profile)<<16|uint64(r.lastType)<<8|uint64(r.flags&^inCells))
	for which := range moments {
		hash = mix(hash, uint64(r.moment(which)))
	}
	hash = mix(hash, uint64(r.lastSeq)<<32|uint64(r.events))
	for which := range medias {
		hash = mix(hash, uint64(r.media(which)))
	}
	return digest(s.hashDetails(hash, r))
}

// hashDetails goes on with a session's texts and details, without making any.
func (s *State) hashDetails(hash uint64, r *sessionRecord) uint64 {
	var room [4 * cellBytes]byte
	in := reader{b: s.encodedDetails(room[:], r)}
	for _, number := range [...]uint16{r.kind, r.country} {
		if number == plainText {
			hash = mix(hash, hashText(in.bytes(in.count())))
		} else {
			hash = mix(hash, s.texts.hashes[number])
		}
	}
	for range in.count() {
		hash = mix(s.hashTextIn(hash, &in), in.uint())
	}
	if r.has(hasErrors) {
		for range in.count() {
			hash = mix(mix(hash, in.uint()), in.uint())
			hash = s.hashTextIn(hash, &in)
		}
	}
	if r.has(hasGaps) {
		for range in.count() {
			hash = mix(mix(hash, in.uint()), in.uint())
		}
	}
	return hash
}

func (s *State) hashTextIn(hash uint64, in *reader) uint64 {
	if n := in.uint(); n > 0 {
		return mix(hash, s.texts.hashes[n-1])
	}
	return mix(hash, hashText(in.bytes(in.count())))
}

func (s *State) hashPosition(r *positionRecord) digest {
	p := r.value()
	hash := mixID(mix(hashOfPosition, s.accounts.at(r.account).id), &p.SessionID)
	hash = mix(hash, uint64(p.TitleID)<<8|uint64(r.profile))
	hash = mix(hash, uint64(p.At))
	hash = mix(hash, uint64(p.Seq))
	hash = mix(hash, uint64(p.PositionMS))
	return digest(mix(hash, uint64(p.RuntimeMS)))
}

func (s *State) hashHide(r *hideRecord) digest {
	hash := mix(mix(hashOfHide, s.accounts.at(r.account).id), uint64(r.title)<<8|uint64(r.profile))
	return digest(mix(hash, uint64(r.at)))
}
