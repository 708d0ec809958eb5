package main

import (
	"fmt"
	"strings"

	"github.com/spf13/pflag"
	"github.com/spf13/viper"

	"github.com/playhead-load/playhead/raft"
	"github.com/playhead-load/playhead/server"
	"github.com/playhead-load/playhead/server/faults"
)

// addBreakingFlags adds what playhead run breaks the nodes of its own clusters by. The
// help does not tell of them.
func addBreakingFlags(flags *pflag.FlagSet) {
	flags.StringSlice("dial-through", nil, "where to dial a node instead, as raft-address=address")
	flags.String("faults", "", "socket at which the disk and the clock of this node can be broken")
	for _, name := range []string{"dial-through", "faults"} {
		flags.Lookup(name).Hidden = true
	}
}

// makeBreakable does what those flags say; without them nothing. end closes the socket.
func makeBreakable(v *viper.Viper, cfg *server.Config) (end func(), err error) {
	for _, pair := range splitList(v.GetStringSlice("dial-through")) {
		peer, at, ok := strings.Cut(pair, "=")
		if !ok {
			return nil, fmt.Errorf("dial-through: expected raft-address=address, got %q", pair)
		}
		if cfg.Raft.DialThrough == nil {
			cfg.Raft.DialThrough = raft.Detours{}
		}
		cfg.Raft.DialThrough[peer] = at
	}
	socket := v.GetString("faults")
	if socket == "" {
		return func() {}, nil
	}
	broken := &faults.Faults{}
	listener, err := broken.Listen(socket)
	if err != nil {
		return nil, err
	}
	cfg.Now, cfg.Raft.Disk = broken.Now, &broken.Disk
	return func() { _ = listener.Close() }, nil
}
