package k6

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/grafana/sobek"

	"github.com/playhead-load/playhead/http1"
	"github.com/playhead-load/playhead/results"
	"github.com/playhead-load/playhead/sim/driver"
	"github.com/playhead-load/playhead/viewing"
	"github.com/playhead-load/playhead/viewing/wire"
)

const jsonType = "Content-Type: application/json\r\n"

// start asks to play from the beginning of the options' position, or where the profile was.
// A denial is a value.
func (d *device) start(options sobek.Value) sobek.Value {
	e := &d.event
	e.SessionID, e.Seq, e.Type, e.PlayedMS, e.PositionMS, e.ErrorCode = newSession(time.Now()), 0, viewing.Start, 0, 0, ""
	e.BitrateMS, e.RebufferMS = e.BitrateMS[:0], 0
	e.ResumePos, e.At = true, viewing.Millis(time.Now().UnixMilli())
	d.facts(options)
	l := d.link
	l.body = wire.AppendEventJSON(l.body[:0], e)
	answer := d.exchange(results.OpStart, http.MethodPost, d.accountPath("/sessions"), l.body)
	rt := d.of.vu.Runtime()
	denied := answer.Status == http.StatusConflict && strings.Contains(string(answer.Body), "too-many-streams")
	if answer.Status/100 != 2 && !denied {
		d.fail(refused(answer))
	}
	d.playing = true
	told, ok := d.parse(answer.Body).(*sobek.Object)
	if !ok {
		d.fail(fmt.Errorf("expected an object from the target, got %.100s", answer.Body))
	}
	if v := told.Get("position_ms"); !denied && v != nil {
		e.PositionMS = v.ToInteger()
	}
	_ = told.Set("denied", rt.ToValue(denied))
	return told
}

// telling is the method that tells an event of a kind.
func telling(kind viewing.EventType) func(*device, sobek.Value) sobek.Value {
	op := driver.OpOf(kind)
	return func(d *device, options sobek.Value) sobek.Value {
		if !d.playing {
			d.fail(fmt.Errorf("nothing plays: call start() first"))
		}
		e := &d.event
		e.Seq++
		e.Type, e.ResumePos, e.ErrorCode, e.At = kind, false, "", viewing.Millis(time.Now().UnixMilli())
		d.facts(options)
		l := d.link
		l.body = append(wire.AppendEventJSON(append(l.body[:0], '['), e), ']')
		answer := d.exchange(op, http.MethodPost, "/v1/events", l.body)
		if answer.Status != http.StatusOK {
			d.fail(refused(answer))
		}
		if kind == viewing.Stop {
			d.playing = false
		}
		return d.outcome(answer.Body)
	}
}

// The outcome of most events, as Playhead writes it.
const (
	acceptedBody = `{"outcomes":[{"status":"accepted"}]}`
	accepted     = "accepted"
)

// outcome is what became of the one event of a request, as the target has it.
func (d *device) outcome(body []byte) sobek.Value {
	rt := d.of.vu.Runtime()
	if string(bytes.TrimRight(body, "\n")) == acceptedBody {
		o := rt.NewObject()
		_ = o.Set("status", accepted)
		return o
	}
	var told struct {
		Outcomes []struct {
			Status string `json:"status"`
			Reason string `json:"reason"`
		} `json:"outcomes"`
	}
	if json.Unmarshal(body, &told) != nil || len(told.Outcomes) != 1 {
		d.fail(fmt.Errorf("expected the outcome of one event from the target, got %.100s", body))
	}
	o := rt.NewObject()
	_ = o.Set("status", told.Outcomes[0].Status)
	if reason := told.Outcomes[0].Reason; reason != "" {
		_ = o.Set("reason", reason)
	}
	return o
}

// asking is the method that asks one thing. What the target does not know is null, but of
// a list.
func asking(op results.Op) func(*device, sobek.Value) sobek.Value {
	return func(d *device, _ sobek.Value) sobek.Value {
		answer := d.exchange(op, http.MethodGet, d.question(op), nil)
		switch {
		case answer.Status == http.StatusNotFound:
			return sobek.Null()
		case answer.Status != http.StatusOK:
			d.fail(refused(answer))
		}
		return d.parse(answer.Body)
	}
}

func (d *device) question(op results.Op) string {
	profile := "/profiles/" + strconv.Itoa(int(d.event.ProfileID))
	switch op {
	case results.OpPosition:
		return d.accountPath(profile + "/positions/" + strconv.FormatUint(uint64(d.event.TitleID), 10))
	case results.OpHistory:
		return d.accountPath(profile + "/history")
	case results.OpContinueWatching:
		return d.accountPath(profile + "/continue-watching")
	}
	return d.accountPath("/sessions")
}

