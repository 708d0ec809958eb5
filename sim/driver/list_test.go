package driver

import (
	"bytes"
	"net/http"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"github.com/playhead-load/playhead/http1"
	"github.com/playhead-load/playhead/sim/audit"
)

const (
	listedView   = `{"session_id":"01000000-0000-0000-0000-000000000005","title_id":7,"profile_id":1,"device_id":9,"device_type":"t\"v","started_at":"2026-11-23T20:15:00.123Z","ended_at":null,"played_ms":5000,"position_ms":90,"runtime_ms":100,"completed":true}`
	listedActive = `{"session_id":"01000000-0000-0000-0000-000000000005","device_id":9,"device_type":"tv","profile_id":1,"title_id":7,"position_ms":90,"started_at":"2026-11-23T20:15:00.123Z","last_seen_at":"2026-11-23T20:15:00.123Z","expires_at":"2026-11-23T20:15:00.123Z","more":[1,{"a":[]},"]"]}`
)

// TestListAnswer reads what a target may say to a question for a list. scans: without the
// memory that encoding/json takes.
func TestListAnswer(t *testing.T) {
	t.Parallel()
	view := audit.Listed{Session: sessionID(5), StartedAt: 1_795_464_900_123, PositionMS: 90, Title: 7, Completed: true}
	active := view
	active.Completed = false
	many := strings.Repeat(listedView+",", audit.MostListed+20) + listedView
	for _, c := range []struct {
		name, body string
		scans      bool
		read, more bool
		want       []audit.Listed
	}{
		{"views", `{"views":[` + listedView + `,` + listedView + `]}` + "\n", true, true, false, []audit.Listed{view, view}},
		{"another page", `{"views":[` + listedView + `],"next_cursor":"x"}`, true, true, true, []audit.Listed{view}},
		{"no other page", `{"next_cursor":"","views":[` + listedView + `]}`, true, true, false, []audit.Listed{view}},
		{"no views", `{"views":[]}`, true, true, false, nil},
		{"white space", " {\n\"views\" :\t[ " + listedView + " ] } ", true, true, false, []audit.Listed{view}},
		{"active sessions", `{"max_streams":2,"active":[` + listedActive + `]}`, true, true, false, []audit.Listed{active}},
		{"escapes", `{"views":[` + strings.ReplaceAll(listedView, "session_id", `session\u005fid`) + `]}`, false, true, false, []audit.Listed{view}},
		{"a number as a text", `{"views":[` + strings.ReplaceAll(listedView, "7", `"7"`) + `]}`, false, false, false, nil},
		{"no session", `{"views":[` + strings.ReplaceAll(listedView, "session_id", "id") + `]}`, false, false, false, nil},
		{"no start", `{"views":[` + strings.ReplaceAll(listedView, "started_at", "at") + `]}`, false, false, false, nil},
		{"no list", `{"problem":"none"}`, false, false, false, nil},
		{"two lists", `{"views":[],"active":[]}`, false, false, false, nil},
		{"nothing", ``, false, false, false, nil},
		{"a list alone", `[]`, false, false, false, nil},
		{"cut off", `{"views":[` + listedView, false, false, false, nil},
		{"followed by more", `{"views":[]}{}`, false, false, false, nil},
		{"too deep to scan", `{"views":[],"more":` + strings.Repeat("[", 20) + strings.Repeat("]", 20) + `}`, false, true, false, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, _, scanned := scanList([]byte(c.body), nil)
			if scanned != c.scans {
				t.Errorf("scanned: %v, want %v", scanned, c.scans)
			}
			got := listAnswer(audit.History, &http1.Answer{Status: http.StatusOK, Body: []byte(c.body)}, nil)
			if got.read != c.read || got.failed == c.read || got.read && got.reading.More != c.more {
				t.Errorf("read %v, more %v, want %v and %v", got.read, got.reading.More, c.read, c.more)
			}
			if diff := cmp.Diff(c.want, got.reading.Listed); c.read && len(c.want) > 0 && diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	for _, status := range []int{http.StatusNotFound, http.StatusBadRequest} {
		got := listAnswer(audit.History, &http1.Answer{Status: status, Body: []byte(`{"views":[]}`)}, nil)
		if got.read || got.failed != (status == http.StatusBadRequest) {
			t.Errorf("%d: read %v, failed %v", status, got.read, got.failed)
		}
	}
	got := listAnswer(audit.History, &http1.Answer{Status: http.StatusOK, Body: []byte(`{"views":[` + many + `]}`)}, nil)
	if !got.read || len(got.reading.Listed) != audit.MostListed+1 {
		t.Errorf("of a list that is too long %d were read (%v), want one more than a log takes", len(got.reading.Listed), got.read)
	}
}

// FuzzList: what is scanned is what encoding/json reads.
func FuzzList(f *testing.F) {
	f.Add([]byte(`{"views":[` + listedView + `],"next_cursor":"x"}`))
	f.Add([]byte(`{"max_streams":2,"active":[` + listedActive + `]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		all, more, ok := scanList(body, nil)
		if !ok {
			return
		}
		parsed, otherMore, parses := parseList(body, nil)
		if !parses || !bytes.Equal(body, lowered(body)) {
			t.Skip("it is no JSON, or has keys that encoding/json takes in any case")
		}
		if diff := cmp.Diff(parsed, all); diff != "" || more != otherMore {
			t.Errorf("more %v and %v (-parsed +scanned):\n%s", otherMore, more, diff)
		}
	})
}

// lowered has every letter in lower case, but for those of a time. The long s is one that
// encoding/json takes for an s.
func lowered(body []byte) []byte {
	return bytes.Map(func(r rune) rune {
		if r == 'T' || r == 'Z' {
			return r
		}
		if r == 'ſ' {
			return 's'
		}
		return unicode.ToLower(r)
	}, body)
}

// BenchmarkList reads a full page of history.
func BenchmarkList(b *testing.B) {
	body := []byte(`{"views":[` + strings.Repeat(listedView+",", 19) + listedView + `]}`)
	listed := make([]audit.Listed, 0, 20)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, ok := scanList(body, listed); !ok {
			b.Fatal("not scanned")
		}
	}
}
