// Package token says who a bearer of a token is: an admin, or the devices of one
// account until a time.
//
// An admin's token is random text that the token file holds. A device's is a JWT
// (RFC 7519) signed with HMAC-SHA256 by a key of that file: `kid` in its header names
// the key, `sub` is the account in decimal digits, `exp` the end of its life. Whoever
// holds a key may issue them, with any library.
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

// Account is the account that the bearer's devices belong to, or ErrUnknown.
func (t *Tokens) Account(token string) (uint64, error) {
	if len(token) > MaxBytes {
		return 0, ErrUnknown
	}
	var claims jwt.RegisteredClaims
	if _, err := t.parser.ParseWithClaims(token, &claims, t.key); err != nil {
		return 0, ErrUnknown // the library's reason is nobody's business
	}
	account, err := strconv.ParseUint(claims.Subject, 10, 64)
	if err != nil || account < 1 || account > maxAccountID {
		return 0, ErrUnknown
	}
	return account, nil
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
	if life < time.Second {
		return "", fmt.Errorf("life of a token: expected a second or more, got %v", life)
	}
	if err := f.check(); err != nil {
		return "", err
	}
	signing := f.Keys[0]
	unsigned := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.RegisteredClaims{
		Subject: strconv.FormatUint(account, 10), IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(now.Add(life)),
	})
	unsigned.Header["kid"] = signing.ID
	return unsigned.SignedString(signing.Secret)
}
