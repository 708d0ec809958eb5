package audit

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/playhead-load/playhead/viewing"
)

// answers is a target that says what it is told to say: JSON by path.
type answers struct {
	sessions  map[string]map[string]any
	positions map[string]map[string]any // by title
	views     []map[string]any
	active    []string
}

const (
	runtimeMS  = 90_000
	deviceType = "tv"
)

// two sessions of one title by one profile, the second resumed and stopped, and a
// start that was denied.
func rightLog() []Entry {
	entry := func(session string, seq uint32, kind viewing.EventType, fate Fate, atMS viewing.Millis) Entry {
		e := event{session, 1, seq, kind, fate, int64(atMS), int64(atMS) + 1, 0}.entry()
		e.AtMS = viewing.MinAt + atMS
		e.PositionMS, e.PlayedMS, e.RebufferMS = int64(atMS)*10, int64(atMS), 7
		e.RuntimeMS, e.DeviceType = runtimeMS, deviceType
		e.Bitrates = HashBitrates([]viewing.Bitrate{{Kbps: "300", PlayedMS: 1}, {Kbps: "3000", PlayedMS: int64(atMS)}})
		return e
	}
	resumed := entry("b", 0, start, Accepted, 300)
	resumed.Resumed, resumed.PositionMS = true, 2000
	denied := entry("c", 0, start, Denied, 350)
	denied.Device, denied.Title = 2, 8
	other := entry("o", 0, start, Accepted, 310)
	other.Device, other.Profile, other.Title = 3, 2, 9
	failed := entry("a", 1, viewing.Error, Known, 150)
	failed.ErrorCode = "stall"
	return []Entry{
		entry("a", 0, start, Accepted, 100), failed, entry("a", 2, stop, Accepted, 200),
		resumed, entry("b", 1, stop, Accepted, 400),
		other, denied,
	}
}

func stamp(atMS viewing.Millis) string {
	return time.UnixMilli(int64(viewing.MinAt + atMS)).UTC().Format("2006-01-02T15:04:05.000Z")
}

func rightAnswers() *answers {
	view := func(session string, device, profile, title int, began, ended viewing.Millis, position int64) map[string]any {
		return map[string]any{
			"session_id": sessionNamed(session), "title_id": title, "profile_id": profile, "device_id": device,
			"started_at": stamp(began), "played_ms": ended, "position_ms": position,
			"device_type": deviceType, "runtime_ms": runtimeMS, "ended_at": stamp(ended), "completed": false,
		}
	}
	report := func(view map[string]any, state string, lastSeq, events int) map[string]any {
		r := maps.Clone(view)
		maps.Copy(r, map[string]any{
			"state": state, "last_seq": lastSeq, "events": events, "rebuffer_ms": 7,
			"bitrate_ms": map[string]any{"300": 1, "3000": r["played_ms"]}, "errors": []any{},
		})
		return r
	}
	a, b, o := view("a", 1, 1, 7, 100, 200, 2000), view("b", 1, 1, 7, 300, 400, 4000), view("o", 3, 2, 9, 310, 310, 3100)
	target := &answers{
		active: []string{"o"},
		sessions: map[string]map[string]any{
			"a": report(a, "stopped", 2, 3), "b": report(b, "stopped", 1, 2), "o": report(o, "active", 0, 1),
		},
		positions: map[string]map[string]any{
			"7": {"title_id": 7, "position_ms": 4000, "updated_at": stamp(400), "session_id": sessionNamed("b")},
			"9": {"title_id": 9, "position_ms": 3100, "updated_at": stamp(310), "session_id": sessionNamed("o")},
		},
		views: []map[string]any{b, a, o},
	}
	target.sessions["o"]["ended_at"] = nil
	target.fail(stamp(150), "stall")
	return target
}

// fail lists an error of the first session.
func (a *answers) fail(at, code string) {
	errors := a.sessions["a"]["errors"].([]any)
	a.sessions["a"]["errors"] = append(errors, map[string]any{"at": at, "error_code": code})
}

