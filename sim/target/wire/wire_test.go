package wire

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// The time in which something must happen, and that in which it must not have.
const (
	within = 20 * time.Second
	aWhile = 100 * time.Millisecond
)

// echo is a server that says back what it hears.
func echo(t *testing.T) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				_, _ = io.Copy(conn, conn)
				_ = conn.Close()
			}()
		}
	}()
	return listener.Addr().String()
}

func mustLead(t *testing.T, lead func(string) (*Wire, error), to string) *Wire {
	t.Helper()
	w, err := lead(to)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

func mustDial(t *testing.T, address string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(within))
	return conn
}

// say says a text over an echoing connection and returns after how long it was back.
func say(t *testing.T, conn net.Conn, text string) time.Duration {
	t.Helper()
	begun := time.Now()
	go func() { _, _ = io.WriteString(conn, text) }()
	back := make([]byte, len(text))
	if _, err := io.ReadFull(conn, back); err != nil || string(back) != text {
		t.Fatalf("%d bytes came back otherwise: %v", len(text), err)
	}
	return time.Since(begun)
}

func mustBeSilent(t *testing.T, conn net.Conn) {
	t.Helper()
	_ = conn.SetReadDeadline(time.Now().Add(aWhile))
	if n, err := conn.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%d bytes, %v: want none", n, err)
	}
	_ = conn.SetReadDeadline(time.Now().Add(within))
}

// What is said on a cut way is held, on open connections and on new ones, and arrives when
// all who cut it have mended it.
func TestACutHoldsAndAMendedWireBringsWhatWasHeld(t *testing.T) {
	t.Parallel()
	for name, way := range map[string]func(*Wire) *Way{
		"there": func(w *Wire) *Way { return w.There }, "back": func(w *Wire) *Way { return w.Back },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := mustLead(t, Lead, echo(t))
			open := mustDial(t, w.Address)
			say(t, open, "before")
			one := way(w).Impose(Conditions{Cut: true})
			other := way(w).Impose(Conditions{Cut: true})
			dialled := mustDial(t, w.Address)
			for _, conn := range []net.Conn{open, dialled} {
				if _, err := io.WriteString(conn, "held"); err != nil {
					t.Fatal(err)
				}
			}
			mustBeSilent(t, open)
			one()
			one() // twice is once
			mustBeSilent(t, dialled)
			other()
			for _, conn := range []net.Conn{open, dialled} {
				back := make([]byte, 4)
				if _, err := io.ReadFull(conn, back); err != nil || string(back) != "held" {
					t.Errorf("%q %v: want what was held", back, err)
				}
			}
		})
	}
}

func TestDelayAndJitterAddUp(t *testing.T) {
	t.Parallel()
	w := mustLead(t, Lead, echo(t))
	conn := mustDial(t, w.Address)
	defer w.There.Impose(Conditions{Delay: 60 * time.Millisecond, Jitter: time.Millisecond})()
	defer w.There.Impose(Conditions{Delay: 60 * time.Millisecond})()
	lift := w.Back.Impose(Conditions{Delay: 60 * time.Millisecond})
	if took := say(t, conn, "x"); took < 180*time.Millisecond {
		t.Errorf("there and back in %v, want 180 ms or more", took)
	}
	lift()
	if took := say(t, conn, "x"); took < 120*time.Millisecond {
		t.Errorf("there and back in %v, want 120 ms or more", took)
	}
}

// What is lost is late by the time in which it is sent again; who loses everything is
// cut off in the end.
func TestLoss(t *testing.T) {
	t.Parallel()
	w := mustLead(t, Lead, echo(t))
	conn := mustDial(t, w.Address)
	defer w.There.Impose(Conditions{Loss: 0.2})()
	for deadline := time.Now().Add(within); say(t, conn, "x") < resendAfter; {
		if time.Now().After(deadline) {
			t.Fatal("nothing was late where a fifth of the packets are lost")
		}
	}
	slow := 0
	for range 1000 {
		if late, _ := (Conditions{Loss: 0.2}).resent(packetBytes + 1); late > 0 {
			slow++
		}
	}
	if slow < 260 || slow > 460 { // 360, by seven standard deviations
		t.Errorf("%d of 1000 pairs of packets were late where a fifth is lost", slow)
	}
	late, broken := Conditions{Loss: 1}.resent(1)
	if want := resendAfter * (1<<maxResends - 1); !broken || late != want {
		t.Errorf("late by %v, broken %v: want %v and a broken connection", late, broken, want)
	}
	if late, broken := (Conditions{}).resent(1 << 20); late != 0 || broken {
		t.Errorf("late by %v, broken %v: nothing is lost", late, broken)
	}
}

