package driver

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/playhead-load/playhead/sim/audit"
	"github.com/playhead-load/playhead/viewing"
	"github.com/playhead-load/playhead/viewing/wire"
)

// gauge counts what is under way.
type gauge struct {
	mu       sync.Mutex
	now, max int
}

func newGauge() *gauge { return &gauge{} }

func (g *gauge) add(n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.now += n
	g.max = max(g.max, g.now)
}

func (g *gauge) most() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.max
}

// around counts the requests that a stage answers; each takes a while.
func (g *gauge) around(answer func(http.ResponseWriter, heard)) func(http.ResponseWriter, heard) {
	return func(w http.ResponseWriter, h heard) {
		g.add(1)
		defer g.add(-1)
		time.Sleep(5 * time.Millisecond)
		answer(w, h)
	}
}

// contextUntil ends when something is so.
func contextUntil(t *testing.T, done func() bool) (context.Context, context.CancelFunc) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		for ctx.Err() == nil && !done() {
			time.Sleep(time.Millisecond)
		}
		cancel()
	}()
	return ctx, cancel
}

// edge is a target that takes batches, and says of each event what the test has it say.
type edge struct {
	url     string
	outcome func(e *viewing.Event) string // "": 503 for the whole batch

	mu      sync.Mutex
	batches [][]viewing.Event
	refused map[int]bool // by index in batches
}

func first(seen *sync.Map, seq uint32) bool {
	_, known := seen.LoadOrStore(seq, true)
	return !known
}

func newEdge(t *testing.T, outcome func(e *viewing.Event) string) *edge {
	t.Helper()
	s := &edge{outcome: outcome, refused: map[int]bool{}}
	server := httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(server.Close)
	s.url = server.URL
	return s
}

func (s *edge) serve(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	events, err := decode(r.Header.Get("Content-Type"), body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	s.batches = append(s.batches, events)
	batch := len(s.batches)
	s.mu.Unlock()
	var outcomes []string
	for i := range events {
		status := s.outcome(&events[i])
		if status == "" {
			s.mu.Lock()
			s.refused[batch-1] = true
			s.mu.Unlock()
			unavailable(w)
			return
		}
		outcomes = append(outcomes, fmt.Sprintf(`{"status":%q}`, status))
	}
	_, _ = fmt.Fprintf(w, `{"outcomes":[%s]}`, strings.Join(outcomes, ","))
}

// heard is how many batches have come.
func (s *edge) heard() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.batches)
}

func decode(contentType string, body []byte) (events []viewing.Event, err error) {
	var decoder wire.Decoder
	format, ok := wire.ParseFormat(contentType)
	if !ok {
		return nil, fmt.Errorf("no format: %s", contentType)
	}
	err = decoder.DecodeEvents(body, format, func(_ int, e *viewing.Event, err error) error {
		if err == nil {
			one := *e
			one.BitrateMS = slices.Clone(e.BitrateMS)
			events = append(events, one)
		}
		return err
	})
	return events, err
}

// devicesInTurn is some events of each device, every device's in turn.
func devicesInTurn(devices, events int) (lines []line) {
	for seq := range uint32(events) {
		for device := range int32(devices) {
			lines = append(lines, line{dueMS: 3 * int64(seq), device: device, session: byte(device), seq: seq, kind: viewing.Keepalive})
		}
	}
	return lines
}

