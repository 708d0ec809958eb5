package results

import (
	"math"
	"sync"
	"testing"
)

func TestRecorderLosesNothingUnderConcurrency(t *testing.T) {
	const workers, each = 8, 3000
	r := NewRecorder(0, 0)
	stop, intervals := make(chan struct{}), make(chan Interval)
	go func() {
		var sum Interval
		for us := int64(1); ; us++ {
			in := r.Interval(us, Now{ActiveSessions: 1})
			sum.Count, sum.Errors, sum.Denied = sum.Count+in.Count, sum.Errors+in.Errors, sum.Denied+in.Denied
			select {
			case <-stop:
				intervals <- sum
				return
			default:
			}
		}
	}()
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := range int64(each) {
				r.Record(Op((int64(w)+i)%int64(OpCount)), 1000, 2000, 3000+i, Result(i%3))
			}
		})
	}
	wg.Wait()
	close(stop)
	sum := <-intervals
	last := r.Interval(math.MaxInt32, Now{ActiveSessions: 1})

	var count, errors, denied, responses, services int64
	for _, o := range r.Operations(1) {
		count, errors, denied = count+o.Count, errors+o.Errors, denied+o.Denied
	}
	for _, m := range r.Measurements() {
		responses += m.Response.TotalCount()
		services += m.Service.TotalCount()
	}
	const all = workers * each
	for name, got := range map[string]int64{
		"operations": count, "responses": responses, "services": services, "in intervals": sum.Count + last.Count,
		"three times errors": 3 * errors, "three times denied": 3 * denied,
		"three times errors in intervals": 3 * (sum.Errors + last.Errors), "three times denied in intervals": 3 * (sum.Denied + last.Denied),
	} {
		if got != all {
			t.Errorf("%s = %d, want %d", name, got, all)
		}
	}
}

func TestRecorderMeasuresResponseFromDueAndServiceFromSent(t *testing.T) {
	r := NewRecorder(5_000_000, 0)
	for i := int64(1); i <= 1000; i++ { // due at 0, sent at 500 ms late, answered 1 … 1000 ms after that
		r.Record(OpStart, 0, 500_000, 500_000+i*1000, ResultOK)
	}
	o := r.Operations(10)["start"]
	for name, tc := range map[string]struct{ got, want float64 }{
		"response p50":   {o.ResponseMS.P50, 1000},
		"response p90":   {o.ResponseMS.P90, 1400},
		"response p99":   {o.ResponseMS.P99, 1490},
		"response p99.9": {o.ResponseMS.P999, 1499},
		"response max":   {o.ResponseMS.Max, 1500},
		"service p50":    {o.ServiceMS.P50, 500},
		"service p99.9":  {o.ServiceMS.P999, 999},
		"service max":    {o.ServiceMS.Max, 1000},
		"rate":           {o.RatePerS, 100},
	} {
		if math.Abs(tc.got-tc.want) > tc.want/1000 {
			t.Errorf("%s = %v, want %v within 0.1 %%", name, tc.got, tc.want)
		}
	}
	in := r.Interval(7_000_000, Now{ActiveSessions: 42})
	if in.AtS != 2 || in.Count != 1000 || in.RatePerS != 500 || in.ActiveSessions != 42 {
		t.Errorf("interval = %+v", in)
	}
	if next := r.Interval(8_000_000, Now{ActiveSessions: 41}); next != (Interval{AtS: 3, ActiveSessions: 41}) {
		t.Errorf("the interval after it = %+v, want an empty one", next)
	}
}

func TestWhatWasNeverSentIsAnErrorThatWasWaitedFor(t *testing.T) {
	r := NewRecorder(0, 0)
	r.Record(OpStop, 0, 1000, 3000, ResultOK)
	r.RecordUnsent(OpStop, 1_000_000, 61_000_000)
	r.RecordUnsent(OpStop, 0, 2*MaxTimeUS)
	o := r.Operations(1)["stop"]
	if o.Count != 3 || o.Errors != 2 || o.Clipped != 1 || o.RatePerS != 1 {
		t.Errorf("%+v: want 3, 2 of them errors, 1 clipped, and a rate of what was sent", o)
	}
	if math.Abs(o.ResponseMS.P50-60_000) > 60 || o.ServiceMS.Max > 2.01 {
		t.Errorf("response p50 %v ms, service max %v ms, want 60000 and 2", o.ResponseMS.P50, o.ServiceMS.Max)
	}
	if m := r.Measurements()[OpStop]; m.Response.TotalCount() != 3 || m.Service.TotalCount() != 1 {
		t.Errorf("%d response and %d service times, want 3 and 1", m.Response.TotalCount(), m.Service.TotalCount())
	}
	if in := r.Interval(1_000_000, Now{ActiveSessions: 0}); in.Count != 1 || in.Errors != 0 {
		t.Errorf("interval %+v, want what was sent", in)
	}
}

