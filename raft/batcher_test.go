package raft

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	hraft "github.com/hashicorp/raft"
)

// fakeLog is a log that keeps every entry until it is told its fate.
type fakeLog struct {
	mu      sync.Mutex
	entries []*fakeEntry
}

type fakeEntry struct {
	data  []byte
	index uint64
	at    time.Time
	fate  chan error
}

func (e *fakeEntry) Error() error  { return <-e.fate }
func (e *fakeEntry) Index() uint64 { return e.index }
func (e *fakeEntry) Response() any {
	decoded, err := decodeEntry(e.data)
	if err != nil {
		return nil
	}
	answers := make([]any, 0, decoded.count)
	for range decoded.count {
		answers = append(answers, "answer to "+string(decoded.next()))
	}
	return answers
}

func (l *fakeLog) submit(data []byte) future {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := &fakeEntry{data: data, index: uint64(len(l.entries) + 1), at: time.Now(), fate: make(chan error, 1)}
	l.entries = append(l.entries, e)
	return e
}

// at is the i-th submitted entry.
func (l *fakeLog) at(i int) *fakeEntry {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.entries[i]
}

// seen returns how many commands each submitted entry holds.
func (l *fakeLog) seen(t *testing.T) []int {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	var counts []int
	for _, e := range l.entries {
		decoded, err := decodeEntry(e.data)
		if err != nil {
			t.Fatal(err)
		}
		counts = append(counts, decoded.count)
	}
	return counts
}

type proposed struct {
	answer any
	index  uint64
	err    error
}

func testBatcher(limits BatchLimits) (*batcher, *fakeLog) {
	log := &fakeLog{}
	n := &Node{machine: &machine{}}
	b := newBatcher(limits.withDefaults(), log.submit, func() int64 { return 7 }, n.fate)
	b.start()
	return b, log
}

func (b *batcher) proposeAsync(ctx context.Context, command string) <-chan proposed {
	got := make(chan proposed, 1)
	go func() {
		answer, index, err := b.propose(ctx, []byte(command))
		got <- proposed{answer, index, err}
	}()
	return got
}

func wantCounts(t *testing.T, log *fakeLog, want ...int) {
	t.Helper()
	if got := log.seen(t); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Fatalf("entries hold %v commands, want %v", got, want)
	}
}

func TestBatcherLingers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const linger = 10 * time.Millisecond
		b, log := testBatcher(BatchLimits{Linger: linger})
		began := time.Now()
		first := b.proposeAsync(t.Context(), "a")
		synctest.Wait()
		time.Sleep(linger / 2)
		second := b.proposeAsync(t.Context(), "b")
		synctest.Wait()
		wantCounts(t, log)
		time.Sleep(linger)
		synctest.Wait()
		wantCounts(t, log, 2)
		if waited := log.at(0).at.Sub(began); waited != linger {
			t.Errorf("the first command waited %s, want %s", waited, linger)
		}
		log.at(0).fate <- nil
		if got := <-first; got != (proposed{"answer to a", 1, nil}) {
			t.Errorf("first: %v", got)
		}
		if got := <-second; got != (proposed{"answer to b", 1, nil}) {
			t.Errorf("second: %v", got)
		}
		b.close()
	})
}

// TestBatcherTellsFates: whoever asks is told of each entry, how much was in it, how
// long it took and whether it was committed.
func TestBatcherTellsFates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, log := testBatcher(BatchLimits{Linger: time.Millisecond})
		var fates []EntryFate
		b.decided = func(f EntryFate) { fates = append(fates, f) }
		for i, c := range []struct {
			commands []string
			took     time.Duration
			verdict  error
			want     error
		}{
			{[]string{"a", "b", "c"}, 5 * time.Millisecond, nil, nil},
			{[]string{"d"}, time.Second, hraft.ErrLeadershipLost, ErrOutcomeUnknown},
		} {
			var answers []<-chan proposed
			for _, command := range c.commands {
				answers = append(answers, b.proposeAsync(t.Context(), command))
			}
			time.Sleep(2 * time.Millisecond) // on the clock of the bubble: it has lingered
			synctest.Wait()
			time.Sleep(c.took - time.Since(log.at(i).at))
			log.at(i).fate <- c.verdict
			for _, answer := range answers {
				<-answer
			}
			if len(fates) != i+1 {
				t.Fatalf("told of %d entries, want %d", len(fates), i+1)
			}
			got := fates[i]
			if got.Commands != len(c.commands) || got.Bytes != len(log.at(i).data) || got.Took != c.took || !errors.Is(got.Err, c.want) {
				t.Errorf("told of %+v, want %d commands, %d bytes, %s, %v", got, len(c.commands), len(log.at(i).data), c.took, c.want)
			}
		}
		b.close()
	})
}

func TestBatcherGathersWhileInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, log := testBatcher(BatchLimits{Commands: 4, InFlight: 2})
		for range 2 { // fill both places
			b.proposeAsync(t.Context(), "x")
			time.Sleep(time.Second)
		}
		wantCounts(t, log, 1, 1)
		for range 6 {
			b.proposeAsync(t.Context(), "y")
		}
		time.Sleep(time.Second)
		wantCounts(t, log, 1, 1) // at most two in flight
		log.at(0).fate <- nil
		synctest.Wait()
		wantCounts(t, log, 1, 1, 4) // full
		log.at(1).fate <- nil
		synctest.Wait()
		wantCounts(t, log, 1, 1, 4, 2) // lingered long enough
		log.at(2).fate <- nil
		log.at(3).fate <- nil
		b.close()
	})
}

func TestBatcherFullGoesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, log := testBatcher(BatchLimits{Commands: 3, Bytes: 100, Linger: time.Hour, InFlight: 8})
		for range 3 {
			b.proposeAsync(t.Context(), "x")
		}
		synctest.Wait()
		wantCounts(t, log, 3)
		b.proposeAsync(t.Context(), "small")
		synctest.Wait()
		b.proposeAsync(t.Context(), string(make([]byte, 500))) // rides alone
		synctest.Wait()
		wantCounts(t, log, 3, 1, 1)
		for i := range 3 {
			log.at(i).fate <- nil
		}
		b.close()
	})
}

func TestBatcherRefusesOverTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, log := testBatcher(BatchLimits{Commands: 2, Queue: 3, QueueBytes: 10, InFlight: 1})
		b.proposeAsync(t.Context(), "in flight")
		time.Sleep(time.Second)
		ctx, leave := context.WithCancel(t.Context())
		var waiting []<-chan proposed
		for range 3 {
			waiting = append(waiting, b.proposeAsync(ctx, "w"))
		}
		synctest.Wait()
		if _, _, err := b.propose(t.Context(), []byte("w")); !errors.Is(err, ErrOverloaded) {
			t.Errorf("a fourth: %v", err)
		}
		leave()
		for _, w := range waiting {
			if got := <-w; !errors.Is(got.err, context.Canceled) {
				t.Errorf("who left got %v", got.err)
			}
		}
		b.failWaiting(ErrNotLeader)
		b.proposeAsync(t.Context(), "12345678")
		synctest.Wait()
		if _, _, err := b.propose(t.Context(), []byte("123")); !errors.Is(err, ErrOverloaded) {
			t.Errorf("over the bytes: %v", err)
		}
		log.at(0).fate <- nil
		time.Sleep(time.Second)
		log.at(1).fate <- nil
		b.close()
	})
}

func TestBatcherFates(t *testing.T) {
	for _, test := range []struct {
		library, want error
		certain       bool
	}{
		{hraft.ErrNotLeader, ErrNotLeader, true},
		{hraft.ErrLeadershipTransferInProgress, ErrNotLeader, true},
		{hraft.ErrEnqueueTimeout, ErrOverloaded, true},
		{hraft.ErrLeadershipLost, ErrOutcomeUnknown, false},
		{hraft.ErrAbortedByRestore, ErrOutcomeUnknown, false},
		{hraft.ErrRaftShutdown, ErrOutcomeUnknown, false},
		{errors.New("disk full"), ErrOutcomeUnknown, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			b, log := testBatcher(BatchLimits{})
			got := b.proposeAsync(t.Context(), "x")
			time.Sleep(time.Second)
			log.at(0).fate <- test.library
			err := (<-got).err
			if !errors.Is(err, test.want) || errors.Is(err, ErrOutcomeUnknown) == test.certain {
				t.Errorf("%v became %v, want %v", test.library, err, test.want)
			}
			b.close()
		})
	}
}

func TestBatcherLosesTheWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, log := testBatcher(BatchLimits{InFlight: 1})
		flying := b.proposeAsync(t.Context(), "flying")
		time.Sleep(time.Second)
		waiting := b.proposeAsync(t.Context(), "waiting")
		synctest.Wait()
		b.failWaiting(ErrNotLeader)
		if got := <-waiting; !errors.Is(got.err, ErrNotLeader) {
			t.Errorf("the waiting one: %v", got.err)
		}
		late := b.proposeAsync(t.Context(), "late")
		synctest.Wait()
		b.close()
		if got := <-late; !errors.Is(got.err, ErrClosed) {
			t.Errorf("one waiting at close: %v", got.err)
		}
		b.abandon()
		if got := <-flying; !errors.Is(got.err, ErrOutcomeUnknown) {
			t.Errorf("the one in flight: %v", got.err)
		}
		log.at(0).fate <- nil
	})
}

func TestBatcherCopiesTheCommand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, log := testBatcher(BatchLimits{})
		ctx, leave := context.WithCancel(t.Context())
		command := []byte("before")
		left := make(chan error, 1)
		go func() { _, _, err := b.propose(ctx, command); left <- err }()
		synctest.Wait()
		leave()
		if err := <-left; !errors.Is(err, context.Canceled) {
			t.Errorf("the proposer that left got %v", err)
		}
		copy(command, "AFTER!")
		time.Sleep(time.Second)
		if got := log.at(0).Response().([]any)[0]; got != "answer to before" {
			t.Errorf("the log got %v", got)
		}
		log.at(0).fate <- nil
		b.close()
	})
}
