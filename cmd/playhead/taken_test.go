package main

import (
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"github.com/playhead-load/playhead/server"
	"github.com/playhead-load/playhead/server/archive"
)

// A second node on one machine is told which flag to change.
func TestTaken(t *testing.T) {
	t.Parallel()
	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Close() }()
	there := other.Addr().String()
	_, port, err := net.SplitHostPort(there)
	if err != nil {
		t.Fatal(err)
	}
	used := t.TempDir()
	archived, err := archive.Open(filepath.Join(used, server.ArchiveDir), archive.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = archived.Close() }()
	for want, args := range map[string][]string{
		"another address with --http":                                {"--http", there, "--raft", "127.0.0.1:9", "--data", t.TempDir()},
		"another address with --raft":                                {"--http", "127.0.0.1:0", "--raft", there, "--data", t.TempDir()},
		"or name another address with --raft":                        {"--http", "127.0.0.2:" + port, "--raft", there, "--data", t.TempDir()}, // one port, two hosts
		"--http and --raft name the same address, give each its own": {"--http", "localhost:" + port, "--raft", there, "--data", t.TempDir()},
		"another directory with --data":                              {"--http", "127.0.0.1:0", "--raft", "127.0.0.1:9", "--data", used},
	} {
		c := newServe()
		if err := c.ParseFlags(args); err != nil {
			t.Fatal(err)
		}
		settings, err := readSettings(c.Flags())
		if err != nil {
			t.Fatal(err)
		}
		cfg, err := serverConfig(settings, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		_, err = server.Open(cfg)
		if err == nil {
			t.Fatalf("serve %q started", args)
		}
		if got := taken(err, &cfg).Error(); !strings.Contains(got, want) {
			t.Errorf("serve %q: %q, want %q in it", args, got, want)
		}
	}
}

func TestOverlap(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		a, b string
		want bool
	}{
		{"127.0.0.1:80", "127.0.0.1:80", true},
		{"127.0.0.1:80", "127.0.0.1:81", false},
		{"127.0.0.1:80", "127.0.0.2:80", false},
		{":80", "127.0.0.1:80", true},
		{"127.0.0.1:80", "[::]:80", true},
		{"", "127.0.0.1:80", false},
	} {
		if got := overlap(tc.a, tc.b); got != tc.want {
			t.Errorf("overlap(%q, %q) = %v", tc.a, tc.b, got)
		}
	}
}
