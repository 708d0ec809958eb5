package driver

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/playhead-load/playhead/http1"
	"github.com/playhead-load/playhead/sim/audit"
	"github.com/playhead-load/playhead/viewing"
)

func eventOf(kind viewing.EventType) *viewing.Event {
	return &viewing.Event{SessionID: sessionID(1), Type: kind, AccountID: 42, ProfileID: 1, DeviceID: 9, DeviceType: "tv", TitleID: 80}
}

func requestOf(kind viewing.EventType) *request {
	return new(Driver).newRequest(eventOf(kind), 1000, true)
}

// carriers are those that there are, by name.
func carriers(t *testing.T, url string) map[string]carrier {
	t.Helper()
	nodes, err := nodesOf([]string{url})
	if err != nil {
		t.Fatal(err)
	}
	config := &Config{Connections: 8}
	best, _, err := newCarrier(nodes, config)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]carrier{"conns": newConns(nodes, config), fmt.Sprintf("%T", best): best}
	t.Cleanup(func() {
		for _, c := range all {
			c.close()
		}
	})
	return all
}

// once is the caller of one call.
type once struct{ told bool }

func (o *once) answered(*Driver, *http1.Answer, time.Time, error) { o.told = true }

// send makes one call and waits for what comes of it.
func send(t *testing.T, c carrier, r *request, url string, timeout time.Duration) (got answer) {
	t.Helper()
	nodes, err := nodesOf([]string{url})
	if err != nil {
		t.Fatal(err)
	}
	o := &once{}
	c.call(0, new(Driver).appendRequest(nil, r, &nodes[0]), time.Now().Add(timeout), o)
	for end := time.Now().Add(timeout + 5*time.Second); !o.told; {
		if time.Now().After(end) {
			t.Fatal("nothing was told of the call")
		}
		c.await(time.Now().Add(10*time.Millisecond), true, func(who caller, a *http1.Answer, at time.Time, err error) {
			if who != o {
				t.Errorf("told of %v, not of the call", who)
			}
			who.answered(nil, a, at, err)
			got = r.read(a, err, nil)
		})
	}
	return got
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	start, event := requestOf(viewing.Start), requestOf(viewing.Keepalive)
	question := new(Driver).newQuestion(whereWasI, eventOf(viewing.Start), 1000, true)
	again := answer{again: true}
	wrong := answer{fate: audit.Rejected, failed: true}
	nonsense := answer{failed: true}
	for _, c := range []struct {
		name    string
		request *request
		status  int
		body    string
		want    answer
	}{
		{"start admitted", start, 201, `{"position_ms":0}`, answer{fate: audit.Accepted}},
		{"start admitted before", start, 200, `{"position_ms":0}`, answer{fate: audit.Known}},
		{"start denied", start, 409, `{"type":"too-many-streams"}`, answer{fate: audit.Denied}},
		{"start denied by a full URI", start, 409, `{"type":"https://example.org/too-many-streams"}`, answer{fate: audit.Denied}},
		{"start in another conflict", start, 409, `{"type":"about:blank"}`, wrong},
		{"start in a conflict of no kind", start, 409, `conflict`, wrong},
		{"start wrong", start, 400, `{}`, wrong},
		{"start without a position", start, 201, `{}`, nonsense},
		{"start answered with nonsense", start, 201, `<html>`, nonsense},
		{"start with another success", start, 202, `{"position_ms":0}`, nonsense},
		{"event accepted", event, 200, `{"outcomes":[{"status":"accepted"}]}`, answer{fate: audit.Accepted}},
		{"event known", event, 200, `{"outcomes":[{"status":"duplicate"}]}`, answer{fate: audit.Known}},
		{"event denied", event, 200, `{"outcomes":[{"status":"denied","reason":"full"}]}`, answer{fate: audit.Denied}},
		{"event rejected", event, 200, `{"outcomes":[{"status":"rejected"}]}`, wrong},
		{"event of no known outcome", event, 200, `{"outcomes":[{"status":"maybe"}]}`, nonsense},
		{"event without an outcome", event, 200, `{"outcomes":[]}`, nonsense},
		{"event with two outcomes", event, 200, `{"outcomes":[{"status":"accepted"},{"status":"accepted"}]}`, nonsense},
		{"event answered with nonsense", event, 200, `ok`, nonsense},
		{"event with another success", event, 202, `{"outcomes":[{"status":"accepted"}]}`, nonsense},
		{"event sent elsewhere", event, 302, ``, nonsense},
		{"event in a conflict", event, 409, `{"type":"too-many-streams"}`, wrong},
		{"event too large", event, 413, ``, wrong},
		{"event too slow", event, 408, ``, again},
		{"event too many", event, 429, ``, again},
		{"event on a broken server", event, 500, ``, again},
		{"event behind a broken proxy", event, 502, ``, again},
		{"event without a quorum", event, 503, ``, again},
		{"question", question, 200, `{"position_ms":7,"updated_at":"1970-01-01T00:00:00.009Z","session_id":"01000000-0000-0000-0000-000000000005"}`, answer{
			fate: audit.Accepted, read: true, reading: audit.Reading{Known: true, Session: sessionID(5), AtMS: 9, PositionMS: 7},
		}},
		{"question answered with nonsense", question, 200, `{}`, answer{fate: audit.Accepted, failed: true}},
		{"question of nothing known", question, 404, `{}`, answer{fate: audit.Accepted, read: true}},
		{"question wrong", question, 400, `{}`, answer{fate: audit.Accepted, failed: true}},
		{"question without a leader", question, 503, ``, again},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/elsewhere" {
					t.Error("the redirect was followed")
				}
				w.Header().Set("Location", "/elsewhere")
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, c.body)
			}))
			defer server.Close()
			for name, carrier := range carriers(t, server.URL) {
				got := send(t, carrier, c.request, server.URL, 10*time.Second)
				got.positioned = false
				if !reflect.DeepEqual(got, c.want) {
					t.Errorf("%s: %d %s is %+v, want %+v", name, c.status, c.body, got, c.want)
				}
			}
		})
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"": 0, "0": 0, "3": 3 * time.Second, "-1": 0, "soon": 0, "1.5": 0,
		"3600": retryLimit, "99999999999999999999999999": retryLimit, "9223372036854775807": retryLimit,
		time.Unix(1, 0).UTC().Format(http.TimeFormat): -1,
	} {
		got := retryAfter(text)
		if want < 0 && got >= 0 || want >= 0 && got != want {
			t.Errorf("Retry-After: %q is %v, want %v", text, got, want)
		}
	}
	date := time.Now().Add(time.Minute).UTC().Format(http.TimeFormat)
	if got := retryAfter(date); got < 30*time.Second || got > time.Minute {
		t.Errorf("Retry-After: %q is %v, want about a minute", date, got)
	}
}

