package server

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/playhead-load/playhead/raft/rafttest"
)

// witness sends requests and holds every answer against docs/openapi.yaml.
type witness struct {
	*openAPI
	seen map[string]bool // operation and status
}

func (w *witness) send(t *testing.T, n *testNode, status int, op operation, path string, body any, headers ...string) answer {
	t.Helper()
	a := n.send(t, op.method, path, body, headers...)
	if a.status != status {
		t.Errorf("%s %s is answered %d, want %d: %s", op.method, path, a.status, status, a.body)
	}
	if err := w.check(op, a); err != nil {
		t.Error(err)
	}
	w.seen[fmt.Sprint(op, " ", a.status)] = true
	return a
}

// sampleParameters are good values of the parameters of paths, about what listen tells.
var sampleParameters = strings.NewReplacer("{account}", "42", "{session}", sessionID(1), "{profile}", "1", "{title}", "80", "{id}", "n9")

// samplePath is a good path of an operation, with the query that it needs.
func (w *witness) samplePath(op operation) string {
	path := sampleParameters.Replace(op.path)
	if strings.HasSuffix(path, "/positions") {
		path += "?title_id=80"
	}
	return path
}

const (
	pathPlan      = "/v1/accounts/{account}"
	pathSessions  = pathPlan + "/sessions"
	pathSession   = pathSessions + "/{session}"
	pathProfile   = pathPlan + "/profiles/{profile}"
	pathPositions = pathProfile + "/positions"
	pathPosition  = pathPositions + "/{title}"
	pathContinue  = pathProfile + "/continue-watching"
	pathHistory   = pathProfile + "/history"
	pathHidden    = pathHistory + "/{title}"
	pathMembers   = "/v1/cluster/members"
	pathMember    = pathMembers + "/{id}"
	pathLeader    = "/v1/cluster/leadership"
	pathSnapshot  = "/v1/cluster/snapshot"
)

// TestOpenAPIDescribesAnswers: what a running server answers is what
// docs/openapi.yaml says, of each operation and each status that it lists.
func TestOpenAPIDescribesAnswers(t *testing.T) {
	t.Parallel()
	w := &witness{readOpenAPI(t), map[string]bool{}}
	n := startSingle(t)
	w.viewing(t, n)
	w.cluster(t, n)
	w.refusals(t, n)
	w.doors(t)
	for _, op := range w.operations() {
		for status := range w.object(op.place().to("responses")) {
			if status != "default" && !w.seen[fmt.Sprint(op, " ", status)] {
				t.Errorf("%s: docs/openapi.yaml lists %s, which this test never saw", op, status)
			}
		}
	}
}

// viewing is a household's evening.
func (w *witness) viewing(t *testing.T, n *testNode) {
	t.Helper()
	start, plan := operation{"POST", pathSessions}, operation{"PUT", pathPlan}
	events, get := operation{"POST", "/v1/events"}, func(path string) operation { return operation{"GET", path} }
	w.send(t, n, 200, get(pathSessions), sessionsPath(42), nil)
	w.send(t, n, 200, get(pathHistory), profilePath(42, 1)+"/history", nil)
	w.send(t, n, 200, plan, "/v1/accounts/42", `{"max_streams":2}`)
	w.send(t, n, 201, start, sessionsPath(42), newEvent(1, 0, "start"))
	w.send(t, n, 200, start, sessionsPath(42), newEvent(1, 0, "start"))
	w.send(t, n, 201, start, sessionsPath(42), newEvent(2, 0, "start").with("title_id", 81))
	w.send(t, n, 409, start, sessionsPath(42), newEvent(3, 0, "start"))
	w.send(t, n, 200, events, "/v1/events", []any{
		newEvent(1, 1, "keepalive").with("bitrate_ms", map[string]int{"5800": 500, "3000": 500}, "rebuffer_ms", 7),
		newEvent(1, 1, "keepalive"), newEvent(3, 1, "keepalive"), event{"seq": 1},
		newEvent(1, 2, "error").with("error_code", "NW-2-5"), newEvent(2, 9, "stop").with("title_id", 81),
	})
	for _, level := range []string{"", "stale", "leader", "linearizable"} {
		w.send(t, n, 200, get(pathSession), withLevel(sessionsPath(42)+"/"+sessionID(1), level), nil)
	}
	w.send(t, n, 200, get(pathSession), sessionsPath(42)+"/"+sessionID(2), nil)
	w.send(t, n, 404, get(pathSession), sessionsPath(42)+"/"+sessionID(9), nil)
	w.send(t, n, 200, get(pathSessions), sessionsPath(42), nil)
	w.send(t, n, 200, get(pathPosition), profilePath(42, 1)+"/positions/80", nil)
	w.send(t, n, 404, get(pathPosition), profilePath(42, 2)+"/positions/80", nil)
	w.send(t, n, 200, get(pathPositions), profilePath(42, 1)+"/positions?title_id=80,81,82", nil)
	w.send(t, n, 200, get(pathContinue), profilePath(42, 1)+"/continue-watching", nil)
	first := w.send(t, n, 200, get(pathHistory), profilePath(42, 1)+"/history?limit=1", nil)
	cursor, _ := first.want(t, 200)["next_cursor"].(string)
	if cursor == "" {
		t.Errorf("no next page: %s", first.body)
	}
	w.send(t, n, 200, get(pathHistory), profilePath(42, 1)+"/history?cursor="+cursor, nil)
	w.send(t, n, 204, operation{"DELETE", pathHidden}, profilePath(42, 1)+"/history/80", nil)
	w.send(t, n, 503, get(pathSessions), sessionsPath(42), nil, headerMinIndex, "9999999")
}

