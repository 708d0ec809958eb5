package audit

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/playhead-load/playhead/viewing"
)

// toldBy is an event of a session on a device, sent at that many milliseconds and answered
// 10 later, as far in its title; the title is 10 more than the device.
func toldBy(session string, device uint64, seq uint32, kind viewing.EventType, sentMS int64) Entry {
	e := placed(seq, kind, Accepted, sentMS, sentMS+10)
	e.Session, e.Device, e.Profile, e.Title, e.RuntimeMS = sessionNamed(session), device, 1, 10+uint32(device), 10_000
	return e
}

// view is a session in a list, as it was told at two moments.
func view(session string, device uint64, startedMS, positionMS int64) Listed {
	return Listed{
		Session: sessionNamed(session), StartedAt: viewing.MinAt + viewing.Millis(startedMS),
		PositionMS: positionMS, Title: 10 + uint32(device),
	}
}

// listed is a list that was asked for and answered at two moments.
func listed(of Screen, askedMS, answeredMS int64, list ...Listed) Reading {
	return Reading{Of: of, Account: testAccount, Profile: 1, AskedUS: askedMS * 1000, AnsweredUS: answeredMS * 1000, Listed: list}
}

func more(r Reading) Reading {
	r.More = true
	return r
}

func completing(v Listed) Listed {
	v.Completed = true
	return v
}

func titled(v Listed, title uint32) Listed {
	v.Title = title
	return v
}

