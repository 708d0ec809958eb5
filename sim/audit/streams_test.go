package audit

import (
	"testing"

	"github.com/playhead-load/playhead/viewing"
)

const (
	start     = viewing.Start
	keepalive = viewing.Keepalive
	stop      = viewing.Stop
)

// TestStreams judges hand-made logs of one account. A lease is 10 s, a late try
// takes effect within 2 s.
func TestStreams(t *testing.T) {
	cases := map[string]struct {
		limit  int
		events []event
		want   []string
	}{
		"one after another": {1, []event{
			{"a", 1, 0, start, Accepted, 0, 10, 0},
			{"a", 1, 1, stop, Accepted, 1000, 1010, 0},
			{"b", 2, 0, start, Accepted, 1020, 1030, 0},
		}, nil},
		"denied while another plays": {1, []event{
			{"a", 1, 0, start, Accepted, 0, 10, 0},
			{"b", 2, 0, start, Denied, 1000, 1010, 0},
		}, nil},
		"two at once": {1, []event{
			{"a", 1, 0, start, Accepted, 0, 10, 0},
			{"b", 2, 0, start, Accepted, 1000, 1010, 0},
		}, []string{KindOverAdmission, KindLinearizable}},
		"two at once by overlapping calls": {1, []event{
			{"a", 1, 0, start, Accepted, 0, 100, 0},
			{"b", 2, 0, start, Accepted, 50, 150, 0},
		}, []string{KindOverAdmission, KindLinearizable}},
		"three at once, one renewed": {2, []event{
			{"a", 1, 0, start, Accepted, 0, 10, 0},
			{"a", 1, 1, keepalive, Accepted, 9000, 9010, 0},
			{"b", 2, 0, start, Accepted, 9020, 9030, 0},
			{"c", 3, 0, start, Accepted, 12000, 12010, 0},
		}, []string{KindOverAdmission, KindLinearizable}},
		"a start that a try before admitted counts": {1, []event{
			{"a", 1, 0, start, Known, 0, 2010, 2000},
			{"b", 2, 0, start, Accepted, 3000, 3010, 0},
		}, []string{KindOverAdmission, KindLinearizable}},
		"denied though nobody plays": {1, []event{
			{"a", 1, 0, start, Denied, 0, 10, 0},
		}, []string{KindFalseDenial, KindLinearizable}},
		"denied after the stop": {1, []event{
			{"a", 1, 0, start, Accepted, 0, 10, 0},
			{"a", 1, 1, stop, Accepted, 1000, 1010, 0},
			{"b", 2, 0, start, Denied, 1020, 1030, 0},
		}, []string{KindFalseDenial, KindLinearizable}},
		"denied after the lease": {1, []event{
			{"a", 1, 0, start, Accepted, 0, 10, 0},
			{"b", 2, 0, start, Denied, 10100, 10110, 0},
		}, []string{KindFalseDenial, KindLinearizable}},
		"denied where the lease may end": {1, []event{
			{"a", 1, 0, start, Accepted, 0, 10, 0},
			{"b", 2, 0, start, Denied, 10005, 10010, 0},
		}, nil},
		"admitted where the lease may end": {1, []event{
			{"a", 1, 0, start, Accepted, 0, 10, 0},
			{"b", 2, 0, start, Accepted, 9980, 9995, 0},
		}, nil},
		"denied during a stop under way": {1, []event{
			{"a", 1, 0, start, Accepted, 0, 10, 0},
			{"a", 1, 1, stop, Accepted, 1000, 1100, 0},
			{"b", 2, 0, start, Denied, 1050, 1060, 0},
			{"c", 3, 0, start, Accepted, 1070, 1080, 0},
		}, nil},
		"a denial that no order with its neighbours explains": {1, []event{
			{"a", 1, 0, start, Accepted, 0, 10, 0},
			{"a", 1, 1, stop, Accepted, 1000, 1100, 0},
			{"c", 3, 0, start, Accepted, 1010, 1020, 0},
			{"c", 3, 1, stop, Accepted, 1030, 1040, 0},
			{"b", 2, 0, start, Denied, 1050, 1060, 0},
		}, []string{KindLinearizable}}, // a's stop seems to be under way, but c's start shows that it is done
		"denied though it plays": {1, []event{
			{"a", 1, 0, start, Accepted, 0, 10, 0},
			{"b", 2, 0, start, Unanswered, 20, 30, 0},
			{"a", 1, 1, keepalive, Denied, 1000, 1010, 0},
		}, []string{KindFalseDenial, KindLinearizable}},
		"a new start on the device replaces": {1, []event{
			{"a", 1, 0, start, Accepted, 0, 10, 0},
			{"b", 1, 0, start, Accepted, 1000, 1010, 0},
			{"c", 2, 0, start, Denied, 1020, 1030, 0},
		}, nil},
		"what was replaced is denied though there is room": {2, []event{
			{"a", 1, 0, start, Accepted, 0, 10, 0},
			{"b", 1, 0, start, Accepted, 1000, 1010, 0},
			{"a", 1, 1, keepalive, Denied, 1020, 1030, 0},
		}, nil},
		"a start is not denied for what its own device plays": {1, []event{
			{"a", 1, 0, start, Accepted, 0, 10, 0},
			{"b", 1, 0, start, Denied, 1000, 1010, 0},
		}, []string{KindFalseDenial, KindLinearizable}},
		"revived where there is room": {1, []event{
			{"a", 1, 0, start, Accepted, 0, 10, 0},
			{"a", 1, 1, keepalive, Accepted, 20000, 20010, 0},
			{"b", 2, 0, start, Denied, 21000, 21010, 0},
		}, nil},
		"not revived where there is none": {1, []event{
			{"a", 1, 0, start, Accepted, 0, 10, 0},
			{"b", 2, 0, start, Accepted, 11000, 11010, 0},
			{"a", 1, 1, keepalive, Denied, 12000, 12010, 0},
		}, nil},
		"revived where there is none": {1, []event{
			{"a", 1, 0, start, Accepted, 0, 10, 0},
			{"b", 2, 0, start, Accepted, 11000, 11010, 0},
			{"a", 1, 1, keepalive, Accepted, 12000, 12010, 0},
		}, []string{KindOverAdmission, KindLinearizable}},
		"a keepalive is its session's start": {1, []event{
			{"a", 1, 0, start, Unanswered, 0, 3000, 2000},
			{"a", 1, 1, keepalive, Accepted, 3010, 3020, 0},
			{"b", 2, 0, start, Denied, 4000, 4010, 0},
		}, nil},
		"an unanswered start may hold": {1, []event{
			{"a", 1, 0, start, Unanswered, 0, 3000, 2000},
			{"b", 2, 0, start, Denied, 4000, 4010, 0},
		}, nil},
		"an unanswered start may never have come": {1, []event{
			{"a", 1, 0, start, Unanswered, 0, 3000, 2000},
			{"b", 2, 0, start, Accepted, 4000, 4010, 0},
			{"c", 3, 0, start, Denied, 5000, 5010, 0},
		}, nil},
		"an unanswered start holds for a lease": {1, []event{
			{"a", 1, 0, start, Unanswered, 0, 1000, 0},
			{"b", 2, 0, start, Denied, 2000, 2010, 0},
			{"b2", 2, 0, start, Denied, 20000, 20010, 0},
		}, []string{KindFalseDenial}}, // that it came so late, within no bound, is an order
		"an unanswered stop may free": {1, []event{
			{"a", 1, 0, start, Accepted, 0, 10, 0},
			{"a", 1, 1, stop, Unanswered, 1000, 2000, 0},
			{"b", 2, 0, start, Accepted, 3000, 3010, 0},
		}, nil},
		"an unanswered stop may not free": {1, []event{
			{"a", 1, 0, start, Accepted, 0, 10, 0},
			{"a", 1, 1, stop, Unanswered, 1000, 2000, 0},
			{"b", 2, 0, start, Denied, 3000, 3010, 0},
		}, nil},
		"an unanswered stop between two renewals may free for a while": {1, []event{
			{"a", 1, 0, start, Accepted, 0, 10, 0},
			{"a", 1, 1, stop, Unanswered, 1000, 1100, 0},
			{"b", 2, 0, start, Accepted, 1200, 1210, 0},
			{"b", 2, 1, stop, Accepted, 1220, 1230, 0},
			{"a", 1, 2, keepalive, Accepted, 1300, 1310, 0},
		}, nil},
		"a denied start may have been admitted by a try before": {1, []event{
			{"a", 1, 0, start, Accepted, 0, 10, 0},
			{"a", 1, 1, stop, Accepted, 100, 110, 0},
			{"b", 2, 0, start, Denied, 200, 14010, 14000},
			{"c", 3, 0, start, Accepted, 13000, 13010, 0},
			{"d", 4, 0, start, Denied, 12000, 12010, 0},
		}, nil},
		"a late try of a forgotten start takes the device": {1, []event{
			{"a", 1, 0, start, Unanswered, 0, 1000, 0},
			{"b", 1, 0, start, Accepted, 1010, 1020, 0},
			{"b", 1, 1, keepalive, Denied, 2000, 2010, 0}, // a has replaced it
		}, nil},
		"no stream is held before the first try": {1, []event{
			{"a", 1, 0, start, Denied, 0, 10, 0},
			{"b", 2, 0, start, Accepted, 20, 30, 0},
		}, []string{KindFalseDenial, KindLinearizable}},
		"denied by answers of two that cannot both hold": {2, []event{
			{"a", 1, 0, start, Accepted, 0, 10, 0},
			{"b", 1, 0, start, Accepted, 1000, 1010, 0},
			{"c", 2, 0, start, Denied, 1020, 1030, 0},
		}, []string{KindFalseDenial, KindLinearizable}},
		"an event overtaken by its own stop says nothing": {1, []event{
			{"a", 1, 0, start, Accepted, 0, 10, 0},
			{"a", 1, 2, stop, Accepted, 100, 110, 0},
			{"a", 1, 1, keepalive, Accepted, 90, 500, 0},
			{"b", 2, 0, start, Accepted, 600, 610, 0},
		}, nil},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var entries []Entry
			for _, e := range c.events {
				entries = append(entries, e.entry())
			}
			report := judge(logOf(c.limit, entries...), testOptions())
			expect(t, report, c.want...)
			if report.Linearizability.Checked != 1 {
				t.Errorf("accounts decided: %+v, want 1", report.Linearizability)
			}
		})
	}
}

