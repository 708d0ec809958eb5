package token

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"hash"
	"strconv"
	"time"
)

// aggregatorSubject stands in a token for no account: its bearer tells of all.
const aggregatorSubject = "aggregator"

// Signer signs tokens with a key of a token file, for who needs one with every request.
// It is for one goroutine, and takes no memory for each.
type Signer struct {
	header  []byte // with the dot behind it
	mac     hash.Hash
	claims  []byte
	encoded []byte
}

// Signer signs with the first key of the file.
func (f *File) Signer() (*Signer, error) {
	if err := f.check(); err != nil {
		return nil, err
	}
	header, err := json.Marshal(struct {
		Algorithm string `json:"alg"`
		Type      string `json:"typ"`
		Key       string `json:"kid"`
	}{"HS256", "JWT", f.Keys[0].ID})
	if err != nil {
		return nil, err
	}
	return &Signer{
		header: append(base64.RawURLEncoding.AppendEncode(nil, header), '.'),
		mac:    hmac.New(sha256.New, f.Keys[0].Secret),
	}, nil
}

// AppendDevice appends a token for the devices of an account, 1 … 2^53-1, to dst.
func (s *Signer) AppendDevice(dst []byte, account uint64, expires time.Time) []byte {
	s.claims = append(strconv.AppendUint(append(s.claims[:0], `{"sub":"`...), account, 10), '"')
	return s.append(dst, expires)
}

// AppendAggregator appends a token to dst whose bearer may tell events of every account,
// and nothing else.
func (s *Signer) AppendAggregator(dst []byte, expires time.Time) []byte {
	s.claims = append(s.claims[:0], `{"sub":"`+aggregatorSubject+`"`...)
	return s.append(dst, expires)
}

// append ends the claims and signs them (RFC 7515, section 5.1).
func (s *Signer) append(dst []byte, expires time.Time) []byte {
	s.claims = append(strconv.AppendInt(append(s.claims, `,"exp":`...), expires.Unix(), 10), '}')
	begin := len(dst)
	dst = base64.RawURLEncoding.AppendEncode(append(dst, s.header...), s.claims)
	s.mac.Reset()
	_, _ = s.mac.Write(dst[begin:]) // never fails
	s.encoded = s.mac.Sum(s.encoded[:0])
	return base64.RawURLEncoding.AppendEncode(append(dst, '.'), s.encoded)
}
