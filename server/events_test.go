package server

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/playhead-load/playhead/viewing"
	"github.com/playhead-load/playhead/viewing/wire"
)

const (
	ndjson     = "application/x-ndjson"
	binaryType = "application/vnd.playhead.events.v1"
)

// badEvents are events of session n, each with one fault, and the field that the
// reason has to name.
func badEvents(n int) []struct {
	field string
	event any
} {
	good := newEvent(n, 5, "keepalive")
	long := strings.Repeat("x", 65)
	rungs := map[string]int{}
	for i := range 33 {
		rungs[fmt.Sprint(i)] = i
	}
	return []struct {
		field string
		event any
	}{
		{"session_id", good.with("session_id", "nonsense")},
		{"session_id", good.with("session_id", "00000000-0000-0000-0000-000000000000")},
		{"session_id", good.with("session_id", nil)},
		{"session_id", good.with("session_id", 7)},
		{"seq", good.with("seq", -1)},
		{"seq", good.with("seq", 1<<31)},
		{"seq", good.with("seq", 1.5)},
		{"seq", good.with("seq", "5")},
		{"seq", good.with("seq", nil)},
		{"type", good.with("type", "play")},
		{"type", good.with("type", nil)},
		{"at", good.with("at", "1999-12-31T23:59:59.999Z")},
		{"at", good.with("at", "2101-01-01T00:00:00Z")},
		{"at", good.with("at", "yesterday")},
		{"at", good.with("at", 1795464900123)},
		{"at", good.with("at", nil)},
		{"account_id", good.with("account_id", 0)},
		{"account_id", good.with("account_id", json.Number("9007199254740992"))},
		{"account_id", good.with("account_id", nil)},
		{"profile_id", good.with("profile_id", 0)},
		{"profile_id", good.with("profile_id", 6)},
		{"profile_id", good.with("profile_id", 257)},
		{"device_id", good.with("device_id", 0)},
		{"device_id", good.with("device_id", json.Number("9007199254740992"))},
		{"device_type", good.with("device_type", "")},
		{"device_type", good.with("device_type", long)},
		{"device_type", good.with("device_type", "télé")},
		{"device_type", good.with("device_type", "t\nv")},
		{"title_id", good.with("title_id", 0)},
		{"title_id", good.with("title_id", 1<<32)},
		{"country", good.with("country", long)},
		{"runtime_ms", good.with("runtime_ms", 10_000_000_001)},
		{"position_ms", good.with("position_ms", 10_000_000_001)},
		{"position_ms", good.with("position_ms", -1)},
		{"position_ms", good.with("position_ms", nil)},
		{"played_ms", good.with("played_ms", 10_000_000_001)},
		{"played_ms", good.with("played_ms", nil)},
		{"rebuffer_ms", good.with("rebuffer_ms", -1)},
		{"error_code", good.with("error_code", long)},
		{"bitrate_ms", good.with("bitrate_ms", rungs)},
		{"bitrate_ms", good.with("bitrate_ms", map[string]int{"": 1})},
		{"bitrate_ms", good.with("bitrate_ms", map[string]int{"5800": -1})},
		{"bitrate_ms", good.with("bitrate_ms", []int{5800})},
		{"offline", good.with("offline", "yes")},
		{"colour", good.with("colour", "red")},
		{"Seq", good.with("Seq", 5)},
		{"event", 7},
		{"event", "keepalive"},
		{"event", nil},
		{"event", []int{}},
	}
}

func TestBadEventsCostTheirNeighboursNothing(t *testing.T) {
	t.Parallel()
	n := startSingle(t)
	n.setLimit(t, 42, 1000)
	bad := badEvents(1)
	for _, format := range []string{"application/json", ndjson} {
		var events []any
		var want []string
		account := 1000
		if format == ndjson {
			account = 2000
		}
		for i, b := range bad {
			events = append(events, newEvent(100+i, 1, "start").with("account_id", account+i), b.event)
			want = append(want, "accepted", "rejected")
		}
		events = append(events, newEvent(999, 1, "keepalive").with("account_id", account+999))
		want = append(want, "accepted")
		body, err := json.Marshal(events)
		if err != nil {
			t.Fatal(err)
		}
		if format == ndjson {
			body = lines(t, events)
		}
		outcomes := wantOutcomes(t, n.send(t, http.MethodPost, "/v1/events", body, "Content-Type", format), want...)
		for i, b := range bad {
			if reason := outcomes[2*i+1]["reason"].(string); !strings.HasPrefix(reason, b.field+": expected ") {
				t.Errorf("%s: %v is rejected for %q, want the reason to name %s", format, b.event, reason, b.field)
			}
			n.get(t, sessionsPath(account+i)+"/"+sessionID(100+i)).want(t, http.StatusOK)
		}
	}
	n.get(t, sessionsPath(42)+"/"+sessionID(1)).wantProblem(t, http.StatusNotFound, "")
}

