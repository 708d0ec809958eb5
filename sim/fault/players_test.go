package fault

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/playhead-load/playhead/sim/audit"
	"github.com/playhead-load/playhead/sim/audit/audittest"
	"github.com/playhead-load/playhead/sim/driver"
	"github.com/playhead-load/playhead/sim/target"
	"github.com/playhead-load/playhead/sim/target/targettest"
	"github.com/playhead-load/playhead/viewing"
)

// binary is the playhead program of this tree, built once for all tests.
var binary string

func TestMain(m *testing.M) { targettest.Main(m, &binary) }

const (
	playAccounts = 4
	playDevices  = 3 // of each account, which has two streams
	playWords    = 40
	askWithin    = 500 * time.Millisecond
	eventuallyIn = 40 * time.Second
)

// game is a cluster that devices play against while it is broken. It is a Driver.
type game struct {
	t       *testing.T
	cluster *target.Cluster
	lease   time.Duration
	client  *http.Client
	log     *audit.Log
	begun   time.Time
	words   atomic.Int64  // acknowledged
	longest time.Duration // a fault

	mu      sync.Mutex
	said    []string
	watches []*watch
	share   float64        // that has vanished
	phases  map[string]int // that are on, by name
}

type watch struct {
	since, done time.Duration
	recovered   bool
}

// play boots a cluster rigged so and lets devices play against it until the test ends.
func play(t *testing.T, nodes int, lease time.Duration, rig target.Rig) *game {
	t.Helper()
	cluster, err := target.Start(t.Context(), target.Options{
		Binary: binary, DataDir: t.TempDir(), LogDir: t.TempDir(), Nodes: nodes, Rig: rig,
		Keepalive: lease / 2, Lease: lease, DefaultStreams: 2,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cluster.Stop(); err != nil {
			t.Error(err)
		}
		for _, crash := range cluster.Crashes() {
			t.Error(crash)
		}
	})
	g := &game{t: t, cluster: cluster, lease: lease, log: audit.NewLog(), begun: time.Now(), client: &http.Client{
		Timeout: askWithin, Transport: &http.Transport{MaxIdleConnsPerHost: playAccounts * playDevices},
	}}
	t.Cleanup(g.client.CloseIdleConnections)
	return g
}

// NowUS is the game's clock.
func (g *game) NowUS() int64 { return time.Since(g.begun).Microseconds() }

// WatchRecovery is ended by the next word.
func (g *game) WatchRecovery() func() (time.Duration, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	w := &watch{since: time.Since(g.begun)}
	g.watches = append(g.watches, w)
	return func() (time.Duration, bool) {
		g.mu.Lock()
		defer g.mu.Unlock()
		return w.done - w.since, w.recovered
	}
}

// BeginPhase keeps count of what is on.
func (g *game) BeginPhase(name string) (end func()) {
	g.addPhase(name, 1)
	return func() { g.addPhase(name, -1) }
}

func (g *game) addPhase(name string, n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.phases == nil {
		g.phases = map[string]int{}
	}
	g.phases[name] += n
}

// on is how many phases of a name are on.
func (g *game) on(name string) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.phases[name]
}

// Vanish makes devices say nothing; which is the devices' own.
func (g *game) Vanish(share float64, _ uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.share = share
}

func (g *game) vanished() float64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.share
}

func (g *game) acknowledged(sentUS int64) {
	g.words.Add(1)
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, w := range g.watches {
		if !w.recovered && sentUS >= w.since.Microseconds() {
			w.recovered, w.done = true, time.Since(g.begun)
		}
	}
}

func (g *game) tell(format string, args ...any) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.said = append(g.said, fmt.Sprintf(format, args...))
	g.t.Logf("%6.2f s  "+format, append([]any{time.Since(g.begun).Seconds()}, args...)...)
}

func (g *game) lines() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.said)
}