func TestBatches(t *testing.T) {
	t.Parallel()
	const devices, events, most = 20, 30, 7
	for name, limits := range map[string]Batch{
		"json": {}, "binary": {Binary: true}, "several under way": {Aggregators: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var refused sync.Map
			target := newEdge(t, func(e *viewing.Event) string {
				switch {
				case e.AccountID == 5 && e.Seq%10 == 0 && first(&refused, e.Seq):
					return "" // the batch that it is in, when it is heard first
				case e.AccountID == 3 && e.Seq == 4:
					return "denied"
				case e.AccountID == 4 && e.Seq == 5:
					return "rejected"
				}
				return "accepted"
			})
			d := newDrive(newScript(devicesInTurn(devices, events)...), []string{target.url}, func(c *Config) {
				c.Connections, c.Batch = 3, limits
				c.Batch.Events, c.Batch.Linger = most, time.Millisecond
			})
			d.play(t, t.Context())
			d.mustFates(t, map[audit.Fate]int64{audit.Accepted: devices*events - 2, audit.Denied: 1, audit.Rejected: 1})
			if want := []string{"device 2 session 2"}; !slices.Equal(d.script.denied, want) {
				t.Errorf("the fleet heard of %q, want %q", d.script.denied, want)
			}
			newest := map[uint64]uint32{}
			for n, batch := range target.batches {
				if len(batch) > most {
					t.Errorf("a batch of %d events, at most %d may be in one", len(batch), most)
				}
				if target.refused[n] { // and said again as it was
					continue
				}
				for i := range batch {
					if e := &batch[i]; e.Seq < newest[e.AccountID] {
						t.Errorf("account %d said seq %d after %d", e.AccountID, e.Seq, newest[e.AccountID])
					}
					newest[batch[i].AccountID] = max(newest[batch[i].AccountID], batch[i].Seq)
				}
			}
			got := d.Recorder().Operations(1)["keepalive"]
			if got.Count != devices*events || got.Errors != 1 || got.Denied != 1 || got.ResponseMS.Max < 1000 {
				t.Errorf("%+v: want %d, one denied, one an error, and some that waited a second for another try", got, devices*events)
			}
			for _, e := range d.log.entries {
				if e.FirstSentUS > e.LastSentUS || e.LastSentUS > e.DoneUS || e.DoneUS == 0 {
					t.Fatalf("times %d, %d, %d", e.FirstSentUS, e.LastSentUS, e.DoneUS)
				}
			}
		})
	}
}

// crowd is a target of batches that notes how many are under way at once, and whether two
// of them tell of one account.
type crowd struct {
	url      string
	under    *gauge
	telling  sync.Map
	together atomic.Int64
}

// newCrowd answers after the time that wait says for a batch.
func newCrowd(t *testing.T, wait func(told []viewing.Event) time.Duration) *crowd {
	t.Helper()
	c := &crowd{under: newGauge()}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.under.add(1)
		defer c.under.add(-1)
		body, _ := io.ReadAll(r.Body)
		told, err := decode(r.Header.Get("Content-Type"), body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		mine := map[uint64]bool{}
		for i := range told {
			if account := told[i].AccountID; !mine[account] {
				mine[account] = true
				if _, other := c.telling.LoadOrStore(account, true); other {
					c.together.Add(1)
				}
			}
		}
		time.Sleep(wait(told))
		for account := range mine {
			c.telling.Delete(account)
		}
		_, _ = fmt.Fprintf(w, `{"outcomes":[%s]}`, strings.TrimSuffix(strings.Repeat(`{"status":"accepted"},`, len(told)), ","))
	}))
	t.Cleanup(server.Close)
	c.url = server.URL
	return c
}

// TestBatchesUnderWayAtOnce: as many as the aggregator has connections, and none with an
// event of a device that has another under way.
func TestBatchesUnderWayAtOnce(t *testing.T) {
	t.Parallel()
	const connections, devices, events = 4, 40, 30
	target := newCrowd(t, func([]viewing.Event) time.Duration { return 10 * time.Millisecond })
	d := newDrive(newScript(devicesInTurn(devices, events)...), []string{target.url}, func(c *Config) {
		c.Connections, c.Batch = connections, Batch{Events: 3, Aggregators: 1, Linger: time.Millisecond}
	})
	d.play(t, t.Context())
	d.mustFates(t, map[audit.Fate]int64{audit.Accepted: devices * events})
	if n := target.together.Load(); n > 0 {
		t.Errorf("%d times a device had events in two batches under way", n)
	}
	if most := target.under.most(); most != connections {
		t.Errorf("%d batches were under way at most, want %d", most, connections)
	}
	if a := &d.aggregators[0]; a.events != 0 || len(a.held) > 0 || d.Pending() != 0 {
		t.Errorf("left: %d events, %d held, %d pending", a.events, len(a.held), d.Pending())
	}
}

