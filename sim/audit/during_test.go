package audit

import (
	"slices"
	"strings"
	"testing"

	"github.com/playhead-load/playhead/viewing"
)

// placed is an event of session "a" on device 1 that was told at that many milliseconds,
// and is as far in its title.
func placed(seq uint32, kind viewing.EventType, fate Fate, sentMS, doneMS int64) Entry {
	e := event{"a", 1, seq, kind, fate, sentMS, doneMS, 0}.entry()
	e.AtMS, e.PositionMS = viewing.MinAt+viewing.Millis(sentMS), sentMS
	return e
}

// answered is a reading of what session "a" told at that many milliseconds, -1: nothing.
func answered(toldMS, askedMS, answeredMS int64) Reading {
	r := Reading{Account: testAccount, Profile: 1, Title: 7, AskedUS: askedMS * 1000, AnsweredUS: answeredMS * 1000}
	if toldMS >= 0 {
		r.Known, r.Session, r.AtMS, r.PositionMS = true, sessionNamed("a"), viewing.MinAt+viewing.Millis(toldMS), toldMS
	}
	return r
}

// TestDuring judges what devices are told of positions while events go on.
func TestDuring(t *testing.T) {
	wrong := answered(1000, 1100, 1110)
	wrong.PositionMS++
	stranger := answered(1000, 1100, 1110)
	stranger.Session = sessionNamed("z")
	before := answered(0, 500, 510)
	before.Session, before.AtMS = sessionNamed("z"), viewing.MinAt-1
	uploaded := placed(2, stop, Accepted, 2000, 2010)
	uploaded.AtMS, uploaded.Offline = viewing.MinAt+500, true
	for name, c := range map[string]struct {
		more     []Entry // after a start that is told at 1000 and answered at 1010, and a keepalive of 1200 to 1300
		readings []Reading
		used     bool
		want     []string
	}{
		"nothing is known yet":                     {readings: []Reading{answered(-1, 900, 1005)}},
		"the start is under way":                   {readings: []Reading{answered(1000, 900, 1005), answered(-1, 1005, 1011)}},
		"the start was acknowledged":               {readings: []Reading{answered(-1, 1011, 1012)}, want: []string{KindStale}},
		"its own last write":                       {readings: []Reading{answered(1000, 1011, 1012)}},
		"the keepalive is under way":               {readings: []Reading{answered(1200, 1100, 1250)}},
		"or not there yet":                         {readings: []Reading{answered(1000, 1210, 1400)}},
		"the keepalive was not sent yet":           {readings: []Reading{answered(1200, 1100, 1110)}, want: []string{KindPosition}},
		"the keepalive was acknowledged":           {readings: []Reading{answered(1000, 1301, 1302)}, want: []string{KindStale}},
		"what no device told":                      {readings: []Reading{wrong}, want: []string{KindPosition}},
		"a session that no device plays":           {readings: []Reading{stranger}, want: []string{KindPosition}},
		"a session of before":                      {readings: []Reading{before}, used: true},
		"a session of before after what is newer":  {readings: []Reading{{Account: testAccount, Profile: 1, Title: 7, Known: true, Session: sessionNamed("z"), AtMS: 1, AskedUS: 1.1e6, AnsweredUS: 1.2e6}}, used: true, want: []string{KindStale}},
		"back while the keepalive is under way":    {readings: []Reading{answered(1200, 1205, 1210), answered(1000, 1220, 1230)}, want: []string{KindRegression}},
		"back to nothing":                          {readings: []Reading{answered(1000, 1001, 1002), answered(-1, 1003, 1004)}, want: []string{KindRegression}},
		"back, but asked for before the other":     {readings: []Reading{answered(1200, 1205, 1210), answered(1000, 1210, 1230)}},
		"unanswered, and there":                    {more: []Entry{placed(2, stop, Unanswered, 2000, 3000)}, readings: []Reading{answered(2000, 4000, 4010)}},
		"unanswered, and not there":                {more: []Entry{placed(2, stop, Unanswered, 2000, 3000)}, readings: []Reading{answered(1200, 4000, 4010)}},
		"unanswered, there and then not":           {more: []Entry{placed(2, stop, Unanswered, 2000, 3000)}, readings: []Reading{answered(2000, 4000, 4010), answered(1200, 4020, 4030)}, want: []string{KindRegression}},
		"an upload of what was played long before": {more: []Entry{uploaded}, readings: []Reading{answered(1200, 4000, 4010)}},
		"a keepalive that was denied":              {more: []Entry{placed(2, keepalive, Denied, 2000, 2010)}, readings: []Reading{answered(1200, 4000, 4010)}, want: []string{KindStale}},
	} {
		t.Run(name, func(t *testing.T) {
			log := logOf(1, append([]Entry{placed(0, start, Accepted, 1000, 1010), placed(1, keepalive, Accepted, 1200, 1300)}, c.more...)...)
			for _, r := range c.readings {
				log.AddReading(r)
			}
			options := testOptions()
			options.Used = c.used
			report := judge(log, options)
			for _, kind := range []string{KindFalseDenial, KindLinearizable} {
				delete(report.Violations, kind) // a denial is here for what it tells, not for what it says of streams
			}
			expect(t, report, c.want...)
			if report.Readings != int64(len(c.readings)) {
				t.Errorf("%d readings judged, want %d", report.Readings, len(c.readings))
			}
		})
	}
}