func TestRatesAreOfWhatCameBeforeTheirEnd(t *testing.T) {
	r := NewRecorder(0, 0)
	r.Record(OpStop, 0, 0, 1000, ResultOK)
	r.Record(OpStop, 0, 0, 1000, ResultOK)
	r.EndRates()
	r.Record(OpStop, 0, 0, 90_000_000, ResultOK)
	if o := r.Operations(2)["stop"]; o.Count != 3 || o.RatePerS != 1 {
		t.Errorf("%+v: want 3, and a rate of the 2 before the end", o)
	}
}

func TestRecorderClipsAndCountsIt(t *testing.T) {
	r := NewRecorder(0, 0)
	r.Record(OpStop, 0, 0, 2*MaxTimeUS, ResultError)
	r.Record(OpStop, 0, 0, math.MaxInt64, ResultError)
	r.Record(OpStop, 9, 5, 7, ResultOK) // answered before it was due
	r.Record(OpStop, 0, 0, MaxTimeUS, ResultOK)
	o := r.Operations(1)["stop"]
	if o.Count != 4 || o.Clipped != 3 {
		t.Errorf("count %d, clipped %d, want 4 and 3", o.Count, o.Clipped)
	}
	if want := float64(MaxTimeUS) / 1000; math.Abs(o.ResponseMS.Max-want) > want/1000 {
		t.Errorf("max = %v ms, want an hour", o.ResponseMS.Max)
	}
	if n := r.Measurements()[OpStop].Response.TotalCount(); n != 4 {
		t.Errorf("%d values in the histogram, want 4", n)
	}
}

func TestRecordAllocatesNothing(t *testing.T) {
	r := NewRecorder(0, 0)
	if n := testing.AllocsPerRun(1000, func() { r.Record(OpKeepalive, 1, 2, 3456, ResultDenied) }); n != 0 {
		t.Errorf("%v allocations a record, want 0", n)
	}
}

func BenchmarkRecord(b *testing.B) {
	r := NewRecorder(0, 0)
	b.ReportAllocs()
	for i := int64(0); b.Loop(); i++ {
		r.Record(OpKeepalive, 0, 100, 1000+i%100_000, ResultOK)
	}
}

func BenchmarkRecordParallel(b *testing.B) {
	r := NewRecorder(0, 0)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for i := int64(0); pb.Next(); i++ {
			r.Record(OpKeepalive, 0, 100, 1000+i%100_000, ResultOK)
		}
	})
}

func BenchmarkInterval(b *testing.B) {
	r := NewRecorder(0, 0)
	for i := int64(0); b.Loop(); i++ {
		r.Record(Op(i%int64(OpCount)), 0, 100, 1000, ResultOK)
		r.Interval(i, Now{ActiveSessions: 1})
	}
}

func TestEachIntervalIsToldOperationByOperation(t *testing.T) {
	r := NewRecorder(0, 0)
	count, slowest := map[Op]int64{}, map[Op]int64{}
	r.Each(func(op Op, s Seen) {
		count[op] += s.Count
		slowest[op] = max(slowest[op], s.Response.Max())
		if s.Service.TotalCount() != s.Count {
			t.Errorf("%v: %d service times of %d", op, s.Service.TotalCount(), s.Count)
		}
	})
	r.Record(OpStart, 0, 500, 1000, ResultDenied)
	r.Interval(1_000_000, Now{})
	r.Record(OpStart, 1_000_000, 1_000_000, 1_003_000, ResultOK)
	r.Record(OpStop, 1_000_000, 1_000_000, 1_001_000, ResultOK)
	r.RecordUnsent(OpStop, 1_000_000, 3_000_000)
	r.Interval(2_000_000, Now{})
	if count[OpStart] != 2 || count[OpStop] != 1 || len(count) != 2 || slowest[OpStart] < 2990 || slowest[OpStart] > 3010 {
		t.Errorf("counts %v, slowest %v", count, slowest)
	}
	var unsent int64
	r.Unsent(func(op Op, s Seen) {
		if op == OpStop && s.Errors == 1 && s.Response.Max() > 1_990_000 && s.Service.TotalCount() == 0 {
			unsent += s.Count
		}
	})
	if unsent != 1 || r.Operations(1)["stop"].Count != 2 {
		t.Errorf("%d unsent, operations %v", unsent, r.Operations(1))
	}
}
