// Package token says who a bearer of a token is: an admin, the devices of one account
// until a time, or an aggregator, which tells events of every account, until a time.
//
// An admin's token is random text that the token file holds. The others are JWTs
// (RFC 7519) signed with HMAC-SHA256 by a key of that file: `kid` in the header names
// the key, `sub` is the account in decimal digits, or `aggregator`, `exp` the end of its
// life. Whoever holds a key may issue them, with any library.
package token

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// MaxBytes is the longest token that is looked at.
const MaxBytes = 1024

// maxAccountID is 2^53-1, as everywhere.
const maxAccountID = 1<<53 - 1

// ErrUnknown is all that a bearer is told of a token that is forged, expired, or of
// a key that is gone.
var ErrUnknown = errors.New("the token is unknown or has expired")

// Tokens judges tokens by a token file. Its methods may be called at the same time.
type Tokens struct {
	admins [][sha256.Size]byte
	keys   map[string][]byte // by id
	parser *jwt.Parser
}

func newTokens(f *File) (*Tokens, error) {
	if err := f.check(); err != nil {
		return nil, err
	}
	t := &Tokens{keys: map[string][]byte{}, parser: jwt.NewParser(
		jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}), jwt.WithExpirationRequired(), jwt.WithStrictDecoding(),
	)}
	for _, admin := range f.Admin {
		t.admins = append(t.admins, sha256.Sum256([]byte(admin)))
	}
	for _, k := range f.Keys {
		t.keys[k.ID] = k.Secret
	}
	return t, nil
}

// IsAdmin reports whether the bearer is an admin. How long it takes says nothing of
// how much of the token is right.
func (t *Tokens) IsAdmin(token string) bool {
	if len(token) > MaxBytes {
		return false
	}
	given, found := sha256.Sum256([]byte(token)), 0
	for i := range t.admins {
		found |= subtle.ConstantTimeCompare(given[:], t.admins[i][:])
	}
	return found == 1
}

// Client is who bears a token that is no admin's: the devices of an account, or an
// aggregator, which has none.
type Client struct {
	Account    uint64 // 1 … 2^53-1; 0 of an aggregator
	Aggregator bool
}

// Client is the bearer, or ErrUnknown.
func (t *Tokens) Client(token string) (Client, error) {
	if len(token) > MaxBytes {
		return Client{}, ErrUnknown
	}
	var claims jwt.RegisteredClaims
	if _, err := t.parser.ParseWithClaims(token, &claims, t.key); err != nil {
		return Client{}, ErrUnknown // the library's reason is nobody's business
	}
	if claims.Subject == aggregatorSubject {
		return Client{Aggregator: true}, nil
	}
	account, err := strconv.ParseUint(claims.Subject, 10, 64)
	if err != nil || account < 1 || account > maxAccountID {
		return Client{}, ErrUnknown
	}
	return Client{Account: account}, nil
}

func (t *Tokens) key(parsed *jwt.Token) (any, error) {
	id, _ := parsed.Header["kid"].(string)
	secret, ok := t.keys[id]
	if !ok {
		return nil, ErrUnknown
	}
	return secret, nil
}

// Device issues a token for the devices of an account, signed with the first key.
func (f *File) Device(account uint64, now time.Time, life time.Duration) (string, error) {
	if account < 1 || account > maxAccountID {
		return "", fmt.Errorf("account: expected an integer from 1 to %d", uint64(maxAccountID))
	}
	signer, err := f.signerFor(life)
	if err != nil {
		return "", err
	}
	return string(signer.AppendDevice(nil, account, now.Add(life))), nil
}

// Aggregator issues a token for who tells events of every account, signed with the first
// key.
func (f *File) Aggregator(now time.Time, life time.Duration) (string, error) {
	signer, err := f.signerFor(life)
	if err != nil {
		return "", err
	}
	return string(signer.AppendAggregator(nil, now.Add(life))), nil
}

func (f *File) signerFor(life time.Duration) (*Signer, error) {
	if life < time.Second {
		return nil, fmt.Errorf("life of a token: expected a second or more, got %v", life)
	}
	return f.Signer()
}
