package scenarios

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// everyFault is each kind once or more, with all that may be said of it.
const everyFault = `
name: breaking
population: {model: netflix-2015}
duration: 2m
target: {nodes: 5}
faults:
  - {at: 10s, kind: kill, target: minority, for: 2s}
  - {at: 11s, kind: kill-leader, restart_after: 2s}
  - {at: 12s, kind: kill}
  - {at: 13s, kind: pause, for: 3s}
  - {at: 14s, kind: partition, shape: majority, for: 3s, target: follower}
  - {at: 15s, kind: partition, shape: flapping, for: 3s}
  - {at: 16s, kind: partition, shape: ring, for: 3s}
  - {at: 17s, kind: partition, shape: leader-from-peers, for: 3s}
  - {at: 18s, kind: network, for: 3s, delay: 20ms, jitter: 10ms, loss: 0.01, bandwidth_kbps: 8000}
  - {at: 19s, kind: network, for: 3s, between: clients, target: random, duplicate: 0.1, reorder: 0.2}
  - {at: 20s, kind: disk, mode: slow, for: 3s, delay: 50ms}
  - {at: 21s, kind: disk, mode: hang, for: 3s, target: all}
  - {at: 22s, kind: clock, mode: bump, for: 3s, offset: -30s}
  - {at: 23s, kind: clock, mode: strobe, for: 3s, offset: 200ms, period: 100ms}
  - {at: 24s, when: recovered, kind: transfer-leadership}
  - {at: 25s, kind: membership, for: 3s}
  - {at: 26s, kind: rolling-restart}
  - {at: 27s, kind: vanish, for: 3s, share: 0.5}
`

func TestEveryFaultIsRead(t *testing.T) {
	scenario, err := Parse("breaking.yaml", []byte(everyFault))
	if err != nil {
		t.Fatal(err)
	}
	at := 9 * time.Second
	fault := func(f Fault) Fault {
		at += time.Second
		f.At = at
		return f
	}
	long := 3 * time.Second
	want := []Fault{
		fault(Fault{Kind: Kill, Target: TargetMinority, For: 2 * time.Second}),
		fault(Fault{Kind: KillLeader, For: 2 * time.Second}),
		fault(Fault{Kind: Kill, Target: TargetLeader}),
		fault(Fault{Kind: Pause, Target: TargetLeader, For: long}),
		fault(Fault{Kind: Partition, Shape: ShapeMajority, Target: TargetFollower, For: long}),
		fault(Fault{Kind: Partition, Shape: ShapeFlapping, Target: TargetLeader, For: long, Period: time.Second}),
		fault(Fault{Kind: Partition, Shape: ShapeRing, For: long}),
		fault(Fault{Kind: Partition, Shape: ShapeLeaderFromPeers, For: long}),
		fault(Fault{
			Kind: Network, Between: "nodes", Target: TargetAll, For: long,
			Delay: 20 * time.Millisecond, Jitter: 10 * time.Millisecond, Loss: 0.01, BandwidthKbps: 8000,
		}),
		fault(Fault{Kind: Network, Between: "clients", Target: TargetRandom, For: long, Duplicate: 0.1, Reorder: 0.2}),
		fault(Fault{Kind: Disk, Mode: "slow", Target: TargetLeader, For: long, Delay: 50 * time.Millisecond}),
		fault(Fault{Kind: Disk, Mode: "hang", Target: TargetAll, For: long}),
		fault(Fault{Kind: Clock, Mode: "bump", Target: TargetLeader, For: long, Offset: -30 * time.Second}),
		fault(Fault{Kind: Clock, Mode: "strobe", Target: TargetLeader, For: long, Offset: 200 * time.Millisecond, Period: 100 * time.Millisecond}),
		fault(Fault{Kind: TransferLeadership, When: WhenRecovered}),
		fault(Fault{Kind: Membership, Target: TargetFollower, For: long}),
		fault(Fault{Kind: RollingRestart}),
		fault(Fault{Kind: Vanish, For: long, Share: 0.5}),
	}
	if diff := cmp.Diff(want, scenario.Faults); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	kinds := map[FaultKind]bool{}
	for _, f := range scenario.Faults {
		kinds[f.Kind] = true
	}
	for _, kind := range FaultKinds() {
		if !kinds[kind] {
			t.Errorf("%s is not among them", kind)
		}
	}

	seed := uint64(9)
	changed, err := scenario.Override(Overrides{Seed: &seed})
	if err != nil {
		t.Fatal(err)
	}
	again, err := Parse("again.yaml", changed.Raw)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(changed, again); diff != "" {
		t.Errorf("written and read again (-want +got):\n%s", diff)
	}
}
