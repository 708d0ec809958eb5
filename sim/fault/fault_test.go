package fault

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/playhead-load/playhead/sim/target"
)

const (
	shortLease = 2 * time.Second
	long       = time.Minute // until a test has seen enough
)

// only is which nodes the one fault that was done has hit.
func only(t *testing.T, damage Damage) (hit string) {
	t.Helper()
	f := damage.Faults[0]
	if f.RecoveredAfterMS == nil || *f.RecoveredAfterMS < 0 {
		t.Errorf("fault %+v: want it to say when the target recovered", f)
	}
	return f.Target
}

// node is the one with that id.
func (g *game) node(id string) *target.Node {
	g.t.Helper()
	nodes := g.cluster.Nodes()
	i := slices.IndexFunc(nodes, func(n *target.Node) bool { return n.ID == id })
	if i < 0 {
		g.t.Fatalf("no node %q", id)
	}
	return nodes[i]
}

// Killed processes are gone, and back in the end; without a majority nothing is written.
// The leader is killed twice in a row, the second time while the first is down.
func TestKill(t *testing.T) {
	t.Parallel()
	g := play(t, 3, shortLease, target.Rig{})
	g.during(func() {
		damage := g.breaks(func() {
			left := slices.DeleteFunc(slices.Clone(g.cluster.Nodes()), func(n *target.Node) bool { return !n.Running() })
			if len(left) != 1 {
				t.Fatalf("%d nodes run, want a minority", len(left))
			}
			g.eventually("nothing is written without a majority", func() bool {
				_, ok := g.writes(left[0].URL)
				return !ok
			})
		}, Plan{Kind: Kill, Target: Majority, For: 3 * time.Second})
		if hit := only(t, damage); len(strings.Fields(hit)) != 2 || damage.Faults[0].RestartedAtS == nil {
			t.Errorf("%+v, want two nodes killed and started again", damage.Faults)
		}

		damage = g.breaks(func() {}, Plan{Kind: KillLeader, For: 300 * time.Millisecond})
		only(t, damage)
		injector := &Injector{Cluster: g.cluster, Driver: g, Tell: g.tell}
		at := time.Duration(g.NowUS()) * time.Microsecond
		damage, err := injector.Run(t.Context(), []Plan{
			{Kind: KillLeader, At: at + 100*time.Millisecond, For: 4 * time.Second},
			{Kind: KillLeader, At: at + 50*time.Millisecond, For: 500 * time.Millisecond},
		})
		if err != nil || len(damage.Faults) != 2 {
			t.Fatalf("%+v %v, want two faults", damage, err)
		}
		first, second := damage.Faults[0], damage.Faults[1]
		if first.Target == second.Target && first.RestartedAtS == nil || first.AtS > second.AtS || *first.EndedAtS-first.AtS < 0.5 {
			t.Errorf("faults %+v", damage.Faults)
		}
	})
	for _, node := range g.cluster.Nodes() {
		if !node.Running() {
			t.Errorf("%s does not run", node.ID)
		}
	}
}

// A leader that stays down is a fault that the target recovers from too, and one that can
// find no other to kill says so.
func TestWhatIsNotMended(t *testing.T) {
	t.Parallel()
	g := play(t, 3, shortLease, target.Rig{})
	g.during(func() {
		damage := g.breaks(func() {}, Plan{Kind: KillLeader})
		if f := damage.Faults[0]; f.EndedAtS != nil || f.RestartedAtS != nil || g.node(f.Target).Running() {
			t.Errorf("fault %+v: want one without an end", f)
		}
		injector := &Injector{Cluster: g.cluster, Driver: g, Tell: g.tell, claims: claims{
			taken: map[claim]bool{{g.node(damage.Faults[0].Target), ofProcess}: true},
		}}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		skipped, err := injector.Run(ctx, []Plan{{Kind: Pause, Target: All, For: long}})
		if err != nil || len(skipped.Faults) != 1 || !strings.Contains(skipped.Faults[0].Skipped, "2 nodes that nothing else breaks, expected 3") || skipped.ConvergedAfterMS != nil {
			t.Errorf("%+v %v, want a fault that was skipped", skipped, err)
		}
		if damage, err := injector.Run(ctx, []Plan{{Kind: Pause, Target: Leader, For: long}}); err != nil || len(damage.Faults) != 0 {
			t.Errorf("%+v %v: want nothing after the end", damage, err)
		}
		if damage, err := injector.Run(t.Context(), []Plan{{Kind: "flood"}}); err == nil || len(damage.Faults) != 0 {
			t.Errorf("%+v %v: want an error for a fault of no known kind", damage, err)
		}
		down := g.node(damage.Faults[0].Target)
		if err := errors.Join(down.Start(), awaitReady(t.Context(), down)); err != nil {
			t.Error(err)
		}
	})
}

