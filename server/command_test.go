package server

import (
	"bytes"
	"encoding/hex"
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/playhead-load/playhead/viewing"
	"github.com/playhead-load/playhead/viewing/wire"
)

var update = flag.Bool("update", false, "write the golden files anew")

// goldenFile holds a command of each kind as version 1 writes it, a name and its
// bytes a line. What stands there must be read for ever: a new version gets a
// file of its own.
const goldenFile = "testdata/commands.v1.hex"

var goldenRules = viewing.Rules{LeaseMS: 150_000, DefaultStreams: 2}

// goldenStamp is the leader's clock when the golden commands are applied.
const goldenStamp = int64(1_795_464_900_123)

func goldenEvent(seq uint32, kind viewing.EventType) viewing.Event {
	return viewing.Event{
		SessionID: viewing.SessionID{15: 7}, Seq: seq, Type: kind, At: viewing.Millis(goldenStamp) + viewing.Millis(seq),
		AccountID: 42, ProfileID: 1, DeviceID: 9001, DeviceType: "tv", TitleID: 80, Country: "US",
		RuntimeMS: 2_940_000, PositionMS: int64(seq) * 1000, PlayedMS: int64(seq) * 1000,
		BitrateMS: []viewing.Bitrate{{Kbps: "3000", PlayedMS: 11}, {Kbps: "5800", PlayedMS: 12}},
	}
}

type goldenCommand struct {
	name  string
	bytes []byte
}

// goldenCommands are written by the code that handlers use.
func goldenCommands(t testing.TB) []goldenCommand {
	start := goldenEvent(1, viewing.Start)
	start.ResumePos, start.PositionMS = true, 0
	var body []byte
	for _, e := range []viewing.Event{goldenEvent(7, viewing.Keepalive), goldenEvent(9, viewing.Stop)} {
		body = append(wire.AppendEventJSON(body, &e), '\n')
	}
	body = append(body, "nonsense\n"...)
	s, batch := &Server{rules: goldenRules}, &scratch{body: body}
	if valid, err := s.collect(batch, "application/x-ndjson", 0); err != nil || valid != 2 {
		t.Fatalf("collect: %d, %v", valid, err)
	}
	return []goldenCommand{
		{"start", wire.AppendEvent(appendCommand(nil, commandStart, goldenRules), &start)},
		{"events", batch.command},
		{"account", appendAccountCommand(nil, goldenRules, viewing.MaxAccountID, viewing.MaxStreams)},
		{"hide", appendHideCommand(nil, goldenRules, 42, 1, 80)},
		{"greatest", appendHideCommand(nil, viewing.Rules{LeaseMS: 1 << 40, DefaultStreams: viewing.MaxStreams}, viewing.MaxAccountID, viewing.MaxProfileID, viewing.MaxTitleID)},
	}
}

func readGolden(t testing.TB) []goldenCommand {
	t.Helper()
	text, err := os.ReadFile(goldenFile)
	if err != nil {
		t.Fatal(err)
	}
	var commands []goldenCommand
	for line := range strings.Lines(string(text)) {
		name, digits, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		b, err := hex.DecodeString(digits)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		commands = append(commands, goldenCommand{name, b})
	}
	return commands
}

func TestGoldenCommands(t *testing.T) {
	commands := goldenCommands(t)
	if *update {
		var text []byte
		for _, c := range commands {
			text = append(append(text, c.name...), ' ')
			text = append(hex.AppendEncode(text, c.bytes), '\n')
		}
		if err := os.WriteFile(goldenFile, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	golden := readGolden(t)
	if len(golden) != len(commands) {
		t.Fatalf("%d commands in %s, want %d", len(golden), goldenFile, len(commands))
	}
	for i, c := range commands {
		if golden[i].name != c.name || !bytes.Equal(golden[i].bytes, c.bytes) {
			t.Errorf("%s is written %x, was %x: a change of the encoding needs a new version", c.name, c.bytes, golden[i].bytes)
		}
	}
}

// TestGoldenCommandsApply: what the golden bytes mean, told by the state.
func TestGoldenCommandsApply(t *testing.T) {
	v := newViews()
	for i, c := range readGolden(t) {
		answer := v.applyOne(uint64(10+i), goldenStamp, c.bytes)
		switch c.name {
		case "start":
			a, ok := answer.(viewing.Admission)
			if !ok || a.Status != viewing.Accepted || a.MaxStreams != 2 || a.ExpiresAt != viewing.Millis(goldenStamp+150_000) {
				t.Errorf("start: %+v", answer)
			}
		case "events":
			o, ok := answer.([]viewing.Outcome)
			if !ok || len(o) != 2 || o[0].Status != viewing.Accepted || o[1].Status != viewing.Accepted {
				t.Errorf("events: %+v", answer)
			}
			if views, _, _ := v.state.History(viewing.Millis(goldenStamp), 42, 1, nil, 10); len(views) != 1 || views[0].PositionMS != 9000 || views[0].TitleID != 80 {
				t.Errorf("history: %+v", views)
			}
			r, _, _ := v.state.Session(viewing.Millis(goldenStamp), 42, viewing.SessionID{15: 7})
			if r.State != viewing.Stopped || r.LastSeq != 9 || r.Events != 3 || len(r.BitrateMS) != 2 || r.RuntimeMS != 2_940_000 {
				t.Errorf("report: %+v", r)
			}
		case "account":
			if limit, _ := v.state.Active(0, viewing.MaxAccountID); answer != nil || limit != viewing.MaxStreams {
				t.Errorf("account: %v, limit %d", answer, limit)
			}
		case "hide":
			if views, _, _ := v.state.History(viewing.Millis(goldenStamp), 42, 1, nil, 10); answer != nil || len(views) != 0 {
				t.Errorf("hide: %v, history %+v", answer, views)
			}
		case "greatest":
			if rules := v.state.Rules(); answer != nil || rules.LeaseMS != 1<<40 || rules.DefaultStreams != viewing.MaxStreams {
				t.Errorf("greatest: %v, rules %+v", answer, rules)
			}
		default:
			t.Errorf("unknown command %s", c.name)
		}
		if int64(v.stamp) != goldenStamp {
			t.Errorf("%s: stamp %d", c.name, v.stamp)
		}
	}
}
