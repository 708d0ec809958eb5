package world

import (
	"flag"
	"os"
	"reflect"
	"testing"
)

var story = flag.Uint64("story", 0, "tell the story of this seed, line by line")

// seeds are the worlds of every test run, each with what it found. One that fails is
// kept for good. Until now the rules were right in all, so these are the first that
// found faults which were put into viewing by hand.
var seeds = []uint64{
	11,                   // none yet: 8 s between keepalives, full queues, and the most crashes
	15,                   // none yet: the most copies and overtaken messages
	1000,                 // a summary told by the event that came last, not the newest; a session that never came back from the cold store
	1001,                 // positions that did not look at the seq; a batch taken in another order
	1008,                 // a keepalive that was overtaken by its own stop, and revived its session
	1029,                 // a gap between two runs of seqs, filled and not joined
	1056,                 // a session that forgot it had been admitted, and took the place of its device's next one
	10948340667982552942, // an offline start that was asked after its own seek, and took a stream
	10676868106331288,    // a start that was answered with what its own keepalive had told before
}

// play plays the world of a seed; prepare changes it before it begins, nil: nothing.
func play(t *testing.T, options Options, prepare func(w *World)) Verdict {
	t.Helper()
	t.Logf("seed %d", options.Seed)
	w, err := New(options)
	if err != nil {
		t.Fatal(err)
	}
	if prepare != nil {
		prepare(w)
	}
	verdict, err := w.Run()
	if err != nil {
		t.Fatal(err)
	}
	return verdict
}

func mustBeRight(t *testing.T, seed uint64, v Verdict) {
	t.Helper()
	for _, kind := range v.Kinds() {
		t.Errorf("seed %d: %d violations of kind %s", seed, v.Violations[kind], kind)
	}
	for _, example := range v.Examples {
		t.Logf("seed %d: %s", seed, example)
	}
}

// TestWorlds: whatever the network, the clocks and the crashes do, the server is right,
// and all of it has happened in some world.
func TestWorlds(t *testing.T) {
	seen := map[string]int64{}
	checked := int64(0)
	for _, seed := range seeds {
		v := play(t, Options{Seed: seed}, nil)
		mustBeRight(t, seed, v)
		checked += v.Audit.Linearizability.Checked
		counts := reflect.ValueOf(v.Counts)
		for i := range counts.NumField() {
			seen[counts.Type().Field(i).Name] += counts.Field(i).Int()
		}
	}
	t.Logf("%+v, %d accounts checked for linearizability", seen, checked)
	for name, n := range seen {
		if n == 0 {
			t.Errorf("%s: 0 in all worlds", name)
		}
	}
	if checked == 0 {
		t.Error("no account was checked for linearizability")
	}
}

// TestSameSeedSameStory: a seed decides every line.
func TestSameSeedSameStory(t *testing.T) {
	first, again := play(t, Options{Seed: seeds[0]}, nil), play(t, Options{Seed: seeds[0]}, nil)
	if first.Story != again.Story || first.Counts != again.Counts {
		t.Errorf("two stories of one seed: %x with %+v, and %x with %+v", first.Story, first.Counts, again.Story, again.Counts)
	}
	if other := play(t, Options{Seed: seeds[1]}, nil); other.Story == first.Story {
		t.Errorf("seeds %d and %d have one story", seeds[0], seeds[1])
	}
}

// TestStory tells a story to a person: go test ./sim/world -run TestStory -args -story 1
func TestStory(t *testing.T) {
	if *story == 0 {
		t.Skip("no -story")
	}
	mustBeRight(t, *story, play(t, Options{Seed: *story, Story: os.Stdout}, nil))
}