// TestListing judges the lists that devices are told while events go on: a plays from 1 s,
// on device 1, to its stop at 3 s; b, on device 2, from 2 s on; c, on device 3, is at the
// end of its title from 8.9 s on, and its stop at 9.5 s is never answered.
func TestListing(t *testing.T) {
	lost := toldBy("c", 3, 1, stop, 9500)
	lost.Fate, lost.DoneUS = Unanswered, 9_900_000
	log := []Entry{
		toldBy("a", 1, 0, start, 1000), toldBy("b", 2, 0, start, 2000), toldBy("a", 1, 1, stop, 3000),
		toldBy("c", 3, 0, start, 8900), lost,
	}
	denied := toldBy("d", 4, 0, start, 4000)
	denied.Fate = Denied
	a1, a3, b, c := view("a", 1, 1000, 1000), view("a", 1, 1000, 3000), view("b", 2, 2000, 2000), view("c", 3, 8900, 8900)
	z := view("z", 5, -1000, 1)
	for name, c := range map[string]struct {
		told  Reading
		used  bool
		ahead time.Duration
		want  string
	}{
		"active: its lease ended early":                           {told: listed(Active, 11_000, 11_010, c), want: KindStale},
		"active: by a clock that jumped":                          {told: listed(Active, 11_000, 11_010, c), ahead: time.Second},
		"active: by as much at most":                              {told: listed(Active, 10_000, 10_010, c), ahead: time.Second, want: KindStale},
		"active: its lease ends late by one that was right again": {told: listed(Active, 12_100, 12_110, b, c), ahead: time.Second},
		"active: its stop counts all the same":                    {told: listed(Active, 3500, 3510, a1, b), ahead: time.Second, want: KindStale},
		"active: both":                                            {told: listed(Active, 2100, 2110, a1, b)},
		"active: in any order":                                    {told: listed(Active, 2100, 2110, b, a1)},
		"active: one lacks":                                       {told: listed(Active, 2100, 2110, b), want: KindStale},
		"active: its start is under way":                          {told: listed(Active, 1500, 2005, a1)},
		"active: and may be there":                                {told: listed(Active, 1500, 2005, a1, b)},
		"active: its start was not sent yet":                      {told: listed(Active, 1500, 1510, a1, b), want: KindHistory},
		"active: its stop is under way":                           {told: listed(Active, 3005, 3020, a1, b)},
		"active: or has come":                                     {told: listed(Active, 3005, 3020, b)},
		"active: its stop was acknowledged":                       {told: listed(Active, 3020, 3030, a1, b), want: KindStale},
		"active: its lease may have ended":                        {told: listed(Active, 11_995, 12_020, b, c)},
		"active: or not yet":                                      {told: listed(Active, 11_995, 12_020, c)},
		"active: its lease has ended":                             {told: listed(Active, 12_100, 12_110, b, c), want: KindHistory},
		"active: a stop that was never answered":                  {told: listed(Active, 10_000, 10_010, b)},
		"active: did not come":                                    {told: listed(Active, 10_000, 10_010, b, c)},
		"active: a stranger":                                      {told: listed(Active, 2100, 2110, a1, b, z), want: KindHistory},
		"active: a stranger from before":                          {told: listed(Active, 2100, 2110, a1, b, z), used: true},
		"active: a denied start":                                  {told: listed(Active, 4100, 4110, b, view("d", 4, 4000, 4000)), want: KindHistory},
		"active: one twice":                                       {told: listed(Active, 2100, 2110, a1, b, b), want: KindHistory},
		"active: another title":                                   {told: listed(Active, 2100, 2110, a1, titled(b, 99)), want: KindHistory},
		"history: both, the newest first":                         {told: listed(History, 3100, 3110, b, a3)},
		"history: the oldest first":                               {told: listed(History, 3100, 3110, a3, b), want: KindHistory},
		"history: the newest lacks":                               {told: listed(History, 3100, 3110, a3), want: KindStale},
		"history: the oldest lacks":                               {told: listed(History, 3100, 3110, b), want: KindStale},
		"history: it is on the next page":                         {told: more(listed(History, 3100, 3110, b))},
		"history: it is on no further page":                       {told: more(listed(History, 3100, 3110, a3)), want: KindStale},
		"history: nothing":                                        {told: listed(History, 3100, 3110), want: KindStale},
		"history: nothing, before all":                            {told: listed(History, 500, 1005)},
		"history: a start that is under way":                      {told: listed(History, 500, 1005, a1)},
		"history: a start that was not sent":                      {told: listed(History, 500, 900, a1), want: KindHistory},
		"history: before the stop":                                {told: listed(History, 3005, 3110, b, a1)},
		"history: as before an acknowledged stop":                 {told: listed(History, 3020, 3030, b, a1), want: KindStale},
		"history: before a stop that was not sent":                {told: listed(History, 2900, 2910, b, a3), want: KindHistory},
		"history: a place that no device told":                    {told: listed(History, 3100, 3110, b, view("a", 1, 1000, 2999)), want: KindHistory},
		"history: a beginning that no device told":                {told: listed(History, 3100, 3110, b, view("a", 1, 1001, 3000)), want: KindHistory},
		"history: a beginning later than it was":                  {told: listed(History, 3100, 3110, view("a", 1, 3000, 3000), b), want: KindStale},
		"history: another title":                                  {told: listed(History, 3100, 3110, titled(b, 99), a3), want: KindHistory},
		"history: one twice":                                      {told: listed(History, 3100, 3110, b, a3, a3), want: KindHistory},
		"history: a denied start":                                 {told: listed(History, 4100, 4110, view("d", 4, 4000, 4000), b, a3), want: KindHistory},
		"history: a stranger":                                     {told: listed(History, 3100, 3110, b, a3, z), want: KindHistory},
		"history: a stranger from before":                         {told: listed(History, 3100, 3110, b, a3, z), used: true},
		"history: a stranger of the run":                          {told: listed(History, 3100, 3110, view("z", 5, 2500, 1), b, a3), used: true, want: KindHistory},
		"history: a stop that was never answered":                 {told: listed(History, 10_000, 10_010, view("c", 3, 8900, 9500), b, a3)},
		"history: did not come":                                   {told: listed(History, 10_000, 10_010, c, b, a3)},
		"continue: both, the latest first":                        {told: listed(Continue, 3100, 3110, a3, b)},
		"continue: the oldest first":                              {told: listed(Continue, 3100, 3110, b, a3), want: KindHistory},
		"continue: one lacks":                                     {told: listed(Continue, 3100, 3110, b), want: KindStale},
		"continue: the other lacks":                               {told: listed(Continue, 3100, 3110, a3), want: KindStale},
		"continue: its start is under way":                        {told: listed(Continue, 1500, 2005, a1)},
		"continue: and has come":                                  {told: listed(Continue, 1500, 2005, b, a1)},
		"continue: as before an acknowledged stop":                {told: listed(Continue, 3020, 3030, b, a1), want: KindStale},
		"continue: a place that no device told":                   {told: listed(Continue, 3100, 3110, view("a", 1, 1000, 2999), b), want: KindHistory},
		"continue: nothing told yet":                              {told: listed(Continue, 500, 900, a1), want: KindHistory},
		"continue: a title twice":                                 {told: listed(Continue, 3100, 3110, a3, b, b), want: KindHistory},
		"continue: another title":                                 {told: listed(Continue, 3100, 3110, a3, b, titled(a3, 99)), want: KindHistory},
		"continue: one that is called completed":                  {told: listed(Continue, 3100, 3110, completing(a3), b), want: KindHistory},
		"continue: nearly completed":                              {told: listed(Continue, 8950, 8960, c, a3, b)},
		"continue: nearly completed, and lacks":                   {told: listed(Continue, 8950, 8960, a3, b), want: KindStale},
		"continue: completed by a lost stop":                      {told: listed(Continue, 10_000, 10_010, a3, b)},
		"continue: which did not come":                            {told: listed(Continue, 10_000, 10_010, c, a3, b)},
		"continue: completed":                                     {told: listed(Continue, 10_000, 10_010, view("c", 3, 8900, 9500), a3, b), want: KindHistory},
		"continue: a stranger":                                    {told: listed(Continue, 3100, 3110, a3, b, z), want: KindHistory},
		"continue: a stranger from before":                        {told: listed(Continue, 3100, 3110, a3, b, z), used: true},
		"continue: full, and the rest is older":                   {told: more(listed(Continue, 3100, 3110, a3))},
		"continue: full, though a later one is there":             {told: more(listed(Continue, 3100, 3110, b)), want: KindStale},
		"of another profile":                                      {told: Reading{Of: History, Account: testAccount, Profile: 2, AskedUS: 3.1e6, AnsweredUS: 3.2e6}},
		"what another profile has watched":                        {told: Reading{Of: History, Account: testAccount, Profile: 2, AskedUS: 3.1e6, AnsweredUS: 3.2e6, Listed: []Listed{a3}}, want: KindHistory},
	} {
		t.Run(name, func(t *testing.T) {
			log := logOf(4, append(slices.Clone(log), denied)...)
			log.AddReading(c.told)
			options := testOptions()
			options.Used, options.ClocksOff = c.used, c.ahead
			report := judge(log, options)
			for _, kind := range []string{KindFalseDenial, KindLinearizable} {
				delete(report.Violations, kind) // a denial is here for what it tells, not for what it says of streams
			}
			var want []string
			if c.want != "" {
				want = append(want, c.want)
			}
			expect(t, report, want...)
			if report.Readings != 1 || report.Unjudged != 0 {
				t.Errorf("%d readings judged, %d not, want 1 and 0", report.Readings, report.Unjudged)
			}
		})
	}
}

