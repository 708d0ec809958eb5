package server

import (
	"fmt"
	"net/http"
	"net/url"
	"testing"
	"time"
)

// played is session n: title, from an hour after begun plus n minutes, until
// position_ms.
func played(n, title, positionMS int) []event {
	from := time.Duration(n) * time.Minute
	e := newEvent(n, 0, "start").with("title_id", title, "offline", true, "at", momentText(from), "position_ms", 0, "played_ms", 0)
	stop := e.with("seq", 1, "type", "stop", "at", momentText(from+30*time.Second), "position_ms", positionMS, "played_ms", 30_000)
	return []event{e, stop}
}

// titlesOf are the titles of views in their order.
func titlesOf(t testing.TB, body map[string]any) []int64 {
	t.Helper()
	titles := []int64{}
	for _, v := range list(t, body, "views") {
		wantKeys(t, v, viewKeys...)
		titles = append(titles, number(t, v, "title_id"))
	}
	return titles
}

func wantTitles(t testing.TB, a answer, want ...int64) {
	t.Helper()
	if got := titlesOf(t, a.want(t, http.StatusOK)); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Fatalf("titles %v, want %v", got, want)
	}
}

// TestHistoryPages walks through all pages while new views begin: what was there
// before comes once each, the newest first.
func TestHistoryPages(t *testing.T) {
	t.Parallel()
	n := startSingle(t)
	const sessions = 45
	var all []event
	for i := 1; i <= sessions; i++ {
		all = append(all, played(i, i, 1000)...)
	}
	// Two that began at the same moment are told apart by their ids.
	for i := 101; i <= 102; i++ {
		all = append(all, newEvent(i, 0, "start").with("title_id", i, "offline", true, "at", momentText(10*time.Minute)))
	}
	n.tell(t, all...)
	n.tell(t, newEvent(500, 0, "start").with("profile_id", 2, "title_id", 500, "offline", true))
	for _, limit := range []int{1, 7, 47, 100} {
		seen := map[string]int{}
		last, cursor, pages := time.Now().Add(time.Hour), "", 0
		for {
			query := fmt.Sprintf("%s/history?limit=%d", profilePath(42, 1), limit)
			if cursor != "" {
				query += "&cursor=" + url.QueryEscape(cursor)
			}
			body := n.get(t, query).want(t, http.StatusOK)
			views := list(t, body, "views")
			if len(views) == 0 || len(views) > limit {
				t.Fatalf("%d views on a page of %d", len(views), limit)
			}
			for _, v := range views {
				wantKeys(t, v, viewKeys...)
				started := timeOf(t, v, "started_at")
				if started.After(last) {
					t.Fatalf("%v comes after an older one", v)
				}
				last = started
				seen[v["session_id"].(string)]++
			}
			if pages++; pages <= 3 { // somebody watches on
				id := 1000*limit + pages
				n.tell(t, played(id, 200+pages, 1000)[0].with("at", time.Now().Add(-time.Minute).UTC().Format(timeLayout)))
			}
			next, more := body["next_cursor"].(string)
			if !more {
				wantKeys(t, body, "views")
				break
			}
			wantKeys(t, body, "views", "next_cursor")
			if next == "" || pages > 200 {
				t.Fatalf("page %d has the cursor %q", pages, next)
			}
			cursor = next
		}
		for i := 1; i <= sessions; i++ {
			if seen[sessionID(i)] != 1 {
				t.Errorf("limit %d: session %d comes %d times", limit, i, seen[sessionID(i)])
			}
		}
		if seen[sessionID(101)] != 1 || seen[sessionID(102)] != 1 || seen[sessionID(500)] != 0 {
			t.Errorf("limit %d: twins %d and %d times, another profile's %d times", limit, seen[sessionID(101)], seen[sessionID(102)], seen[sessionID(500)])
		}
	}
	if got := titlesOf(t, n.get(t, profilePath(42, 1)+"/history").want(t, http.StatusOK)); len(got) != defaultLimit {
		t.Errorf("%d views without a limit, want %d", len(got), defaultLimit)
	}
}

func TestContinueWatchingAndHiding(t *testing.T) {
	t.Parallel()
	n := startSingle(t)
	completed := 2_940_000 * 9 / 10
	for i, position := range []int{1000, completed, completed - 1, 2000, 3000} {
		n.tell(t, played(i+1, i+1, position)...)
	}
	p := profilePath(42, 1)
	wantTitles(t, n.get(t, p+"/continue-watching"), 5, 4, 3, 1)
	wantTitles(t, n.get(t, p+"/continue-watching?limit=2"), 5, 4)
	wantTitles(t, n.get(t, p+"/history"), 5, 4, 3, 2, 1)
	wantTitles(t, n.get(t, profilePath(42, 2)+"/continue-watching"))
	report := n.get(t, sessionsPath(42)+"/"+sessionID(4)).body

	hide := func(title int) {
		t.Helper()
		a := n.send(t, http.MethodDelete, fmt.Sprintf("%s/history/%d", p, title), nil)
		if a.status != http.StatusNoContent || len(a.body) > 0 {
			t.Fatalf("DELETE is answered %d %s", a.status, a.body)
		}
		a.index(t)
	}
	hide(4)
	hide(4)  // again is the same
	hide(77) // never watched
	wantTitles(t, n.get(t, p+"/continue-watching"), 5, 3, 1)
	wantTitles(t, n.get(t, p+"/history"), 5, 3, 2, 1)
	// Where I was and what happened are still known.
	n.get(t, p+"/positions/4").want(t, http.StatusOK)
	if again := n.get(t, sessionsPath(42)+"/"+sessionID(4)); string(again.body) != string(report) {
		t.Errorf("hiding changed the report to %s", again.body)
	}
	// An old session, told of late, stays hidden; one begun since does not.
	n.tell(t, newEvent(4, 2, "telemetry").with("title_id", 4, "offline", true))
	wantTitles(t, n.get(t, p+"/history"), 5, 3, 2, 1)
	n.tell(t, newEvent(60, 0, "start").with("title_id", 4, "at", time.Now().Add(time.Second).UTC().Format(timeLayout)))
	wantTitles(t, n.get(t, p+"/history"), 4, 5, 3, 2, 1)
	wantTitles(t, n.get(t, p+"/continue-watching"), 4, 5, 3, 1)
	// A title watched to its end leaves continue-watching, one begun again comes back.
	n.tell(t, newEvent(61, 3000, "stop").with("title_id", 5, "position_ms", completed))
	n.tell(t, newEvent(62, 3001, "seek").with("title_id", 2, "position_ms", 5000, "offline", true))
	wantTitles(t, n.get(t, p+"/continue-watching"), 4, 2, 3, 1)
}
