package driver

import (
	"net/http"
	"testing"
	"time"

	"github.com/playhead-load/playhead/sim/audit"
	"github.com/playhead-load/playhead/viewing"
)

func TestActiveIsWhatTheTargetAdmitted(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		kinds []viewing.EventType // on one device, of session 1 until the second start
		want  int64
	}{
		"a start":                      {[]viewing.EventType{viewing.Start}, 1},
		"a session that pauses":        {[]viewing.EventType{viewing.Start, viewing.Pause}, 1},
		"a session that is joined":     {[]viewing.EventType{viewing.Keepalive, viewing.Keepalive}, 1},
		"a session that stopped":       {[]viewing.EventType{viewing.Start, viewing.Keepalive, viewing.Stop}, 0},
		"a stop of nothing known":      {[]viewing.EventType{viewing.Stop}, 0},
		"a session that is replaced":   {[]viewing.EventType{viewing.Start, viewing.Start}, 1},
		"a replacement that stopped":   {[]viewing.EventType{viewing.Start, viewing.Start, viewing.Stop}, 0},
		"a refused start":              {[]viewing.EventType{viewing.Error}, 0},
		"a session that is refused":    {[]viewing.EventType{viewing.Start, viewing.Error}, 0},
		"a session that nobody heard":  {[]viewing.EventType{viewing.Seek}, 0},
		"a stop that nobody heard":     {[]viewing.EventType{viewing.Start, viewing.Seek}, 1},
		"a session after its refusal ": {[]viewing.EventType{viewing.Start, viewing.Error, viewing.Start}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			kindOf := map[uint32]viewing.EventType{}
			target := newStage(t, 1, func(w http.ResponseWriter, h heard) {
				switch kindOf[h.seq] {
				case viewing.Error: // stands for what is refused
					deny(w, h)
				case viewing.Seek: // stands for what cannot be answered
					_, _ = w.Write([]byte("<html>nonsense"))
				default:
					accept(w, h)
				}
			})
			var lines []line
			session := byte(0)
			for seq, kind := range c.kinds {
				if kind == viewing.Start || session == 0 {
					session++
				}
				kindOf[uint32(seq)] = kind
				lines = append(lines, line{dueMS: 10 * int64(seq), session: session, seq: uint32(seq), kind: kind})
			}
			d := newDrive(newScript(lines...), target.urls, nil)
			d.play(t, t.Context())
			if got := d.Active(); got != c.want {
				t.Errorf("%d active, want %d", got, c.want)
			}
		})
	}
}

func TestASilentSessionIsActiveUntilItsLeaseIsOver(t *testing.T) {
	t.Parallel()
	target := newStage(t, 1, accept)
	d := newDrive(newScript(line{session: 1, kind: viewing.Start}), target.urls, nil)
	d.play(t, t.Context())
	heard := d.NowUS()
	eventually(t, "time passes", func() bool { return d.NowUS() > heard+2*heardUS })
	for _, c := range []struct {
		lease time.Duration
		want  int64
	}{{0, 1}, {time.Hour, 1}, {time.Microsecond, 0}} {
		d.config.Lease = c.lease
		if got := d.Interval().ActiveSessions; got != c.want || d.Active() != c.want {
			t.Errorf("%d active after a lease of %v, want %d", got, c.lease, c.want)
		}
	}
}

// A session that was thought over plays again when it is heard of, and is counted once.
func TestASessionIsHeardOfAgain(t *testing.T) {
	t.Parallel()
	var p playing
	tell := func(device int32, kind viewing.EventType, atUS int64) {
		p.heard(device, &audit.Entry{Fate: audit.Accepted, Type: kind, DoneUS: atUS})
	}
	for _, step := range []struct {
		do   func()
		want int64
	}{
		{func() { tell(1, viewing.Start, 0); tell(2, viewing.Start, 10*heardUS) }, 2},
		{func() { p.expire(9 * heardUS) }, 1},
		{func() { p.expire(heardUS) }, 1},
		{func() { tell(1, viewing.Keepalive, 11*heardUS) }, 2},
		{func() { tell(1, viewing.Keepalive, 2*heardUS) }, 1}, // by an answer that came late
		{func() { tell(1, viewing.Stop, 12*heardUS) }, 1},
		{func() { p.expire(100 * heardUS) }, 0},
		{func() { tell(2, viewing.Stop, 101*heardUS) }, 0},
		{func() { tell(3, viewing.Start, 101*heardUS) }, 1},
	} {
		if step.do(); p.count != step.want {
			t.Fatalf("%d play, want %d", p.count, step.want)
		}
	}
	if kept := p.sessions.Len(); kept != 1 {
		t.Errorf("%d sessions are kept, want one", kept)
	}
}
