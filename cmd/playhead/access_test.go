package main

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/playhead-load/playhead/results"
	"github.com/playhead-load/playhead/server/token"
)

const guardedScenario = `
name: guarded
population: {model: netflix-2015, scale: 1/100000}
time_scale: 60
duration: 5s
warm_up: 1s
`

// runGuarded runs a scenario against the cluster, and returns all that it said and left.
func (c *guardedCluster) runGuarded(t *testing.T, scenario string, flags ...string) (code int, told string) {
	t.Helper()
	dir := t.TempDir()
	file, out := filepath.Join(dir, "guarded.yaml"), filepath.Join(dir, "run")
	if err := os.WriteFile(file, []byte(scenario), 0o600); err != nil {
		t.Fatal(err)
	}
	var urls []string
	for i := range c.nodes {
		urls = append(urls, c.url(i))
	}
	var text bytes.Buffer
	args := append([]string{"run", file, "--out", out, "--target", strings.Join(urls, ",")}, flags...)
	code = execute(t.Context(), args, &text, &text)
	t.Logf("exit code %d: %s", code, text.String())
	if err := fs.WalkDir(os.DirFS(dir), ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		left, err := os.ReadFile(filepath.Join(dir, path))
		text.Write(left)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return code, text.String()
}

// TestRunBehindDoors drives three processes that want TLS and tokens: devices one by one,
// then in batches. The audit finds everything there, and nobody tells a secret.
func TestRunBehindDoors(t *testing.T) {
	t.Parallel()
	c := startGuardedCluster(t, "--keepalive", "1s", "--lease", "2.5s")
	c.eventually("leader", "status")
	let := []string{"--tokens", c.tokens, "--admin", "https://" + c.nodes[0].admin, "--ca", c.ca}
	for name, load := range map[string]string{"devices": "", "batches": "load: {connections: 2, batch: 50, encoding: binary}\n"} {
		code, told := c.runGuarded(t, guardedScenario+load, let...)
		if code != exitOK && code != results.ExitVoid { // with the race detector on it may well be late
			t.Fatalf("%s: exit code %d", name, code)
		}
		for _, want := range []string{`"events_lost": 0`, `"events_rejected": 0`, `"accounts_read_back"`} {
			if !strings.Contains(told, want) {
				t.Errorf("%s: run.json has no %s", name, want)
			}
		}
		if strings.Contains(told, `"events_acknowledged": 0,`) {
			t.Errorf("%s: nothing was acknowledged", name)
		}
		for _, secret := range append(c.secrets, "Bearer", "eyJ") { // as every token begins
			if strings.Contains(told, secret) {
				t.Errorf("%s: the run tells the secret %q", name, secret)
			}
		}
	}

	wrong := filepath.Join(t.TempDir(), "wrong.json")
	if err := token.NewFile().Create(wrong); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name, want string
		flags      []string
	}{
		{"a wrong key", "unknown or has expired: --tokens must be", []string{"--tokens", wrong, "--ca", c.ca}},
		{"no tokens", "needs --tokens", []string{"--ca", c.ca}},
		{"no authority", "with --ca", []string{"--tokens", c.tokens}},
		{"no admin", "--admin its address", []string{"--tokens", c.tokens, "--ca", c.ca}},
	} {
		code, told := c.runGuarded(t, guardedScenario, append(tc.flags, "--quiet")...)
		told, _, _ = strings.Cut(told, guardedScenario) // what was said
		if code != exitUsage || strings.Count(told, "\n") != 1 || !strings.Contains(told, tc.want) {
			t.Errorf("%s: exit code %d: want one line with %q: %s", tc.name, code, tc.want, told)
		}
	}
}

// TestAccessFlags: what cannot be meant is said before anything is asked.
func TestAccessFlags(t *testing.T) {
	dir := t.TempDir()
	tokens := filepath.Join(dir, "tokens.json")
	if err := token.NewFile().Create(tokens); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		want   string // of the error; empty: none
		flags  accessFlags
		target string
	}{
		{"", accessFlags{}, ""},
		{"", accessFlags{}, "http://n1.example.com:8080"},
		{"", accessFlags{tokens: tokens}, "http://localhost:8080"},
		{"", accessFlags{tokens: tokens, admin: "http://[::1]:8090"}, "https://n1.example.com:8080"},
		{"are of a --target", accessFlags{tokens: tokens}, ""},
		{"--target: expected https", accessFlags{tokens: tokens}, "http://n1.example.com:8080"},
		{"--admin: expected https", accessFlags{tokens: tokens, admin: "http://n1.example.com:8090"}, "https://n1.example.com:8080"},
		{"--admin: expected a URL", accessFlags{admin: "127.0.0.1:8090"}, "https://n1.example.com:8080"},
		{"--tokens: ", accessFlags{tokens: filepath.Join(dir, "none.json")}, "https://n1.example.com:8080"},
		{"--ca: ", accessFlags{ca: filepath.Join(dir, "none.pem")}, "https://n1.example.com:8080"},
		{"certificates in PEM", accessFlags{ca: tokens}, "https://n1.example.com:8080"},
	} {
		var targets []string
		if tc.target != "" {
			targets = []string{tc.target}
		}
		_, err := tc.flags.read(targets)
		if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%+v at %q: %v, want %q", tc.flags, tc.target, err, tc.want)
		}
	}
}