// A stopped leader answers nothing, and others take its place; a removed member is in no
// configuration, and in it again; a leader hands over; every process is another after a
// rolling restart. What waits for others to be over does.
func TestProcessesAndMembers(t *testing.T) {
	t.Parallel()
	g := play(t, 3, shortLease, target.Rig{})
	g.during(func() {
		leader := g.leader()
		damage := g.breaks(func() {
			g.anotherLeads(leader)
			if status, _ := g.answer(http.MethodGet, leader.URL+"/healthz", ""); status != 0 {
				t.Errorf("%s is stopped and answers %d", leader.ID, status)
			}
			g.more()
		}, Plan{Kind: Pause, Target: Leader, For: long})
		if hit := only(t, damage); hit != leader.ID {
			t.Errorf("%s was stopped, want the leader, %s", hit, leader.ID)
		}

		damage = g.breaks(func() {
			g.eventually("the leader has two members", func() bool { return len(g.members()) == 2 })
		}, Plan{Kind: Membership, Target: Follower, For: long})
		if members := g.members(); !slices.Contains(members, damage.Faults[0].Target) || len(members) != 3 {
			t.Errorf("members %v, want %s among them again", members, damage.Faults[0].Target)
		}

		leader = g.leader()
		damage = g.breaks(func() {
			g.anotherLeads(leader)
			g.more()
		}, Plan{Kind: TransferLeadership})
		only(t, damage)

		before := g.processes()
		at := time.Duration(g.NowUS()) * time.Microsecond
		injector := &Injector{Cluster: g.cluster, Driver: g, Tell: g.tell}
		damage, err := injector.Run(t.Context(), []Plan{
			{Kind: RollingRestart, At: at}, {Kind: Pause, Target: Random, At: at, Recovered: true, For: 100 * time.Millisecond},
		})
		if err != nil || len(damage.Faults) != 2 || damage.Faults[0].Target != "n1 n2 n3" {
			t.Fatalf("%+v %v, want every node restarted, and one stopped", damage, err)
		}
		if rolled, paused := damage.Faults[0], damage.Faults[1]; paused.AtS < *rolled.EndedAtS {
			t.Errorf("faults %+v: the second was to wait for the first", damage.Faults)
		}
		for i, begun := range g.processes() {
			if begun == before[i] || begun == "" {
				t.Errorf("n%d is the process of before, begun at %q", i+1, begun)
			}
		}
	})
}

var processBegun = regexp.MustCompile(`(?m)^process_start_time_seconds (\S+)$`)

// processes are when the nodes' processes began.
func (g *game) processes() (begun []string) {
	for _, node := range g.cluster.Nodes() {
		_, text := g.answer(http.MethodGet, node.URL+"/metrics", "")
		found := processBegun.FindStringSubmatch(text)
		begun = append(begun, strings.Join(found[min(1, len(found)):], ""))
	}
	return begun
}

