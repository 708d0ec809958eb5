package driver

import "slices"

// newCarrier carries the calls of a driver, without a goroutine for each where it can.
func newCarrier(nodes []node, config *Config) (carrier, error) {
	secure := func(n node) bool { return n.secure }
	if config.Dial != nil || slices.ContainsFunc(nodes, secure) {
		return newConns(nodes, config), nil
	}
	return newEpoll(nodes, config)
}
