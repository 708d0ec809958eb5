//go:build soak

package world

import (
	"flag"
	"math/rand/v2"
	"testing"
	"time"
)

var (
	soakFor  = flag.Duration("soak", 10*time.Minute, "for how long worlds are played")
	soakSeed = flag.Uint64("soak-seed", 0, "the seed of the first world, the next has the next one; 0 takes another each time")
)

// TestSoakWorlds plays one world after another, until one fails: its seed belongs into
// seeds.
func TestSoakWorlds(t *testing.T) {
	seed := *soakSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("seeds from %d on: repeat them with -soak-seed", seed)
	played := 0
	for deadline := time.Now().Add(*soakFor); time.Now().Before(deadline) && !t.Failed(); seed++ {
		w, err := New(Options{Seed: seed})
		if err != nil {
			t.Fatal(err)
		}
		v, err := w.Run()
		if err != nil {
			t.Fatal(err)
		}
		mustBeRight(t, seed, v)
		played++
	}
	t.Logf("%d worlds", played)
}
