package k6

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/grafana/sobek"

	"github.com/playhead-load/playhead/results"
	"github.com/playhead-load/playhead/viewing"
)

// device is a Device of a script: what plays one title at a time, as the script has it.
type device struct {
	of      *instance
	link    *link
	dialing *dialing
	caller  *caller

	event   viewing.Event // who and what; of the session, the last that was told
	playing bool          // it has a session: a denied one too
	cause   string        // where a call comes from, in messages
}

// deviceOptions are those of a Device.
var deviceOptions = []string{"target", "account", "profile", "device", "type", "title", "country", "runtime"}

// deviceClass is the class Device. To construct one does no I/O.
func (i *instance) deviceClass() *sobek.Object {
	rt := i.vu.Runtime()
	class := rt.ToValue(i.newDevice).ToObject(rt)
	methods := class.Get("prototype").ToObject(rt)
	for name, method := range map[string]func(*device, sobek.Value) sobek.Value{
		"start":     (*device).start,
		"keepalive": telling(viewing.Keepalive), "pause": telling(viewing.Pause), "resume": telling(viewing.Resume),
		"seek": telling(viewing.Seek), "telemetry": telling(viewing.Telemetry), "error": telling(viewing.Error),
		"stop":             telling(viewing.Stop),
		"position":         asking(results.OpPosition),
		"history":          asking(results.OpHistory),
		"continueWatching": asking(results.OpContinueWatching),
		"activeSessions":   asking(results.OpActiveSessions),
	} {
		cause := "Device: " + name
		err := methods.Set(name, func(call sobek.FunctionCall) sobek.Value {
			d := i.deviceOf(call.This)
			d.cause = cause
			d.enter()
			return method(d, call.Argument(0))
		})
		if err != nil {
			i.fail(err)
		}
	}
	return class
}

func (i *instance) newDevice(call sobek.ConstructorCall) *sobek.Object {
	options, err := object("Device", call.Argument(0))
	if err != nil {
		i.fail(err)
	}
	d := &device{of: i}
	if err := d.read(options); err != nil {
		i.fail(fmt.Errorf("%s: %w", classDevice, err))
	}
	if err := call.This.SetSymbol(i.hidden, i.vu.Runtime().ToValue(d)); err != nil {
		i.fail(err)
	}
	return nil
}

func (i *instance) deviceOf(this sobek.Value) *device {
	if o, ok := this.(*sobek.Object); ok {
		if v := o.GetSymbol(i.hidden); v != nil {
			if d, ok := v.Export().(*device); ok {
				return d
			}
		}
	}
	i.fail(fmt.Errorf("%s: expected its method to be called on a Device", classDevice))
	return nil
}

func (d *device) read(options map[string]any) error {
	for name := range options {
		if !slices.Contains(deviceOptions, name) {
			return fmt.Errorf("%s: a Device has no such option; expected %s", name, results.OneOf(deviceOptions))
		}
	}
	targets, err := readTargets(options["target"])
	if err != nil {
		return err
	}
	e := &d.event
	e.ProfileID, e.DeviceType = 1, "tv"
	var profile, title, runtime uint64 = 1, 0, 0
	e.DeviceID = 1
	for _, n := range []struct {
		name        string
		into        *uint64
		least, most uint64
		needed      bool
	}{
		{"account", &e.AccountID, 1, viewing.MaxAccountID, true}, {"profile", &profile, 1, viewing.MaxProfileID, false},
		{"device", &e.DeviceID, 1, viewing.MaxDeviceID, true}, {"title", &title, 1, viewing.MaxTitleID, true},
		{"runtime", &runtime, 0, viewing.MaxMediaMS, false},
	} {
		if err := readWhole(options, n.name, n.into, n.least, n.most, n.needed); err != nil {
			return err
		}
	}
	e.ProfileID, e.TitleID, e.RuntimeMS = uint8(profile), uint32(title), int64(runtime)
	for name, into := range map[string]*string{"type": &e.DeviceType, "country": &e.Country} {
		if err := readPlain(options, name, into); err != nil {
			return err
		}
	}
	d.link = d.of.linkTo(targets[0])
	return nil
}

func readWhole(options map[string]any, name string, into *uint64, least, most uint64, needed bool) error {
	value, given := options[name]
	if !given || value == nil {
		if needed {
			return fmt.Errorf("%s: expected an integer from %d to %d, got nothing", name, least, most)
		}
		return nil
	}
	n, ok := wholeOf(value)
	if !ok || n < least || n > most {
		return fmt.Errorf("%s: expected an integer from %d to %d, got %v", name, least, most, value)
	}
	*into = n
	return nil
}

func wholeOf(value any) (uint64, bool) {
	switch n := value.(type) {
	case int64:
		return uint64(n), n >= 0
	case float64:
		return uint64(n), n >= 0 && n <= viewing.MaxAccountID && n == math.Trunc(n)
	}
	return 0, false
}

// enter readies the device for a call: its measure is that of the scenario that calls.
func (d *device) enter() {
	state := d.of.vu.State()
	if state == nil {
		d.fail(errors.New("expected to be called from a function that k6 runs: where a script begins, nothing may be asked of a server"))
	}
	if d.dialing == nil {
		made := dialingOf(state)
		d.dialing = &made
	}
	d.caller = d.of.measure(state)
}

func (d *device) fail(err error) { d.of.fail(fmt.Errorf("%s: %w", d.cause, oneLine(err))) }

// newSession is a session of its own: a UUID of version 7.
func newSession(now time.Time) (id viewing.SessionID) {
	binary.BigEndian.PutUint64(id[:8], uint64(now.UnixMilli())<<16|0x7000|rand.Uint64()&0x0fff)
	binary.BigEndian.PutUint64(id[8:], 1<<63|rand.Uint64()>>2)
	return id
}