// cluster is what an operator asks and does.
func (w *witness) cluster(t *testing.T, n *testNode) {
	t.Helper()
	get := func(path string) operation { return operation{"GET", path} }
	for _, path := range []string{"/v1/cluster", "/v1/cluster/digests", "/healthz", "/readyz", "/metrics"} {
		w.send(t, n, 200, get(path), path, nil)
	}
	cfg := testConfig(t.TempDir())
	cfg.Raft.NodeID, cfg.Raft.BootstrapExpect = "n2", 0
	cfg.Raft.RaftAddress = rafttest.FreeAddresses(t, 1)[0]
	second := startNode(t, cfg)
	add, remove, lead := operation{"POST", pathMembers}, operation{"DELETE", pathMember}, operation{"POST", pathLeader}
	snapshot := operation{"POST", pathSnapshot}

	w.send(t, second, 409, snapshot, pathSnapshot, nil) // it knows nothing yet
	for _, op := range []operation{{"POST", "/v1/events"}, get(pathSessions), get("/readyz")} {
		w.send(t, second, 503, op, w.samplePath(op), nil) // nobody leads
	}
	w.send(t, n, 409, add, pathMembers, `{"node_id":"n2","raft_address":"127.0.0.1:1"}`)
	w.send(t, n, 200, add, pathMembers, map[string]any{"node_id": "n2", "raft_address": cfg.Raft.RaftAddress, "voter": false})
	w.send(t, n, 409, lead, pathLeader, `{"node_id":"n2"}`) // it has no vote
	w.send(t, n, 200, lead, pathLeader, `{"node_id":"n1"}`) // it leads
	w.send(t, n, 404, lead, pathLeader, `{"node_id":"n9"}`)
	w.send(t, n, 200, remove, pathMembers+"/n2", nil)
	w.send(t, n, 404, remove, pathMembers+"/n9", nil)
	w.send(t, n, 409, remove, pathMembers+"/n1", nil) // it has the only vote
	w.send(t, n, 204, snapshot, pathSnapshot, nil)
}

// refusals are the errors that every operation answers in the same case.
func (w *witness) refusals(t *testing.T, n *testNode) {
	t.Helper()
	for _, op := range w.operations() {
		path := w.samplePath(op)
		separator := "?"
		if strings.Contains(path, "?") {
			separator = "&"
		}
		w.send(t, n, 400, op, path+separator+"%zz", nil)
		if w.object(op.place().to("requestBody")) != nil {
			w.send(t, n, 400, op, path, "[")
			w.send(t, n, 413, op, path, bytes.Repeat([]byte(" "), maxBodyBytes+1))
		}
	}
	w.slowBodies(t)
	for range cap(n.inFlight) {
		n.inFlight <- struct{}{}
	}
	for _, closing := range []bool{false, true} {
		n.closing.Store(closing)
		for _, op := range w.operations() {
			status := http.StatusTooManyRequests
			switch {
			case op.path == "/healthz", op.path == "/metrics":
				status = http.StatusOK
			case closing:
				status = http.StatusServiceUnavailable
			}
			w.send(t, n, status, op, w.samplePath(op), nil)
		}
	}
	n.closing.Store(false)
	for range cap(n.inFlight) {
		<-n.inFlight
	}
}

