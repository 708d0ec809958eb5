package loopback

import (
	"bytes"
	"net"
	"os"
	"strconv"
	"testing"
)

// While a node is down its port must stay free, however many connections clients open
// meanwhile, and however many clusters start beside it.
func TestPortsAreNobodyElses(t *testing.T) {
	seen := map[string]bool{}
	for range 10 {
		ports, err := Reserve(100)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = ports.Close() }()
		for _, address := range ports.Addresses {
			_, text, err := net.SplitHostPort(address)
			port, _ := strconv.Atoi(text)
			if err != nil || port < firstPort || port >= lastPort || seen[address] {
				t.Errorf("address %s: %v", address, err)
			}
			seen[address] = true
			listener, err := net.Listen("tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			_ = listener.Close()
		}
	}
	text, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if err != nil {
		t.Skip("this system does not tell its range")
	}
	if low, err := strconv.Atoi(string(bytes.Fields(text)[0])); err != nil || low < lastPort {
		t.Logf("outgoing connections begin at port %d here: a restarted node may find its port taken", low)
	}
}

// TestPortsComeBack: what was closed may be handed out again, what was not may not.
func TestPortsComeBack(t *testing.T) {
	ports, err := Reserve(1)
	if err != nil {
		t.Fatal(err)
	}
	taken := func() bool {
		held, err := net.ListenPacket("udp", ports.Addresses[0])
		if err == nil {
			_ = held.Close()
		}
		return err != nil
	}
	if !taken() {
		t.Error("another can take a port that is reserved")
	}
	if err := ports.Close(); err != nil || taken() {
		t.Errorf("%v: the port is still taken", err)
	}
}