// TestListedOfFolded: where a keepalive that was folded may explain a list, it is counted.
func TestListedOfFolded(t *testing.T) {
	for _, told := range []Reading{
		listed(History, 2005, 2007, view("a", 1, 0, 2000)), listed(Continue, 2005, 2007, view("a", 1, 0, 2000)), listed(Continue, 2005, 2007),
	} {
		log := logOf(1)
		log.Fold(testLease, testLate)
		for seq := range int64(8) {
			kind := keepalive
			if seq == 0 {
				kind = start
			}
			log.Add(toldBy("a", 1, uint32(seq), kind, seq*1000))
		}
		log.AddReading(told) // long after it was answered
		report := judge(log, testOptions())
		expect(t, report)
		if report.Unjudged != 1 {
			t.Errorf("%v: %d unjudged, want 1", told.Of, report.Unjudged)
		}
	}
}

// TestManyListed: lists for which there is no room are counted, and not judged.
func TestManyListed(t *testing.T) {
	log := logOf(1, toldBy("a", 1, 0, start, 1000))
	log.mostListed = 2
	z := view("z", 5, 0, 0)
	log.AddReading(listed(Active, 1100, 1110, view("a", 1, 1000, 1000)))
	log.AddReading(listed(Active, 1100, 1110, z, z))
	log.AddReading(listed(Active, 1100, 1110, view("a", 1, 1000, 1000)))
	log.mostListed = MaxListed
	log.AddReading(listed(Active, 1100, 1110, slices.Repeat([]Listed{z}, MostListed+1)...))
	report := judge(log, testOptions())
	expect(t, report)
	if report.Readings != 2 || report.Unread != 2 {
		t.Errorf("%d readings judged and %d not kept, want 2 and 2", report.Readings, report.Unread)
	}
}

// TestNoFalseAlarmOfLists: the stories of TestNoFalseAlarm have lists of every kind, with
// something in them.
func TestNoFalseAlarmOfLists(t *testing.T) {
	var full [len(screenNames)]int
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t, rapid.SampledFrom([]float64{0, 0.02, 0.2}).Draw(t, "lossy"))
		expect(t, judge(w.run(), testOptions()))
		for _, r := range w.readings {
			if len(r.Listed) > 1 {
				full[r.Of]++
			}
		}
	})
	for _, of := range []Screen{Active, History, Continue} {
		if full[of] < 10 {
			t.Errorf("%d lists of %v had two sessions or more, want 10 at least", full[of], of)
		}
	}
}
