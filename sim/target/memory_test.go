package target

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"testing"
)

// forgetful is a node's environment in which sessions leave memory at once.
var forgetful = []string{"PLAYHEAD_SESSION_MEMORY=100ms", "PLAYHEAD_HISTORY_MEMORY=1"}

// Sessions that left memory, before a snapshot and after it, outlive a SIGKILL of all
// nodes at once: every session is told by its id and once in its profile's
// history, the nodes agree, and each archive replays to the same state.
func TestSessionsThatLeftMemorySurviveSIGKILL(t *testing.T) {
	t.Parallel()
	opts := options(t, 3)
	opts.Env = forgetful
	cluster := bootWith(t, opts)
	s := newStorm(t, cluster)
	s.begin()
	s.forgets(writers)
	for _, node := range cluster.Nodes() {
		response, err := s.client.Post(node.URL+"/v1/cluster/snapshot", "application/json", nil)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != http.StatusNoContent {
			t.Fatalf("snapshot of %s: %s", node.ID, response.Status)
		}
	}
	s.forgets(writers)
	s.killAllAndCheck()
	s.forgets(0)
	for _, node := range cluster.Nodes() {
		s.checkHistories(node)
	}
	s.noticesALostView()
	replaysToOneState(t, cluster, opts)
}

var coldSessions = regexp.MustCompile(`(?m)^playhead_cold_sessions (\S+)$`)

// forgets waits until so many more sessions have left the memory of every node.
func (s *storm) forgets(sessions int) {
	s.t.Helper()
	cold := func(node *Node) int {
		response, err := s.client.Get(node.URL + "/metrics")
		if err != nil {
			s.t.Fatal(err)
		}
		defer func() { _ = response.Body.Close() }()
		text, err := io.ReadAll(response.Body)
		if err != nil {
			s.t.Fatal(err)
		}
		found := coldSessions.FindSubmatch(text)
		if found == nil {
			s.t.Fatalf("%s does not tell how many sessions left its memory", node.ID)
		}
		held, err := strconv.ParseFloat(string(found[1]), 64)
		if err != nil {
			s.t.Fatal(err)
		}
		return int(held)
	}
	for _, node := range s.cluster.Nodes() {
		goal := max(cold(node)+sessions, 1)
		eventually(s.t, fmt.Sprintf("%d sessions have left the memory of %s", goal, node.ID), func() bool { return cold(node) >= goal })
	}
}

// noticesALostView shows that checkHistories does: of a session that nobody has, and of
// one that nobody told of.
func (s *storm) noticesALostView() {
	s.t.Helper()
	noticed := 0
	s.wrong = func(string, ...any) { noticed++ }
	at := slices.IndexFunc(s.sessions, func(p *told) bool { return p.must > 0 })
	known := s.sessions[at]
	s.sessions[at] = &told{account: known.account, id: "ffffffff-0000-7000-8000-000000000000", must: 1}
	s.checkHistories(s.cluster.Nodes()[0])
	s.sessions[at], s.wrong = known, s.t.Errorf
	if noticed != 2 {
		s.t.Errorf("a lost view and an invented one: %d were noticed", noticed)
	}
}

// checkHistories pages through every profile's history on a node: every session with an
// event acknowledged is in it, none twice, and none that nobody told of.
func (s *storm) checkHistories(node *Node) {
	s.t.Helper()
	seen := map[string]int{}
	for account := 1; account <= writers; account++ {
		for cursor, more := "", true; more; more = cursor != "" {
			var page struct {
				Views []struct {
					ID string `json:"session_id"`
				}
				Next string `json:"next_cursor"`
			}
			at := fmt.Sprintf("%s/v1/accounts/%d/profiles/1/history?limit=3&consistency=stale&cursor=%s", node.URL, account, url.QueryEscape(cursor))
			response, err := s.client.Get(at)
			if err != nil {
				s.t.Fatal(err)
			}
			err = json.NewDecoder(response.Body).Decode(&page)
			_ = response.Body.Close()
			if err != nil || response.StatusCode != http.StatusOK {
				s.t.Fatalf("%s: %s: %v", at, response.Status, err)
			}
			for _, view := range page.Views {
				seen[view.ID]++
			}
			cursor = page.Next
		}
	}
	for _, p := range s.sessions {
		if times := seen[p.id]; times > 1 || times == 0 && p.must > 0 || times == 1 && p.must+p.may == 0 {
			s.wrong("session %s: %d events acknowledged, %d uncertain, %d times in its history on %s", p.id, p.must, p.may, times, node.ID)
		}
		delete(seen, p.id)
	}
	for id := range seen {
		s.wrong("%s has session %s in a history, of which nobody told", node.ID, id)
	}
}
