package server

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/playhead-load/playhead/server/token"
)

// guarded is a node that asks for tokens, and the file that it judges them by.
type guarded struct {
	*token.File
	path string
}

func newGuarded(t testing.TB) *guarded {
	t.Helper()
	g := &guarded{token.NewFile(), filepath.Join(t.TempDir(), "tokens.json")}
	if err := g.Create(g.path); err != nil {
		t.Fatal(err)
	}
	return g
}

func (g *guarded) config(c *Config) {
	c.Doors.TokenFile, c.Doors.AdminAddress = g.path, "127.0.0.1:0"
}

// device is a token of an account's devices.
func (g *guarded) device(t testing.TB, account uint64) string {
	t.Helper()
	issued, err := g.Device(account, time.Now(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return issued
}

// sign makes a token of these claims with any method, key and id of a key.
func sign(t testing.TB, method jwt.SigningMethod, key any, id string, claims jwt.RegisteredClaims) string {
	t.Helper()
	unsigned := jwt.NewWithClaims(method, claims)
	unsigned.Header["kid"] = id
	signed, err := unsigned.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// bearing is how a request is sent by who bears a token.
func bearing(token string) []string { return []string{"Authorization", "Bearer " + token} }

// bearer kinds: what the right answer depends on.
const (
	ownToken        = "own"   // of the account that is asked for
	otherToken      = "other" // of another account
	aggregatorToken = "aggregator"
	adminToken      = "admin"
	badToken        = "bad" // nobody's
)

type bearerOf struct{ kind, name, authorization string }

// bearers are every kind of token for what is of account 42, good ones and not.
func (g *guarded) bearers(t testing.TB) []bearerOf {
	t.Helper()
	own, key := g.device(t, 42), g.Keys[0]
	in := func(d time.Duration) *jwt.NumericDate { return jwt.NewNumericDate(time.Now().Add(d)) }
	good := jwt.RegisteredClaims{Subject: "42", ExpiresAt: in(time.Hour)}
	of := func(change func(*jwt.RegisteredClaims)) string {
		claims := good
		change(&claims)
		return "Bearer " + sign(t, jwt.SigningMethodHS256, key.Secret, key.ID, claims)
	}
	aggregator, err := g.Aggregator(time.Now(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	parts, all := strings.Split(own, "."), strings.Split(aggregator, ".")
	foreign := strings.Split(g.device(t, 43), ".")
	return []bearerOf{
		{ownToken, "own", "Bearer " + own},
		{ownToken, "own, scheme in small letters", "bearer " + own},
		{otherToken, "other account's", "Bearer " + g.device(t, 43)},
		{aggregatorToken, "aggregator's", "Bearer " + aggregator},
		{adminToken, "admin's", "Bearer " + g.Admin[0]},

		{badToken, "none", ""},
		{badToken, "empty", "Bearer "},
		{badToken, "no scheme", own},
		{badToken, "another scheme", "Basic " + own},
		{badToken, "expired", of(func(c *jwt.RegisteredClaims) { c.ExpiresAt = in(-time.Second) })},
		{badToken, "without an end", of(func(c *jwt.RegisteredClaims) { c.ExpiresAt = nil })},
		{badToken, "not valid yet", of(func(c *jwt.RegisteredClaims) { c.NotBefore = in(time.Hour) })},
		{badToken, "without an account", of(func(c *jwt.RegisteredClaims) { c.Subject = "" })},
		{badToken, "account 0", of(func(c *jwt.RegisteredClaims) { c.Subject = "0" })},
		{badToken, "aggregator's, expired", of(func(c *jwt.RegisteredClaims) { c.Subject, c.ExpiresAt = "aggregator", in(-time.Second) })},
		{badToken, "aggregator's, wrong key", "Bearer " + sign(t, jwt.SigningMethodHS256, token.NewFile().Keys[0].Secret, key.ID, jwt.RegisteredClaims{Subject: "aggregator", ExpiresAt: good.ExpiresAt})},
		{badToken, "aggregator's claims under own signature", "Bearer " + parts[0] + "." + all[1] + "." + parts[2]},
		{badToken, "every account", of(func(c *jwt.RegisteredClaims) { c.Subject = "*" })},
		{badToken, "alg none", "Bearer " + sign(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, key.ID, good)},
		{badToken, "another alg", "Bearer " + sign(t, jwt.SigningMethodHS512, key.Secret, key.ID, good)},
		{badToken, "wrong key", "Bearer " + sign(t, jwt.SigningMethodHS256, token.NewFile().Keys[0].Secret, key.ID, good)},
		{badToken, "empty key", "Bearer " + sign(t, jwt.SigningMethodHS256, []byte{}, "", good)},
		{badToken, "unknown key", "Bearer " + sign(t, jwt.SigningMethodHS256, key.Secret, "0", good)},
		{badToken, "truncated", "Bearer " + own[:len(own)-1]},
		{badToken, "no signature", "Bearer " + parts[0] + "." + parts[1] + "."},
		{badToken, "other's claims under own signature", "Bearer " + parts[0] + "." + foreign[1] + "." + parts[2]},
		{badToken, "too long", "Bearer " + own + strings.Repeat("A", token.MaxBytes)},
		{badToken, "admin's, truncated", "Bearer " + g.Admin[0][:len(g.Admin[0])-1]},
		{badToken, "admin's, and more", "Bearer " + g.Admin[0] + "A"},
	}
}

// doorsOfRoutes say for whom each route is, how it is asked in account 42, and what is
// answered to who may. This list is not the router's own: a route that is missing
// here fails the test.
var doorsOfRoutes = map[string]struct {
	who     audience
	path    string
	body    any
	answers int
}{
	"POST /v1/events":                                               {forTellers, "/v1/events", []event{newEvent(1, 1, "keepalive")}, 200},
	"PUT /v1/accounts/:account":                                     {forAdmins, "/v1/accounts/42", `{"max_streams":2}`, 200},
	"POST /v1/accounts/:account/sessions":                           {forDevices, sessionsPath(42), newEvent(1, 0, "start"), 200},
	"GET /v1/accounts/:account/sessions":                            {forDevices, sessionsPath(42), nil, 200},
	"GET /v1/accounts/:account/sessions/:session":                   {forDevices, sessionsPath(42) + "/" + sessionID(1), nil, 200},
	"GET /v1/accounts/:account/profiles/:profile/positions/:title":  {forDevices, profilePath(42, 1) + "/positions/80", nil, 200},
	"GET /v1/accounts/:account/profiles/:profile/positions":         {forDevices, profilePath(42, 1) + "/positions?title_id=80", nil, 200},
	"GET /v1/accounts/:account/profiles/:profile/continue-watching": {forDevices, profilePath(42, 1) + "/continue-watching", nil, 200},
	"GET /v1/accounts/:account/profiles/:profile/history":           {forDevices, profilePath(42, 1) + "/history", nil, 200},
	"DELETE /v1/accounts/:account/profiles/:profile/history/:title": {forDevices, profilePath(42, 1) + "/history/80", nil, 204},

	"GET /v1/cluster":                {forAdmins, "/v1/cluster", nil, 200},
	"GET /v1/cluster/digests":        {forAdmins, "/v1/cluster/digests", nil, 200},
	"POST /v1/cluster/members":       {forAdmins, "/v1/cluster/members", `{}`, 400},
	"DELETE /v1/cluster/members/:id": {forAdmins, "/v1/cluster/members/n1", nil, 409}, // it has the only vote
	"POST /v1/cluster/leadership":    {forAdmins, "/v1/cluster/leadership", `{"node_id":"n1"}`, 200},
	"POST /v1/cluster/snapshot":      {forAdmins, "/v1/cluster/snapshot", nil, 204},

	"GET /healthz": {forAll, "/healthz", nil, 200},
	"GET /readyz":  {forAll, "/readyz", nil, 200},
	"GET /metrics": {forAdmins, "/metrics", nil, 200},
}

// rightAnswer is what a door for these audiences has to answer.
func rightAnswer(r route, kind string, door []audience) int {
	known := doorsOfRoutes[r.method+" "+r.path]
	switch {
	case !slices.Contains(door, known.who):
		return http.StatusNotFound
	case known.who == forAll:
		return known.answers
	case kind == badToken:
		return http.StatusUnauthorized
	case known.who == forAdmins && kind == adminToken, known.who == forDevices && kind == ownToken,
		known.who == forTellers && (kind == ownToken || kind == aggregatorToken):
		return known.answers
	case known.who == forTellers && kind == otherToken:
		return http.StatusOK // and each event of account 42 is rejected
	}
	return http.StatusForbidden
}

// faultsOf asks every route, as every bearer, at an address, and says what is answered
// wrongly.
func faultsOf(t *testing.T, address string, routes []route, bearers []bearerOf, door ...audience) (faults []string) {
	t.Helper()
	for _, r := range routes {
		name := r.method + " " + r.path
		known, ok := doorsOfRoutes[name]
		if !ok {
			faults = append(faults, name+": nobody has said for whom it is")
			continue
		}
		for _, b := range bearers {
			var headers []string
			if b.authorization != "" {
				headers = []string{"Authorization", b.authorization}
			}
			a, err := sendTo("http://"+address, r.method, known.path, known.body, headers...)
			if err != nil {
				t.Fatal(err)
			}
			want := rightAnswer(r, b.kind, door)
			if a.status == http.StatusMethodNotAllowed { // the path is that of a route too, which takes other methods
				a.status = http.StatusNotFound
			}
			if a.status != want {
				faults = append(faults, fmt.Sprintf("%s, %s: answered %d, want %d: %s", name, b.name, a.status, want, a.body))
			}
			if (a.header.Get("WWW-Authenticate") == "Bearer") != (a.status == http.StatusUnauthorized) {
				faults = append(faults, fmt.Sprintf("%s, %s: WWW-Authenticate is %q with %d", name, b.name, a.header.Get("WWW-Authenticate"), a.status))
			}
			if rejected := bytes.Contains(a.body, []byte(`"rejected"`)); r.path == "/v1/events" && a.status == 200 && rejected != (b.kind == otherToken) {
				faults = append(faults, fmt.Sprintf("%s, %s: %s", name, b.name, a.body))
			}
		}
	}
	return faults
}

// TestEveryRouteAsEveryBearer: each route of the router, at both doors, with each kind
// of token; and the log tells none of them.
func TestEveryRouteAsEveryBearer(t *testing.T) {
	t.Parallel()
	g, log := newGuarded(t), &lockedBuffer{}
	n := startSingle(t, g.config, func(c *Config) {
		c.Logger = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	bearers, routes := g.bearers(t), n.api()
	own := bearing(g.device(t, 42))
	n.send(t, "POST", sessionsPath(42), newEvent(1, 0, "start"), own...).want(t, http.StatusCreated)
	wantOutcomes(t, n.send(t, "POST", "/v1/events", []event{newEvent(1, 1, "keepalive")}, own...), "accepted")

	clients, admins := n.HTTPAddress(), n.AdminAddress()
	if clients == admins {
		t.Fatal("clients and admins come in by one door")
	}
	for _, fault := range faultsOf(t, clients, routes, bearers, forAll, forDevices, forTellers) {
		t.Error("at the clients' door: " + fault)
	}
	for _, fault := range faultsOf(t, admins, routes, bearers, forAll, forAdmins) {
		t.Error("at the admins' door: " + fault)
	}
	var secrets []string
	for _, b := range bearers {
		if _, secret, _ := strings.Cut(b.authorization, " "); secret != "" {
			secrets = append(secrets, secret)
		}
	}
	for _, secret := range secrets {
		if strings.Contains(log.String(), secret) {
			t.Errorf("the log tells the token %s", secret)
		}
	}
	if !strings.Contains(log.String(), "level=INFO") {
		t.Error("there is no log to look at")
	}

	// The test is not blind: a door that stands open, and a new route, are noticed.
	opened := httptest.NewServer(n.routes(false, forAll, forDevices, forTellers, forAdmins))
	defer opened.Close()
	found := faultsOf(t, opened.Listener.Addr().String(), routes, bearers, forAll, forDevices, forTellers, forAdmins)
	for _, r := range routes {
		noticed := slices.ContainsFunc(found, func(f string) bool { return strings.HasPrefix(f, r.method+" "+r.path+", ") })
		if open := doorsOfRoutes[r.method+" "+r.path].who == forAll; noticed == open {
			t.Errorf("%s %s stands open for all: noticed is %v", r.method, r.path, noticed)
		}
	}
	added := append(slices.Clone(routes), route{method: "GET", path: "/v1/rumours"})
	if len(faultsOf(t, clients, added, bearers[:1], forAll, forDevices, forTellers)) != 1 {
		t.Error("nobody notices a new route")
	}
	// Nor does anything escape by a header that stands twice.
	request, err := http.NewRequest("GET", "http://"+clients+sessionsPath(42), nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header["Authorization"] = []string{own[1], "Bearer " + g.device(t, 43)}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	if err := response.Body.Close(); response.StatusCode != http.StatusUnauthorized || err != nil {
		t.Errorf("two tokens are answered %s, %v", response.Status, err)
	}
}

// lockedBuffer is a log that several goroutines write.
type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// TestForeignEventsAreRejected: an event of another account than the token's, in each
// encoding, at the leader and through a follower. Its neighbours are kept, and a client
// talks itself into no other account by the header that nodes use among themselves.
func TestForeignEventsAreRejected(t *testing.T) {
	t.Parallel()
	g := newGuarded(t)
	c := startCluster(t, g.config)
	own, foreign := bearing(g.device(t, 42)), bearing(g.device(t, 43))
	session := 0
	for role, n := range map[string]*testNode{"leader": c.leader(t), "follower": c.followers(t)[0]} {
		for _, format := range []string{"application/json", ndjson, binaryType} {
			for _, spoofed := range []string{"", "43"} {
				session += 3
				events := []any{
					newEvent(session, 1, "keepalive").with("offline", true),
					newEvent(session+1, 1, "keepalive").with("offline", true, "account_id", 43),
					newEvent(session+2, 1, "keepalive").with("offline", true),
				}
				headers := append(slices.Clone(own), "Content-Type", format)
				if spoofed != "" {
					headers = append(headers, headerAccount, spoofed)
				}
				outcomes := wantOutcomes(t, n.send(t, "POST", "/v1/events", encode(t, format, events), headers...), "accepted", "rejected", "accepted")
				if reason := outcomes[1]["reason"]; reason != "account_id: expected the account of the token" {
					t.Errorf("%s, %s: rejected because of %q", role, format, reason)
				}
				for i, status := range []int{200, 404, 200} {
					account, bearer := 42, own
					if i == 1 {
						account, bearer = 43, foreign
					}
					if a := n.get(t, sessionsPath(account)+"/"+sessionID(session+i), bearer...); a.status != status {
						t.Errorf("%s, %s: session %d is answered %d, want %d", role, format, i, a.status, status)
					}
				}
			}
		}
		// A batch that has no other events is answered too, and a start cannot be smuggled in.
		wantOutcomes(t, n.send(t, "POST", "/v1/events", []event{newEvent(900, 1, "keepalive")}, foreign...), "rejected")
		n.send(t, "POST", sessionsPath(42), newEvent(901, 0, "start").with("account_id", 43), own...).wantProblem(t, http.StatusBadRequest, "account_id")
		n.send(t, "POST", sessionsPath(43), newEvent(901, 0, "start").with("account_id", 43), append(own, headerAccount, "43")...).wantProblem(t, http.StatusForbidden, "")
	}
}

// TestAggregatorTellsOfAll: a batch of many accounts, at the leader and through a follower,
// by a token that opens none of them.
func TestAggregatorTellsOfAll(t *testing.T) {
	t.Parallel()
	g := newGuarded(t)
	c := startCluster(t, g.config)
	issued, err := g.Aggregator(time.Now(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	session := 0
	for role, n := range map[string]*testNode{"leader": c.leader(t), "follower": c.followers(t)[0]} {
		events := make([]any, 2)
		for i := range events {
			events[i] = newEvent(session+i, 1, "keepalive").with("offline", true, "account_id", 42+i)
		}
		wantOutcomes(t, n.send(t, "POST", "/v1/events", events, bearing(issued)...), "accepted", "accepted")
		for i := range events {
			path := sessionsPath(42+i) + "/" + sessionID(session+i)
			if a := n.get(t, path, bearing(g.device(t, uint64(42+i)))...); a.status != http.StatusOK {
				t.Errorf("%s: session of account %d is answered %d", role, 42+i, a.status)
			}
			n.get(t, path, bearing(issued)...).wantProblem(t, http.StatusForbidden, "")
		}
		session += len(events)
	}
}

// TestRotation: while a key or an admin's token is being replaced the newer and the
// older count, from a reload on and over connections that are open; what a reload
// cannot read changes nothing.
func TestRotation(t *testing.T) {
	t.Parallel()
	g := newGuarded(t)
	n := startSingle(t, g.config)
	reload := func() {
		t.Helper()
		if err := g.Replace(g.path); err != nil {
			t.Fatal(err)
		}
		if err := n.Reload(); err != nil {
			t.Fatal(err)
		}
	}
	devices, admins := []string{g.device(t, 42)}, []string{g.Admin[0]}
	want := func(first int) {
		t.Helper()
		for i := range devices {
			status := http.StatusOK
			if i < first {
				status = http.StatusUnauthorized
			}
			if a := n.get(t, sessionsPath(42), bearing(devices[i])...); a.status != status {
				t.Errorf("token of key %d of %d is answered %d, want %d", i+1, len(devices), a.status, status)
			}
			if a, err := sendTo("http://"+n.AdminAddress(), "GET", "/v1/cluster", nil, bearing(admins[i])...); err != nil || a.status != status {
				t.Errorf("admin's token %d of %d is answered %d, want %d (%v)", i+1, len(admins), a.status, status, err)
			}
		}
	}
	want(0)
	for rotations := 1; rotations <= 3; rotations++ {
		g.RotateKeys()
		g.RotateAdmin()
		devices, admins = append(devices, g.device(t, 42)), append(admins, g.Admin[0])
		if a := n.get(t, sessionsPath(42), bearing(devices[rotations])...); a.status != http.StatusUnauthorized {
			t.Errorf("a key counts before the reload: %d", a.status)
		}
		reload()
		want(rotations - 1)
	}
	for name, spoil := range map[string]func() error{
		"others may read it": func() error { return os.Chmod(g.path, 0o640) },
		"no JSON":            func() error { return os.WriteFile(g.path, []byte("admin: "+g.Admin[0]), 0o600) },
		"three keys": func() error {
			return os.WriteFile(g.path, []byte(`{"admin":["`+g.Admin[0]+`"],"keys":[{"id":"1"},{"id":"2"},{"id":"3"}]}`), 0o600)
		},
		"gone": func() error { return os.Remove(g.path) },
	} {
		if err := spoil(); err != nil {
			t.Fatal(err)
		}
		if err := n.Reload(); err == nil || strings.Contains(err.Error(), g.Admin[0]) {
			t.Errorf("%s: %v", name, err)
		}
		want(2)
		if err := g.Replace(g.path); err != nil {
			t.Fatal(err)
		}
	}
}

// TestOneDoorOnLoopback: without tokens nothing is different from a node that knows of
// none: one listener for everybody, everything answered, whatever is brought along.
func TestOneDoorOnLoopback(t *testing.T) {
	t.Parallel()
	n := startSingle(t)
	if n.AdminAddress() != n.HTTPAddress() || n.admin != nil || len(n.open) != 2 || n.open[0].listener != n.listener {
		t.Errorf("%d doors, that of admins at %s", len(n.open), n.AdminAddress())
	}
	n.start(t, newEvent(1, 0, "start")).want(t, http.StatusCreated)
	n.tell(t, newEvent(1, 1, "keepalive"))
	for name, known := range doorsOfRoutes {
		method, _, _ := strings.Cut(name, " ")
		for _, headers := range [][]string{nil, bearing("nonsense"), {headerAccount, "43"}} {
			a, answers := n.send(t, method, known.path, known.body, headers...), known.answers
			if strings.HasSuffix(known.path, "/snapshot") && a.status == http.StatusConflict { // nothing new since the last
				answers = http.StatusConflict
			}
			if a.status != answers {
				t.Errorf("%s, %q: answered %d, want %d: %s", name, headers, a.status, answers, a.body)
			}
			if known.path == "/v1/events" && bytes.Contains(a.body, []byte(`"rejected"`)) {
				t.Errorf("%s, %q: %s", name, headers, a.body)
			}
		}
	}
}
