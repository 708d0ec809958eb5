package token

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

const (
	maxFileBytes  = 64 << 10
	secretBytes   = 32
	minAdminBytes = 32 // of the text of an admin's token
	mostAtOnce    = 2  // keys, and admin tokens: the newer and, while it is being replaced, the older
)

// File is what a token file holds, as JSON. It is for one goroutine.
type File struct {
	Admin []string `json:"admin"` // one or two
	Keys  []Key    `json:"keys"`  // one or two; the first signs, each verifies
}

// Key signs the tokens of devices.
type Key struct {
	ID     string `json:"id"`
	Secret []byte `json:"secret"` // 32 bytes or more, in base64
}

// NewFile makes one with an admin token and a key, both random.
func NewFile() *File { return &File{Admin: []string{newAdmin()}, Keys: []Key{newKey()}} }

func newAdmin() string {
	return "playhead-admin-" + base64.RawURLEncoding.EncodeToString(random(secretBytes))
}

func newKey() Key { return Key{ID: hex.EncodeToString(random(4)), Secret: random(secretBytes)} }

func random(bytes int) []byte {
	b := make([]byte, bytes)
	_, _ = rand.Read(b) // never fails
	return b
}

// RotateKeys lets a new key sign. The one that did so far still verifies; the one
// before is gone, and the tokens that it signed with it.
func (f *File) RotateKeys() { f.Keys = append([]Key{newKey()}, f.Keys[:1]...) }

// RotateAdmin makes a new admin token. The newest so far still opens; the one before
// does not any more.
func (f *File) RotateAdmin() { f.Admin = append([]string{newAdmin()}, f.Admin[:1]...) }

// check never tells a secret: what it returns goes to logs.
func (f *File) check() error {
	if len(f.Admin) < 1 || len(f.Admin) > mostAtOnce {
		return fmt.Errorf("admin: expected one or %d tokens, got %d", mostAtOnce, len(f.Admin))
	}
	for i, admin := range f.Admin {
		if len(admin) < minAdminBytes || len(admin) > MaxBytes {
			return fmt.Errorf("admin: token %d: expected %d to %d bytes", i+1, minAdminBytes, MaxBytes)
		}
		for _, b := range []byte(admin) {
			if b <= ' ' || b > '~' {
				return fmt.Errorf("admin: token %d: expected printable ASCII without spaces", i+1)
			}
		}
	}
	if len(f.Keys) < 1 || len(f.Keys) > mostAtOnce {
		return fmt.Errorf("keys: expected one or %d, got %d", mostAtOnce, len(f.Keys))
	}
	for i, k := range f.Keys {
		if k.ID == "" || i > 0 && k.ID == f.Keys[0].ID {
			return fmt.Errorf("keys: key %d: expected an id of its own", i+1)
		}
		if len(k.Secret) < secretBytes {
			return fmt.Errorf("keys: key %q: expected a secret of %d bytes or more, got %d", k.ID, secretBytes, len(k.Secret))
		}
	}
	return nil
}

// Read reads a token file, as ReadFile does, to judge by it.
func Read(path string) (*Tokens, error) {
	f, err := ReadFile(path)
	if err != nil {
		return nil, err
	}
	return newTokens(f)
}

// ReadFile reads a token file. It refuses one that others than its owner may read.
func ReadFile(path string) (*File, error) {
	text, err := ReadSecret(path)
	if err != nil {
		return nil, fmt.Errorf("token file: %w", err)
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	var f File
	if err := decoder.Decode(&f); err != nil {
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			return nil, fmt.Errorf("token file %s: expected JSON, at byte %d", path, syntax.Offset)
		}
		return nil, fmt.Errorf("token file %s: expected {\"admin\":[…],\"keys\":[{\"id\":…,\"secret\":…}]}, secrets in base64", path)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("token file %s: expected one JSON object and nothing after it", path)
	}
	if err := f.check(); err != nil {
		return nil, fmt.Errorf("token file %s: %w", path, err)
	}
	return &f, nil
}

// ReadSecret reads a file of at most 64 KiB that only its owner may read.
func ReadSecret(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: expected a file", path)
	}
	if others := info.Mode().Perm() & 0o077; others != 0 {
		return nil, fmt.Errorf("%s: others than its owner may use it (mode %04o): chmod 600 it", path, info.Mode().Perm())
	}
	text, err := io.ReadAll(io.LimitReader(file, maxFileBytes+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxFileBytes {
		return nil, fmt.Errorf("%s: expected at most %d bytes", path, maxFileBytes)
	}
	return text, nil
}

// Create writes a new token file, which only its owner may read. It refuses to
// overwrite.
func (f *File) Create(path string) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	return f.write(file)
}

// Replace writes the token file anew, all or nothing.
func (f *File) Replace(path string) error {
	file, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*") // mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(file.Name()) }() // gone already if all went well
	if err := f.write(file); err != nil {
		return err
	}
	return os.Rename(file.Name(), path)
}

func (f *File) write(to *os.File) error {
	text, err := json.MarshalIndent(f, "", "  ")
	if err == nil {
		_, err = to.Write(append(text, '\n'))
	}
	if err == nil {
		err = to.Sync()
	}
	return errors.Join(err, to.Close())
}