// What is not an HTTP answer leaves open whether the event is there.
func TestNoAnswer(t *testing.T) {
	t.Parallel()
	ways := map[string]func(w http.ResponseWriter, done <-chan struct{}){
		"reset":     func(w http.ResponseWriter, _ <-chan struct{}) { reset(w) },
		"no answer": func(_ http.ResponseWriter, done <-chan struct{}) { <-done },
		"cut off": func(w http.ResponseWriter, _ <-chan struct{}) {
			w.Header().Set("Content-Length", "1000")
			_, _ = io.WriteString(w, `{"outcomes":[{"status":"accepted"}]}`)
		},
		"stuck in the middle": func(w http.ResponseWriter, done <-chan struct{}) {
			w.Header().Set("Content-Length", "1000")
			_, _ = io.WriteString(w, `{"outc`)
			_ = http.NewResponseController(w).Flush()
			<-done
		},
	}
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				way(w, r.Context().Done())
			}))
			t.Cleanup(server.Close)
			for name, carrier := range carriers(t, server.URL) {
				if got := send(t, carrier, requestOf(viewing.Keepalive), server.URL, 200*time.Millisecond); !reflect.DeepEqual(got, answer{again: true}) {
					t.Errorf("%s: %+v, want another try", name, got)
				}
			}
		})
	}
	t.Run("nobody there", func(t *testing.T) {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		_ = listener.Close()
		url := "http://" + listener.Addr().String()
		for name, carrier := range carriers(t, url) {
			if got := send(t, carrier, requestOf(viewing.Keepalive), url, time.Second); !reflect.DeepEqual(got, answer{again: true}) {
				t.Errorf("%s: %+v, want another try", name, got)
			}
		}
	})
}

func TestAConnectionIsKeptWhateverTheAnswer(t *testing.T) {
	t.Parallel()
	var connections, n atomic.Int64
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		statuses := []int{200, 400, 409, 503, 429, 500, 404}
		w.WriteHeader(statuses[n.Add(1)%int64(len(statuses))])
		_, _ = io.WriteString(w, strings.Repeat("x", 50_000))
	}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	server.Start()
	defer server.Close()
	for name, carrier := range carriers(t, server.URL) {
		before := connections.Load()
		for range 50 {
			send(t, carrier, requestOf(viewing.Keepalive), server.URL, 10*time.Second)
		}
		if got := connections.Load() - before; got != 1 {
			t.Errorf("%s: %d connections for 50 requests one after another, want 1", name, got)
		}
	}
}

func TestSetLimits(t *testing.T) {
	t.Parallel()
	const path = "/v1/accounts/6"
	t.Run("asks another node again", func(t *testing.T) {
		t.Parallel()
		var bodies [2]atomic.Value
		var urls []string
		for node := range bodies {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				bodies[node].Store(fmt.Sprintf("%s %s %s", r.Method, r.URL.Path, body))
				if node == 0 {
					unavailable(w)
				}
			}))
			defer server.Close()
			urls = append(urls, server.URL)
		}
		if err := SetLimits(t.Context(), urls, map[uint64]int{6: 4}, 2, Access{}); err != nil {
			t.Error(err)
		}
		for node := range bodies {
			if got, want := bodies[node].Load(), "PUT "+path+` {"max_streams":4}`; got != want {
				t.Errorf("node %d heard %v, want %s", node, got, want)
			}
		}
	})
	t.Run("says at once what the target refuses", func(t *testing.T) {
		t.Parallel()
		var asked atomic.Int64
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			asked.Add(1)
			http.Error(w, "max_streams: expected 1 to 1000", http.StatusBadRequest)
		}))
		defer server.Close()
		err := SetLimits(t.Context(), []string{server.URL}, map[uint64]int{6: 0}, 2, Access{})
		if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "expected 1 to 1000") {
			t.Errorf("%v: want an error that names the account and what was wrong", err)
		}
		if asked.Load() != 1 {
			t.Errorf("asked %d times, want once", asked.Load())
		}
	})
	t.Run("gives up", func(t *testing.T) {
		t.Parallel()
		var asked atomic.Int64
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			asked.Add(1)
			unavailable(w)
		}))
		defer server.Close()
		if err := SetLimits(t.Context(), []string{server.URL}, map[uint64]int{6: 4}, 2, Access{}); err == nil || asked.Load() != maxTries {
			t.Errorf("asked %d times, error %v: want an error after %d", asked.Load(), err, maxTries)
		}
	})
	t.Run("is broken off", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := SetLimits(ctx, []string{"http://127.0.0.1:1"}, map[uint64]int{6: 4}, 2, Access{}); err == nil {
			t.Error("no error although no limit was set")
		}
	})
}
