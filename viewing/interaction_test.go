package viewing

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
)

// TestInteractions plays the files under testdata/admission: what devices do,
// line by line, and what the rules answer. Rewrite them with -rewrite and review
// the difference.
//
// Each line of input is `TIME VERB SESSION key=value …`; TIME counts from the
// beginning of the file in Go's notation, and is both the device's clock and the
// server's unless at= says otherwise.
func TestInteractions(t *testing.T) {
	datadriven.Walk(t, "testdata/admission", func(t *testing.T, path string) {
		world := newInteraction()
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			var out strings.Builder
			for line := range strings.Lines(d.Input) {
				if line = strings.TrimSpace(line); line != "" {
					fmt.Fprintf(&out, "%s\n", world.do(t, d, line))
				}
			}
			return out.String()
		})
	})
}

const interactionEpoch = Millis(1_700_000_000_000)

type interaction struct {
	state *State
	seqs  map[string]uint32
}

func newInteraction() *interaction {
	return &interaction{NewState(Rules{LeaseMS: 150_000, DefaultStreams: 2}), map[string]uint32{}}
}

func (w *interaction) do(t *testing.T, d *datadriven.TestData, line string) string {
	words := strings.Fields(line)
	if words[0] == "limit" {
		var streams int
		scan(t, d, words[1], &streams)
		w.state.SetMaxStreams(1, streams)
		return "ok"
	}
	now := interactionEpoch + moment(t, d, words[0])
	verb := words[1]
	switch verb {
	case "list":
		return w.list(now)
	case "ask":
		return w.ask(now, words[2])
	case "history", "continue-watching":
		return w.views(now, verb)
	}
	e := w.event(t, d, now, words)
	switch verb {
	case "start":
		return describeAdmission(w.state.Start(now, &e))
	case "hide":
		w.state.Hide(now, 1, e.ProfileID, e.TitleID)
		return "ok"
	}
	outcome := w.state.Observe(now, &e)
	return strings.TrimSuffix(fmt.Sprintf("%v: %s", outcome.Status, outcome.Reason), ": ")
}

// event makes the event of a line. seq counts up within the session unless given.
func (w *interaction) event(t *testing.T, d *datadriven.TestData, now Millis, words []string) Event {
	name := words[2]
	kind, _ := ParseEventType(words[1])
	if words[1] == "event-start" {
		kind = Start
	}
	e := Event{
		SessionID: sessionNamed(name), Seq: w.seqs[name], Type: kind, At: now, AccountID: 1,
		ProfileID: 1, DeviceID: 1, DeviceType: "tv", TitleID: 10, RuntimeMS: 6_000_000,
	}
	for _, word := range words[3:] {
		key, value, _ := strings.Cut(word, "=")
		switch key {
		case "device":
			scan(t, d, value, &e.DeviceID)
		case "profile":
			scan(t, d, value, &e.ProfileID)
		case "title":
			scan(t, d, value, &e.TitleID)
		case "seq":
			scan(t, d, value, &e.Seq)
		case "position":
			e.PositionMS = int64(moment(t, d, value))
		case "at":
			e.At = interactionEpoch + moment(t, d, value)
		case "resume":
			e.ResumePos = true
		case "offline":
			e.Offline = true
		default:
			d.Fatalf(t, "unknown word %q", word)
		}
	}
	w.seqs[name] = max(w.seqs[name], e.Seq) + 1
	return e
}

func (w *interaction) list(now Millis) string {
	limit, active := w.state.Active(now, 1)
	names := make([]string, 0, len(active))
	for _, a := range active {
		names = append(names, fmt.Sprintf("%s(device %d, until %v)", nameOf(a.SessionID), a.DeviceID, since(a.ExpiresAt)))
	}
	return fmt.Sprintf("%d of %d: %s", len(active), limit, strings.Join(names, " "))
}

func (w *interaction) ask(now Millis, name string) string {
	report, ok := sure{w.state}.Session(now, 1, sessionNamed(name))
	if !ok {
		return "unknown"
	}
	position, _ := w.state.Position(1, report.ProfileID, report.TitleID)
	return fmt.Sprintf("%s, seq %d, %d events, at %v, title at %v",
		report.State, report.LastSeq, report.Events, asDuration(report.PositionMS), asDuration(position.PositionMS))
}

func (w *interaction) views(now Millis, verb string) string {
	var views []View
	if verb == "history" {
		views, _ = sure{w.state}.History(now, 1, 1, nil, 20)
	} else {
		views = sure{w.state}.ContinueWatching(now, 1, 1, 20)
	}
	names := make([]string, 0, len(views))
	for _, v := range views {
		names = append(names, fmt.Sprintf("%s(title %d at %v)", nameOf(v.SessionID), v.TitleID, asDuration(v.PositionMS)))
	}
	return strings.Join(append([]string{fmt.Sprint(len(views))}, names...), " ")
}

func describeAdmission(a Admission) string {
	switch a.Status {
	case Accepted, Duplicate:
		return fmt.Sprintf("%v from %v until %v", a.Status, asDuration(a.PositionMS), since(a.ExpiresAt))
	}
	names := make([]string, 0, len(a.Active))
	for _, s := range a.Active {
		names = append(names, nameOf(s.SessionID))
	}
	return fmt.Sprintf("%v: %s, limit %d, active %v", a.Status, a.Reason, a.MaxStreams, names)
}
