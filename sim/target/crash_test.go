package target

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/playhead-load/playhead/sim/audit"
	"github.com/playhead-load/playhead/viewing"
)

// writers is how many devices write at once in a crash test, each to its account.
const writers = 24

// An acknowledged event survives every SIGKILL: of the leader (known bug 17: the
// repeated event neither doubles nor is lost), of a follower, of all nodes at once,
// and during a snapshot with its truncation of the log (known bug 12). Of known bug
// 3, acknowledged before it is on disk, this finds what a process still held in its
// memory; what the system had not written either survives a SIGKILL.
func TestAcknowledgedEventsSurviveSIGKILL(t *testing.T) {
	t.Parallel()
	withEachLogStore(t, func(t *testing.T, store string) {
		surviveSIGKILL(t, boot(t, 3, "PLAYHEAD_LOG_STORE="+store))
	})
}

func surviveSIGKILL(t *testing.T, cluster *Cluster) {
	t.Helper()
	s := newStorm(t, cluster)
	s.begin()

	s.more(200)
	leader := leaderOf(t, cluster)
	s.snapshot(leader)
	s.killAndRestart(leader)

	var follower *Node
	leader = leaderOf(t, cluster)
	for _, node := range cluster.Nodes() {
		if node != leader {
			follower = node
		}
	}
	s.snapshot(follower)
	s.killAndRestart(follower)
	s.killAndRestart(leaderOf(t, cluster))

	for _, node := range cluster.Nodes() {
		s.snapshot(node)
	}
	s.more(200)
	s.killAllAndCheck()
}

// The same for a cluster of one, where nobody else has the event.
func TestAcknowledgedEventsSurviveSIGKILLOfTheOnlyNode(t *testing.T) {
	t.Parallel()
	withALogStore(t, func(t *testing.T, store string) {
		surviveSIGKILLAlone(t, boot(t, 1, "PLAYHEAD_LOG_STORE="+store))
	})
}

func surviveSIGKILLAlone(t *testing.T, cluster *Cluster) {
	t.Helper()
	s := newStorm(t, cluster)
	s.begin()
	for range 3 {
		s.snapshot(cluster.Nodes()[0])
		s.more(200)
		s.killAll()
		s.restartAll()
	}
	s.more(200)
	s.killAllAndCheck()
}

// storm is many devices that write to a cluster while it breaks.
type storm struct {
	t       *testing.T
	cluster *Cluster
	client  *http.Client
	over    context.Context
	stop    context.CancelFunc
	writing sync.WaitGroup
	acked   atomic.Int64
	wrong   func(format string, args ...any) // told of what is lost or differs: the test's Errorf
	within  time.Duration                    // in which an event must be acknowledged; 0: a device may stay without an answer

	mu       sync.Mutex
	sessions []*told
}

// told is what one session's device told, and knows to be there. Where it does not
// know whether an event arrived, a device with an even number tells it again until
// it does, another ends its session.
type told struct {
	account uint64
	id      string
	must    int // events acknowledged
	may     int // events whose answer never came
	newest  int // the greatest seq acknowledged, -1 for none
}

func newStorm(t *testing.T, cluster *Cluster) *storm {
	s := &storm{t: t, cluster: cluster, wrong: t.Errorf, client: &http.Client{
		Timeout: 5 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: writers},
	}}
	s.over, s.stop = context.WithCancel(t.Context())
	t.Cleanup(s.end)
	return s
}

func (s *storm) begin() {
	for writer := range writers {
		s.writing.Go(func() { s.write(writer) })
	}
}

// end lets the writers finish what they are at.
func (s *storm) end() {
	s.stop()
	s.writing.Wait()
}

// write is one device's life: sessions of a few events each, one event at a time.
func (s *storm) write(writer int) {
	const eventsPerSession = 25
	repeats := writer%2 == 0 || s.within > 0
	for session := 0; s.over.Err() == nil; session++ {
		p := &told{account: uint64(writer) + 1, id: fmt.Sprintf("%08x-0000-7000-8000-%012x", session+1, writer+1), newest: -1}
		s.mu.Lock()
		s.sessions = append(s.sessions, p)
		s.mu.Unlock()
		for seq := 0; seq < eventsPerSession && s.over.Err() == nil; seq++ {
			if !s.tell(p, writer, seq, repeats) {
				break
			}
		}
	}
}

