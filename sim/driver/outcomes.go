package driver

import (
	"bytes"
	"encoding/json"
	"net/http"

	"github.com/playhead-load/playhead/http1"
	"github.com/playhead-load/playhead/sim/audit"
)

// readOutcomes appends what was answered of each of so many events to fates; not ok if
// the answer is not one to them. An outcome of no known name is Unanswered.
func readOutcomes(a *http1.Answer, fates []audit.Fate, events int) (all []audit.Fate, ok bool) {
	if a.Status != http.StatusOK {
		return fates, false
	}
	all, ok = scanOutcomes(a.Body, fates)
	if !ok {
		all, ok = parseOutcomes(a.Body, fates)
	}
	return all, ok && len(all)-len(fates) == events
}

// parseOutcomes reads outcomes in any form of JSON.
func parseOutcomes(body []byte, fates []audit.Fate) ([]audit.Fate, bool) {
	var told struct {
		Outcomes []struct {
			Status string `json:"status"`
		} `json:"outcomes"`
	}
	if json.Unmarshal(body, &told) != nil {
		return fates, false
	}
	for i := range told.Outcomes {
		fates = append(fates, fateOf([]byte(told.Outcomes[i].Status)))
	}
	return fates, true
}

var (
	outcomesBegin = []byte(`{"outcomes":[`)
	outcomesEnd   = []byte(`]}`)
	outcomeBegin  = []byte(`{"status":"`)
	reasonBegin   = []byte(`,"reason":"`)
)

// scanOutcomes reads outcomes as Playhead writes them: without white space, the status
// first, and a reason without escapes. Anything else is not ok.
func scanOutcomes(body []byte, fates []audit.Fate) (all []audit.Fate, ok bool) {
	rest, ok := bytes.CutPrefix(bytes.TrimRight(body, "\n"), outcomesBegin)
	for all = fates; ok; {
		if rest, ok = bytes.CutPrefix(rest, outcomeBegin); !ok {
			break
		}
		end := bytes.IndexByte(rest, '"')
		if end < 0 {
			break
		}
		all = append(all, fateOf(rest[:end]))
		rest = rest[end+1:]
		if reason, has := bytes.CutPrefix(rest, reasonBegin); has {
			if end = bytes.IndexByte(reason, '"'); end < 0 || bytes.IndexByte(reason[:end], '\\') >= 0 {
				break
			}
			rest = reason[end+1:]
		}
		if rest, ok = bytes.CutPrefix(rest, []byte{'}'}); !ok {
			break
		}
		if bytes.Equal(rest, outcomesEnd) {
			return all, true
		}
		rest, ok = bytes.CutPrefix(rest, []byte{','})
	}
	return fates, false
}

func fateOf(status []byte) audit.Fate {
	switch string(status) {
	case "accepted":
		return audit.Accepted
	case "duplicate":
		return audit.Known
	case "denied":
		return audit.Denied
	case "rejected":
		return audit.Rejected
	}
	return audit.Unanswered
}