// doors are the answers to who has no token, or not the right one.
func (w *witness) doors(t *testing.T) {
	t.Helper()
	g := newGuarded(t)
	n := startSingle(t, g.config)
	for _, op := range w.operations() {
		at, wrong := n.HTTPAddress(), g.Admin[0]
		switch w.audience(t, op) {
		case forAll:
			continue
		case forAdmins:
			at, wrong = n.AdminAddress(), g.device(t, 42)
		}
		for status, headers := range map[int][]string{http.StatusUnauthorized: nil, http.StatusForbidden: bearing(wrong)} {
			a, err := sendTo("http://"+at, op.method, w.samplePath(op), nil, headers...)
			if err != nil {
				t.Fatal(err)
			}
			if err := w.check(op, a); err != nil || a.status != status {
				t.Errorf("%s is answered %d, want %d: %v", op, a.status, status, err)
			}
			w.seen[fmt.Sprint(op, " ", a.status)] = true
		}
	}
}

// audience is for whom the document says that an operation is.
func (w *witness) audience(t *testing.T, op operation) audience {
	t.Helper()
	listed, _ := w.object(op.place())["security"].([]any)
	if len(listed) == 0 {
		return forAll
	}
	var asked []string
	for _, each := range listed {
		scheme, _ := each.(map[string]any)
		asked = append(asked, slices.Collect(maps.Keys(scheme))...)
	}
	switch strings.Join(asked, " ") {
	case "device":
		return forDevices
	case "device aggregator":
		return forTellers
	case "admin":
		return forAdmins
	}
	t.Errorf("%s: the security is %v", op, listed)
	return forAdmins
}

// TestOpenAPINamesTheTokens: docs/openapi.yaml says of each route for whom it is.
func TestOpenAPINamesTheTokens(t *testing.T) {
	t.Parallel()
	w := &witness{readOpenAPI(t), map[string]bool{}}
	for _, r := range startSingle(t).api() {
		op := operation{r.method, pathParameter.ReplaceAllString(r.path, "{$1}")}
		if got := w.audience(t, op); got != r.who {
			t.Errorf("%s is for %d, docs/openapi.yaml says %d", op, r.who, got)
		}
	}
	if schemes := w.object(place{"components", "securitySchemes"}); schemes["device"] == nil || schemes["aggregator"] == nil || schemes["admin"] == nil {
		t.Errorf("the schemes are %v", schemes)
	}
}

// slowBodies begins bodies, and does not end them.
func (w *witness) slowBodies(t *testing.T) {
	t.Helper()
	n := startChanged(t, func(s *Server) { s.http.ReadTimeout = brief })
	for _, op := range w.operations() {
		if w.object(op.place().to("requestBody")) == nil {
			continue
		}
		body, begun := io.Pipe()
		go func() { _, _ = io.WriteString(begun, "[") }() // the client closes the other end
		w.send(t, n, http.StatusRequestTimeout, op, w.samplePath(op), body)
	}
}

// TestOpenAPIBoundsParameters: what docs/openapi.yaml lets through as a parameter the
// server takes, and what it does not the server refuses.
func TestOpenAPIBoundsParameters(t *testing.T) {
	t.Parallel()
	w := &witness{readOpenAPI(t), map[string]bool{}}
	n := startSingle(t)
	candidates := []string{
		"0", "1", "5", "6", "20", "100", "101", "4294967295", "4294967296", "9007199254740991", "9007199254740992", "-1", "x",
		"stale", "leader", "linearizable", "strong", sessionID(1), strings.Repeat("A", 32), strings.Repeat("A", 31),
		"00000000-0000-0000-0000-000000000000", "00000000-0000-4000-8000-00000000000A", "00000000-0000-4000-8000-00000000000g",
	}
	judged := 0
	for _, op := range w.operations() {
		for _, p := range w.parameters(op) {
			parameter := w.object(p)
			name := parameter["name"].(string)
			if name == "id" || parameter["in"] == "header" { // any name can be asked for; an index makes the node wait
				continue
			}
			for _, text := range candidates {
				value, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
				if err != nil || w.object(p.to("schema"))["type"] == "string" {
					value = text
				}
				if w.object(p.to("schema"))["type"] == "array" {
					value = []any{value}
				}
				path := w.samplePath(op)
				if parameter["in"] == "path" {
					path = sampleParameters.Replace(strings.ReplaceAll(op.path, "{"+name+"}", text)) + path[len(strings.Split(path, "?")[0]):]
				} else {
					path = strings.Split(path, "?")[0] + "?" + name + "=" + text
					if strings.HasSuffix(op.path, "/positions") && name != "title_id" {
						path += "&title_id=80"
					}
				}
				invalid := w.validate(p.to("schema"), value)
				blames := n.blames(t, op.method, path)
				if judged++; (invalid != nil) != (blames == name || blames == name+"_id") {
					t.Errorf("%s %s: docs/openapi.yaml says %v, the server blames %q", op.method, path, invalid, blames)
				}
			}
		}
	}
	if judged < 500 {
		t.Errorf("%d parameters were judged", judged)
	}
}

