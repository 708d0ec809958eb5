package scenarios

import (
	"fmt"
	"time"

	"github.com/goccy/go-yaml"
)

// document is a scenario as it stands in a file, in the order of its keys.
type document struct {
	Name        string             `yaml:"name"`
	Description string             `yaml:"description,omitempty"`
	Seed        uint64             `yaml:"seed"`
	Population  populationDocument `yaml:"population"`
	StartAt     string             `yaml:"start_at"`
	Duration    string             `yaml:"duration"`
	WarmUp      string             `yaml:"warm_up"`
	TimeScale   float64            `yaml:"time_scale"`
	Target      targetDocument     `yaml:"target"`
	Load        loadDocument       `yaml:"load"`
	Audit       auditDocument      `yaml:"audit"`
	Faults      []faultDocument    `yaml:"faults,omitempty"`
	Thresholds  yaml.MapSlice      `yaml:"thresholds,omitempty"` // in order, so no map
}

type populationDocument struct {
	Model          string  `yaml:"model"`
	Scale          float64 `yaml:"scale"`
	SharedAccounts float64 `yaml:"shared_accounts"`

	Parameters map[string]float64 `yaml:"parameters,omitempty"` // written in the order of the names
}

type targetDocument struct {
	Design         string `yaml:"design"`
	Nodes          int    `yaml:"nodes"`
	Keepalive      string `yaml:"keepalive"`
	Lease          string `yaml:"lease"`
	DefaultStreams int    `yaml:"default_streams"`
	LogStore       string `yaml:"log_store"`
	BatchLinger    string `yaml:"batch_linger"`
}

type loadDocument struct {
	Connections int             `yaml:"connections"`
	Timeout     string          `yaml:"timeout"`
	Retry       retryDocument   `yaml:"retry"`
	Executor    ExecutorName    `yaml:"executor"`
	Rate        float64         `yaml:"rate,omitempty"`
	StartRate   float64         `yaml:"start_rate,omitempty"`
	Stages      []stageDocument `yaml:"stages,omitempty"`
	VUs         int             `yaml:"vus,omitempty"`
	Batch       int             `yaml:"batch"`
	Aggregators int             `yaml:"aggregators,omitempty"`
	Linger      string          `yaml:"linger"`
	Encoding    string          `yaml:"encoding"`
	Reads       float64         `yaml:"reads"`
	Skewed      float64         `yaml:"skewed,omitempty"`
	Skew        string          `yaml:"skew,omitempty"`
	Repeated    float64         `yaml:"repeated,omitempty"`
	Delayed     float64         `yaml:"delayed,omitempty"`
}

type retryDocument struct {
	Tries      int     `yaml:"tries"`
	Wait       string  `yaml:"wait"`
	Multiplier float64 `yaml:"multiplier"`
	Jitter     float64 `yaml:"jitter"`
}

type stageDocument struct {
	Duration string  `yaml:"duration"`
	Target   float64 `yaml:"target"`
}

func (l *Traffic) document() loadDocument {
	d := loadDocument{
		Connections: l.Connections, Timeout: l.Timeout.String(), Executor: l.Executor, VUs: l.VUs,
		Retry: retryDocument{l.Retry.Tries, l.Retry.Wait.String(), l.Retry.Multiplier, l.Retry.Jitter},
		Batch: l.Batch, Aggregators: l.Aggregators, Linger: l.Linger.String(), Encoding: l.Encoding, Reads: l.Reads,
		Skewed: l.Skewed, Repeated: l.Repeated, Delayed: l.Delayed,
	}
	if l.Skewed > 0 {
		d.Skew = l.Skew.String()
	}
	switch l.Executor {
	case ConstantRate:
		d.Rate = l.Rate
	case RampingRate:
		d.StartRate = l.Rate
	}
	for _, s := range l.Stages {
		d.Stages = append(d.Stages, stageDocument{s.Duration.String(), s.Target})
	}
	return d
}

type auditDocument struct {
	ReadBack float64 `yaml:"read_back"`
}

type faultDocument struct {
	At            string         `yaml:"at"`
	When          FaultCondition `yaml:"when,omitempty"`
	Kind          FaultKind      `yaml:"kind"`
	Target        FaultTarget    `yaml:"target,omitempty"`
	For           string         `yaml:"for,omitempty"`
	Shape         PartitionShape `yaml:"shape,omitempty"`
	Between       string         `yaml:"between,omitempty"`
	Mode          string         `yaml:"mode,omitempty"`
	Period        string         `yaml:"period,omitempty"`
	Delay         string         `yaml:"delay,omitempty"`
	Jitter        string         `yaml:"jitter,omitempty"`
	Loss          float64        `yaml:"loss,omitempty"`
	Duplicate     float64        `yaml:"duplicate,omitempty"`
	Reorder       float64        `yaml:"reorder,omitempty"`
	BandwidthKbps int64          `yaml:"bandwidth_kbps,omitempty"`
	Offset        string         `yaml:"offset,omitempty"`
	Share         float64        `yaml:"share,omitempty"`
}

func (f *Fault) document() faultDocument {
	some := func(d time.Duration) string {
		if d == 0 {
			return ""
		}
		return d.String()
	}
	return faultDocument{
		At: f.At.String(), When: f.When, Kind: f.Kind, Target: f.Target, For: some(f.For),
		Shape: f.Shape, Between: f.Between, Mode: f.Mode, Period: some(f.Period),
		Delay: some(f.Delay), Jitter: some(f.Jitter), Loss: f.Loss, Duplicate: f.Duplicate, Reorder: f.Reorder,
		BandwidthKbps: f.BandwidthKbps, Offset: some(f.Offset), Share: f.Share,
	}
}

// encode writes the scenario as a file that Parse reads back to the same scenario.
func (s *Scenario) encode() ([]byte, error) {
	minutes := int(s.StartAt / time.Minute)
	d := document{
		Name: s.Name, Description: s.Description, Seed: s.Seed,
		Population: populationDocument(s.Population),
		StartAt:    fmt.Sprintf("%02d:%02d", minutes/60, minutes%60),
		Duration:   s.Duration.String(), WarmUp: s.WarmUp.String(), TimeScale: s.TimeScale,
		Target: targetDocument{
			Design: s.Target.Design, Nodes: s.Target.Nodes, Keepalive: s.Target.Keepalive.String(),
			Lease: s.Target.Lease.String(), DefaultStreams: s.Target.DefaultStreams, LogStore: s.Target.LogStore,
			BatchLinger: s.Target.BatchLinger.String(),
		},
		Load:  s.Load.document(),
		Audit: auditDocument(s.Audit),
	}
	for _, f := range s.Faults {
		d.Faults = append(d.Faults, f.document())
	}
	for _, t := range s.Thresholds {
		last := len(d.Thresholds) - 1
		if last < 0 || d.Thresholds[last].Key != t.Metric {
			d.Thresholds = append(d.Thresholds, yaml.MapItem{Key: t.Metric, Value: []string{t.Expression}})
			continue
		}
		d.Thresholds[last].Value = append(d.Thresholds[last].Value.([]string), t.Expression)
	}
	b, err := yaml.Marshal(d)
	if err != nil {
		return nil, fmt.Errorf("write the scenario: %w", err)
	}
	return b, nil
}
