package faultdisk

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

func mount(t *testing.T) (*Disk, string) {
	t.Helper()
	dir := t.TempDir()
	d, err := Mount(dir, t.TempDir())
	if err != nil {
		t.Skipf("no FUSE here: %v", err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d, dir
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func syncPath(t *testing.T, path string) {
	t.Helper()
	f, err := os.Open(path)
	must(t, err)
	must(t, f.Sync())
	must(t, f.Close())
}

// A loss of power keeps what was fsynced, names and contents, and nothing else.
func TestLosePower(t *testing.T) {
	d, dir := mount(t)
	at := func(name string) string { return filepath.Join(dir, name) }
	write := func(name, text string) { t.Helper(); must(t, os.WriteFile(at(name), []byte(text), 0o600)) }
	must(t, os.Mkdir(at("kept"), 0o700))
	write("kept/content", "synced")
	syncPath(t, at("kept/content"))
	write("removed", "still there")
	write("replaced", "the old one")
	write("cut", "a long content")
	for _, name := range []string{"removed", "replaced", "cut"} {
		syncPath(t, at(name))
	}
	syncPath(t, dir)

	write("kept/content", "overwritten, and longer")
	write("kept/beside", "never synced")
	must(t, os.Remove(at("removed")))
	write("new", "the new one")
	syncPath(t, at("new"))
	must(t, os.Rename(at("new"), at("replaced")))
	must(t, os.Truncate(at("cut"), 1))
	must(t, os.Mkdir(at("lost"), 0o700))
	if lost, err := d.LosePower(nil); err != nil || lost == 0 {
		t.Fatalf("%d changes lost, %v", lost, err)
	}
	for name, want := range map[string]string{
		"kept/content": "synced", "removed": "still there", "replaced": "the old one", "cut": "a long content", "new": "the new one",
	} {
		if got, err := os.ReadFile(at(name)); err != nil || string(got) != want {
			t.Errorf("%s holds %q, %v; want %q", name, got, err, want)
		}
	}
	for _, name := range []string{"kept/beside", "lost"} {
		if _, err := os.Stat(at(name)); err == nil {
			t.Errorf("%s is still there", name)
		}
	}

	must(t, os.Rename(at("new"), at("replaced")))
	syncPath(t, dir)
	if lost, err := d.LosePower(nil); err != nil || lost != 0 {
		t.Errorf("%d changes lost that were synced, %v", lost, err)
	}
	if got, err := os.ReadFile(at("replaced")); err != nil || string(got) != "the new one" {
		t.Errorf("after a synced rename: %q, %v", got, err)
	}
}

// Of what was not fsynced single pages may have reached the disk.
func TestLosePowerKeepsSomePages(t *testing.T) {
	d, dir := mount(t)
	path := filepath.Join(dir, "f")
	must(t, os.WriteFile(path, []byte(strings.Repeat("a", 4*pageBytes)), 0o600))
	syncPath(t, path)
	must(t, os.WriteFile(path, []byte(strings.Repeat("b", 4*pageBytes)), 0o600))
	if _, err := d.LosePower(func(at int64) bool { return at/pageBytes%2 == 0 }); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(path)
	must(t, err)
	if len(got) != 4*pageBytes || got[0] != 'b' || got[pageBytes] != 'a' || got[2*pageBytes] != 'b' || got[3*pageBytes] != 'a' {
		t.Errorf("%d bytes, pages of %c%c%c%c", len(got), got[0], got[pageBytes], got[2*pageBytes], got[3*pageBytes])
	}
}

func TestLie(t *testing.T) {
	d, dir := mount(t)
	d.Lie()
	path := filepath.Join(dir, "f")
	must(t, os.WriteFile(path, []byte("x"), 0o600))
	syncPath(t, path)
	if _, err := d.LosePower(nil); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("a lying fsync kept the file")
	}
}

func TestHang(t *testing.T) {
	d, dir := mount(t)
	path := filepath.Join(dir, "f")
	must(t, os.WriteFile(path, []byte("x"), 0o600))
	d.Hang()
	f, err := os.Open(path)
	must(t, err)
	defer f.Close()
	synced := make(chan error, 1)
	go func() { synced <- f.Sync() }()
	for deadline := time.Now().Add(10 * time.Second); d.Hanging() == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("fsync never came")
		}
	}
	must(t, os.WriteFile(filepath.Join(dir, "g"), []byte("y"), 0o600)) // only fsync hangs
	select {
	case err := <-synced:
		t.Errorf("fsync came back from a disk that hangs: %v", err)
		synced <- err
	default:
	}
	d.Release()
	must(t, <-synced)
}

// A disk that cannot be taken away says who uses it.
func TestUsersOf(t *testing.T) {
	_, dir := mount(t)
	f, err := os.Create(filepath.Join(dir, "open"))
	must(t, err)
	if users := usersOf(dir); len(users) != 1 || !strings.HasSuffix(users[0], " -> "+f.Name()) {
		t.Errorf("used by %q, expected a link to %s", users, f.Name())
	}
	must(t, f.Close())
	if users := usersOf(dir); len(users) != 0 {
		t.Errorf("closed, and used by %q", users)
	}
}

// A process that begins while a disk is mounted does not keep it busy.
func TestNobodyInheritsADisk(t *testing.T) {
	stop := make(chan struct{})
	var beginning sync.WaitGroup
	for range 4 {
		beginning.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if err := exec.Command("sleep", "0.1").Run(); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for range 40 {
		_, dir := mount(t)
		if users := usersOf(dir); len(users) != 0 {
			t.Errorf("used by %q", users)
			break
		}
	}
	close(stop)
	beginning.Wait()
}