// during lets all devices play while something is done, then audits what they know: the
// answers are right, and the nodes agree.
func (g *game) during(do func()) {
	g.t.Helper()
	ctx, stop := context.WithCancel(g.t.Context())
	var devices sync.WaitGroup
	for account := uint64(1); account <= playAccounts; account++ {
		for device := uint64(1); device <= playDevices; device++ {
			d := &player{game: g, random: rand.New(rand.NewPCG(account, device)), event: viewing.Event{
				AccountID: account, DeviceID: 10*account + device, ProfileID: 1 + uint8(device%2), DeviceType: "tv", RuntimeMS: 60_000,
			}}
			devices.Go(func() {
				for ctx.Err() == nil {
					d.session(ctx)
				}
			})
		}
	}
	func() {
		defer devices.Wait()
		defer stop()
		do()
		g.more()
	}()
	g.judge()
}

// more waits until devices were answered again.
func (g *game) more() {
	g.t.Helper()
	want := g.words.Load() + playWords
	g.eventually("devices are answered", func() bool { return g.words.Load() >= want })
}

func (g *game) eventually(what string, ok func() bool) {
	g.t.Helper()
	for deadline := time.Now().Add(eventuallyIn); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			g.t.Fatalf("never: %s", what)
		}
	}
}

// breaks carries the plans out, and waits until bites has seen what they do. Then those
// that are long are mended; of others the recovery is awaited.
func (g *game) breaks(bites func(), plans ...Plan) Damage {
	g.t.Helper()
	g.more()
	ctx, stop := context.WithCancel(g.t.Context())
	defer stop()
	injector := &Injector{Cluster: g.cluster, Driver: g, Seed: rand.Uint64(), Tell: g.tell}
	g.t.Logf("seed %d", injector.Seed)
	type outcome struct {
		damage Damage
		err    error
	}
	before := len(g.lines())
	began, done := time.Now(), make(chan outcome, 1)
	go func() {
		damage, err := injector.Run(ctx, plans)
		done <- outcome{damage, err}
	}()
	g.eventually("the faults begin", func() bool { return len(g.lines()) >= before+len(plans) })
	for _, p := range plans {
		if p.For == long && g.on(p.Kind) == 0 {
			g.t.Errorf("nothing tells that it is the time of a %s", p.Kind)
		}
	}
	bites()
	if slices.ContainsFunc(plans, func(p Plan) bool { return p.For == long }) {
		stop()
	}
	o := <-done
	g.longest = max(g.longest, time.Since(began))
	for _, p := range plans {
		if g.on(p.Kind) != 0 {
			g.t.Errorf("it is the time of a %s for ever", p.Kind)
		}
	}
	if o.err != nil {
		g.t.Fatal(o.err)
	}
	if after := o.damage.ConvergedAfterMS; after == nil || *after > 5000 {
		g.t.Errorf("converged after %v ms, want a write within 5 s", after)
	}
	if len(o.damage.Faults) != len(plans) {
		g.t.Errorf("%d faults of %d plans: %+v", len(o.damage.Faults), len(plans), o.damage.Faults)
	}
	for _, f := range o.damage.Faults {
		if f.Skipped != "" {
			g.t.Errorf("%s was skipped: %s", f.Kind, f.Skipped)
		}
	}
	return o.damage
}

func (g *game) leader() (leader *target.Node) {
	g.t.Helper()
	g.eventually("a node leads", func() bool {
		var err error
		leader, err = g.cluster.Leader(g.t.Context())
		return err == nil
	})
	return leader
}

// anotherLeads waits until a node other than this one leads.
func (g *game) anotherLeads(than *target.Node) {
	g.t.Helper()
	g.eventually("another leads than "+than.ID, func() bool {
		for _, node := range g.cluster.Others(than) {
			if status, err := node.Cluster(g.t.Context()); err == nil && status.Role == "leader" {
				return true
			}
		}
		return false
	})
}

// answer is what a node says at a URL; 0 is no answer.
func (g *game) answer(method, url, body string) (status int, text string) {
	request, err := http.NewRequestWithContext(g.t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		g.t.Fatal(err)
	}
	response, err := g.client.Do(request)
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = response.Body.Close() }()
	all, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err.Error()
	}
	return response.StatusCode, string(all)
}

// writes says how long a write took at a URL, and whether it succeeded.
func (g *game) writes(url string) (took time.Duration, ok bool) {
	begun := time.Now()
	status, _ := g.answer(http.MethodPut, url+"/v1/accounts/99", `{"max_streams":2}`)
	return time.Since(begun), status == http.StatusOK
}

