package raft

import (
	"bytes"
	"encoding/hex"
	"errors"
	"testing"
)

func sealed(stampMS int64, commands ...string) []byte {
	buf := appendEntryHeader(nil)
	for _, c := range commands {
		buf = appendCommand(buf, []byte(c))
	}
	return sealEntry(buf, stampMS, len(commands))
}

// The bytes on disk and on the wire: a change here needs a new version.
func TestEntryGolden(t *testing.T) {
	for _, test := range []struct{ name, got, want string }{
		{"mark", hex.EncodeToString(sealed(0)), "01" + "0000000000000000" + "00000000" + "8c899d81"},
		{"two", hex.EncodeToString(sealed(1_700_000_000_123, "ab", "")), "01" + "0000018bcfe5687b" + "00000002" + "026162" + "00" + "2173ab24"},
	} {
		if test.got != test.want {
			t.Errorf("%s: %s, want %s", test.name, test.got, test.want)
		}
	}
}

func TestEntryRefusesDamage(t *testing.T) {
	whole := sealed(42, "first", "second", string(make([]byte, 300)))
	for i := range whole {
		for bit := range 8 {
			damaged := bytes.Clone(whole)
			damaged[i] ^= 1 << bit
			if _, err := decodeEntry(damaged); !errors.Is(err, errDamagedEntry) {
				t.Fatalf("bit %d of byte %d flipped: %v", bit, i, err)
			}
		}
		if _, err := decodeEntry(whole[:i]); !errors.Is(err, errDamagedEntry) {
			t.Fatalf("cut to %d bytes: %v", i, err)
		}
	}
}

func TestEntryRefusesWrongCount(t *testing.T) {
	for _, count := range []int{0, 1, 3, 1 << 30} {
		buf := appendCommand(appendCommand(appendEntryHeader(nil), []byte("a")), []byte("b"))
		if _, err := decodeEntry(sealEntry(buf, 1, count)); !errors.Is(err, errDamagedEntry) {
			t.Errorf("two commands counted as %d: %v", count, err)
		}
	}
}

func TestMarkGolden(t *testing.T) {
	id := clusterID{0: 0xab, 15: 0xcd}
	got := sealMark(1, id, false)
	const want = "01" + "0000000000000001" + "00000000" + "ab0000000000000000000000000000cd" + "caea55b5"
	if hex.EncodeToString(got) != want {
		t.Errorf("%x, want %s", got, want)
	}
	if e, err := decodeEntry(got); err != nil || e.count != 0 || e.cluster != id {
		t.Errorf("decoded %+v, %v", e, err)
	}
}

func FuzzDecodeEntry(f *testing.F) {
	f.Add(sealed(0))
	f.Add(sealed(1_700_000_000_123, "ab", ""))
	f.Add(sealed(-1, string(make([]byte, 200))))
	f.Add([]byte{entryVersion, 0, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		// The body as a fuzzer wrote it, under a right checksum and any count.
		if len(data) >= entryHeaderBytes {
			count := int(data[9])
			checkRoundTrip(t, sealEntry(bytes.Clone(data), int64(len(data)), count))
		}
		checkRoundTrip(t, data)
	})
}

func checkRoundTrip(t *testing.T, data []byte) {
	e, err := decodeEntry(data)
	if err != nil {
		return
	}
	if e.count == 0 {
		return
	}
	buf := appendEntryHeader(nil)
	count := e.count
	stampMS := e.stampMS
	minimal := true
	for range count {
		before := len(e.body)
		command := e.next()
		start := len(buf)
		buf = appendCommand(buf, command)
		minimal = minimal && len(buf)-start == before-len(e.body) // a varint may be padded
	}
	if again := sealEntry(buf, stampMS, count); minimal && !bytes.Equal(again, data) {
		t.Errorf("decoded and encoded again: %x, was %x", again, data)
	}
}

func BenchmarkEntryEncode(b *testing.B) {
	command := make([]byte, 200)
	buf := make([]byte, 0, 256<<10)
	b.SetBytes(1024 * 200)
	b.ReportAllocs()
	for b.Loop() {
		buf = appendEntryHeader(buf[:0])
		for range 1024 {
			buf = appendCommand(buf, command)
		}
		sealEntry(buf, 1, 1024)
	}
}

func BenchmarkEntryDecode(b *testing.B) {
	buf := appendEntryHeader(nil)
	for range 1024 {
		buf = appendCommand(buf, make([]byte, 200))
	}
	buf = sealEntry(buf, 1, 1024)
	b.SetBytes(1024 * 200)
	b.ReportAllocs()
	for b.Loop() {
		e, err := decodeEntry(buf)
		if err != nil {
			b.Fatal(err)
		}
		for range e.count {
			e.next()
		}
	}
}
