package world

import "github.com/playhead-load/playhead/sim/random"

// latestUS is how long a message is on its way at most.
const latestUS = 20 * secondUS

// weather is what the network does to messages, as chances.
type weather struct {
	name                 string
	vanish, copied, slow float64
}

// The weathers of a time with faults, in which they follow each other at random.
var weathers = [...]weather{
	{"fair", 0, 0, 0},
	{"drizzle", 0.05, 0.05, 0.1},
	{"copies", 0.02, 0.4, 0.3},
	{"storm", 0.35, 0.2, 0.5},
	{"cut", 1, 0, 0},
}

// network is between all devices and the server.
type network struct {
	world  *World
	random random.Stream
	weather
}

// begin plans the weather and the tunnels until the faults end.
func (n *network) begin() {
	n.change()
	n.tunnel()
	n.world.schedule.add(n.world.faultsUS, func() { n.turn(weathers[0]) })
}

func (n *network) turn(to weather) {
	n.weather = to
	n.world.tell("network %s", to.name)
}

func (n *network) change() {
	if !n.world.faulty() {
		return
	}
	n.turn(weathers[n.random.Intn(len(weathers))])
	lasts := between(&n.random, 20*secondUS, 6*minuteUS)
	if n.vanish == 1 {
		lasts /= 3
	}
	n.world.after(lasts, n.change)
}

// tunnel takes one device out of reach for a while, now and again.
func (n *network) tunnel() {
	w := n.world
	if !w.faulty() {
		return
	}
	d := &w.devices[n.random.Intn(len(w.devices))]
	d.reachedUS = min(w.faultsUS, w.nowUS+between(&n.random, 10*secondUS, 8*minuteUS))
	w.tell("device %d in a tunnel until %d", d.number, d.reachedUS)
	w.after(between(&n.random, 10*secondUS, 2*minuteUS), n.tunnel)
}

// carry brings a message between a device and the server to its end, perhaps later than
// one that was sent after it, twice or never, and says how often.
func (n *network) carry(d *device, arrive func()) (times int) {
	if n.world.nowUS < d.reachedUS || n.random.Chance(n.vanish) {
		n.world.counts.Vanished++
		return 0
	}
	times = 1
	if n.random.Chance(n.copied) {
		times = 2
	}
	for range times {
		n.world.after(n.delayUS(), arrive)
	}
	return times
}

func (n *network) delayUS() int64 {
	if n.random.Chance(n.slow) {
		n.world.counts.Slow++
		return between(&n.random, 1000, latestUS)
	}
	return between(&n.random, 1000, 80_000)
}
