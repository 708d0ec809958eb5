package raft_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/playhead-load/playhead/raft"
	"github.com/playhead-load/playhead/raft/rafttest"
)

// register is a state machine of one number.
type register struct{ value atomic.Int64 }

func (r *register) get() int { return int(r.value.Load()) }

func (r *register) Apply(_ uint64, _ int64, commands [][]byte, _ []any) {
	for _, command := range commands {
		value, err := strconv.Atoi(string(command))
		if err != nil {
			panic(err)
		}
		r.value.Store(int64(value))
	}
}

func (r *register) Snapshot(raft.Place) (io.WriterTo, error) {
	return strings.NewReader(string(binary.BigEndian.AppendUint64(nil, uint64(r.value.Load())))), nil
}

func (r *register) Restore(_ raft.Place, from io.Reader, _ string) error {
	var b [8]byte
	if _, err := io.ReadFull(from, b[:]); err != nil {
		return err
	}
	r.value.Store(int64(binary.BigEndian.Uint64(b[:])))
	return nil
}

// operation is a read or a write of the register, done at the zero time if nobody knows
// whether it was.
type operation struct {
	client     int
	call, done time.Time
	write      bool
	value      int
}

func (h *history) add(o operation) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ops = append(h.ops, o)
}

// play writes and reads at one node after another until ctx ends.
func (h *history) play(ctx context.Context, c *rafttest.Cluster, client int) {
	for n := 1; ctx.Err() == nil; n++ {
		at := (n + client) % 3
		node := c.Node(at)
		asking, cancel := context.WithTimeout(ctx, time.Second)
		o := operation{client: client, call: time.Now(), write: n%2 == 0, value: client*1_000_000 + n}
		var err error
		if o.write {
			_, _, err = node.Propose(asking, []byte(strconv.Itoa(o.value)))
		} else if _, err = node.LinearizableReadIndex(asking); err == nil {
			o.value = c.Machine(at).(*register).get()
		}
		cancel()
		h.tries.Add(1)
		switch {
		case err == nil:
			o.done = time.Now()
			h.add(o)
		case o.write && !certainlyNot(err):
			h.add(o)
		default: // a moment's rest, or the failures of a cut node would crowd out the rest
			select {
			case <-ctx.Done():
			case <-time.After(5 * time.Millisecond):
			}
		}
	}
}

// certainlyNot says whether a failed write was and will not be committed.
func certainlyNot(err error) bool {
	return !errors.Is(err, raft.ErrOutcomeUnknown) && (errors.Is(err, raft.ErrNotLeader) || errors.Is(err, raft.ErrOverloaded))
}

// model is the register as porcupine wants it told.
var model = porcupine.Model{
	Init: func() any { return 0 },
	Step: func(state, input, output any) (bool, any) {
		if o := input.(operation); o.write {
			return true, o.value
		}
		return output.(int) == state.(int), state
	},
	DescribeOperation: func(input, _ any) string { return fmt.Sprintf("%+v", input) },
}

func (h *history) linearizable() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	begun := h.ops[0].call
	for _, o := range h.ops {
		if o.call.Before(begun) {
			begun = o.call
		}
	}
	operations := make([]porcupine.Operation, len(h.ops))
	for i, o := range h.ops {
		end := int64(math.MaxInt64)
		if !o.done.IsZero() {
			end = o.done.Sub(begun).Nanoseconds()
		}
		client := o.client
		if o.done.IsZero() {
			client = 1000 + i // its client goes on meanwhile
		}
		operations[i] = porcupine.Operation{ClientId: client, Input: o, Call: o.call.Sub(begun).Nanoseconds(), Output: o.value, Return: end}
	}
	return porcupine.CheckOperations(model, operations)
}

func (h *history) mustBeLinearizable(t *testing.T) {
	t.Helper()
	unknown := 0
	for _, o := range h.ops {
		if o.done.IsZero() {
			unknown++
		}
	}
	t.Logf("%d operations, of %d writes nobody knows what became", len(h.ops), unknown)
	if !h.linearizable() {
		t.Error("no order explains what the clients saw")
	}
}
