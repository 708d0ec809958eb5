package target

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"time"
)

// breakTimeout bounds the exchange over a node's socket for faults.
const breakTimeout = 2 * time.Second

// Pause stops the process where it is (SIGSTOP), Resume lets it go on.
func (n *Node) Pause() error { return n.send(syscall.SIGSTOP) }

// Resume lets a paused process go on. One that is not paused is not disturbed.
func (n *Node) Resume() error { return n.send(syscall.SIGCONT) }

// Terminate ends the process as an operator would (SIGTERM) and waits until it is gone.
func (n *Node) Terminate() error {
	if err := n.terminate(); err != nil {
		return err
	}
	return n.waitEnd(stopTimeout)
}

// send signals the process, if it runs.
func (n *Node) send(s syscall.Signal) error {
	n.mu.Lock()
	process := n.process
	n.mu.Unlock()
	if process == nil {
		return nil
	}
	if err := process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("signal %s: %w", n.ID, err)
	}
	return nil
}

// Break tells the node what of its disk or clock is broken from now on: see package
// server/faults. The cluster must be rigged inside.
func (n *Node) Break(ctx context.Context, command string) error {
	ctx, cancel := context.WithTimeout(ctx, breakTimeout)
	defer cancel()
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "unix", n.faults)
	if err != nil {
		return fmt.Errorf("%s: %s: %w", n.ID, command, err)
	}
	defer func() { _ = conn.Close() }()
	deadline, _ := ctx.Deadline()
	_ = conn.SetDeadline(deadline)
	if _, err := fmt.Fprintln(conn, command); err != nil {
		return fmt.Errorf("%s: %s: %w", n.ID, command, err)
	}
	answer, err := bufio.NewReader(io.LimitReader(conn, maxAnswer)).ReadString('\n')
	if err != nil {
		return fmt.Errorf("%s: %s: %w", n.ID, command, err)
	}
	if answer = strings.TrimSpace(answer); answer != "ok" {
		return fmt.Errorf("%s: %s: %s", n.ID, command, answer)
	}
	return nil
}

// Do asks the node for a change, as docs/api.md has it, and returns the status. An
// answer that is not 2xx is no error.
func (n *Node) Do(ctx context.Context, method, path, body string) (status int, err error) {
	request, err := http.NewRequestWithContext(ctx, method, n.URL+path, bytes.NewReader([]byte(body)))
	if err != nil {
		return 0, fmt.Errorf("ask %s: %w", n.ID, err)
	}
	response, err := client.Do(request)
	if err != nil {
		return 0, fmt.Errorf("ask %s: %w", n.ID, err)
	}
	defer func() { _ = response.Body.Close() }()
	_, _ = io.CopyN(io.Discard, response.Body, maxAnswer) // to its end: the connection is kept
	return response.StatusCode, nil
}