// tell says one event to one node after another until it is acknowledged, or only
// once, and notes what became of it.
func (s *storm) tell(p *told, writer, seq int, repeats bool) (acknowledged bool) {
	body := fmt.Appendf(nil, `[{"session_id":%q,"seq":%d,"type":"keepalive","at":%q,"account_id":%d,"profile_id":1,`+
		`"device_id":%d,"device_type":"tv","title_id":80,"position_ms":%d,"played_ms":%d}]`,
		p.id, seq, time.Now().UTC().Format(time.RFC3339Nano), p.account, p.account, 1000*seq, 1000*seq)
	begun := time.Now()
	for try := 0; ; try++ {
		node := s.cluster.Nodes()[(writer+seq+try)%len(s.cluster.Nodes())]
		ok, err := s.post(node, body)
		if errors.Is(err, errMovedOn) && !repeats { // an event it gave up on came late
			p.may++
			return false
		}
		if err != nil {
			s.t.Errorf("session %s seq %d: %v", p.id, seq, err)
		}
		if ok {
			p.must, p.newest = p.must+1, seq
			s.acked.Add(1)
			return true
		}
		time.Sleep(20 * time.Millisecond) // as a device waits before it tries again
		if s.within > 0 && err == nil {
			if try < mostTries && time.Since(begun) < s.within {
				continue
			}
			s.t.Errorf("session %s seq %d: not acknowledged after %d tries in %v", p.id, seq, try+1, time.Since(begun))
		}
		if !repeats || s.over.Err() != nil || err != nil {
			p.may++
			return false
		}
	}
}

