package driver

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/playhead-load/playhead/sim"
	"github.com/playhead-load/playhead/sim/audit"
	"github.com/playhead-load/playhead/viewing"
)

// planStart is the plan's clock at the beginning of every test.
const planStart = viewing.Millis(1_448_000_000_000)

// line is one event of a script. Each device is its own account.
type line struct {
	dueMS   int64
	device  int32
	session byte
	seq     uint32
	kind    viewing.EventType
	agoMS   int64 // played without a connection so long before it is due
}

// script is a Fleet that says what the test wrote.
type script struct {
	devices int
	before  func(l line) // called before a line is said

	mu     sync.Mutex
	lines  []line
	said   int
	denied []string
}

func newScript(lines ...line) *script {
	s := &script{lines: lines}
	for _, l := range lines {
		s.devices = max(s.devices, int(l.device)+1)
	}
	return s
}

func (s *script) Next(until viewing.Millis, e *viewing.Event) (sim.Step, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.said == len(s.lines) || planStart+viewing.Millis(s.lines[s.said].dueMS) > until {
		return sim.Step{}, false
	}
	l := s.lines[s.said]
	s.said++
	if s.before != nil {
		s.before(l)
	}
	at := planStart + viewing.Millis(l.dueMS)
	*e = viewing.Event{
		At: at - viewing.Millis(l.agoMS), Offline: l.agoMS > 0,
		SessionID: sessionID(l.session), Seq: l.seq, Type: l.kind, AccountID: account(l.device), ProfileID: 1,
		DeviceID: uint64(l.device) + 1000, DeviceType: "tv", TitleID: 80, PositionMS: 1000 * int64(l.seq),
		BitrateMS: []viewing.Bitrate{{Kbps: "3000", PlayedMS: int64(l.seq)}}, ResumePos: l.kind == viewing.Start,
	}
	return sim.Step{DueMS: planStart + viewing.Millis(l.dueMS), Device: l.device}, true
}

func (s *script) Denied(device int32, session viewing.SessionID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.denied = append(s.denied, fmt.Sprintf("device %d session %d", device, session[15]))
}

func (s *script) Devices() int { return s.devices }

func account(device int32) uint64 { return uint64(device) + 1 }

func sessionID(n byte) (id viewing.SessionID) {
	id[0], id[15] = 1, n
	return id
}

// memo is a Log that tests can read.
type memo struct {
	mu       sync.Mutex
	entries  []audit.Entry
	readings []audit.Reading
}

func (m *memo) Add(e audit.Entry) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.entries = append(m.entries, e)
}

func (m *memo) AddAll(entries []audit.Entry) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.entries = append(m.entries, entries...)
}

func (m *memo) AddReading(r audit.Reading) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r.Listed = slices.Clone(r.Listed)
	m.readings = append(m.readings, r)
}

// fates counts the entries by what became of them.
func (m *memo) fates() map[audit.Fate]int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	fates := map[audit.Fate]int64{}
	for _, e := range m.entries {
		fates[e.Fate]++
	}
	return fates
}

// heard is a request as a node of the test's target heard it.
type heard struct {
	node    int
	method  string
	path    string
	seq     uint32
	session byte
	account uint64
	at      time.Time
}

func (h heard) isEvent() bool { return h.method == http.MethodPost }

// stage is a target of some nodes whose every answer the test writes.
type stage struct {
	urls   []string
	answer func(w http.ResponseWriter, h heard)

	mu    sync.Mutex
	heard []heard
}

// newStage serves nodes until the test ends. answer is called for many requests at
// once.
func newStage(t *testing.T, nodes int, answer func(w http.ResponseWriter, h heard)) *stage {
	t.Helper()
	s := &stage{answer: answer}
	for node := range nodes {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.serve(w, r, node) }))
		t.Cleanup(server.Close)
		s.urls = append(s.urls, server.URL)
	}
	return s
}

func (s *stage) serve(w http.ResponseWriter, r *http.Request, node int) {
	h := heard{node: node, method: r.Method, path: r.URL.Path, at: time.Now()}
	body, _ := io.ReadAll(r.Body)
	var e struct {
		Session viewing.SessionID `json:"session_id"`
		Seq     uint32            `json:"seq"`
		Account uint64            `json:"account_id"`
	}
	if h.isEvent() {
		if err := json.Unmarshal([]byte(strings.Trim(string(body), "[]")), &e); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
	}
	h.seq, h.session, h.account = e.Seq, e.Session[15], e.Account
	s.mu.Lock()
	s.heard = append(s.heard, h)
	s.mu.Unlock()
	s.answer(w, h)
}

func (s *stage) requests() []heard {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.heard)
}

// accept answers as a target that is well.
func accept(w http.ResponseWriter, h heard) {
	switch {
	case !h.isEvent():
		http.Error(w, `{}`, http.StatusNotFound)
	case h.path == "/v1/events":
		_, _ = io.WriteString(w, `{"outcomes":[{"status":"accepted"}]}`)
	default:
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, `{"session_id":"x","position_ms":4321}`)
	}
}

func deny(w http.ResponseWriter, h heard) {
	if h.path == "/v1/events" {
		_, _ = io.WriteString(w, `{"outcomes":[{"status":"denied","reason":"no stream is free"}]}`)
		return
	}
	w.WriteHeader(http.StatusConflict)
	_, _ = io.WriteString(w, `{"type":"too-many-streams","max_streams":1,"active":[]}`)
}

func unavailable(w http.ResponseWriter) { w.WriteHeader(http.StatusServiceUnavailable) }

// reset breaks the connection off without a word.
func reset(w http.ResponseWriter) {
	connection, _, err := http.NewResponseController(w).Hijack()
	if err == nil {
		_ = connection.Close()
	}
}

// drive is one run of a script against a stage.
type drive struct {
	*Driver
	script *script
	log    *memo
}

func newDrive(s *script, urls []string, change func(c *Config)) *drive {
	log := &memo{}
	config := Config{
		Fleet: s, StartMS: planStart, Targets: urls, Connections: 8, Timeout: 5 * time.Second,
		TimeScale: 1, Duration: 100 * time.Millisecond, Log: log,
	}
	if change != nil {
		change(&config)
	}
	d, err := New(config)
	if err != nil {
		panic(err)
	}
	return &drive{d, s, log}
}

// play runs to the end and checks that everything planned is accounted for.
func (d *drive) play(t *testing.T, ctx context.Context) time.Duration {
	t.Helper()
	played := d.Run(ctx, func() {})
	d.mustBalance(t)
	return played
}

func (d *drive) mustBalance(t *testing.T) {
	t.Helper()
	c := &d.counts
	due, answered, unanswered, unsent := c.due.Load(), c.answered.Load(), c.unanswered.Load(), c.unsent.Load()
	if due != answered+unanswered+unsent {
		t.Errorf("due %d, but answered %d + unanswered %d + unsent %d", due, answered, unanswered, unsent)
	}
	if left := d.Pending(); left != 0 {
		t.Errorf("%d requests are pending after the end", left)
	}
}

// mustFates checks how many of the log's events ended how.
func (d *drive) mustFates(t *testing.T, want map[audit.Fate]int64) {
	t.Helper()
	if got := d.log.fates(); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("fates %v, want %v", got, want)
	}
}

// eventually waits until ok says so.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}
