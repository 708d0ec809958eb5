package driver

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/playhead-load/playhead/server/token"
	"github.com/playhead-load/playhead/sim/audit"
	"github.com/playhead-load/playhead/viewing"
)

// guard is a target under TLS that judges tokens as the reference server does: who may ask
// what of which account.
type guard struct {
	url    string
	tls    *tls.Config
	signer *token.Signer
	admin  string

	mu    sync.Mutex
	by    map[string]int // requests by their bearer
	wrong []string
}

func newGuard(t *testing.T) *guard {
	t.Helper()
	file, path := token.NewFile(), filepath.Join(t.TempDir(), "tokens.json")
	if err := file.Create(path); err != nil {
		t.Fatal(err)
	}
	judge, err := token.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	g := &guard{admin: file.Admin[0], by: map[string]int{}}
	if g.signer, err = file.Signer(); err != nil {
		t.Fatal(err)
	}
	s := &stage{answer: accept}
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		bearer := g.bearer(judge, r.Header["Authorization"])
		switch {
		case bearer == "aggregator" && r.URL.Path == eventsPath:
			g.note(bearer, "")
			_, _ = io.Copy(io.Discard, r.Body)
			_, _ = io.WriteString(w, `{"outcomes":[{"status":"accepted"},{"status":"accepted"}]}`)
			return
		case bearer == "admin" && r.Method == http.MethodPut:
			g.note(bearer, "")
			return
		}
		s.serve(w, r, 0)
		heard := s.requests()
		account := fmt.Sprint("account ", heard[len(heard)-1].account) // one request at a time
		if named, ok := strings.CutPrefix(r.URL.Path, "/v1/accounts/"); ok {
			named, _, _ = strings.Cut(named, "/")
			account = "account " + named
		}
		if bearer != account {
			g.note(bearer, fmt.Sprintf("%s %s of %s by %q", r.Method, r.URL.Path, account, bearer))
			return
		}
		g.note("account", "")
	}))
	t.Cleanup(server.Close)
	g.url, g.tls = server.URL, &tls.Config{RootCAs: x509.NewCertPool()}
	g.tls.RootCAs.AddCert(server.Certificate())
	return g
}

// bearer is who shows that header.
func (g *guard) bearer(judge *token.Tokens, shown []string) string {
	if len(shown) != 1 {
		return fmt.Sprintf("%d tokens", len(shown))
	}
	text, _ := strings.CutPrefix(shown[0], "Bearer ")
	client, err := judge.Client(text)
	switch {
	case judge.IsAdmin(text):
		return "admin"
	case err != nil:
		return "nobody"
	case client.Aggregator:
		return "aggregator"
	}
	return fmt.Sprint("account ", client.Account)
}

func (g *guard) note(bearer, wrong string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.by[bearer]++
	if wrong != "" {
		g.wrong = append(g.wrong, wrong)
	}
}

// want checks how many requests were made by whom, and that each was right.
func (g *guard) want(t *testing.T, by map[string]int) {
	t.Helper()
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.wrong) > 0 || fmt.Sprint(g.by) != fmt.Sprint(by) {
		t.Errorf("asked by %v, want %v; wrong: %q", g.by, by, g.wrong)
	}
}

// TestEveryRequestShowsItsToken: events and questions that of their account, batches an
// aggregator's, over TLS; and without a signer there is none.
func TestEveryRequestShowsItsToken(t *testing.T) {
	t.Parallel()
	lines := []line{
		{0, 0, 1, 0, viewing.Start, 0}, {0, 1, 2, 0, viewing.Start, 0}, {10, 0, 1, 1, viewing.Keepalive, 0},
		{20, 1, 2, 1, viewing.Pause, 0}, {30, 0, 1, 2, viewing.Stop, 0},
	}
	t.Run("devices", func(t *testing.T) {
		t.Parallel()
		g := newGuard(t)
		d := newDrive(newScript(lines...), []string{g.url}, func(c *Config) {
			c.TLS, c.Signer, c.Connections = g.tls, g.signer, 1
		})
		d.play(t, t.Context())
		d.mustFates(t, map[audit.Fate]int64{audit.Accepted: 5})
		g.want(t, map[string]int{"account": 9}) // four of them ask
	})
	t.Run("aggregators", func(t *testing.T) {
		t.Parallel()
		g := newGuard(t)
		d := newDrive(newScript(lines[:2]...), []string{g.url}, func(c *Config) {
			c.TLS, c.Signer, c.Connections = g.tls, g.signer, 1
			c.Batch = Batch{Events: 2, Linger: time.Minute}
		})
		d.play(t, t.Context())
		d.mustFates(t, map[audit.Fate]int64{audit.Accepted: 2})
		g.want(t, map[string]int{"aggregator": 1, "account": 2})
	})
	t.Run("nobody", func(t *testing.T) {
		t.Parallel()
		g := newGuard(t)
		newDrive(newScript(lines[2]), []string{g.url}, func(c *Config) { c.TLS = g.tls }).play(t, t.Context())
		g.mu.Lock()
		defer g.mu.Unlock()
		if len(g.wrong) != 1 || g.by["0 tokens"] != 1 {
			t.Errorf("asked by %v, wrong: %q: the guard sees nothing", g.by, g.wrong)
		}
	})
}