// A leader that its peers do not hear is one no longer: it acknowledges nothing and answers
// no read that is to be linearizable, also where clients still reach it.
func TestPartitions(t *testing.T) {
	t.Parallel()
	g := play(t, 3, shortLease, target.Rig{Wires: true, Doors: true})
	const read = "/v1/accounts/1/sessions?consistency=linearizable"
	g.during(func() {
		for _, shape := range []string{ShapeLeaderFromPeers, ShapeOneWay, ShapeMajority, ShapeOne} {
			leader := g.leader()
			damage := g.breaks(func() {
				g.anotherLeads(leader)
				if status, text := g.answer(http.MethodGet, leader.URL+read, ""); status == http.StatusOK {
					t.Errorf("%s: %s is cut off and answers a linearizable read: %s", shape, leader.ID, text)
				}
				if _, ok := g.writes(leader.URL); ok {
					t.Errorf("%s: %s is cut off and acknowledges a write", shape, leader.ID)
				}
				if status, err := leader.Cluster(t.Context()); err != nil || status.Role == "leader" {
					t.Errorf("%s: %s is cut off and says %+v %v", shape, leader.ID, status, err)
				}
				door := g.cluster.URLs()[slices.Index(g.cluster.Nodes(), leader)]
				if status, text := g.answer(http.MethodGet, door+"/healthz", ""); (status == http.StatusOK) == (shape == ShapeOne) {
					t.Errorf("%s: clients of %s get %d %s", shape, leader.ID, status, text)
				}
				g.more()
			}, Plan{Kind: Partition, Shape: shape, Target: Leader, For: long})
			if hit := only(t, damage); hit != leader.ID {
				t.Errorf("%s: %s was cut off, want the leader, %s", shape, hit, leader.ID)
			}
		}
		g.flaps()
	})
}

// flaps cuts a follower off again and again: it falls behind, and catches up each time.
func (g *game) flaps() {
	g.breaks(func() {
		node := g.node(strings.Fields(g.lines()[len(g.lines())-1])[2])
		for range 2 {
			g.eventually("the follower is behind", func() bool { return g.applied(node)+10 < g.applied(g.leader()) })
			g.eventually("it has caught up", func() bool { return g.applied(node)+4 > g.applied(g.leader()) })
		}
	}, Plan{Kind: Partition, Shape: ShapeFlapping, Target: Follower, For: long, Period: 3 * time.Second})
}

// In a ring of majorities the leader reaches two of four others, which is enough for
// writes; the other two hear nothing of them, also not from each other.
func TestARingOfMajorities(t *testing.T) {
	t.Parallel()
	g := play(t, 5, shortLease, target.Rig{Wires: true})
	g.during(func() {
		damage := g.breaks(func() {
			g.eventually("two nodes stand still while the others write", func() bool {
				return g.standStill() == 2
			})
		}, Plan{Kind: Partition, Shape: ShapeRing, For: long})
		if hit := only(t, damage); hit != "n1 n2 n3 n4 n5" {
			t.Errorf("%q were in the ring, want all", hit)
		}
		g.eventually("nobody stands still", func() bool { return g.standStill() == 0 })
	})
}

// standStill is how many nodes apply nothing while others do.
func (g *game) standStill() (still int) {
	before := make([]uint64, len(g.cluster.Nodes()))
	for i, node := range g.cluster.Nodes() {
		before[i] = g.applied(node)
	}
	g.more()
	for i, node := range g.cluster.Nodes() {
		if g.applied(node) == before[i] {
			still++
		}
	}
	return still
}

// Between nodes what is late makes every write late; between clients and nodes only what
// clients ask. What a client says twice is heard twice, and is there once.
func TestNetwork(t *testing.T) {
	t.Parallel()
	const delay = 60 * time.Millisecond // a leader without a word from its peers for half a second is none
	g := play(t, 3, shortLease, target.Rig{Wires: true, Doors: true, Requests: true})
	slower := func(url string) bool {
		took, ok := g.writes(url)
		return ok && took >= 2*delay
	}
	g.during(func() {
		damage := g.breaks(func() {
			g.eventually("a write takes the way to a follower and back", func() bool { return slower(g.leader().URL) })
			g.more()
		}, Plan{Kind: Network, Between: BetweenNodes, Target: All, For: long, Delay: delay, Jitter: 10 * time.Millisecond, Loss: 0.001, BandwidthKbps: 50_000})
		if hit := only(t, damage); hit != "n1 n2 n3" {
			t.Errorf("%q were hit, want all", hit)
		}
		g.eventually("a write is not late any more", func() bool {
			took, ok := g.writes(g.leader().URL)
			return ok && took < 2*delay
		})
		g.breaks(func() {
			g.eventually("a client's write takes its way and back", func() bool { return slower(g.cluster.URLs()[0]) })
			g.eventually("one that needs no client's way does not", func() bool {
				took, ok := g.writes(g.leader().URL)
				return ok && took < 2*delay
			})
		}, Plan{Kind: Network, Between: BetweenClients, Target: All, For: long, Delay: delay})
		before := g.duplicates()
		g.breaks(func() {
			g.eventually("events are heard twice", func() bool { return g.duplicates() >= before+20 })
		}, Plan{Kind: Network, Between: BetweenClients, Target: All, For: long, Duplicate: 0.3, Reorder: 0.3})
	})
}

