package token

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestFileThatSaysNothing: what is wrong with a token file is told without its secrets.
func TestFileThatSaysNothing(t *testing.T) {
	const secret = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldC1zZWNyZXQ="
	admin := strings.Repeat("geheim", 8)
	for name, text := range map[string]string{
		"no JSON":         admin,
		"cut short":       `{"admin":["` + admin,
		"unknown field":   `{"admin":["` + admin + `"],"keys":[{"id":"a","secret":"` + secret + `"}],"` + admin + `":1}`,
		"of another type": `{"admin":"` + admin + `","keys":[{"id":"a","secret":"` + secret + `"}]}`,
		"no base64":       `{"admin":["` + admin + `"],"keys":[{"id":"a","secret":"` + admin + `!"}]}`,
		"short secret":    `{"admin":["` + admin + `"],"keys":[{"id":"a","secret":"Z2VoZWlt"}]}`,
		"short admin":     `{"admin":["geheim"],"keys":[{"id":"a","secret":"` + secret + `"}]}`,
		"space in admin":  `{"admin":["` + admin + ` x"],"keys":[{"id":"a","secret":"` + secret + `"}]}`,
		"no admin":        `{"admin":[],"keys":[{"id":"a","secret":"` + secret + `"}]}`,
		"no key":          `{"admin":["` + admin + `"],"keys":[]}`,
		"key twice":       `{"admin":["` + admin + `"],"keys":[{"id":"a","secret":"` + secret + `"},{"id":"a","secret":"` + secret + `"}]}`,
		"no key id":       `{"admin":["` + admin + `"],"keys":[{"secret":"` + secret + `"}]}`,
		"three admins":    `{"admin":["` + admin + `","` + admin + `","` + admin + `"],"keys":[{"id":"a","secret":"` + secret + `"}]}`,
		"two objects":     `{"admin":["` + admin + `"],"keys":[{"id":"a","secret":"` + secret + `"}]} {}`,
		"too long":        strings.Repeat(" ", maxFileBytes+1),
	} {
		path := filepath.Join(t.TempDir(), "tokens.json")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Read(path); err == nil || strings.Contains(err.Error(), "geheim") || strings.Contains(err.Error(), secret) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestFileOfOthers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tokens.json")
	f := NewFile()
	if err := f.Create(path); err != nil {
		t.Fatal(err)
	}
	if err := f.Create(path); !errors.Is(err, os.ErrExist) {
		t.Errorf("made over another: %v", err)
	}
	for _, mode := range []os.FileMode{0o640, 0o604, 0o620, 0o666} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := Read(path); err == nil || !strings.Contains(err.Error(), "chmod 600") {
			t.Errorf("mode %o: %v", mode, err)
		}
	}
	if err := errors.Join(os.Chmod(path, 0o600), f.Replace(path)); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("replaced: %v, %v", info.Mode(), err)
	}
	if _, err := Read(filepath.Dir(path)); err == nil {
		t.Error("a directory is read")
	}
}

func TestDeviceToken(t *testing.T) {
	f := NewFile()
	judge, err := newTokens(f)
	if err != nil {
		t.Fatal(err)
	}
	for _, account := range []uint64{1, 42, maxAccountID} {
		issued, err := f.Device(account, time.Now(), time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := judge.Client(issued); got != (Client{Account: account}) || err != nil || judge.IsAdmin(issued) {
			t.Errorf("%d: %+v, %v", account, got, err)
		}
	}
	if _, err := judge.Client(f.Admin[0]); !errors.Is(err, ErrUnknown) || !judge.IsAdmin(f.Admin[0]) || judge.IsAdmin("") {
		t.Errorf("an admin's token: %v", err)
	}
	for _, account := range []uint64{0, maxAccountID + 1} {
		if _, err := f.Device(account, time.Now(), time.Minute); err == nil {
			t.Errorf("issued for account %d", account)
		}
	}
	if _, err := f.Device(1, time.Now(), 0); err == nil {
		t.Error("issued for no time")
	}
}

func TestAggregatorToken(t *testing.T) {
	f := NewFile()
	judge, err := newTokens(f)
	if err != nil {
		t.Fatal(err)
	}
	issued, err := f.Aggregator(time.Now(), time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := judge.Client(issued); got != (Client{Aggregator: true}) || err != nil || judge.IsAdmin(issued) {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := f.Aggregator(time.Now(), 0); err == nil {
		t.Error("issued for no time")
	}
}

// TestSigner: each token of a signer stands for itself, behind whatever stood there, takes
// no memory, and is over when it says so; the id of a key may be any text.
func TestSigner(t *testing.T) {
	f := NewFile()
	f.Keys[0].ID = `a "key" of ünïcode`
	judge, err := newTokens(f)
	if err != nil {
		t.Fatal(err)
	}
	s, err := f.Signer()
	if err != nil {
		t.Fatal(err)
	}
	memory, now := make([]byte, 0, 2*MaxBytes), time.Now()
	for account := uint64(1); account <= 100; account++ {
		issued, found := strings.CutPrefix(string(s.AppendDevice(append(memory, "before "...), account, now.Add(time.Minute))), "before ")
		if got, err := judge.Client(issued); !found || got != (Client{Account: account}) || err != nil {
			t.Fatalf("%d: %+v, %v", account, got, err)
		}
		issued = string(s.AppendAggregator(memory, now.Add(time.Minute)))
		if got, err := judge.Client(issued); got != (Client{Aggregator: true}) || err != nil {
			t.Fatalf("aggregator: %+v, %v", got, err)
		}
	}
	if _, err := judge.Client(string(s.AppendDevice(nil, 42, now.Add(-time.Minute)))); !errors.Is(err, ErrUnknown) {
		t.Errorf("a token that has expired: %v", err)
	}
	if n := testing.AllocsPerRun(1000, func() {
		s.AppendDevice(memory, 42, now)
		s.AppendAggregator(memory, now)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	f.Keys = nil
	if _, err := f.Signer(); err == nil {
		t.Error("signs without a key")
	}
}

func BenchmarkSigner(b *testing.B) {
	s, err := NewFile().Signer()
	if err != nil {
		b.Fatal(err)
	}
	memory, now := make([]byte, 0, MaxBytes), time.Now()
	b.ReportAllocs()
	for b.Loop() {
		s.AppendDevice(memory, 42, now)
	}
}

func BenchmarkClient(b *testing.B) {
	f := NewFile()
	judge, err := newTokens(f)
	if err != nil {
		b.Fatal(err)
	}
	issued, err := f.Device(42, time.Now(), time.Hour)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := judge.Client(issued); err != nil {
			b.Fatal(err)
		}
	}
}
