package target

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// client follows nothing: a node answers for itself.
var client = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}

// Node is one server process, running or not.
type Node struct {
	ID   string
	URL  string // where it answers
	Raft string // its address for the other nodes

	binary string
	args   []string
	env    []string
	log    string // file that its output goes to
	faults string // socket at which it can be broken from within; empty: it cannot

	mu      sync.Mutex
	process *os.Process    // nil when it does not run
	ended   chan struct{}  // closed when the process has ended; nil before the first
	used    time.Duration  // processor time of the processes that ended
	told    syscall.Signal // what the process was sent to end it; 0: nothing
	crash   error          // how a process ended that was not told to, or not as it was told
}

// Start starts the process. It does not wait until it is ready. It refuses when
// the process runs.
func (n *Node) Start() error {
	if n.Running() {
		return fmt.Errorf("start %s: it runs already", n.ID)
	}
	output, err := os.OpenFile(n.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("start %s: %w", n.ID, err)
	}
	defer func() { _ = output.Close() }() // the process has its own descriptor
	process := exec.Command(n.binary, n.args...)
	process.Stdout, process.Stderr = output, output
	process.Env = append(os.Environ(), n.env...)
	process.SysProcAttr = processAttributes()
	if err := process.Start(); err != nil {
		return fmt.Errorf("start %s: %w", n.ID, err)
	}
	ended := make(chan struct{})
	n.mu.Lock()
	n.process, n.ended, n.told = process.Process, ended, 0
	n.mu.Unlock()
	go func() {
		err := process.Wait()
		n.mu.Lock()
		defer n.mu.Unlock()
		if n.told == 0 || n.told == syscall.SIGTERM && err != nil {
			n.crash = fmt.Errorf("%s ended by itself (%v): %s; its log is %s", n.ID, process.ProcessState, n.lastWords(), n.log)
		}
		if state := process.ProcessState; state != nil {
			n.used += state.UserTime() + state.SystemTime()
		}
		n.process = nil
		close(ended)
	}()
	return nil
}

// Kill ends the process with SIGKILL and waits until it is gone.
func (n *Node) Kill() error {
	if err := n.signal(syscall.SIGKILL); err != nil {
		return err
	}
	return n.waitEnd(stopTimeout)
}

func (n *Node) terminate() error { return n.signal(syscall.SIGTERM) }

// signal sends the process what is to end it.
func (n *Node) signal(s syscall.Signal) error {
	n.mu.Lock()
	n.told = s
	n.mu.Unlock()
	return n.send(s)
}

// waitEnd waits for the end of the process, and kills it when that takes too long.
func (n *Node) waitEnd(limit time.Duration) error {
	n.mu.Lock()
	ended := n.ended
	n.mu.Unlock()
	if ended == nil {
		return nil
	}
	select {
	case <-ended:
		return nil
	case <-time.After(limit):
	}
	if err := n.signal(syscall.SIGKILL); err != nil {
		return err
	}
	<-ended
	return nil
}

// Running says whether the process has not ended.
func (n *Node) Running() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.process != nil
}

// Crash says how the process ended, if it ended without having been told to, or
// otherwise than it was told.
func (n *Node) Crash() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.crash
}

// WaitReady waits until the node knows a leader and has applied what is committed.
// It gives up when the process ends or ctx does.
func (n *Node) WaitReady(ctx context.Context) error {
	for {
		err := n.ask(ctx, "/readyz", nil)
		if !n.Running() { // first: a stranger on its port may say that it is ready
			return fmt.Errorf("%s ended before it was ready: %s; its log is %s", n.ID, n.lastWords(), n.log)
		}
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready: %w; its log is %s", n.ID, err, n.log)
		case <-time.After(pollInterval):
		}
	}
}

// Status is what a node says of the cluster, as far as a run asks.
type Status struct {
	Role         string `json:"role"`
	LeaderID     string `json:"leader_id"`
	Term         uint64 `json:"term"`
	AppliedIndex uint64 `json:"applied_index"`
}

// Cluster asks the node how the cluster looks from there.
func (n *Node) Cluster(ctx context.Context) (Status, error) {
	var status Status
	err := n.ask(ctx, "/v1/cluster", &status)
	return status, err
}

func (n *Node) ask(ctx context.Context, path string, answer any) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, n.URL+path, nil)
	if err != nil {
		return fmt.Errorf("ask %s: %w", n.ID, err)
	}
	response, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("ask %s: %w", n.ID, err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("ask %s: %w", n.ID, err)
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("ask %s: %s: %s", n.ID, response.Status, bytes.TrimSpace(body))
	}
	if answer == nil {
		return nil
	}
	if err := json.Unmarshal(body, answer); err != nil {
		return fmt.Errorf("ask %s: %w", n.ID, err)
	}
	return nil
}

// lastWords is the last line of the node's log, which says why it ended.
func (n *Node) lastWords() string {
	text, err := os.ReadFile(n.log)
	if err != nil {
		return err.Error()
	}
	text = bytes.TrimSpace(text)
	return string(text[bytes.LastIndexByte(text, '\n')+1:])
}
