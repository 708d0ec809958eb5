package driver

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/playhead-load/playhead/http1"
	"github.com/playhead-load/playhead/sim/audit"
)

// TestPositionAnswer reads what a target may say to: where was I?
func TestPositionAnswer(t *testing.T) {
	const known = `{"title_id":7,"position_ms":90,"runtime_ms":100,"updated_at":"2026-11-23T20:15:00.123Z","session_id":"01000000-0000-0000-0000-000000000005"}`
	for body, want := range map[string]answer{
		known: {fate: audit.Accepted, read: true, reading: audit.Reading{Known: true, Session: sessionID(5), AtMS: 1_795_464_900_123, PositionMS: 90}},
		`{}`:  {fate: audit.Accepted, failed: true},
		`no`:  {fate: audit.Accepted, failed: true},
	} {
		if diff := cmp.Diff(want, positionAnswer(&http1.Answer{Status: http.StatusOK, Body: []byte(body)}), cmp.AllowUnexported(answer{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", body, diff)
		}
	}
	unknown := positionAnswer(&http1.Answer{Status: http.StatusNotFound, Body: []byte(`{"type":"about:blank"}`)})
	if unknown.failed || !unknown.read || unknown.reading.Known {
		t.Errorf("404: %+v, want a reading of no position", unknown)
	}
	if refused := positionAnswer(&http1.Answer{Status: http.StatusBadRequest}); !refused.failed || refused.read {
		t.Errorf("400: %+v, want an error", refused)
	}
}
