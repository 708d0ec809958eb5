package main

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"

	"github.com/playhead-load/playhead/server"
	"github.com/playhead-load/playhead/server/archive"
)

// taken adds to what kept a node from starting the flag to change, where its address or
// its data directory is in use.
func taken(err error, cfg *server.Config) error {
	if errors.Is(err, archive.ErrInUse) { // which is opened first
		return fmt.Errorf("%w: stop that one, or name another directory with --data", err)
	}
	var listening *net.OpError
	if !errors.Is(err, syscall.EADDRINUSE) || !errors.As(err, &listening) || listening.Addr == nil {
		return err
	}
	admin := cfg.Doors.AdminAddress
	if cfg.Doors.TokenFile != "" {
		admin = cmp.Or(admin, server.DefaultAdminAddress)
	}
	var flags []string
	for _, flag := range []struct{ name, address string }{
		{"--http", cfg.HTTPAddress}, {"--raft", cfg.Raft.RaftAddress}, {"--admin", admin},
	} {
		if overlap(flag.address, listening.Addr.String()) {
			flags = append(flags, flag.name)
		}
	}
	switch len(flags) {
	case 0:
		return fmt.Errorf("%w: stop what listens there, or name other addresses with --http, --raft and --admin", err)
	case 1:
		return fmt.Errorf("%w: stop what listens there, or name another address with %s", err, flags[0])
	}
	return fmt.Errorf("%w: %s name the same address, give each its own", err, strings.Join(flags, " and "))
}

// overlap tells whether two addresses, host:port, cannot both be listened on. A host may
// be a name, and none is every address of the machine.
func overlap(a, b string) bool {
	x, errX := net.ResolveTCPAddr("tcp", a)
	y, errY := net.ResolveTCPAddr("tcp", b)
	if errX != nil || errY != nil || x.Port != y.Port {
		return false
	}
	everywhere := func(ip net.IP) bool { return len(ip) == 0 || ip.IsUnspecified() }
	return everywhere(x.IP) || everywhere(y.IP) || x.IP.Equal(y.IP)
}
