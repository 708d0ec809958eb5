package driver

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/playhead-load/playhead/http1"
	"github.com/playhead-load/playhead/results"
	"github.com/playhead-load/playhead/sim/audit"
)

// maxAnswer bounds what is read of an answer.
const maxAnswer = 1 << 20

// followNone is for clients of a target: a redirect is not in the contract, and
// followed, it would turn a write into a question.
func followNone(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// answer is what came of one try.
type answer struct {
	fate       audit.Fate    // Unanswered while the target could not say
	again      bool          // the target could not say: repeat it
	wait       time.Duration // not before
	positioned bool          // a start was told where it begins:
	positionMS int64
	read       bool          // a question was answered that is judged:
	reading    audit.Reading // what was told, without when, of whom and of what
	failed     bool          // the target said that the request was wrong, or nonsense
}

func (a *answer) result() results.Result { return resultOf(a.fate, a.failed) }

func resultOf(fate audit.Fate, failed bool) results.Result {
	switch {
	case failed || fate == audit.Unanswered || fate == audit.Rejected:
		return results.ResultError
	case fate == audit.Denied:
		return results.ResultDenied
	}
	return results.ResultOK
}

// read is what a node's answer, or the want of one, says of the request. A list that it
// tells is in the memory of listed.
func (r *request) read(a *http1.Answer, err error, listed []audit.Listed) answer {
	if wait, again := toRepeat(a, err); again {
		return answer{again: true, wait: wait}
	}
	switch {
	case r.op == results.OpPosition:
		return positionAnswer(a)
	case !r.isEvent:
		return listAnswer(screenOf[r.op], a, listed)
	case a.Status >= 400:
		return r.refusal(a)
	case r.asks:
		return startAnswer(a)
	}
	return eventAnswer(a)
}

// toRepeat says whether the target could not say, so that the request is to be sent
// again, and how long it asks to wait before.
func toRepeat(a *http1.Answer, err error) (wait time.Duration, again bool) {
	switch {
	case err != nil:
		return 0, true
	case mayBeRepeated(a.Status):
		return retryAfter(string(a.Header("Retry-After"))), true
	}
	return 0, false
}

// mayBeRepeated says whether the target could not say: it may the next time.
func mayBeRepeated(status int) bool {
	return status >= 500 || status == http.StatusTooManyRequests || status == http.StatusRequestTimeout
}

// retryAfter is how long the target asks to wait, in seconds or until a date
// (RFC 9110 section 10.2.3); 0 if it does not say.
func retryAfter(text string) time.Duration {
	if seconds, err := strconv.ParseUint(text, 10, 64); err == nil || errors.Is(err, strconv.ErrRange) {
		return time.Duration(min(seconds, uint64(retryLimit/time.Second))) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil {
		return time.Until(at)
	}
	return 0
}

// refusal is a 4xx: a start's denial if it says so, else an error of the request.
func (r *request) refusal(a *http1.Answer) answer {
	var problem struct {
		Type string `json:"type"`
	}
	if r.asks && a.Status == http.StatusConflict &&
		json.Unmarshal(a.Body, &problem) == nil && strings.HasSuffix(problem.Type, "too-many-streams") {
		return answer{fate: audit.Denied}
	}
	return answer{fate: audit.Rejected, failed: true}
}

// readAnswer is that of a question; nothing known is an answer too.
func readAnswer(status int) answer {
	ok := status == http.StatusOK || status == http.StatusNotFound
	return answer{fate: audit.Accepted, failed: !ok}
}

// startAnswer is that of a start. What is not in the contract is nonsense, and
// leaves open whether the event is there.
func startAnswer(a *http1.Answer) answer {
	var told struct {
		PositionMS *int64 `json:"position_ms"`
	}
	if json.Unmarshal(a.Body, &told) != nil || told.PositionMS == nil {
		return answer{failed: true}
	}
	switch a.Status {
	case http.StatusCreated:
		return answer{fate: audit.Accepted, positioned: true, positionMS: *told.PositionMS}
	case http.StatusOK:
		return answer{fate: audit.Known, positioned: true, positionMS: *told.PositionMS}
	}
	return answer{failed: true}
}

// eventAnswer is that of a batch of one event.
func eventAnswer(a *http1.Answer) answer {
	var memory [1]audit.Fate
	fates, ok := readOutcomes(a, memory[:0], 1)
	if !ok {
		return answer{failed: true}
	}
	return answer{fate: fates[0], failed: fates[0] == audit.Unanswered || fates[0] == audit.Rejected}
}