func lines(t testing.TB, events []any) []byte {
	var body []byte
	for _, e := range events {
		line, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		body = append(append(body, line...), '\n')
	}
	return body
}

// encode is the body of good events of a content type.
func encode(t testing.TB, format string, events []any) []byte {
	t.Helper()
	if format == ndjson {
		return lines(t, events)
	}
	array, err := json.Marshal(events)
	if err != nil {
		t.Fatal(err)
	}
	if format != binaryType {
		return array
	}
	var decoder wire.Decoder
	binary := wire.AppendBatchHeader(nil)
	if err := decoder.DecodeEvents(array, wire.JSON, func(_ int, e *viewing.Event, err error) error {
		binary = wire.AppendEvent(binary, e)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return binary
}

func TestFormatsOfEvents(t *testing.T) {
	t.Parallel()
	n := startSingle(t)
	one, two := newEvent(1, 1, "start").with("account_id", 1), newEvent(1, 2, "keepalive").with("account_id", 1)
	array, binary := encode(t, "application/json", []any{one, two}), encode(t, binaryType, []any{one, two})
	path := sessionsPath(1) + "/" + sessionID(1)
	wantOutcomes(t, n.send(t, http.MethodPost, "/v1/events", array, "Content-Type", "application/json; charset=utf-8"), "accepted", "accepted")
	first := n.get(t, path)
	report := first.want(t, http.StatusOK)
	if number(t, report, "last_seq") != 2 || number(t, report, "played_ms") != 2000 {
		t.Fatalf("the session is %s", first.body)
	}
	// The same events in the other formats are the same events.
	for format, body := range map[string][]byte{ndjson: lines(t, []any{one, two}), binaryType: binary, "": array} {
		a := n.send(t, http.MethodPost, "/v1/events", body, "Content-Type", format)
		wantOutcomes(t, a, "duplicate", "duplicate")
		a.index(t)
		if again := n.get(t, path); !bytes.Equal(again.body, first.body) {
			t.Fatalf("%q changed the session to %s", format, again.body)
		}
	}
	chunked := n.send(t, http.MethodPost, "/v1/events", io.MultiReader(bytes.NewReader(array)))
	wantOutcomes(t, chunked, "duplicate", "duplicate")
	blank := append([]byte("\n \n"), lines(t, []any{one})...)
	wantOutcomes(t, n.send(t, http.MethodPost, "/v1/events", append(blank, "\r\n"...), "Content-Type", ndjson), "duplicate")
	// One bad event among binary ones costs its neighbours nothing either.
	damaged := bytes.Clone(binary)
	damaged[2] = 0x0f // no such type
	wantOutcomes(t, n.send(t, http.MethodPost, "/v1/events", damaged, "Content-Type", binaryType), "rejected", "duplicate")
}

func TestBodiesRefusedWhole(t *testing.T) {
	t.Parallel()
	n := startSingle(t)
	good, _ := json.Marshal(newEvent(1, 1, "start"))
	one := string(good)
	for name, c := range map[string]struct{ body, contentType string }{
		"nothing":           {"", ""},
		"empty array":       {"[]", ""},
		"empty lines":       {"\n\n", ndjson},
		"empty binary":      {"\x01", binaryType},
		"single object":     {one, ""},
		"null":              {"null", ""},
		"open array":        {"[" + one, ""},
		"open object":       {"[" + one[:len(one)-1], ""},
		"trailing comma":    {"[" + one + ",]", ""},
		"trailing garbage":  {"[" + one + "] x", ""},
		"two arrays":        {"[" + one + "][" + one + "]", ""},
		"lines as an array": {one + "\n" + one, ""},
		"other version":     {"\x02abc", binaryType},
		"cut binary":        {"\x01\x30abc", binaryType},
		"deep":              {"[" + strings.Repeat("[", 1000) + strings.Repeat("]", 1000) + "]", ""},
		"10,001 events":     {"[" + strings.Repeat("0,", wire.MaxEvents) + "0]", ""},
		"10,001 lines":      {strings.Repeat("0\n", wire.MaxEvents+1), ndjson},
	} {
		t.Run(name, func(t *testing.T) {
			p := n.send(t, http.MethodPost, "/v1/events", c.body, "Content-Type", c.contentType).wantProblem(t, http.StatusBadRequest, "")
			if detail, _ := p["detail"].(string); !strings.HasPrefix(detail, "body: ") {
				t.Errorf("the detail %q does not say what is wrong with the body", detail)
			}
		})
	}
	n.get(t, sessionsPath(42)+"/"+sessionID(1)).wantProblem(t, http.StatusNotFound, "")
}

func TestLargestBatch(t *testing.T) {
	t.Parallel()
	n := startSingle(t)
	body := []byte{wire.Version}
	for i := range wire.MaxEvents {
		e := viewing.Event{
			SessionID: viewing.SessionID{15: 1, 14: byte(i), 13: byte(i >> 8)}, Type: viewing.Keepalive, At: viewing.Millis(begun.UnixMilli()),
			AccountID: uint64(1 + i), ProfileID: 1, DeviceID: 1, DeviceType: "tv", TitleID: 1,
		}
		if i == 5000 {
			e.TitleID = 0
		}
		body = wire.AppendEvent(body, &e)
	}
	want := make([]string, wire.MaxEvents)
	for i := range want {
		want[i] = "accepted"
	}
	want[5000] = "rejected"
	wantOutcomes(t, n.send(t, http.MethodPost, "/v1/events", body, "Content-Type", binaryType), want...)
	// All bad is an answer too.
	none := n.send(t, http.MethodPost, "/v1/events", "[1,{}]")
	outcomes := wantOutcomes(t, none, "rejected", "rejected")
	none.index(t) // nothing was written, and yet it says what there is to see
	if outcomes[0]["reason"] == outcomes[1]["reason"] {
		t.Error("two faults, one reason")
	}
}

func TestBodyLimit(t *testing.T) {
	t.Parallel()
	n := startSingle(t)
	good, _ := json.Marshal([]event{newEvent(1, 1, "start")})
	exact := append(good, bytes.Repeat([]byte(" "), maxBodyBytes-len(good))...)
	wantOutcomes(t, n.send(t, http.MethodPost, "/v1/events", exact), "accepted")
	for _, path := range []string{"/v1/events", sessionsPath(42), "/v1/cluster/members"} {
		over := append(bytes.Clone(exact), ' ')
		n.send(t, http.MethodPost, path, over).wantProblem(t, http.StatusRequestEntityTooLarge, "")
		n.send(t, http.MethodPost, path, io.MultiReader(bytes.NewReader(over))).wantProblem(t, http.StatusRequestEntityTooLarge, "")
		// Told beforehand, it is refused before it is sent.
		a, err := n.trySend(http.MethodPost, path, over, "Expect", "100-continue")
		if err != nil {
			t.Fatal(err)
		}
		a.wantProblem(t, http.StatusRequestEntityTooLarge, "")
	}
}

func TestOutcomesOfEvents(t *testing.T) {
	t.Parallel()
	n := startSingle(t)
	n.setLimit(t, 42, 1)
	n.tell(t, newEvent(1, 1, "start"), newEvent(1, 2, "keepalive").with("title_id", 80))
	wantOutcomes(t, n.send(t, http.MethodPost, "/v1/events", []event{
		newEvent(1, 2, "keepalive"),                     // repeated
		newEvent(2, 3, "keepalive").with("title_id", 7), // never seen: a start, and there is no room
		newEvent(3, 1, "start").with("title_id", 8),     // no room either
		newEvent(4, 9, "keepalive").with("title_id", 9, "offline", true),
		newEvent(1, 3, "keepalive").with("title_id", 81), // another title under a known id
		newEvent(1, 4, "stop"),
		newEvent(2, 4, "keepalive").with("title_id", 7), // now there is room
		newEvent(1, 3, "keepalive"),                     // overtaken by its stop: kept, revives nothing
	}), "duplicate", "denied", "denied", "accepted", "rejected", "accepted", "accepted", "accepted")
	// What was denied is a fact, but for a denied start alone.
	position := func(title int) answer { return n.get(t, fmt.Sprintf("%s/positions/%d", profilePath(42, 1), title)) }
	if p := position(7).want(t, http.StatusOK); number(t, p, "position_ms") != 4000 {
		t.Errorf("position of the denied: %v", p)
	}
	position(8).wantProblem(t, http.StatusNotFound, "")
	if p := position(9).want(t, http.StatusOK); number(t, p, "position_ms") != 9000 {
		t.Errorf("position of the offline: %v", p)
	}
	active := list(t, n.get(t, sessionsPath(42)).want(t, http.StatusOK), "active")
	if len(active) != 1 || active[0]["session_id"] != sessionID(2) {
		t.Errorf("active: %v", active)
	}
	if p := position(80).want(t, http.StatusOK); number(t, p, "position_ms") != 4000 || p["updated_at"] != momentText(4*time.Second) {
		t.Errorf("position of the stopped: %v", p)
	}
}

// TestClockAhead: at is taken back to the server's clock plus five seconds.
func TestClockAhead(t *testing.T) {
	t.Parallel()
	n := startSingle(t)
	n.tell(t, newEvent(1, 1, "start").with("at", "2100-12-31T23:59:59.999Z"))
	after := time.Now().Add(viewing.MaxAheadMS * time.Millisecond)
	p := n.get(t, profilePath(42, 1)+"/positions/80").want(t, http.StatusOK)
	at, err := time.Parse(time.RFC3339, p["updated_at"].(string))
	if err != nil || at.After(after) || at.Before(begun) {
		t.Fatalf("updated_at is %v (%v), want at most %v", p["updated_at"], err, after)
	}
}