// blames is the field that the server blames in a request without a body, if any.
func (n *testNode) blames(t *testing.T, method, path string) string {
	t.Helper()
	a := n.send(t, method, path, nil)
	var p problem
	if a.status == http.StatusBadRequest {
		if err := json.Unmarshal(a.body, &p); err != nil {
			t.Fatal(err)
		}
	}
	return p.Field
}

// TestOpenAPIJudgesBodies: of bodies docs/openapi.yaml and the server think the same.
func TestOpenAPIJudgesBodies(t *testing.T) {
	t.Parallel()
	o, n := readOpenAPI(t), startSingle(t)
	judge := func(op operation, path string, body any) {
		t.Helper()
		text, ok := body.(string)
		if !ok {
			encoded, err := json.Marshal(body)
			if err != nil {
				t.Fatal(err)
			}
			text = string(encoded)
		}
		value, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
		if err == nil {
			err = o.validate(op.place().to("requestBody", "content", "application/json", "schema"), value)
		}
		a := n.send(t, op.method, path, text)
		refused := a.status == http.StatusBadRequest || bytes.Contains(a.body, []byte(`"rejected"`))
		if refused != (err != nil) {
			t.Errorf("%s %s: docs/openapi.yaml says %v, the server %d %s", op, text, err, a.status, a.body)
		}
	}
	events, start := operation{"POST", "/v1/events"}, operation{"POST", pathSessions}
	good := newEvent(1, 5, "keepalive")
	most := good.with("session_id", "FFFFFFFF-ffff-4fff-8fff-ffffffffffff", "seq", 1<<31-1, "at", "2100-12-31T23:59:59.999Z",
		"account_id", int64(1)<<53-1, "profile_id", 5, "device_id", int64(1)<<53-1, "device_type", strings.Repeat("~", 64), "title_id", int64(1)<<32-1,
		"position_ms", 10_000_000_000, "played_ms", 10_000_000_000, "runtime_ms", 10_000_000_000, "rebuffer_ms", 10_000_000_000,
		"bitrate_ms", map[string]int64{strings.Repeat(" ", 64): 10_000_000_000}, "error_code", strings.Repeat("x", 64), "country", "", "offline", true)
	for _, body := range []any{
		good, most, good.with("position_ms", 0, "played_ms", 0, "seq", 0, "runtime_ms", nil), good.with("at", "2000-01-01T00:00:00Z"), good.with("at", "2026-02-30T00:00:00Z"),
	} {
		judge(events, "/v1/events", []any{body})
	}
	for _, bad := range badEvents(1) {
		judge(events, "/v1/events", []any{bad.event})
		if e, ok := bad.event.(event); ok && bad.field != "type" {
			judge(start, sessionsPath(42), e.with("type", "start"))
		}
	}
	for _, kind := range []string{"start", "keepalive", "pause", "resume", "seek", "telemetry", "error", "stop"} {
		judge(events, "/v1/events", []any{newEvent(7, 1, kind)})
		judge(events, "/v1/events", []any{newEvent(7, 1, kind).with("position_ms", nil, "played_ms", nil)})
		judge(start, sessionsPath(42), newEvent(7, 1, kind))
	}
	judge(start, sessionsPath(42), newEvent(7, 1, "start").with("offline", true))
	judge(start, sessionsPath(42), newEvent(7, 1, "start").with("offline", false))
	for _, body := range []string{`[]`, `{}`, `7`, `"x"`, `null`, `[`, ``} {
		judge(events, "/v1/events", body)
	}
	for _, body := range []string{
		`{"max_streams":1}`, `{"max_streams":1000,"account_id":42}`, `{"max_streams":0}`, `{"max_streams":1001}`, `{"max_streams":"2"}`, `{"max_streams":1.5}`,
		`{}`, `{"max_streams":2,"x":1}`, `{"Max_streams":2}`, `{"max_streams":null}`, `[]`, `7`,
	} {
		judge(operation{"PUT", pathPlan}, "/v1/accounts/42", body)
	}
	for _, body := range []string{
		`{"node_id":"n2","raft_address":"127.0.0.1:1"}`, `{"node_id":"n2","raft_address":"127.0.0.1:1","voter":false}`, `{}`, `{"node_id":"n2"}`, `{"raft_address":"127.0.0.1:1"}`,
		`{"node_id":"","raft_address":"127.0.0.1:1"}`, `{"node_id":2,"raft_address":"127.0.0.1:1"}`, `{"node_id":"n2","raft_address":"127.0.0.1:1","voter":1}`, `{"node_id":"n2","raft_address":"127.0.0.1:1","vote":true}`, `[]`,
	} {
		judge(operation{"POST", pathMembers}, pathMembers, body)
	}
	for _, body := range []string{`{}`, `{"node_id":"n1"}`, `{"node_id":""}`, `{"node_id":2}`, `{"node":"n1"}`, `"n1"`} {
		judge(operation{"POST", pathLeader}, pathLeader, body)
	}
}