// TestAskingOutsideThePlanShowsTokens: the terms by a token of the account, the limits by
// an admin's.
func TestAskingOutsideThePlanShowsTokens(t *testing.T) {
	t.Parallel()
	g := newGuard(t)
	asked := Access{TLS: g.tls, Bearer: func(account uint64) string {
		return string(g.signer.AppendDevice(nil, account, time.Now().Add(time.Minute)))
	}}
	if _, err := AskTerms(t.Context(), g.url, asked); err == nil || !strings.Contains(err.Error(), "keepalive_ms") {
		t.Errorf("%v: want the target's answer, which has no terms", err)
	}
	g.want(t, map[string]int{"account": 2})
	admin := Access{TLS: g.tls, Bearer: func(uint64) string { return g.admin }}
	if err := SetLimits(t.Context(), []string{g.url}, map[uint64]int{1: 4, 2: 4}, 2, admin); err != nil {
		t.Error(err)
	}
	g.want(t, map[string]int{"account": 2, "admin": 2})
}

// TestRefused: who is not let in is told why in one line, and that it was that.
func TestRefused(t *testing.T) {
	t.Parallel()
	for status, refused := range map[int]bool{401: true, 403: true, 404: true, 400: false, 409: false} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, `{"detail":"for a reason"}`)
		}))
		err := SetLimits(t.Context(), []string{server.URL}, map[uint64]int{1: 4}, 1, Access{})
		server.Close()
		if err == nil || IsRefusal(err) != refused || !strings.HasSuffix(err.Error(), ": for a reason") {
			t.Errorf("%d: %v, refused: %v", status, err, IsRefusal(err))
		}
	}
}

// TestARequestTakesNoMemory: neither to write it, nor to sign its token.
func TestARequestTakesNoMemory(t *testing.T) {
	signer, err := token.NewFile().Signer()
	if err != nil {
		t.Fatal(err)
	}
	nodes, err := nodesOf([]string{"https://127.0.0.1:1/base"})
	if err != nil {
		t.Fatal(err)
	}
	for name, d := range map[string]*Driver{"in the clear": {}, "with tokens": {config: Config{Signer: signer}}} {
		event, start, question := eventOf(viewing.Keepalive), eventOf(viewing.Start), eventOf(viewing.Stop)
		memory := make([]byte, 0, 4096)
		if n := testing.AllocsPerRun(1000, func() {
			for _, r := range []*request{d.newRequest(event, 1, true), d.newRequest(start, 1, true), d.newQuestion(haveWatched, question, 1, true)} {
				memory = d.appendRequest(memory[:0], r, &nodes[0])
				d.free(r)
			}
			memory = d.appendAggregator(memory[:0])
		}); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func BenchmarkAppendRequest(b *testing.B) {
	signer, err := token.NewFile().Signer()
	if err != nil {
		b.Fatal(err)
	}
	nodes, err := nodesOf([]string{"http://127.0.0.1:1"})
	if err != nil {
		b.Fatal(err)
	}
	for _, d := range []struct {
		name string
		*Driver
	}{{"clear", &Driver{}}, {"tokens", &Driver{config: Config{Signer: signer}}}} {
		b.Run(d.name, func(b *testing.B) {
			r, memory := d.newRequest(eventOf(viewing.Keepalive), 1, true), make([]byte, 0, 4096)
			b.ReportAllocs()
			for b.Loop() {
				memory = d.appendRequest(memory[:0], r, &nodes[0])
			}
		})
	}
}
