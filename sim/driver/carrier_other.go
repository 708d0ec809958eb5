//go:build !linux

package driver

import "crypto/tls"

// newCarrier carries so many calls at once.
func newCarrier(nodes []node, calls int, config *tls.Config, dial Dial) (carrier, error) {
	return newConns(nodes, calls, config, dial), nil
}
