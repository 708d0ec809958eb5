package main

import (
	"context"
	"testing"
	"time"

	"github.com/playhead-load/playhead/scenarios"
	"github.com/playhead-load/playhead/sim/fault"
)

// idle is a driver that does nothing.
type idle struct{}

func (idle) NowUS() int64 { return 0 }

func (idle) WatchRecovery() func() (time.Duration, bool) { return nil }

func (idle) BeginPhase(string) func() { return func() {} }

func (idle) Vanish(float64, uint64) {}

// What a scenario may name the injector knows.
func TestEveryFaultOfAScenarioCanBeInjected(t *testing.T) {
	ended, end := context.WithCancel(t.Context())
	end()
	injector := &fault.Injector{Driver: idle{}}
	for _, kind := range scenarios.FaultKinds() {
		plans := plansOfFaults([]scenarios.Fault{{Kind: kind, At: time.Hour}})
		if damage, err := injector.Run(ended, plans); err != nil || len(damage.Faults) > 0 {
			t.Errorf("%s: %+v %v", kind, damage, err)
		}
	}
	if _, err := injector.Run(ended, []fault.Plan{{Kind: "flood"}}); err == nil {
		t.Error("a kind that no scenario has was taken")
	}
}

func TestOnlyWhatFaultsNeedIsRigged(t *testing.T) {
	for name, c := range map[string]struct {
		faults               []scenarios.Fault
		wires, doors, inside bool
	}{
		"processes":        {[]scenarios.Fault{{Kind: scenarios.Kill}, {Kind: scenarios.Pause}, {Kind: scenarios.RollingRestart}}, false, false, false},
		"a partition":      {[]scenarios.Fault{{Kind: scenarios.Partition, Shape: scenarios.ShapeRing}}, true, false, false},
		"one node cut off": {[]scenarios.Fault{{Kind: scenarios.Partition, Shape: scenarios.ShapeOne}}, true, true, false},
		"between nodes":    {[]scenarios.Fault{{Kind: scenarios.Network, Between: "nodes"}}, true, false, false},
		"between clients":  {[]scenarios.Fault{{Kind: scenarios.Network, Between: "clients"}}, false, true, false},
		"a clock":          {[]scenarios.Fault{{Kind: scenarios.Clock}}, false, false, true},
	} {
		rig := fault.RigFor(plansOfFaults(c.faults))
		if rig.Wires != c.wires || rig.Doors != c.doors || rig.Inside != c.inside || rig.Requests {
			t.Errorf("%s: %+v", name, rig)
		}
	}
	if rig := fault.RigFor(plansOfFaults([]scenarios.Fault{{Kind: scenarios.Network, Between: "clients", Duplicate: 0.1}})); !rig.Requests {
		t.Errorf("requests that are said twice: %+v", rig)
	}
}
