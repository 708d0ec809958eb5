package sim

import (
	"testing"
	"unsafe"
)

// What Bytes counts with, and what keeps a sitting on one cache line.
func TestSizes(t *testing.T) {
	for _, c := range []struct {
		name      string
		got, want uintptr
	}{
		{"sitting", unsafe.Sizeof(sitting{}), 64}, {"account", unsafe.Sizeof(account{}), 32},
		{"wait", unsafe.Sizeof(wait{}), 16},
		{"lateWait", unsafe.Sizeof(lateWait{}), 24}, {"upload", unsafe.Sizeof(upload{}), 496},
	} {
		if c.got != c.want {
			t.Errorf("a %s has %d bytes, want %d", c.name, c.got, c.want)
		}
	}
}
