package driver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/playhead-load/playhead/viewing"
	"github.com/playhead-load/playhead/viewing/wire"
)

// termsTimeout bounds each of the two requests that AskTerms makes.
const termsTimeout = 10 * time.Second

// Terms are what a target gives a playback, in wall time.
type Terms struct {
	Keepalive time.Duration // asked for between two keepalives
	Lease     time.Duration // from the question to its end, by our own clock: off by what the clocks differ
	Took      time.Duration // from the question to its answer: the lease began somewhere in it
}

// AskTerms learns a target's terms by starting and stopping one playback of an
// account that no population has.
func AskTerms(ctx context.Context, target string, access Access) (Terms, error) {
	probe := viewing.Event{
		Type: viewing.Start, At: viewing.Millis(time.Now().UnixMilli()), AccountID: viewing.MaxAccountID,
		ProfileID: 1, DeviceID: viewing.MaxDeviceID, DeviceType: "tv", TitleID: 1,
	}
	for i := range probe.SessionID {
		probe.SessionID[i] = byte(rand.Uint32())
	}
	asker := asker{access.client(termsTimeout, 1), access.Bearer}
	defer asker.client.CloseIdleConnections()
	sent := time.Now()
	start := fmt.Sprintf("%s/v1/accounts/%d/sessions", target, probe.AccountID)
	answer, err := asker.post(ctx, start, probe.AccountID, wire.AppendEventJSON(nil, &probe))
	took := time.Since(sent)
	if err != nil {
		return Terms{}, fmt.Errorf("start a playback at the target to learn its terms: %w", err)
	}
	probe.Type, probe.Seq = viewing.Stop, 1
	stop := append(wire.AppendEventJSON([]byte{'['}, &probe), ']')
	if _, err := asker.post(ctx, target+"/v1/events", probe.AccountID, stop); err != nil {
		return Terms{}, fmt.Errorf("stop the playback at the target: %w", err)
	}
	var told struct {
		KeepaliveMS *int64    `json:"keepalive_ms"`
		ExpiresAt   time.Time `json:"expires_at"`
	}
	if err := json.Unmarshal(answer, &told); err != nil {
		return Terms{}, fmt.Errorf("read the target's answer to a start: %w", err)
	}
	if told.KeepaliveMS == nil {
		return Terms{}, errors.New("the target's answer to a start has no keepalive_ms")
	}
	return Terms{Keepalive: time.Duration(*told.KeepaliveMS) * time.Millisecond, Lease: told.ExpiresAt.Sub(sent), Took: took}, nil
}

func (a *asker) post(ctx context.Context, url string, account uint64, body []byte) ([]byte, error) {
	status, answer, err := a.exchange(ctx, http.MethodPost, url, account, body)
	if err == nil && status/100 != 2 {
		err = refused(http.MethodPost, url, status, answer)
	}
	return answer, err
}