// TestASlowBatchHoldsUpItsOwnDevices: and none of the others of its aggregator.
func TestASlowBatchHoldsUpItsOwnDevices(t *testing.T) {
	t.Parallel()
	target := newCrowd(t, func(told []viewing.Event) time.Duration {
		for i := range told {
			if told[i].AccountID == 1 && told[i].Seq == 0 { // of device 0
				return 700 * time.Millisecond
			}
		}
		return 0
	})
	lines := []line{{device: 0, session: 1, kind: viewing.Keepalive}}
	for seq := range uint32(5) {
		for device := range int32(3) {
			lines = append(lines, line{device: device, dueMS: 20 + 20*int64(seq), session: byte(device + 1), seq: seq + 1, kind: viewing.Keepalive})
		}
	}
	d := newDrive(newScript(lines...), []string{target.url}, func(c *Config) {
		c.Connections, c.Batch, c.Duration = 3, Batch{Events: 10, Aggregators: 1, Linger: time.Millisecond}, 200*time.Millisecond
	})
	d.play(t, t.Context())
	d.mustFates(t, map[audit.Fate]int64{audit.Accepted: int64(len(lines))})
	first := slices.IndexFunc(d.log.entries, func(e audit.Entry) bool { return e.Account == 1 && e.Seq == 0 })
	slowest := d.log.entries[first].DoneUS
	newest := map[uint64]uint32{}
	for _, e := range d.log.entries {
		if e.Account == 1 && e.Seq > 0 && e.LastSentUS < slowest {
			t.Errorf("device 0 said seq %d at %d µs, before its first was answered", e.Seq, e.LastSentUS)
		}
		if e.Account != 1 && e.DoneUS > slowest {
			t.Errorf("account %d waited for another's answer until %d µs", e.Account, e.DoneUS)
		}
		if e.Seq < newest[e.Account] {
			t.Errorf("account %d said seq %d after %d", e.Account, e.Seq, newest[e.Account])
		}
		newest[e.Account] = e.Seq
	}
}

// TestBatchesLeaveADeadNodeOnce: all that were under way there go to the one that lives,
// though they are an even number.
func TestBatchesLeaveADeadNodeOnce(t *testing.T) {
	t.Parallel()
	dead := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { unavailable(w) }))
	t.Cleanup(dead.Close)
	target := newCrowd(t, func([]viewing.Event) time.Duration { return 0 })
	const devices = 8
	d := newDrive(newScript(devicesInTurn(devices, 1)...), []string{dead.URL, target.url}, func(c *Config) {
		c.Connections, c.Batch = 4, Batch{Events: 2, Aggregators: 1}
		c.Retry = Retry{Tries: 2, Wait: 50 * time.Millisecond, Multiplier: 1}
	})
	d.play(t, t.Context())
	d.mustFates(t, map[audit.Fate]int64{audit.Accepted: devices})
	if n := d.counts.retries.Load(); n != devices {
		t.Errorf("%d events were sent again, want all %d", n, devices)
	}
}

// TestCancelledBatchesAreAllCounted: some wait for another try, some were never sent, and
// some are held.
func TestCancelledBatchesAreAllCounted(t *testing.T) {
	t.Parallel()
	target := newEdge(t, func(e *viewing.Event) string { return map[bool]string{true: "accepted"}[e.AccountID%2 == 0] })
	ctx, cancel := contextUntil(t, func() bool { return target.heard() > 8 })
	defer cancel()
	d := newDrive(newScript(devicesInTurn(20, 25)...), []string{target.url}, func(c *Config) {
		c.Connections, c.Batch, c.Duration = 3, Batch{Events: 2, Aggregators: 1}, time.Minute
		c.Retry = Retry{Tries: 2, Wait: 20 * time.Millisecond, Multiplier: 1}
	})
	d.play(t, ctx)
	due, answered := d.counts.due.Load(), d.counts.answered.Load()
	unanswered, unsent := d.counts.unanswered.Load(), d.counts.unsent.Load()
	if due != answered+unanswered+unsent || unanswered == 0 || unsent == 0 {
		t.Errorf("due %d, answered %d, unanswered %d, unsent %d", due, answered, unanswered, unsent)
	}
	if logged := int64(len(d.log.entries)); logged != answered+unanswered || logged != d.counts.sent.Load() {
		t.Errorf("%d logged, %d sent", logged, d.counts.sent.Load())
	}
	if n := d.Pending(); n != 0 {
		t.Errorf("%d pending", n)
	}
}

// TestAggregatorsSendInTurns: each once in a linger, and no two at the same moment.
func TestAggregatorsSendInTurns(t *testing.T) {
	t.Parallel()
	config := Config{Connections: 4, Batch: Batch{Events: 9, Linger: 20 * time.Millisecond}}
	aggregators, err := newAggregators(&config, 1)
	if err != nil {
		t.Fatal(err)
	}
	d := &Driver{config: config}
	var moments []int64
	for i := range aggregators {
		b := &batch{of: &aggregators[i], firstUS: 40_000}
		nowUS := b.firstUS
		for !d.lingered(b, nowUS) {
			nowUS += 100
		}
		moments = append(moments, nowUS)
	}
	if want := []int64{60_000, 55_000, 50_000, 45_000}; !slices.Equal(moments, want) {
		t.Errorf("what comes at 40 ms is sent at %v µs, want %v", moments, want)
	}
}

