package wakeup

import (
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"
)

// TestAStoppedProcess: a signal keeps this process, threads that sleep and all, for a
// quarter of a second, as a machine would.
func TestAStoppedProcess(t *testing.T) {
	const stopped = 250 * time.Millisecond
	meter := Watch()
	stop := fmt.Sprintf("kill -STOP %[1]d; sleep %[2]v; kill -CONT %[1]d", os.Getpid(), stopped.Seconds())
	if out, err := exec.Command("sh", "-c", stop).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	seen := meter.Stop()
	if seen.Max < stopped-2*every {
		t.Errorf("stopped for %v: woke %v late at most", stopped, seen.Max)
	}
	if seen.P99 < stopped/2 { // every moment in it waited for its end
		t.Errorf("stopped for %v, nearly all the time: woke %v late at p99", stopped, seen.P99)
	}
}

// TestAMomentAtLeast: also of a watch that ends at once.
func TestAMomentAtLeast(t *testing.T) {
	if seen := Watch().Stop(); seen.P99 <= 0 || seen.P999 < seen.P99 || seen.Max < seen.P999 {
		t.Errorf("%+v: expected something, in order", seen)
	}
}
