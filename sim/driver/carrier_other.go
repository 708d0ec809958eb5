//go:build !linux

package driver

// newCarrier carries the calls of a driver.
func newCarrier(nodes []node, config *Config) (carrier, error) {
	return newConns(nodes, config), nil
}