func TestBandwidthIsOfAllConnectionsTogether(t *testing.T) {
	t.Parallel()
	w := mustLead(t, Lead, echo(t))
	defer w.There.Impose(Conditions{Bandwidth: 400_000})()
	defer w.There.Impose(Conditions{Bandwidth: 1 << 30})() // the narrower counts
	begun := time.Now()
	var saying sync.WaitGroup
	for range 2 {
		conn := mustDial(t, w.Address)
		saying.Go(func() { say(t, conn, strings.Repeat("x", 100_000)) })
	}
	saying.Wait()
	if took := time.Since(begun); took < 400*time.Millisecond {
		t.Errorf("200,000 bytes at 400,000 a second in %v", took)
	}
}

// The end of one direction is passed on and the other goes on; a connection to nobody, and
// one whose wire is closed, end.
func TestEndsArePassedOn(t *testing.T) {
	t.Parallel()
	w := mustLead(t, Lead, echo(t))
	conn := mustDial(t, w.Address)
	if _, err := io.WriteString(conn, "last words"); err != nil {
		t.Fatal(err)
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if all, err := io.ReadAll(conn); err != nil || string(all) != "last words" {
		t.Errorf("%q %v: want what was said last", all, err)
	}
	nobody := mustLead(t, Lead, "127.0.0.1:1")
	if n, err := mustDial(t, nobody.Address).Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%d %v: want the end of a connection to nobody", n, err)
	}
	closed, err := Lead(w.Address)
	if err != nil {
		t.Fatal(err)
	}
	open := mustDial(t, closed.Address)
	say(t, open, "x")
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	if n, err := open.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%d %v: want the end", n, err)
	}
}

// Requests are said twice, each to its whole length, and overtake each other; who asked
// gets one answer, the second.
func TestRequestsAreSaidTwiceAndOvertaken(t *testing.T) {
	t.Parallel()
	var heard, wrong atomic.Int64
	body := bytes.Repeat([]byte("x"), 40_000)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got, err := io.ReadAll(r.Body)
		if err != nil || r.Method == http.MethodPost && !bytes.Equal(got, body) {
			wrong.Add(1)
		}
		w.Header().Set("Nth", strconv.FormatInt(heard.Add(1), 10))
		_, _ = w.Write(got)
	}))
	t.Cleanup(server.Close)
	w := mustLead(t, LeadRequests, strings.TrimPrefix(server.URL, "http://"))
	client := &http.Client{Timeout: within}
	t.Cleanup(client.CloseIdleConnections)
	ask := func(method string, nth string) {
		t.Helper()
		request, err := http.NewRequestWithContext(t.Context(), method, "http://"+w.Address, bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		response, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		if back, err := io.ReadAll(response.Body); err != nil || !bytes.Equal(back, body) {
			t.Errorf("%d bytes came back, %v", len(back), err)
		}
		if got := response.Header.Get("Nth"); got != nth {
			t.Errorf("the answer to the request that was heard as the %sth, want the %sth", got, nth)
		}
	}
	ask(http.MethodPost, "1")
	ask(http.MethodPut, "2")
	if n := heard.Load(); n != 2 {
		t.Errorf("%d requests were heard, want two", n)
	}
	lift := w.There.Impose(Conditions{Duplicate: 1, Reorder: 1})
	begun := time.Now()
	const asked = 10
	for n := range asked {
		ask(http.MethodPost, strconv.Itoa(4+2*n))
	}
	if took := time.Since(begun); took < asked*overtaken/10 {
		t.Errorf("%d requests in %v: none was held up", asked, took)
	}
	lift()
	ask(http.MethodPost, strconv.Itoa(3+2*asked))
	if n := heard.Load(); n != 3+2*asked || wrong.Load() != 0 {
		t.Errorf("%d requests were heard, %d of them otherwise than said", n, wrong.Load())
	}
}
