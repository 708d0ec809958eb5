package target

import "testing"

// logStores are those of playhead serve, the default first.
var logStores = []string{"boltdb", "wal"}

// withEachLogStore runs a test with each of them, as it must where it is the log that has
// to hold.
func withEachLogStore(t *testing.T, test func(t *testing.T, store string)) {
	for _, store := range logStores {
		t.Run(store, func(t *testing.T) {
			t.Parallel()
			test(t, store)
		})
	}
}

// withALogStore runs a test with the default; make soak runs it with each.
func withALogStore(t *testing.T, test func(t *testing.T, store string)) {
	if soaking {
		withEachLogStore(t, test)
		return
	}
	test(t, logStores[0])
}
