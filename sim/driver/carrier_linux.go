package driver

import "slices"

// newCarrier carries the calls of a driver, without a goroutine for each where it can, and
// says whether it rests.
func newCarrier(nodes []node, config *Config) (c carrier, rests bool, err error) {
	secure := func(n node) bool { return n.secure }
	if config.Dial != nil || slices.ContainsFunc(nodes, secure) {
		return newConns(nodes, config), false, nil
	}
	c, err = newEpoll(nodes, config)
	return c, config.mayRest(), err
}