func (d *device) accountPath(rest string) string {
	return "/v1/accounts/" + strconv.FormatUint(d.event.AccountID, 10) + rest
}

// exchange makes a request and measures it: response time counts from the call, service
// time from when it was sent. A body is given with every POST.
func (d *device) exchange(op results.Op, method, path string, body []byte) *http1.Answer {
	called := time.Now()
	l := d.link
	l.request = http1.AppendHead(l.request[:0], method, l.base+path, l.host)
	if body != nil {
		l.request = http1.AppendBody(append(l.request, jsonType...), body)
	} else {
		l.request = http1.AppendNoBody(l.request)
	}
	ctx := d.of.vu.Context()
	answer, sent, err := l.do(ctx, d.dialing, l.request, called)
	d.caller.note(op, called, sent, time.Now(), resultOf(answer, err))
	if err != nil {
		d.fail(fmt.Errorf("%s does not answer: %w", l.host, err))
	}
	return answer
}

func resultOf(a *http1.Answer, err error) results.Result {
	switch {
	case err != nil:
		return results.ResultError
	case a.Status == http.StatusConflict:
		return results.ResultDenied
	case a.Status >= 400 && a.Status != http.StatusNotFound:
		return results.ResultError
	case a.Status == http.StatusOK && len(a.Body) < 200 && strings.Contains(string(a.Body), `{"status":"denied"`):
		return results.ResultDenied
	case a.Status == http.StatusOK && len(a.Body) < 200 && strings.Contains(string(a.Body), `{"status":"rejected"`):
		return results.ResultError
	}
	return results.ResultOK
}

// refused tells of an answer that is an error, in one line.
func refused(a *http1.Answer) error {
	var problem struct {
		Detail string `json:"detail"`
	}
	if json.Unmarshal(a.Body, &problem) == nil && problem.Detail != "" {
		return fmt.Errorf("%d %s: %s", a.Status, http.StatusText(a.Status), problem.Detail)
	}
	return fmt.Errorf("%d %s: %.100s", a.Status, http.StatusText(a.Status), a.Body)
}

// facts takes what the options say of an event: position, played, rebuffer, bitrate and
// code. Where nothing is said of it, played grows by as much as the position.
func (d *device) facts(options sobek.Value) {
	if options == nil || sobek.IsUndefined(options) || sobek.IsNull(options) {
		return
	}
	o, ok := options.(*sobek.Object)
	if !ok {
		d.fail(fmt.Errorf("expected an object such as {position: 60000}, got %s", options))
	}
	e := &d.event
	for _, name := range o.Keys() {
		v := o.Get(name)
		switch name {
		case "position":
			before := e.PositionMS
			e.PositionMS, e.ResumePos = d.media(name, v), false
			if grown := e.PositionMS - before; grown > 0 && e.Type != viewing.Seek && e.Type != viewing.Start && o.Get("played") == nil {
				e.PlayedMS += grown
			}
		case "played":
			e.PlayedMS = d.media(name, v)
		case "rebuffer":
			e.RebufferMS = d.media(name, v)
		case "code":
			e.ErrorCode = v.String()
		case "bitrate":
			d.bitrate(v)
		default:
			d.fail(fmt.Errorf("%s: an event has no such option; expected position, played, rebuffer, bitrate or code", name))
		}
	}
}

func (d *device) media(name string, v sobek.Value) int64 {
	n, ok := wholeOf(v.Export())
	if !ok || n > viewing.MaxMediaMS {
		d.fail(fmt.Errorf("%s: expected milliseconds from 0 to %d, got %s", name, int64(viewing.MaxMediaMS), v))
	}
	return int64(n)
}

// bitrate takes {'5800': 60000}: milliseconds played at each rung so far.
func (d *device) bitrate(v sobek.Value) {
	o, ok := v.(*sobek.Object)
	if !ok || len(o.Keys()) > viewing.MaxBitrates {
		d.fail(fmt.Errorf("bitrate: expected at most %d rungs, such as {'5800': 60000}, got %s", viewing.MaxBitrates, v))
	}
	e := &d.event
	e.BitrateMS = e.BitrateMS[:0]
	for _, rung := range o.Keys() {
		e.BitrateMS = append(e.BitrateMS, viewing.Bitrate{Kbps: rung, PlayedMS: d.media("bitrate", o.Get(rung))})
	}
}

// parse is JSON as JavaScript has it.
func (d *device) parse(body []byte) sobek.Value {
	v, err := d.of.parse(sobek.Undefined(), d.of.vu.Runtime().ToValue(string(body)))
	if err != nil {
		d.fail(fmt.Errorf("expected JSON from the target, got %.100s", body))
	}
	return v
}