func (g *game) applied(node *target.Node) uint64 {
	status, err := node.Cluster(g.t.Context())
	if err != nil {
		return 0
	}
	return status.AppliedIndex
}

func (g *game) judge() {
	g.t.Helper()
	report, err := g.log.Check(g.t.Context(), audit.Options{
		URLs: g.cluster.URLs(), Lease: g.lease, DefaultStreams: 2,
		// A request may wait in a node, or on its way, for a whole fault.
		Late: g.longest + driver.Late,
	})
	if err != nil {
		g.t.Fatal(err)
	}
	for _, e := range report.Examples {
		g.t.Errorf("%s: account %d session %v: %s", e.Kind, e.Account, e.Session, e.Detail)
	}
	l := report.Linearizability
	g.t.Logf("%d sessions, %d events acknowledged, %d not answered, linearizable %+v", report.Sessions, report.Acknowledged, report.Unanswered, l)
	if l.Illegal != 0 || report.Acknowledged == 0 || len(report.Violations) > 0 {
		g.t.Errorf("linearizable %+v, violations %v", l, report.Violations)
	}
	differing, err := audit.Replicas(g.t.Context(), g.cluster.RunningURLs(), 2)
	if err != nil || len(differing) > 0 {
		g.t.Errorf("replicas: %v, %v", differing, err)
	}
}

// player is one device.
type player struct {
	*game
	random *rand.Rand
	event  viewing.Event
}

// session is a start, a few keepalives and mostly a stop. A device without an answer
// leaves its session.
func (d *player) session(ctx context.Context) {
	for i := range d.event.SessionID {
		d.event.SessionID[i] = byte(d.random.Uint32())
	}
	d.event.Seq, d.event.Type, d.event.TitleID = 0, viewing.Start, 1+d.random.Uint32N(3)
	d.event.PositionMS, d.event.PlayedMS = 0, 0
	for ctx.Err() == nil {
		fate := audit.Unanswered
		if d.random.Float64() >= d.vanished() {
			fate = d.say()
		}
		// What the viewer does between; nothing is awaited.
		time.Sleep(20*time.Millisecond + time.Duration(d.random.Int64N(int64(60*time.Millisecond))))
		if fate == audit.Denied || fate == audit.Unanswered || d.event.Type == viewing.Stop {
			return
		}
		d.event.Type = viewing.Keepalive
		if d.random.IntN(3) == 0 {
			d.event.Type = viewing.Stop
		}
		d.event.Seq, d.event.PlayedMS, d.event.PositionMS = d.event.Seq+1, d.event.PlayedMS+10, d.event.PositionMS+10
	}
}

// say tells an event, to a few nodes at most, and logs what became of it.
func (d *player) say() audit.Fate {
	const tries = 6
	d.event.At = viewing.Millis(time.Now().UnixMilli())
	entry := audit.NewEntry(&d.event)
	for try := range tries {
		entry.LastSentUS = d.NowUS()
		if try == 0 {
			entry.FirstSentUS = entry.LastSentUS
		}
		urls := d.cluster.URLs()
		entry.Fate = d.send(urls[d.random.IntN(len(urls))])
		entry.DoneUS = d.NowUS()
		if entry.Fate != audit.Unanswered {
			d.acknowledged(entry.LastSentUS)
			break
		}
		time.Sleep(20 * time.Millisecond) // as a device waits before it tries again
	}
	d.log.Add(entry)
	return entry.Fate
}

func (d *player) send(node string) audit.Fate {
	fate, err := audittest.Send(d.client, node, &d.event)
	if err != nil {
		d.t.Error(err)
	}
	return fate
}

// members are the ids of who is in the cluster, as the leader sees it.
func (g *game) members() (ids []string) {
	g.t.Helper()
	_, text := g.answer(http.MethodGet, g.leader().URL+"/v1/cluster", "")
	var told struct {
		Members []struct {
			NodeID string `json:"node_id"`
		} `json:"members"`
	}
	if json.Unmarshal([]byte(text), &told) != nil {
		return nil
	}
	for _, m := range told.Members {
		ids = append(ids, m.NodeID)
	}
	return ids
}
