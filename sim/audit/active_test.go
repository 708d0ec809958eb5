package audit

import (
	"encoding/json"
	"net/http/httptest"
	"testing"

	"github.com/playhead-load/playhead/viewing"
)

// TestActive judges the active list by the clock: a lease is 10 s.
func TestActive(t *testing.T) {
	begun := event{"a", 1, 0, start, Accepted, 1000, 1010, 0}
	cases := map[string]struct {
		events []event
		nowMS  int64
		listed []string
		wrong  bool
	}{
		"held, and listed":              {[]event{begun}, 5000, []string{"a"}, false},
		"held, and not listed":          {[]event{begun}, 5000, nil, true},
		"expired, and not listed":       {[]event{begun}, 12000, nil, false},
		"expired, and listed":           {[]event{begun}, 12000, []string{"a"}, true},
		"where the lease ends, listed":  {[]event{begun}, 11000, []string{"a"}, false},
		"where the lease ends, not so":  {[]event{begun}, 11000, nil, false},
		"renewed, and not listed":       {[]event{begun, {"a", 1, 1, keepalive, Accepted, 9000, 9010, 0}}, 12000, nil, true},
		"perhaps renewed, and listed":   {[]event{begun, {"a", 1, 1, keepalive, Unanswered, 9000, 9010, 0}}, 12000, []string{"a"}, false},
		"perhaps stopped, and listed":   {[]event{begun, {"a", 1, 1, stop, Unanswered, 2000, 3000, 0}}, 5000, []string{"a"}, false},
		"perhaps stopped, not listed":   {[]event{begun, {"a", 1, 1, stop, Unanswered, 2000, 3000, 0}}, 5000, nil, false},
		"stopped, and listed":           {[]event{begun, {"a", 1, 1, stop, Accepted, 2000, 2010, 0}}, 5000, []string{"a"}, true},
		"stopped, and begun once more":  {[]event{begun, {"a", 1, 1, stop, Accepted, 2000, 2010, 0}, {"a", 1, 2, keepalive, Accepted, 3000, 3010, 0}}, 5000, []string{"a"}, false},
		"replaced, and listed":          {[]event{begun, {"b", 1, 0, start, Accepted, 2000, 2010, 0}}, 5000, []string{"a", "b"}, true},
		"replaced, the other is listed": {[]event{begun, {"b", 1, 0, start, Accepted, 2000, 2010, 0}}, 5000, []string{"b"}, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			streams := []map[string]viewing.SessionID{}
			for _, session := range c.listed {
				streams = append(streams, map[string]viewing.SessionID{"session_id": sessionNamed(session)})
			}
			text, err := json.Marshal(map[string]any{"active": streams})
			if err != nil {
				t.Fatal(err)
			}
			server := httptest.NewServer(handlerFunc(func(string, string) string { return string(text) }))
			defer server.Close()
			options := testOptions()
			options.NowUS = func() int64 { return c.nowMS * 1000 }
			report := askActive(t, server, options, c.events)
			var want []string
			if c.wrong {
				want = []string{KindHistory}
			}
			expect(t, report, want...)
		})
	}
}

// TestOfflineStop: what is told offline ends no stream.
func TestOfflineStop(t *testing.T) {
	ended := event{"a", 1, 1, stop, Accepted, 2000, 2010, 0}.entry()
	ended.Offline = true
	log := logOf(1, event{"a", 1, 0, start, Accepted, 1000, 1010, 0}.entry(), ended,
		event{"b", 2, 0, start, Denied, 3000, 3010, 0}.entry())
	expect(t, judge(log, testOptions()))
}

// askActive makes the part of an audit that asks for the active list.
func askActive(t *testing.T, server *httptest.Server, options Options, events []event) Report {
	t.Helper()
	log := logOf(2)
	for _, e := range events {
		log.Add(e.entry())
	}
	c := &check{
		options: options, target: &reader{client: server.Client(), urls: []string{server.URL}},
		report: Report{Violations: map[string]int64{}}, examples: map[string]int{},
	}
	if err := c.active(t.Context(), log.household(1, options)); err != nil {
		t.Fatal(err)
	}
	return c.report
}