// TestManyReadings: what a log has no room for is counted, and not judged.
func TestManyReadings(t *testing.T) {
	log := logOf(1, placed(0, start, Accepted, 1000, 1010))
	log.mostReadings = 1
	log.AddReading(answered(1000, 1100, 1110))
	log.AddReading(answered(-1, 1200, 1210))
	report := judge(log, testOptions())
	expect(t, report)
	if report.Readings != 1 || report.Unread != 1 {
		t.Errorf("%d readings judged and %d not kept, want 1 and 1", report.Readings, report.Unread)
	}
}

// TestHistoryOfAnExample: it tells what was folded by its number, and of a long session
// the ends.
func TestHistoryOfAnExample(t *testing.T) {
	log := logOf(1)
	log.Fold(testLease, testLate)
	for seq := range uint32(30) {
		kind := keepalive
		if seq == 0 {
			kind = start
		}
		log.Add(placed(seq, kind, Accepted, 1000*int64(seq), 1000*int64(seq)+10))
	}
	log.AddReading(answered(-1, 29500, 29510))
	report := judge(log, testOptions())
	expect(t, report, KindStale)
	want := []string{
		"0.000 s: start seq 0 at 0 ms: accepted at 0.010 s",
		"until 29.000 s: 28 keepalives, accepted",
		"29.000 s: keepalive seq 29 at 29000 ms: accepted at 29.010 s",
	}
	if got := report.Examples[0].History; !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	long := &playback{}
	for seq := range uint32(200) {
		long.entries = append(long.entries, entry{Entry: placed(seq, viewing.Seek, Accepted, int64(seq), int64(seq))})
	}
	lines := long.history()
	if len(lines) != historyFirst+1+historyLast || lines[historyFirst] != "… 152 more" || !strings.Contains(lines[len(lines)-1], "seq 199 ") {
		t.Errorf("%d lines of a long session: %q", len(lines), lines)
	}
}

// TestReadBack: of many accounts the target is asked about the share that was named, the
// same for the same seed, and all are judged for which it need not be asked.
func TestReadBack(t *testing.T) {
	log := NewLog()
	const accounts = 2000
	playAndAdd(log, accounts, 1, false)
	asked := func(seed uint64) (ids []viewing.SessionID) {
		options := testOptions()
		options.ReadBack, options.Seed = 0.1, seed
		report, err := log.CheckTarget(t.Context(), &memory{}, options)
		if err != nil {
			t.Fatal(err)
		}
		if report.Accounts != accounts || report.Sessions != accounts || report.ReadBack < accounts/20 || report.ReadBack > accounts/5 {
			t.Errorf("%d of %d accounts read back, %d sessions", report.ReadBack, report.Accounts, report.Sessions)
		}
		if lost := report.Violations[KindLost]; lost != 2*report.ReadBack {
			t.Errorf("%d events lost, want those of %d accounts", lost, report.ReadBack)
		}
		for _, e := range report.Examples {
			ids = append(ids, e.Session)
		}
		return ids
	}
	if first := asked(1); !slices.Equal(first, asked(1)) || slices.Equal(first, asked(2)) {
		t.Error("the seed does not decide which accounts are read back")
	}
}

// TestFoldedByOtherTerms: a log that was folded by a longer lease cannot be judged by a
// shorter one.
func TestFoldedByOtherTerms(t *testing.T) {
	log := NewLog()
	log.Fold(2*testLease, testLate)
	if _, err := log.CheckTarget(t.Context(), &memory{}, testOptions()); err == nil {
		t.Error("no error")
	}
}