// get answers a path; history comes a view a page, to prove that pages are followed.
func (a *answers) get(path, query string) string {
	parts := strings.Split(path, "/") // "", v1, accounts, 42, …
	text := func(v any) string { b, _ := json.Marshal(v); return string(b) }
	switch {
	case parts[4] == "sessions" && len(parts) == 5:
		active := []any{}
		for _, name := range a.active {
			active = append(active, map[string]any{"session_id": sessionNamed(name)})
		}
		return text(map[string]any{"max_streams": 2, "active": active})
	case parts[4] == "sessions":
		for name, session := range a.sessions {
			if parts[5] == sessionNamed(name).String() {
				return text(session)
			}
		}
		return ""
	case parts[6] == "positions":
		found := []any{}
		for _, title := range strings.Split(strings.TrimPrefix(query, "title_id="), ",") {
			if a.positions[title] != nil {
				found = append(found, a.positions[title])
			}
		}
		return text(map[string]any{"positions": found})
	}
	var views []map[string]any
	for _, v := range a.views {
		if fmt.Sprint(v["profile_id"]) == parts[5] {
			views = append(views, v)
		}
	}
	at := 0
	_, _ = fmt.Sscanf(query[strings.Index(query, "cursor="):], "cursor=%d", &at)
	page := map[string]any{"views": views[min(at, len(views)):min(at+1, len(views))]}
	if at+1 < len(views) {
		page["next_cursor"] = fmt.Sprint(at + 1)
	}
	return text(page)
}

