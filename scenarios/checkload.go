package scenarios

import (
	"fmt"
	"time"
)

// Bounds of a load.
const (
	MaxRate   = 10_000_000 // events a second
	MaxBatch  = 10_000     // events in a request
	MaxStages = 100

	MaxTries      = 10 // of a request
	MaxRetryWait  = 10 * time.Second
	maxMultiplier = 10
)

// Executors lists when events can be due: by the population's own day, or as k6 has it.
func Executors() []string {
	return []string{string(ByPopulation), string(ConstantRate), string(RampingRate), string(ConstantVUs)}
}

// loadKeys are those of each executor alone.
var loadKeys = map[string]ExecutorName{
	"rate": ConstantRate, "start_rate": RampingRate, "stages": RampingRate, "vus": ConstantVUs,
}

func (d *decoder) load(root *mapping, l *Traffic) {
	*l = Traffic{Timeout: 10 * time.Second, Executor: ByPopulation, Linger: 10 * time.Millisecond, Encoding: "json", Reads: 1, Skew: time.Hour}
	m := d.section(root, "load", "connections", "timeout", "retry", "executor", "rate", "start_rate", "stages", "vus",
		"batch", "aggregators", "linger", "encoding", "reads", "skewed", "skew", "repeated", "delayed")
	connections := int64(64)
	d.whole(m, "connections", &connections, 1, MaxConnections)
	l.Connections = int(connections)
	d.duration(m, "timeout", &l.Timeout, shortest)
	d.retry(m, &l.Retry)
	d.executor(m, l)
	batch := int64(1)
	d.whole(m, "batch", &batch, 1, MaxBatch)
	l.Batch = int(batch)
	d.aggregators(m, l)
	d.duration(m, "linger", &l.Linger, 0)
	d.choice(m, "encoding", &l.Encoding, []string{"json", "binary"})
	if batch == 1 && l.Encoding == "binary" {
		d.wrong(m, "encoding", "json, where load.batch is 1")
	}
	d.share(m, "reads", &l.Reads)
	d.share(m, "skewed", &l.Skewed)
	d.duration(m, "skew", &l.Skew, shortest)
	d.share(m, "repeated", &l.Repeated)
	d.share(m, "delayed", &l.Delayed)
	for _, key := range []string{"repeated", "delayed"} {
		if batch > 1 && m.value(key) != nil {
			d.at(m.value(key), "%s is of events that are requests of their own, and load.batch is %d", m.field(key), batch)
		}
	}
}

func (d *decoder) aggregators(m *mapping, l *Traffic) {
	if l.Batch == 1 {
		if m.value("aggregators") != nil {
			d.at(m.value("aggregators"), "%s is of events in batches, and load.batch is 1", m.field("aggregators"))
		}
		return
	}
	aggregators := int64(l.Connections)
	d.whole(m, "aggregators", &aggregators, 1, aggregators)
	l.Aggregators = int(aggregators)
}

func (d *decoder) retry(load *mapping, r *Retry) {
	*r = Retry{Tries: 3, Wait: time.Second, Multiplier: 1}
	node := load.value("retry")
	if node == nil {
		return
	}
	m := d.mapping(load.field("retry"), node, "tries", "wait", "multiplier", "jitter")
	tries := int64(r.Tries)
	d.whole(m, "tries", &tries, 1, MaxTries)
	r.Tries = int(tries)
	if d.duration(m, "wait", &r.Wait, 0) && r.Wait > MaxRetryWait {
		d.wrong(m, "wait", "a duration of at most "+formatDuration(MaxRetryWait))
	}
	d.number(m, "multiplier", &r.Multiplier, fmt.Sprintf("a number from 1 to %d", maxMultiplier),
		func(x float64) bool { return x >= 1 && x <= maxMultiplier })
	d.share(m, "jitter", &r.Jitter)
}

// executor reads when events are due, and refuses what another executor would need.
func (d *decoder) executor(m *mapping, l *Traffic) {
	known := d.choice(m, "executor", (*string)(&l.Executor), Executors())
	for _, key := range []string{"rate", "start_rate", "stages", "vus"} {
		switch of := loadKeys[key]; {
		case !known:
		case m.value(key) != nil && of != l.Executor:
			d.at(m.value(key), "%s is of the executor %s, and load.executor is %s", m.field(key), of, l.Executor)
		case m.value(key) == nil && of == l.Executor && key != "start_rate":
			d.at(m.value("executor"), "load.executor: %s needs load.%s", l.Executor, key)
		}
	}
	rate := fmt.Sprintf("a number above 0, at most %d", MaxRate)
	d.number(m, "rate", &l.Rate, rate, func(x float64) bool { return x > 0 && x <= MaxRate })
	d.number(m, "start_rate", &l.Rate, fmt.Sprintf("a number from 0 to %d", MaxRate), isRate)
	vus := int64(0)
	d.whole(m, "vus", &vus, 1, int64(l.Connections))
	l.VUs = int(vus)
	for i, node := range d.list(m, "stages", "stages", MaxStages) {
		stage := d.mapping(fmt.Sprintf("load.stages[%d]", i), node, "duration", "target")
		var s Stage
		for _, key := range []string{"duration", "target"} {
			if stage.value(key) == nil {
				d.missing(stage, key)
			}
		}
		d.duration(stage, "duration", &s.Duration, 0)
		d.number(stage, "target", &s.Target, fmt.Sprintf("a number from 0 to %d", MaxRate), isRate)
		l.Stages = append(l.Stages, s)
	}
}

func (d *decoder) share(m *mapping, key string, share *float64) {
	d.number(m, key, share, "a share from 0 to 1", func(x float64) bool { return x >= 0 && x <= 1 })
}

func isRate(x float64) bool { return x >= 0 && x <= MaxRate }
