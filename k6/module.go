// Package k6 is the extension k6/x/playhead: playback devices in k6 scripts, with the
// population, the seed and the behaviour of playhead run.
//
// A Fleet plays thousands of devices with the engine of playhead run, of which each VU of
// its scenario plays a part. A Device is one, played by hand. What they measure is
// aggregated here and handed to k6 a bounded number of samples at a time.
package k6

import (
	"context"
	"errors"
	"sync"

	"github.com/grafana/sobek"
	"go.k6.io/k6/js/common"
	"go.k6.io/k6/js/modules"
)

// Name is what a script imports.
const Name = "k6/x/playhead"

// The classes as messages name them.
const (
	classFleet  = "Fleet"
	classDevice = "Device"
)

func init() { modules.Register(Name, New()) }

// Module is the extension in one process, which all its VUs share.
type Module struct {
	outlet     outlet
	totals     totals
	allotments allotments
	callers    callers
	ending     sync.Once

	ctx      context.Context // of what goes on between iterations: it ends with the test
	end      context.CancelFunc
	watching sync.WaitGroup // parts that have not handed over their last
}

// New returns a module of which no VU has made use.
func New() *Module {
	m := &Module{}
	m.ctx, m.end = context.WithCancel(context.Background())
	return m
}

// instance is the module in one VU. Only the VU's own goroutine uses it.
type instance struct {
	module  *Module
	vu      modules.VU
	metrics *metricSet
	links   map[string]*link // by target: of the VU's devices
	hidden  *sobek.Symbol    // under which a Device keeps its own
	parse   sobek.Callable   // JSON.parse
	fleets  int              // that this VU has constructed

	caller    *caller // of the scenario that callerCtx is of
	callerCtx context.Context
}

// NewModuleInstance implements modules.Module.
func (m *Module) NewModuleInstance(vu modules.VU) modules.Instance {
	set, err := registerMetrics(vu.InitEnv().Registry)
	if err != nil {
		common.Throw(vu.Runtime(), err)
	}
	m.ending.Do(func() { m.awaitEnd(vu) })
	rt := vu.Runtime()
	parse, ok := sobek.AssertFunction(rt.GlobalObject().Get("JSON").ToObject(rt).Get("parse"))
	if !ok {
		common.Throw(rt, errors.New("JSON.parse is not a function any more"))
	}
	return &instance{module: m, vu: vu, metrics: set, links: map[string]*link{}, hidden: sobek.NewSymbol("playhead"), parse: parse}
}

// Exports implements modules.Instance.
func (i *instance) Exports() modules.Exports {
	named := map[string]any{
		"Fleet":   i.vu.Runtime().ToValue(i.newFleet),
		"Device":  i.deviceClass(),
		"options": i.options,
	}
	return modules.Exports{Default: named, Named: named}
}

// fail throws an error where the script called.
func (i *instance) fail(err error) { common.Throw(i.vu.Runtime(), err) }