// TestReading compares logs with a target's answers that are right but for one thing.
func TestReading(t *testing.T) {
	unanswered := func(seq int) func(entries []Entry) []Entry {
		return func(entries []Entry) []Entry { entries[seq].Fate = Unanswered; return entries }
	}
	cases := map[string]struct {
		log    func(entries []Entry) []Entry // nil: as it is
		answer func(a *answers)
		used   bool
		want   []string
	}{
		"right":                      {},
		"an event lost":              {answer: func(a *answers) { a.sessions["a"]["events"] = 2 }, want: []string{KindLost}},
		"the newest lost":            {answer: func(a *answers) { a.sessions["a"]["last_seq"] = 1 }, want: []string{KindLost}},
		"a session lost":             {answer: func(a *answers) { delete(a.sessions, "a") }, want: []string{KindLost}},
		"events not counted":         {answer: func(a *answers) { delete(a.sessions["a"], "events") }},
		"an event doubled":           {answer: func(a *answers) { a.sessions["a"]["events"] = 4 }, want: []string{KindHistory}},
		"a seq never told":           {answer: func(a *answers) { a.sessions["a"]["last_seq"] = 9 }, want: []string{KindHistory}},
		"played too much":            {answer: func(a *answers) { a.sessions["a"]["played_ms"] = 201 }, want: []string{KindHistory}},
		"rebuffered too much":        {answer: func(a *answers) { a.sessions["a"]["rebuffer_ms"] = 8 }, want: []string{KindHistory}},
		"another rate":               {answer: func(a *answers) { a.sessions["a"]["bitrate_ms"] = map[string]any{"300": 1} }, want: []string{KindHistory}},
		"another device":             {answer: func(a *answers) { a.sessions["a"]["device_id"] = 2 }, want: []string{KindHistory}},
		"another beginning":          {answer: func(a *answers) { a.sessions["a"]["started_at"] = stamp(101) }, want: []string{KindHistory}},
		"another device type":        {answer: func(a *answers) { a.sessions["a"]["device_type"] = "web" }, want: []string{KindHistory}},
		"device type left out":       {answer: func(a *answers) { delete(a.sessions["a"], "device_type") }},
		"another runtime":            {answer: func(a *answers) { a.sessions["a"]["runtime_ms"] = runtimeMS - 1 }, want: []string{KindHistory}},
		"a longer runtime":           {answer: func(a *answers) { a.sessions["a"]["runtime_ms"] = runtimeMS + 1 }, want: []string{KindHistory}},
		"runtime left out":           {answer: func(a *answers) { delete(a.sessions["a"], "runtime_ms") }},
		"another end":                {answer: func(a *answers) { a.sessions["a"]["ended_at"] = stamp(201) }, want: []string{KindHistory}},
		"end left out":               {answer: func(a *answers) { delete(a.sessions["a"], "ended_at") }},
		"an error lacks":             {answer: func(a *answers) { a.sessions["a"]["errors"] = []any{} }, want: []string{KindHistory}},
		"an error never told":        {answer: func(a *answers) { a.fail(stamp(160), "stall") }, want: []string{KindHistory}},
		"an error twice":             {answer: func(a *answers) { a.fail(stamp(150), "stall") }, want: []string{KindHistory}},
		"an error of another code":   {answer: func(a *answers) { a.sessions["a"]["errors"] = []any{}; a.fail(stamp(150), "x") }, want: []string{KindHistory}},
		"errors left out":            {answer: func(a *answers) { delete(a.sessions["a"], "errors") }},
		"history of another device":  {answer: func(a *answers) { a.views[1]["device_id"] = 2 }, want: []string{KindHistory}},
		"history of another type":    {answer: func(a *answers) { a.views[1]["device_type"] = "web" }, want: []string{KindHistory}},
		"history of another runtime": {answer: func(a *answers) { a.views[1]["runtime_ms"] = 1 }, want: []string{KindHistory}},
		"history without extras": {answer: func(a *answers) {
			for _, field := range []string{"device_id", "device_type", "runtime_ms", "completed"} {
				delete(a.views[1], field)
			}
		}},
		"completed before the end": {answer: func(a *answers) { a.views[1]["completed"] = true }},
		"completed at the beginning": {log: placedAt(0), answer: func(a *answers) {
			a.place(0)
			a.views[2]["completed"] = true
		}, want: []string{KindHistory}},
		"not completed at the beginning": {log: placedAt(0), answer: func(a *answers) { a.place(0) }},
		"not completed at the end":       {log: placedAt(runtimeMS), answer: func(a *answers) { a.place(runtimeMS) }, want: []string{KindHistory}},
		"completed at the end": {log: placedAt(runtimeMS), answer: func(a *answers) {
			a.place(runtimeMS)
			a.sessions["o"]["completed"], a.views[2]["completed"] = true, true
		}},
		"a stopped session active":  {answer: func(a *answers) { a.active = []string{"a", "o"} }, want: []string{KindHistory}},
		"a replaced session active": {log: replaced, answer: func(a *answers) { a.stopless(); a.active = []string{"a", "b"} }, want: []string{KindHistory}},
		"its replacement active":    {log: replaced, answer: func(a *answers) { a.stopless(); a.active = []string{"b"} }},
		"a stranger active":         {answer: func(a *answers) { a.active = []string{"z"} }, want: []string{KindHistory}},
		"a denied session active":   {answer: func(a *answers) { a.active = []string{"c"} }, want: []string{KindHistory}},
		"an unanswered stop, and active": {log: unanswered(4), answer: func(a *answers) {
			a.active = []string{"b"}
			a.sessions["b"]["state"], a.sessions["b"]["last_seq"], a.sessions["b"]["events"] = "active", 0, 1
			maps.Copy(a.sessions["b"], map[string]any{"played_ms": 300, "position_ms": 2000, "bitrate_ms": map[string]any{"300": 1, "3000": 300}})
			a.positions["7"] = map[string]any{"title_id": 7, "position_ms": 2000, "updated_at": stamp(300), "session_id": sessionNamed("b")}
			maps.Copy(a.views[0], map[string]any{"played_ms": 300, "position_ms": 2000})
		}},
		"unanswered, and its runtime and error there": {log: func(entries []Entry) []Entry {
			entries[1].Fate, entries[1].RuntimeMS = Unanswered, runtimeMS+5
			return entries
		}, answer: func(a *answers) { a.sessions["a"]["runtime_ms"], a.views[1]["runtime_ms"] = runtimeMS+5, runtimeMS+5 }},
		"unanswered, and its error not there": {log: func(entries []Entry) []Entry {
			entries[1].Fate, entries[1].RuntimeMS = Unanswered, runtimeMS+5
			return entries
		}, answer: func(a *answers) { a.sessions["a"]["errors"], a.sessions["a"]["events"] = []any{}, 2 }},
		"not stopped":                 {answer: func(a *answers) { a.sessions["a"]["state"] = "active" }, want: []string{KindHistory}},
		"stopped too early":           {answer: func(a *answers) { a.sessions["o"]["state"] = "stopped" }, want: []string{KindHistory}},
		"position unknown":            {answer: func(a *answers) { delete(a.positions, "7") }, want: []string{KindPosition}},
		"position wrong":              {answer: func(a *answers) { a.positions["7"]["position_ms"] = 4001 }, want: []string{KindPosition}},
		"position of an older":        {answer: func(a *answers) { a.positions["7"]["session_id"] = sessionNamed("a") }, want: []string{KindPosition}},
		"position at another":         {answer: func(a *answers) { a.positions["7"]["updated_at"] = stamp(399) }, want: []string{KindPosition}},
		"position never told":         {answer: func(a *answers) { a.positions["8"] = withTitle(a.positions["7"], 8) }, want: []string{KindPosition}},
		"history lacks one":           {answer: func(a *answers) { a.views = a.views[1:] }, want: []string{KindHistory}},
		"history has one twice":       {answer: func(a *answers) { a.views = append(a.views, a.views[1]) }, want: []string{KindHistory}},
		"history out of order":        {answer: func(a *answers) { slices.Reverse(a.views) }, want: []string{KindHistory}},
		"history of a stranger":       {answer: func(a *answers) { a.list("z", 250) }, want: []string{KindHistory}},
		"history from before":         {answer: func(a *answers) { a.list("z", 50) }, used: true},
		"nothing from before":         {answer: func(a *answers) { a.list("z", 50) }, want: []string{KindHistory}},
		"a denied start listed":       {answer: func(a *answers) { a.list("c", 250) }, want: []string{KindHistory}},
		"history tells another title": {answer: func(a *answers) { a.views[1]["title_id"] = 9 }, want: []string{KindHistory}},
		"history played otherwise":    {answer: func(a *answers) { a.views[1]["played_ms"] = 150 }, want: []string{KindHistory}},
		"unanswered, and there":       {log: unanswered(4)},
		"unanswered, and not there": {log: unanswered(4), answer: func(a *answers) {
			a.sessions["b"]["last_seq"], a.sessions["b"]["events"], a.sessions["b"]["state"] = 0, 1, "expired"
			maps.Copy(a.sessions["b"], map[string]any{"played_ms": 300, "position_ms": 2000, "bitrate_ms": map[string]any{"300": 1, "3000": 300}})
			a.positions["7"] = map[string]any{"title_id": 7, "position_ms": 2000, "updated_at": stamp(300), "session_id": sessionNamed("b")}
			maps.Copy(a.views[0], map[string]any{"played_ms": 300, "position_ms": 2000})
		}},
		"all unanswered, and nothing there": {log: unanswered(5), answer: func(a *answers) {
			delete(a.sessions, "o")
			delete(a.positions, "9")
			a.views = a.views[:2]
		}},
		"all unanswered, and there":       {log: unanswered(5)},
		"all unanswered, and wrong there": {log: unanswered(5), answer: func(a *answers) { a.sessions["o"]["played_ms"] = 1 }, want: []string{KindHistory}},
		"unanswered, and the position older than it and its forerunner": {log: unanswered(4), answer: func(a *answers) {
			a.positions["7"] = map[string]any{"title_id": 7, "position_ms": 2000, "updated_at": stamp(200), "session_id": sessionNamed("a")}
		}, want: []string{KindPosition}},
		"a denied start of two tries may be there": {
			log: func(entries []Entry) []Entry {
				denied := &entries[6]
				denied.Title, denied.LastSentUS, denied.DoneUS = 8, denied.LastSentUS+500, denied.DoneUS+500
				denied.Profile = 1
				return entries
			},
			answer: func(a *answers) {
				a.list("c", 350)
				maps.Copy(a.views[0], map[string]any{"played_ms": 350, "position_ms": 3500, "title_id": 8, "device_id": 2})
			},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			target, entries := rightAnswers(), rightLog()
			if c.log != nil {
				entries = c.log(entries)
			}
			if c.answer != nil {
				c.answer(target)
			}
			server := httptest.NewServer(handlerFunc(target.get))
			defer server.Close()
			options := testOptions()
			options.URLs, options.Used = []string{server.URL}, c.used
			report, err := logOf(2, entries...).Check(t.Context(), options)
			if err != nil {
				t.Fatal(err)
			}
			delete(report.Violations, KindFalseDenial) // the denied start is there for its history
			delete(report.Violations, KindLinearizable)
			expect(t, report, c.want...)
			if report.Sessions != 4 {
				t.Errorf("%d sessions, want 4", report.Sessions)
			}
		})
	}
}