// TestOpenAPIIsHeldAgainstTheServer: a document that says otherwise than the server
// does is caught.
func TestOpenAPIIsHeldAgainstTheServer(t *testing.T) {
	t.Parallel()
	n := startSingle(t)
	routes := n.http.Handler.(*echo.Echo).Routes()
	n.setLimit(t, 42, 1)
	n.start(t, newEvent(1, 0, "start")).want(t, http.StatusCreated)
	position, denied := operation{"GET", pathPosition}, operation{"POST", pathSessions}
	answers := map[operation]answer{
		position:             n.get(t, profilePath(42, 1)+"/positions/80"),
		denied:               n.start(t, newEvent(2, 0, "start")),
		{"GET", pathSession}: n.get(t, sessionsPath(42)+"/"+sessionID(9)),
	}
	caught := func(o *openAPI) bool {
		for op, a := range answers {
			if o.check(op, a) != nil {
				return true
			}
		}
		return len(o.differences(routes)) > 0
	}
	if caught(readOpenAPI(t)) {
		t.Fatal("the document as it is was caught")
	}
	// A change is the keys of what is changed, and what it is then; nil: it is gone.
	for _, c := range []struct {
		at string
		to any
	}{
		{"paths /v1/events", nil},
		{"paths /v1/accounts/{account}/sessions get", nil},
		{"paths /v1/rumours", map[string]any{"get": map[string]any{}}},
		{"paths /v1/events get", map[string]any{}},
		{"components schemas Position properties runtime_ms", nil},
		{"components schemas Position properties runtime_ms", map[string]any{"type": "string"}},
		{"components schemas Position properties position_ms", map[string]any{"maximum": json.Number("-1")}},
		{"components schemas Position required", []any{"colour"}},
		{"components schemas Time pattern", "^never$"},
		{"components schemas HoldingStream properties device_id", nil},
		{"components schemas TooManyStreams properties type const", "about:blank"},
		{"components schemas Problem properties type const", "https://example.com"},
		{"components responses NothingKnown headers", nil},
		{"components responses NothingKnown headers Retry-After", map[string]any{"required": true}},
		{"components headers Playhead-Index schema", map[string]any{"type": "string"}},
		{"paths /v1/accounts/{account}/sessions post responses 409", nil},
		{"paths /v1/accounts/{account}/sessions post responses 409 content", nil},
		{"paths /v1/accounts/{account}/profiles/{profile}/positions/{title} get responses 200 content", map[string]any{"text/plain": map[string]any{}}},
	} {
		if !caught(readOpenAPI(t, func(doc map[string]any) { put(t, doc, strings.Fields(c.at), c.to) })) {
			t.Errorf("nobody notices when %s is %v", c.at, c.to)
		}
	}
	wrong := answers[position]
	wrong.body = bytes.Replace(wrong.body, []byte(`"runtime_ms"`), []byte(`"runtime"`), 1)
	if readOpenAPI(t).check(position, wrong) == nil {
		t.Errorf("nobody notices the answer %s", wrong.body)
	}
}

func put(t *testing.T, doc map[string]any, keys []string, value any) {
	t.Helper()
	for _, key := range keys[:len(keys)-1] {
		inner, ok := doc[key].(map[string]any)
		if !ok {
			t.Fatalf("there is no %s in %s", key, strconv.Quote(strings.Join(keys, " ")))
		}
		doc = inner
	}
	if value == nil {
		delete(doc, keys[len(keys)-1])
		return
	}
	doc[keys[len(keys)-1]] = value
}