// post says whether the node acknowledged the event. No answer and no quorum are
// no errors here.
func (s *storm) post(node *Node, body []byte) (acknowledged bool, err error) {
	response, err := s.client.Post(node.URL+"/v1/events", "application/json", bytes.NewReader(body))
	if err != nil {
		return false, nil
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	switch {
	case err != nil, response.StatusCode == http.StatusServiceUnavailable, response.StatusCode == http.StatusTooManyRequests:
		return false, nil
	case response.StatusCode != http.StatusOK:
		return false, fmt.Errorf("%s: %s", response.Status, text)
	}
	var answer struct {
		Outcomes []struct{ Status, Reason string }
	}
	if err := json.Unmarshal(text, &answer); err != nil || len(answer.Outcomes) != 1 {
		return false, fmt.Errorf("answer %s: %w", text, err)
	}
	switch outcome := answer.Outcomes[0]; {
	case outcome.Status == "accepted", outcome.Status == "duplicate":
		return true, nil
	case outcome.Reason == viewing.ReasonDeviceMovedOn:
		return false, errMovedOn
	default:
		return false, fmt.Errorf("answer %s", text)
	}
}

var errMovedOn = errors.New(viewing.ReasonDeviceMovedOn)

// more waits until so many more events are acknowledged.
func (s *storm) more(events int64) {
	s.t.Helper()
	want := s.acked.Load() + events
	eventually(s.t, fmt.Sprintf("%d more events are acknowledged", events), func() bool { return s.acked.Load() >= want })
}

// snapshot asks a node for a snapshot and does not wait for it.
func (s *storm) snapshot(node *Node) {
	s.writing.Go(func() {
		response, err := s.client.Post(node.URL+"/v1/cluster/snapshot", "application/json", nil)
		if err == nil {
			_ = response.Body.Close()
		}
	})
}

// killAndRestart kills a node while the others are written to, then brings it back.
func (s *storm) killAndRestart(node *Node) {
	s.t.Helper()
	if err := node.Kill(); err != nil {
		s.t.Fatal(err)
	}
	s.more(200)
	if err := node.Start(); err != nil {
		s.t.Fatal(err)
	}
	mustBeReady(s.t, node)
	s.more(200)
}

// killAllAndCheck ends the storm with every node killed at once.
func (s *storm) killAllAndCheck() {
	s.t.Helper()
	s.killAll()
	s.end()
	s.restartAll()
	s.check()
}

func (s *storm) killAll() { s.t.Helper(); s.kill(s.cluster.Nodes()...) }

func (s *storm) restartAll() { s.t.Helper(); s.restart(s.cluster.Nodes()...) }

// kill kills nodes at once.
func (s *storm) kill(nodes ...*Node) {
	s.t.Helper()
	var killing errgroup.Group
	for _, node := range nodes {
		killing.Go(node.Kill)
	}
	if err := killing.Wait(); err != nil {
		s.t.Fatal(err)
	}
}

func (s *storm) restart(nodes ...*Node) {
	s.t.Helper()
	for _, node := range nodes {
		if err := node.Start(); err != nil {
			s.t.Fatal(err)
		}
	}
	for _, node := range nodes {
		mustBeReady(s.t, node)
	}
}

// check asks for every session, first what a quorum agrees on, then each node for
// what it has itself.
func (s *storm) check() {
	s.t.Helper()
	nodes := s.cluster.Nodes()
	var index uint64
	agreed := make([]found, len(s.sessions))
	for i, p := range s.sessions {
		agreed[i] = s.ask(nodes[i%len(nodes)], p, "linearizable", 0)
		index = max(index, agreed[i].index)
		s.judge(p, agreed[i], "the quorum")
	}
	for _, node := range nodes {
		for i, p := range s.sessions {
			own := s.ask(node, p, "stale", index)
			s.judge(p, own, node.ID)
			if own.LastSeq != agreed[i].LastSeq || own.Events != agreed[i].Events || own.PositionMS != agreed[i].PositionMS {
				s.wrong("session %s: %s has %+v, the quorum %+v", p.id, node.ID, own, agreed[i])
			}
		}
	}
	differing, err := audit.Replicas(s.t.Context(), s.cluster.RunningURLs(), 2)
	if err != nil || len(differing) > 0 { // a cluster of one has nobody to differ from
		s.wrong("replicas: %v, %v", differing, err)
	}
	s.t.Logf("%d events of %d sessions acknowledged, at index %d", s.acked.Load(), len(s.sessions), index)
}

// found is what a node knows of a session.
type found struct {
	status     int
	index      uint64
	LastSeq    int   `json:"last_seq"`
	Events     int   `json:"events"`
	PositionMS int64 `json:"position_ms"`
}

func (s *storm) ask(node *Node, p *told, consistency string, minIndex uint64) (f found) {
	s.t.Helper()
	url := fmt.Sprintf("%s/v1/accounts/%d/sessions/%s?consistency=%s", node.URL, p.account, p.id, consistency)
	request, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, url, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	if minIndex > 0 {
		request.Header.Set("Playhead-Min-Index", strconv.FormatUint(minIndex, 10))
	}
	response, err := s.client.Do(request)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	f.status = response.StatusCode
	if f.status == http.StatusNotFound {
		return f
	}
	if f.index, err = strconv.ParseUint(response.Header.Get("Playhead-Index"), 10, 64); err != nil || f.index < minIndex {
		s.t.Fatalf("%s: %s, index %d, want at least %d: %v", url, response.Status, f.index, minIndex, err)
	}
	if err := json.NewDecoder(response.Body).Decode(&f); err != nil {
		s.t.Fatalf("%s: %v", url, err)
	}
	return f
}

// judge compares what is known with what was acknowledged.
func (s *storm) judge(p *told, f found, where string) {
	s.t.Helper()
	switch {
	case f.status == http.StatusNotFound && p.must == 0:
	case f.status != http.StatusOK:
		s.wrong("session %s: %d events acknowledged, status %d from %s", p.id, p.must, f.status, where)
	case f.Events < p.must || f.Events > p.must+p.may:
		s.wrong("session %s: %d events acknowledged, %d uncertain, %d at %s", p.id, p.must, p.may, f.Events, where)
	case f.LastSeq < p.newest || f.LastSeq > p.newest+p.may:
		s.wrong("session %s: seq %d acknowledged, the newest is %d at %s", p.id, p.newest, f.LastSeq, where)
	case f.PositionMS != 1000*int64(f.LastSeq):
		s.wrong("session %s: at %d ms by seq %d at %s", p.id, f.PositionMS, f.LastSeq, where)
	}
}
