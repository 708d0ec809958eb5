package trace

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/playhead-load/playhead/sim"
	"github.com/playhead-load/playhead/sim/driver"
	"github.com/playhead-load/playhead/viewing"
)

var _ driver.Fleet = (*Player)(nil)

func play(t *testing.T, path string, o PlayerOptions) *Player {
	t.Helper()
	p, err := OpenPlayer(t.Context(), path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

// playUntil plays until then and says what was told: session/seq@after on device.
func playUntil(t *testing.T, p *Player, untilMS int64) string {
	t.Helper()
	var all []string
	var e viewing.Event
	for {
		step, ok := p.Next(beginning+viewing.Millis(untilMS), &e)
		if !ok {
			return strings.Join(all, " ")
		}
		if step.DueMS != e.At || step.Type != e.Type {
			t.Errorf("step %+v of event %+v", step, e)
		}
		all = append(all, fmt.Sprintf("%d/%d@%d on %d", e.SessionID[15], e.Seq, e.At-beginning, step.Device))
	}
}

// TestPlayer plays in the trace's order, what is due and no more.
func TestPlayer(t *testing.T) {
	content := text(event(1, 0, 0, viewing.Start), event(2, 0, 500, viewing.Start), event(1, 1, 500, viewing.Keepalive), event(2, 7, 2000, viewing.Stop))
	for _, path := range []string{file(t, "x", content), file(t, "x.zst", compressed(t, content))} {
		p := play(t, path, PlayerOptions{})
		if p.Devices() != 2 || p.Events() != 4 || p.StartMS() != beginning || p.LengthMS() != 2000 || len(p.Accounts()) != 2 {
			t.Errorf("%d devices, %d events from %d for %d ms, accounts %v", p.Devices(), p.Events(), p.StartMS(), p.LengthMS(), p.Accounts())
		}
		for _, step := range []struct {
			untilMS int64
			want    string
		}{{-1, ""}, {499, "1/0@0 on 0"}, {499, ""}, {500, "2/0@500 on 1 1/1@500 on 0"}, {1e9, "2/7@2000 on 1"}, {1e9, ""}} {
			if got := playUntil(t, p, step.untilMS); got != step.want {
				t.Errorf("until %d: told %q, want %q", step.untilMS, got, step.want)
			}
		}
		if p.Err() != nil {
			t.Error(p.Err())
		}
	}
}

// TestPlayerEvents: the events are those of the trace, texts and bitrates included.
func TestPlayerEvents(t *testing.T) {
	want := text(event(1, 0, 0, viewing.Start), event(1, 1, 60_000, viewing.Keepalive), event(3, 0, 60_000, viewing.Start), event(1, 2, 70_000, viewing.Stop))
	p := play(t, file(t, "x", want), PlayerOptions{})
	got := ""
	var e viewing.Event
	for range 4 {
		if _, ok := p.Next(viewing.MaxAt, &e); !ok {
			t.Fatal("an event is missing")
		}
		got += text(&e)
	}
	if got != want {
		t.Errorf("told\n%s\nwant\n%s", got, want)
	}
}

// TestPlayerLength: what is later is neither looked at nor played.
func TestPlayerLength(t *testing.T) {
	path := file(t, "x", text(event(1, 0, 0, viewing.Start), event(1, 1, 1000, viewing.Keepalive), event(2, 0, 1001, viewing.Start))+"no event\n")
	p := play(t, path, PlayerOptions{LengthMS: 1000})
	if got := playUntil(t, p, 1e9); got != "1/0@0 on 0 1/1@1000 on 0" || p.Devices() != 1 || p.LengthMS() != 1000 {
		t.Errorf("told %q on %d devices in %d ms", got, p.Devices(), p.LengthMS())
	}
	_, err := OpenPlayer(t.Context(), path, PlayerOptions{LengthMS: 1001})
	mustHave(t, err, "line 4")
}

// TestPlayerDenied: a session that was refused is told no more; others are, its
// device's next one too.
func TestPlayerDenied(t *testing.T) {
	again := event(3, 0, 40, viewing.Start)
	again.AccountID, again.DeviceID = 1, 1001 // the device of session 1
	p := play(t, file(t, "x", text(event(1, 0, 0, viewing.Start), event(2, 0, 0, viewing.Start), event(1, 1, 10, viewing.Keepalive),
		event(2, 1, 10, viewing.Keepalive), event(1, 2, 20, viewing.Stop), again, event(2, 2, 50, viewing.Stop))), PlayerOptions{Salt: 77})
	var e viewing.Event
	step, _ := p.Next(beginning, &e)
	first := e.SessionID
	if _, ok := p.Next(beginning, &e); !ok {
		t.Fatal("session 2 did not start")
	}
	p.Denied(step.Device, first)
	if got := playUntil(t, p, 1e9); got != fmt.Sprintf("%d/1@10 on 1 %d/0@40 on 0 %d/2@50 on 1", 2^77, 3^77, 2^77) {
		t.Errorf("told %q", got)
	}
	if len(p.refused) != 0 {
		t.Errorf("%d refused sessions are kept after their stops", len(p.refused))
	}
}

// TestPlayerSalt: every salt has ids of its own, which differ where the trace's do.
func TestPlayerSalt(t *testing.T) {
	path := file(t, "x", text(event(1, 0, 0, viewing.Start), event(2, 0, 0, viewing.Start)))
	ids := map[viewing.SessionID]bool{}
	for _, salt := range []uint64{0, 1 << 47, sim.MaxSalt, 0xabcdef} {
		p := play(t, path, PlayerOptions{Salt: salt})
		var e viewing.Event
		for range 2 {
			p.Next(viewing.MaxAt, &e)
			ids[e.SessionID] = true
			if e.SessionID[0] != 1 {
				t.Errorf("salt %x reaches beyond the low 48 bits: %v", salt, e.SessionID)
			}
		}
	}
	if len(ids) != 8 {
		t.Errorf("%d ids for 2 sessions and 4 salts", len(ids))
	}
}

// TestPlayerRefuses traces that a target would rightly reject, before it is played.
func TestPlayerRefuses(t *testing.T) {
	start, keepalive := event(1, 0, 0, viewing.Start), event(1, 5, 10, viewing.Keepalive)
	other := event(1, 6, 20, viewing.Keepalive)
	other.TitleID = 81
	var gaps []*viewing.Event
	for seq := range uint32(maxGaps + 2) {
		gaps = append(gaps, event(1, 2*seq, int64(seq), viewing.Keepalive))
	}
	play(t, file(t, "x", text(gaps[:maxGaps+1]...)), PlayerOptions{})
	offline := event(2, 0, 20, viewing.Start)
	offline.Offline, offline.ResumePos = true, true
	for name, test := range map[string]struct {
		events []*viewing.Event
		want   string
	}{
		"no events":          {nil, "has no events: expected NDJSON"},
		"a repeated seq":     {[]*viewing.Event{start, keepalive, keepalive}, "line 3: seq: expected more than in the session's events before"},
		"a seq out of order": {[]*viewing.Event{start, keepalive, event(1, 4, 20, viewing.Keepalive)}, "line 3: seq: expected more than"},
		"another title":      {[]*viewing.Event{start, keepalive, other}, "line 3: session_id: expected the same account, profile, device and title"},
		"too many gaps":      {gaps, "line 257: seq: expected one without a gap before it"},
		"offline, no place":  {[]*viewing.Event{start, offline}, "line 2: position_ms: expected one in a start that is offline"},
	} {
		_, err := OpenPlayer(t.Context(), file(t, "x", text(test.events...)), PlayerOptions{})
		if t.Logf("%s: %v", name, err); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := OpenPlayer(ctx, file(t, "x", text(start)), PlayerOptions{})
	mustHave(t, err, "interrupted")
}

// TestPlayerOfAPipe: a pipe cannot be looked at first and played afterwards.
func TestPlayerOfAPipe(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := w.WriteString(text(event(1, 0, 0, viewing.Start))); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = OpenPlayer(t.Context(), fmt.Sprintf("/dev/fd/%d", r.Fd()), PlayerOptions{})
	mustHave(t, err, "expected a file, not a pipe")
}

// TestPlayerOfAFileThatChanges says so afterwards: nobody can be told meanwhile.
func TestPlayerOfAFileThatChanges(t *testing.T) {
	path := file(t, "x", text(event(1, 0, 0, viewing.Start), event(1, 1, 10, viewing.Keepalive)))
	for name, content := range map[string]string{
		"shorter":        text(event(1, 0, 0, viewing.Start)),
		"another device": text(event(9, 0, 0, viewing.Start), event(1, 1, 10, viewing.Keepalive)),
	} {
		if err := os.WriteFile(path, []byte(text(event(1, 0, 0, viewing.Start), event(1, 1, 10, viewing.Keepalive))), 0o600); err != nil {
			t.Fatal(err)
		}
		p := play(t, path, PlayerOptions{})
		if err := p.reader.rewind(); err != nil { // forget what was read ahead
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := p.reader.rewind(); err != nil {
			t.Fatal(err)
		}
		playUntil(t, p, 1e9)
		if t.Logf("%s: %v", name, p.Err()); p.Err() == nil {
			t.Errorf("%s: nothing is told of it", name)
		}
	}
}