var duplicatesHeard = regexp.MustCompile(`(?m)^playhead_events_total\{status="duplicate"\} (\S+)$`)

// duplicates is how many events the nodes have heard twice.
func (g *game) duplicates() (sum int) {
	for _, node := range g.cluster.Nodes() {
		_, text := g.answer(http.MethodGet, node.URL+"/metrics", "")
		if found := duplicatesHeard.FindStringSubmatch(text); found != nil {
			var n float64
			_, _ = fmt.Sscan(found[1], &n)
			sum += int(n)
		}
	}
	return sum
}

// A slow disk makes writes slow; a full one, and one that hangs (known bug 8), cost the
// leadership.
func TestDisks(t *testing.T) {
	t.Parallel()
	const delay = 100 * time.Millisecond
	g := play(t, 3, shortLease, target.Rig{Inside: true})
	g.during(func() {
		g.breaks(func() {
			g.eventually("a write is as slow as the disk", func() bool {
				took, ok := g.writes(g.leader().URL)
				return ok && took >= delay
			})
		}, Plan{Kind: Disk, Mode: "slow", Target: All, For: long, Delay: delay})
		for _, mode := range []string{"full", "hang"} {
			leader := g.leader()
			damage := g.breaks(func() {
				g.anotherLeads(leader)
				g.more()
			}, Plan{Kind: Disk, Mode: mode, Target: Leader, For: long})
			if hit := only(t, damage); hit != leader.ID {
				t.Errorf("the disk of %s was broken, want that of the leader, %s", hit, leader.ID)
			}
		}
	})
}

// The leader's clock decides when a stream expires: bumped ahead, later. Set back and right
// again and again it leaves the log's time as it is. No replica comes apart by it (known
// bug 14). Two faults at once: all disks are slow meanwhile.
func TestClocks(t *testing.T) {
	t.Parallel()
	const lease, ahead = 150 * time.Second, 30 * time.Second
	g := play(t, 3, lease, target.Rig{Inside: true})
	expires := func() time.Duration {
		at := time.Now()
		_, text := g.answer(http.MethodPost, g.leader().URL+"/v1/accounts/98/sessions", fmt.Sprintf(
			`{"session_id":"00000000-0000-7000-8000-%012x","seq":0,"type":"start","at":%q,"account_id":98,"profile_id":1,"device_id":98,"device_type":"tv","title_id":80}`,
			at.UnixNano()&(1<<48-1), at.UTC().Format(time.RFC3339Nano)))
		found := expiresAt.FindStringSubmatch(text)
		if found == nil {
			return 0
		}
		until, err := time.Parse(time.RFC3339, found[1])
		if err != nil {
			t.Fatal(err)
		}
		return until.Sub(at)
	}
	g.during(func() {
		g.eventually("a stream has its lease", func() bool { return expires() > lease-time.Second && expires() < lease+10*time.Second })
		damage := g.breaks(func() {
			g.eventually("it expires by the leader's clock", func() bool { return expires() > lease+ahead-time.Second })
		}, Plan{Kind: Clock, Mode: "bump", Target: Leader, Offset: ahead, For: long},
			Plan{Kind: Disk, Mode: "slow", Target: All, Delay: 5 * time.Millisecond, For: long})
		if a, b := damage.Faults[0], damage.Faults[1]; a.AtS > *b.EndedAtS || b.AtS > *a.EndedAtS {
			t.Errorf("%+v were not at once", damage.Faults)
		}
		before := expires()
		g.breaks(func() {
			for began := time.Now(); time.Since(began) < 3*time.Second; { // 30 periods
				asked := time.Now()
				if ahead := expires() - time.Since(asked) - before; ahead > time.Second {
					t.Errorf("the log's time has run ahead by %v", ahead)
					return
				}
			}
		}, Plan{Kind: Clock, Mode: Strobe, Target: All, Offset: -300 * time.Millisecond, Period: 100 * time.Millisecond, For: long})
	})
}

var expiresAt = regexp.MustCompile(`"expires_at":"([^"]+)"`)