// TestOfflineHoldsNoStream: what was played offline is a fact and nothing else.
func TestOfflineHoldsNoStream(t *testing.T) {
	a := event{"a", 1, 0, start, Accepted, 0, 10, 0}.entry()
	a.Offline = true
	b := event{"b", 2, 0, start, Accepted, 20, 30, 0}.entry()
	report := judge(logOf(1, a, b), testOptions())
	expect(t, report)
	if report.Linearizability.Unknown != 1 {
		t.Errorf("accounts %+v, want one unknown: when an offline session was first heard of is open", report.Linearizability)
	}
}

// TestUsedTarget: streams of before the run may be the reason of denials for a lease.
func TestUsedTarget(t *testing.T) {
	early := event{"a", 1, 0, start, Denied, 9000, 9010, 0}.entry()
	late := event{"a", 1, 0, start, Denied, 11000, 11010, 0}.entry()
	options := testOptions()
	options.Used = true
	expect(t, judge(logOf(1, early), options))
	expect(t, judge(logOf(1, late), options), KindFalseDenial, KindLinearizable)
	expect(t, judge(logOf(1, early), testOptions()), KindFalseDenial, KindLinearizable)
}

// TestResume: a start without a position begins at the latest that was told.
func TestResume(t *testing.T) {
	told := event{"a", 1, 0, stop, Accepted, 0, 10, 0}.entry()
	told.AtMS, told.PositionMS = 5, 700
	underWay := event{"c", 3, 0, stop, Accepted, 15, 40, 0}.entry()
	underWay.AtMS, underWay.PositionMS, underWay.Profile = 15, 900, 1
	resumedAt := func(ms int64) Entry {
		e := event{"b", 2, 0, start, Accepted, 20, 30, 0}.entry()
		e.Profile, e.Resumed, e.AtMS, e.PositionMS = 1, true, 20, ms
		return e
	}
	expect(t, judge(logOf(2, told, resumedAt(700)), testOptions()))
	expect(t, judge(logOf(2, told, underWay, resumedAt(700)), testOptions()))
	expect(t, judge(logOf(2, told, underWay, resumedAt(900)), testOptions()))
	expect(t, judge(logOf(2, resumedAt(0)), testOptions()))
	expect(t, judge(logOf(2, told, resumedAt(0)), testOptions()), KindPosition)
	expect(t, judge(logOf(2, told, resumedAt(900)), testOptions()), KindPosition)
	expect(t, judge(logOf(2, resumedAt(700)), testOptions()), KindPosition)

	// Its device did not wait for the answer, and its clock is behind.
	wentOn := event{"b", 2, 1, keepalive, Unanswered, 22, 28, 0}.entry()
	wentOn.Profile, wentOn.AtMS, wentOn.PositionMS = 1, 3, 900
	expect(t, judge(logOf(2, told, wentOn, resumedAt(900)), testOptions()))
	wentOn.Fate = Rejected
	expect(t, judge(logOf(2, told, wentOn, resumedAt(900)), testOptions()), KindPosition, KindRejected)
}
