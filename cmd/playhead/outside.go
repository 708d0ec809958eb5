package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/playhead-load/playhead/sim"
	"github.com/playhead-load/playhead/sim/driver"
	"github.com/playhead-load/playhead/viewing"
	"github.com/playhead-load/playhead/viewing/wire"
)

// parseTargets checks the URLs of an outside target.
func parseTargets(targets []string) ([]string, error) {
	var urls []string
	for _, text := range targets {
		u, err := url.Parse(text)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
			return nil, fmt.Errorf("--target: expected a URL such as http://127.0.0.1:8080, got %q", text)
		}
		urls = append(urls, strings.TrimRight(text, "/"))
	}
	return urls, nil
}

// saltedFleet gives the sessions of a plan ids of their own. An outside target may
// have been played against with the same seed, and would rightly take the same ids
// for repetitions.
type saltedFleet struct {
	*sim.Fleet
	salt [6]byte // the last bytes of an id, which no version or variant bits are in
}

func newSaltedFleet(fleet *sim.Fleet) *saltedFleet {
	s := &saltedFleet{Fleet: fleet}
	for i := range s.salt {
		s.salt[i] = byte(rand.Uint32())
	}
	return s
}

func (s *saltedFleet) Next(until viewing.Millis, e *viewing.Event) (sim.Step, bool) {
	step, ok := s.Fleet.Next(until, e)
	e.SessionID = s.mix(e.SessionID)
	return step, ok
}

func (s *saltedFleet) Denied(device int32, session viewing.SessionID) {
	s.Fleet.Denied(device, s.mix(session))
}

// mix is its own inverse.
func (s *saltedFleet) mix(id viewing.SessionID) viewing.SessionID {
	for i, b := range s.salt {
		id[10+i] ^= b
	}
	return id
}

var _ driver.Fleet = (*saltedFleet)(nil)

// leaseSlack is how far a target's lease, read off one answer by our own clock, may
// be from the scenario's: a second for the clocks, and a tenth of it.
func leaseSlack(lease time.Duration) time.Duration { return time.Second + lease/10 }

// checkTerms starts and stops one playback of an account that no population has,
// and compares the terms that the target gives it with the scenario's. The auditor
// judges admissions by them.
func checkTerms(ctx context.Context, target string, keepalive, lease time.Duration) error {
	probe := viewing.Event{
		Type: viewing.Start, At: viewing.Millis(time.Now().UnixMilli()), AccountID: viewing.MaxAccountID,
		ProfileID: 1, DeviceID: viewing.MaxDeviceID, DeviceType: "tv", TitleID: 1,
	}
	for i := range probe.SessionID {
		probe.SessionID[i] = byte(rand.Uint32())
	}
	var terms struct {
		KeepaliveMS *int64    `json:"keepalive_ms"`
		ExpiresAt   time.Time `json:"expires_at"`
	}
	sent := time.Now()
	path := fmt.Sprintf("/v1/accounts/%d/sessions", probe.AccountID)
	if err := post(ctx, target+path, wire.AppendEventJSON(nil, &probe), &terms); err != nil {
		return fmt.Errorf("start a playback at the target to learn its terms: %w", err)
	}
	told := terms.ExpiresAt.Sub(sent)
	probe.Type, probe.Seq = viewing.Stop, 1
	body := append(wire.AppendEventJSON([]byte{'['}, &probe), ']')
	if err := post(ctx, target+"/v1/events", body, nil); err != nil {
		return fmt.Errorf("stop the playback at the target: %w", err)
	}
	if terms.KeepaliveMS == nil {
		return errors.New("the target's answer to a start has no keepalive_ms")
	}
	asked := time.Duration(*terms.KeepaliveMS) * time.Millisecond
	if asked != keepalive || (told-lease).Abs() > leaseSlack(lease) {
		return usageError{fmt.Errorf(
			"the target asks for a keepalive every %v and leases streams for %v; the scenario means %v and %v on the clock on the wall: start the target with --keepalive %v --lease %v, or change the scenario's target or its time_scale",
			asked, told.Round(100*time.Millisecond), keepalive, lease, keepalive, lease)}
	}
	return nil
}

const (
	probeTimeout = 10 * time.Second
	maxProbe     = 1 << 20 // bytes of an answer
)

func post(ctx context.Context, to string, body []byte, answer any) error {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxProbe))
	if err != nil {
		return err
	}
	if response.StatusCode/100 != 2 {
		return fmt.Errorf("%s: %s", response.Status, bytes.TrimSpace(text))
	}
	if answer == nil {
		return nil
	}
	return json.Unmarshal(text, answer)
}