// replaced is the right log without the stops: the second session takes the place of
// the first.
func replaced(entries []Entry) []Entry {
	entries[2].Type, entries[4].Type = keepalive, keepalive
	return entries
}

// placedAt is the right log with the third session at a position.
func placedAt(positionMS int64) func(entries []Entry) []Entry {
	return func(entries []Entry) []Entry {
		entries[5].PositionMS = positionMS
		return entries
	}
}

// place makes the answers right for it, but for completed.
func (a *answers) place(positionMS int64) {
	for _, answer := range []map[string]any{a.sessions["o"], a.positions["9"], a.views[2]} {
		answer["position_ms"] = positionMS
	}
}

// stopless are the answers to it.
func (a *answers) stopless() {
	a.sessions["a"]["state"], a.sessions["b"]["state"] = "expired", "active"
}

func withTitle(position map[string]any, title int) map[string]any {
	p := maps.Clone(position)
	p["title_id"] = title
	return p
}

// list puts a session at its place in the first profile's history.
func (a *answers) list(session string, began viewing.Millis) {
	v := maps.Clone(a.views[0])
	v["session_id"], v["started_at"] = sessionNamed(session), stamp(began)
	a.views = append(a.views, v)
	slices.SortStableFunc(a.views, func(x, y map[string]any) int {
		return strings.Compare(y["started_at"].(string), x["started_at"].(string))
	})
}
