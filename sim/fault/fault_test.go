package fault

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/playhead-load/playhead/sim/target"
	"github.com/playhead-load/playhead/sim/target/targettest"
)

// binary is the playhead program of this tree, built once for all tests.
var binary string

func TestMain(m *testing.M) { targettest.Main(m, &binary) }

// watch is a Watch that writes when it is asked whether the target has recovered.
type watch struct {
	begun   time.Time
	cluster *target.Cluster

	mu             sync.Mutex
	since, done    time.Duration
	watching, back bool
	said           []string
	killed         chan struct{} // gets one for each kill
}

func (w *watch) NowUS() int64 { return time.Since(w.begun).Microseconds() }

func (w *watch) WatchRecovery() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.watching, w.back, w.since = true, false, time.Since(w.begun)
	return w.since.Microseconds()
}

func (w *watch) Recovered() (time.Duration, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, node := range w.cluster.Nodes() {
		if w.watching && !w.back && writes(node) {
			w.back, w.done = true, time.Since(w.begun)
		}
	}
	return w.done - w.since, w.back
}

// writes says whether a node takes a write.
func writes(node *target.Node) bool {
	client := http.Client{Timeout: time.Second}
	request, err := http.NewRequest(http.MethodPut, node.URL+"/v1/accounts/1", bytes.NewReader([]byte(`{"max_streams":2}`)))
	if err != nil {
		return false
	}
	response, err := client.Do(request)
	if err != nil {
		return false
	}
	defer func() { _ = response.Body.Close() }()
	return response.StatusCode == http.StatusOK
}

func (w *watch) tell(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	w.mu.Lock()
	w.said = append(w.said, line)
	w.mu.Unlock()
	if strings.Contains(line, "killed") {
		w.killed <- struct{}{}
	}
}

func newInjector(t *testing.T) (*Injector, *watch) {
	t.Helper()
	cluster, err := target.Start(t.Context(), target.Options{
		Binary: binary, DataDir: t.TempDir(), LogDir: t.TempDir(), Nodes: 3,
		Keepalive: time.Minute, Lease: 150 * time.Second, DefaultStreams: 2,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cluster.Stop(); err != nil {
			t.Error(err)
		}
	})
	w := &watch{begun: time.Now(), cluster: cluster, killed: make(chan struct{}, 10)}
	return &Injector{Cluster: cluster, Watch: w, Tell: w.tell}, w
}

func mustAllRun(t *testing.T, cluster *target.Cluster) {
	t.Helper()
	for _, node := range cluster.Nodes() {
		if _, err := node.Cluster(t.Context()); err != nil || !node.Running() {
			t.Errorf("%s does not run: %v", node.ID, err)
		}
	}
}

// Two leaders in a row are killed and come back. The second fault is due so soon
// that it has to wait for an election, and is written down first.
func TestKillsTheLeaderAndStartsItAgain(t *testing.T) {
	t.Parallel()
	injector, w := newInjector(t)
	faults, err := injector.Run(t.Context(), []Plan{
		{Kind: KillLeader, At: 110 * time.Millisecond, RestartAfter: 100 * time.Millisecond},
		{Kind: KillLeader, At: 100 * time.Millisecond, RestartAfter: 500 * time.Millisecond},
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(faults) != 2 || len(w.said) != 4 {
		t.Fatalf("did %+v and said %q, want two faults", faults, w.said)
	}
	for i, f := range faults {
		if f.Kind != KillLeader || !strings.Contains(w.said[2*i], f.Target) || f.AtS < 0.1 {
			t.Errorf("fault %+v, said %q", f, w.said)
		}
		if f.RestartedAtS == nil || *f.RestartedAtS < f.AtS {
			t.Errorf("fault %+v: want a restart after the kill", f)
		}
	}
	if first := faults[0]; *first.RestartedAtS < 0.6 {
		t.Errorf("%s was restarted %v s into the run, want 0.6", first.Target, *first.RestartedAtS)
	}
	if last := faults[1]; last.RecoveredAfterMS == nil || *last.RecoveredAfterMS <= 0 {
		t.Errorf("fault %+v: want it to say when the target recovered", last)
	}
	mustAllRun(t, injector.Cluster)
}

// A leader that stays down is a fault that the target recovers from too.
func TestRecoveryIsAwaitedWithoutARestart(t *testing.T) {
	t.Parallel()
	injector, _ := newInjector(t)
	faults, err := injector.Run(t.Context(), []Plan{{Kind: KillLeader}})
	if err != nil || len(faults) != 1 {
		t.Fatalf("did %+v: %v", faults, err)
	}
	if f := faults[0]; f.RestartedAtS != nil || f.RecoveredAfterMS == nil {
		t.Errorf("fault %+v: want a recovery without a restart", f)
	}
	for _, node := range injector.Cluster.Nodes() {
		if node.Running() == (node.ID == faults[0].Target) {
			t.Errorf("%s runs: %v, although %s was killed", node.ID, node.Running(), faults[0].Target)
		}
	}
}

func TestARunThatIsBrokenOffGetsItsNodeBack(t *testing.T) {
	t.Parallel()
	injector, w := newInjector(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() { <-w.killed; cancel() }()
	faults, err := injector.Run(ctx, []Plan{
		{Kind: KillLeader, RestartAfter: time.Hour}, {Kind: KillLeader, At: time.Millisecond},
	})
	if err != nil || len(faults) != 1 || faults[0].RestartedAtS == nil {
		t.Errorf("did %+v: %v: want one fault with its restart", faults, err)
	}
	mustAllRun(t, injector.Cluster)

	if faults, err := injector.Run(ctx, []Plan{{Kind: KillLeader}}); err != nil || len(faults) != 0 {
		t.Errorf("did %+v: %v: want nothing after the end", faults, err)
	}
	if faults, err := injector.Run(t.Context(), []Plan{{Kind: "flood"}}); err == nil || len(faults) != 0 {
		t.Errorf("did %+v: %v: want an error for a fault of no known kind", faults, err)
	}
	mustAllRun(t, injector.Cluster)
}