// TestConnectionsAreDivided among the aggregators, to the last.
func TestConnectionsAreDivided(t *testing.T) {
	t.Parallel()
	aggregators, err := newAggregators(&Config{Connections: 15, Batch: Batch{Events: 2, Aggregators: 8}}, 3)
	if err != nil {
		t.Fatal(err)
	}
	all := 0
	for i := range aggregators {
		all += aggregators[i].atOnce
	}
	if all != 15 {
		t.Errorf("%d batches may be under way in all, want 15", all)
	}
	if _, err := newAggregators(&Config{Connections: 3, Batch: Batch{Events: 2, Aggregators: 4}}, 1); err == nil {
		t.Error("four aggregators share three connections")
	}
}

// TestABatchWaitsForOthers: no longer than its linger, and less where it is full.
func TestABatchWaitsForOthers(t *testing.T) {
	t.Parallel()
	target := newEdge(t, func(*viewing.Event) string { return "accepted" })
	const linger = 150 * time.Millisecond
	lines := []line{{device: 0, session: 1, kind: viewing.Keepalive}, {device: 0, dueMS: 50, session: 1, seq: 1, kind: viewing.Keepalive}}
	d := newDrive(newScript(lines...), []string{target.url}, func(c *Config) {
		c.Connections, c.Batch, c.Duration = 1, Batch{Events: 10, Linger: linger}, 400*time.Millisecond
	})
	d.play(t, t.Context())
	if len(target.batches) != 1 || len(target.batches[0]) != 2 {
		t.Errorf("batches %v, want one of both events", target.batches)
	}
	if got := d.Recorder().Operations(1)["keepalive"].ResponseMS; got.Max < 149 {
		t.Errorf("%+v: the first waited for its linger", got)
	}
}

// TestABatchThatIsNeverAnswered leaves open what became of its events, and those behind
// it were never sent.
func TestABatchThatIsNeverAnswered(t *testing.T) {
	t.Parallel()
	target := newEdge(t, func(*viewing.Event) string { return "" })
	ctx, cancel := contextUntil(t, func() bool { return target.heard() > 0 })
	defer cancel()
	d := newDrive(newScript(devicesInTurn(2, 20)...), []string{target.url}, func(c *Config) {
		c.Connections, c.Batch, c.Duration = 1, Batch{Events: 4}, time.Minute
		c.Timeout = 100 * time.Millisecond
	})
	d.play(t, ctx)
	fates := d.log.fates()
	if fates[audit.Unanswered] == 0 || len(fates) != 1 {
		t.Errorf("fates %v, want unanswered ones only", fates)
	}
	got := d.Recorder().Operations(1)["keepalive"]
	if got.Errors != got.Count || d.counts.unanswered.Load() != fates[audit.Unanswered] {
		t.Errorf("%+v, %d counted unanswered: want all errors", got, d.counts.unanswered.Load())
	}
}

func TestOutcomes(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{"outcomes":[{"status":"accepted"},{"status":"duplicate"}]}`:                     "[accepted known]",
		`{"outcomes":[{"status":"denied","reason":"full"},{"status":"rejected"}]}` + "\n": "[denied rejected]",
		`{"outcomes":[{"status":"denied","reason":"a \"b\" c"}]}`:                         "[denied]",
		`{ "outcomes" : [ { "reason":"x", "status" : "accepted" } ] }`:                    "[accepted]",
		`{"outcomes":[{"status":"maybe"}]}`:                                               "[unanswered]",
		`{"outcomes":[]}`:                                                                 "[]",
		`{"outcomes":[{"status":"accepted"},]}`:                                           "no",
		`{"outcomes":[{"status":"accepted"}]`:                                             "no",
		`{"outcomes":[{"status":"accepted"}]}x`:                                           "no",
		`{"outcomes":[{"status":"accepted"`:                                               "no",
		``:                                                                                "no",
	} {
		got, ok := scanOutcomes([]byte(body), nil)
		parsed, parsedOK := parseOutcomes([]byte(body), nil)
		if ok && (!parsedOK || !slices.Equal(got, parsed)) {
			t.Errorf("%s: scanned %v, parsed %v", body, got, parsed)
		}
		text := "no"
		if parsedOK {
			text = fmt.Sprintf("%v", parsed)
		}
		if text != want {
			t.Errorf("%s: %s, want %s", body, text, want)
		}
	}
	if _, ok := scanOutcomes([]byte(`{"outcomes":[{"status":"accepted"}]}`), nil); !ok {
		t.Error("what the server writes is not scanned")
	}
}
