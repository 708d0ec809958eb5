package audit

import (
	"fmt"
	"net/http"
	"time"

	"github.com/playhead-load/playhead/viewing"
)

// What the tests' targets promise.
const (
	testLease   = 10 * time.Second
	testLate    = 2 * time.Second
	testAccount = 42
)

func testOptions() Options {
	return Options{Lease: testLease, Late: testLate, DefaultStreams: 2}
}

// sessionNamed is a session's id that a failure can be read from.
func sessionNamed(name string) viewing.SessionID {
	var id viewing.SessionID
	copy(id[:], name)
	return id
}

// event is an entry of a hand-made log, times in milliseconds. A second try was
// made at againMS, if that is not 0.
type event struct {
	session string
	device  uint64
	seq     uint32
	kind    viewing.EventType
	fate    Fate
	sentMS  int64
	doneMS  int64
	againMS int64
}

func (e event) entry() Entry {
	return Entry{
		Session: sessionNamed(e.session), Account: testAccount, Device: e.device, Title: 7, Profile: uint8(e.device),
		Seq: e.seq, Type: e.kind, Fate: e.fate,
		FirstSentUS: e.sentMS * 1000, LastSentUS: max(e.sentMS, e.againMS) * 1000, DoneUS: e.doneMS * 1000,
	}
}

func logOf(limit int, entries ...Entry) *Log {
	log := NewLog()
	log.SetLimit(testAccount, limit)
	for _, e := range entries {
		log.Add(e)
	}
	return log
}

// judge makes the part of an audit for which no target is needed.
func judge(log *Log, options Options) Report {
	c := &check{options: options, report: Report{Violations: map[string]int64{}}, examples: map[string]int{}}
	c.judge(log)
	return c.report
}

// failer is a *testing.T or a *rapid.T.
type failer interface {
	Helper()
	Errorf(format string, args ...any)
	Logf(format string, args ...any)
	Failed() bool
}

// expect fails the test unless the report has violations of exactly these kinds.
func expect(t failer, report Report, kinds ...string) {
	t.Helper()
	want := map[string]bool{}
	for _, kind := range kinds {
		want[kind] = true
		if report.Violations[kind] == 0 {
			t.Errorf("no violation of kind %s", kind)
		}
	}
	for kind, n := range report.Violations {
		if !want[kind] {
			t.Errorf("%d violations of kind %s, want none", n, kind)
		}
	}
	if t.Failed() {
		for _, example := range report.Examples {
			t.Logf("%s: %s", example.Kind, example.Detail)
		}
	}
}

// handlerFunc answers GETs by their path with JSON, 404 where the answer is "".
func handlerFunc(answer func(path, query string) string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text := answer(r.URL.Path, r.URL.RawQuery)
		if text == "" {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprint(w, text)
	})
}
