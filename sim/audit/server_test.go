package audit_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/playhead-load/playhead/raft"
	"github.com/playhead-load/playhead/server"
	"github.com/playhead-load/playhead/sim/audit"
	"github.com/playhead-load/playhead/sim/audit/audittest"
	"github.com/playhead-load/playhead/viewing"
)

const (
	serverLease = 300 * time.Millisecond
	households  = 8
	maxStreams  = 2
)

// startServer is a node of its own, a cluster of one.
func startServer(t *testing.T) (url string) {
	t.Helper()
	node, err := server.Open(server.Config{
		HTTPAddress: "127.0.0.1:0", Keepalive: serverLease / 3, Lease: serverLease, DefaultStreams: maxStreams,
		Raft:   raft.Config{NodeID: "n1", RaftAddress: "127.0.0.1:0", DataDir: t.TempDir(), BootstrapExpect: 1},
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- node.Serve() }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := node.Close(ctx); err != nil {
			t.Error(err)
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	url = "http://" + node.HTTPAddress()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		response, err := http.Get(url + "/readyz")
		if err == nil {
			_ = response.Body.Close()
		}
		if err == nil && response.StatusCode == http.StatusOK {
			return url
		}
		if time.Now().After(deadline) {
			t.Fatalf("the server is not ready: %v, %v", response, err)
		}
	}
}

// device plays sessions against a server and logs what it was told.
type device struct {
	url    string
	log    *audit.Log
	begun  time.Time
	random *rand.Rand
	event  viewing.Event
}

func (d *device) play(sessions int) error {
	for range sessions {
		for i := range d.event.SessionID {
			d.event.SessionID[i] = byte(d.random.Uint32())
		}
		d.event.Seq, d.event.Type, d.event.TitleID = 0, viewing.Start, 1+d.random.Uint32N(3)
		d.event.ResumePos = d.random.IntN(2) == 0
		d.event.PositionMS, d.event.PlayedMS, d.event.BitrateMS = 0, 0, nil
		if err := d.session(); err != nil {
			return err
		}
	}
	return nil
}

func (d *device) session() error {
	for {
		fate, err := d.say()
		if err != nil {
			return err
		}
		chance := d.random.Float64()
		if fate == audit.Denied || d.event.Type == viewing.Stop || chance < 0.1 {
			return nil
		}
		wait := time.Duration(d.random.Int64N(int64(20 * time.Millisecond)))
		d.event.Type = viewing.Keepalive
		switch {
		case chance < 0.4:
			d.event.Type = viewing.Stop
		case chance < 0.45:
			wait += serverLease
		}
		time.Sleep(wait) // what the viewer does; nothing is awaited
		d.event.Seq++
		d.event.ResumePos = false
		d.event.PlayedMS += 100
		d.event.PositionMS += 100
		d.event.BitrateMS = []viewing.Bitrate{{Kbps: "3000", PlayedMS: d.event.PlayedMS}}
	}
}

// say sends the event, sometimes twice as if the first answer had been lost.
func (d *device) say() (audit.Fate, error) {
	d.event.At = viewing.Millis(time.Now().UnixMilli())
	entry := audit.NewEntry(&d.event)
	tries := 1 + d.random.IntN(10)/9
	for try := range tries {
		now := time.Since(d.begun).Microseconds()
		if try == 0 {
			entry.FirstSentUS = now
		}
		entry.LastSentUS = now
		var err error
		if entry.Fate, err = d.send(&entry); err != nil {
			return 0, err
		}
		entry.DoneUS = time.Since(d.begun).Microseconds()
	}
	d.event.PositionMS = entry.PositionMS
	d.log.Add(entry)
	return entry.Fate, nil
}

func (d *device) send(entry *audit.Entry) (audit.Fate, error) {
	url, body := audittest.Request(d.url, &d.event)
	response, err := http.Post(url, "application/json", bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err
	}
	fate, positionMS, err := audittest.Fate(response.StatusCode, text)
	if err != nil {
		return 0, fmt.Errorf("%v seq %d: %w", d.event.Type, d.event.Seq, err)
	}
	if d.event.Type == viewing.Start && fate != audit.Denied {
		entry.PositionMS = positionMS
	}
	return fate, nil
}

// playAll plays the devices of all households at once, more of them than streams.
// It returns when the clock of the log began.
func playAll(t *testing.T, url string, log *audit.Log) (begun time.Time) {
	t.Helper()
	var devices sync.WaitGroup
	begun = time.Now()
	for account := range uint64(households) {
		for number := range uint64(3) {
			d := &device{url: url, log: log, begun: begun, random: rand.New(rand.NewPCG(account, number))}
			d.event = viewing.Event{
				AccountID: account + 1, DeviceID: 10*account + number + 1, ProfileID: uint8(number/2) + 1, DeviceType: "tv", RuntimeMS: 60_000,
			}
			devices.Go(func() {
				if err := d.play(10); err != nil {
					t.Error(err)
				}
			})
		}
	}
	devices.Wait()
	return begun
}

func options(url string) audit.Options {
	return audit.Options{URLs: []string{url}, Lease: serverLease, DefaultStreams: maxStreams, Late: time.Second}
}

// TestServer: the reference server's answers are right, and what it is then said to
// have acknowledged and never heard of is found.
func TestServer(t *testing.T) {
	url := startServer(t)
	log := audit.NewLog()
	begun := playAll(t, url, log)
	clocked := options(url)
	clocked.NowUS = func() int64 { return time.Since(begun).Microseconds() }
	report, err := log.Check(t.Context(), clocked)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range report.Examples {
		t.Errorf("%s: account %d session %v: %s", e.Kind, e.Account, e.Session, e.Detail)
	}
	l := report.Linearizability
	if report.Acknowledged < 300 || l.Checked != households || l.Verdict() == nil || !*l.Verdict() {
		t.Errorf("acknowledged %d, linearizable %+v, want 300 or more and all households", report.Acknowledged, l)
	}

	log.Add(audit.Entry{
		Session: viewing.SessionID{1}, Account: 1, Device: 9, Title: 1, Profile: 1, Type: viewing.Stop,
		Fate: audit.Accepted, AtMS: viewing.MaxAt - 1, PositionMS: 5, FirstSentUS: 1e9, LastSentUS: 1e9, DoneUS: 1e9 + 1,
	})
	report, err = log.Check(t.Context(), options(url))
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []string{audit.KindLost, audit.KindPosition, audit.KindHistory} {
		if report.Violations[kind] != 1 {
			t.Errorf("%d violations of kind %s, want 1", report.Violations[kind], kind)
		}
	}
}

// TestNoTarget: an audit that cannot ask says so.
func TestNoTarget(t *testing.T) {
	log := audit.NewLog()
	log.Add(audit.Entry{Session: viewing.SessionID{1}, Account: 1, Device: 1, Title: 1, Profile: 1, Type: viewing.Start, Fate: audit.Accepted, DoneUS: 1})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	report, err := log.Check(ctx, options("http://127.0.0.1:1"))
	if err == nil {
		t.Errorf("no error, report %+v", report)
	}
}
