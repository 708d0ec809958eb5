package driver

import "crypto/tls"

// newCarrier carries so many calls at once, without a goroutine for each where it can.
func newCarrier(nodes []node, calls int, config *tls.Config, dial Dial) (carrier, error) {
	if dial != nil {
		return newConns(nodes, calls, config, dial), nil
	}
	for _, n := range nodes {
		if n.secure {
			return newConns(nodes, calls, config, nil), nil
		}
	}
	return newEpoll(nodes, calls)
}
