//go:build !linux

package driver

// newCarrier carries the calls of a driver, and says whether it rests.
func newCarrier(nodes []node, config *Config) (c carrier, rests bool, err error) {
	return newConns(nodes, config), false, nil
}
