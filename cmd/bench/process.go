package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"github.com/playhead-load/playhead/sim/target"
)

// Limits of running a peer's servers.
const (
	peerReadyTimeout = 30 * time.Second
	peerStopTimeout  = 15 * time.Second // from SIGTERM to SIGKILL
	peerPoll         = 50 * time.Millisecond
	lastWordsBytes   = 500
)

// servers are what this program runs as when its first argument names one.
var servers = map[string]func(args []string) error{
	"serve-etcd": serveEtcd,
	"serve-nats": serveNATS,
}

// processes are the servers of a peer: this program, executed again.
type processes struct {
	commands []*exec.Cmd
	logs     []string
	ended    []chan struct{}
}

// startProcesses starts a server of that kind for each list of arguments. They die
// with this program, however it ends.
func startProcesses(kind, dir string, args [][]string) (*processes, error) {
	p := &processes{}
	self, err := os.Executable()
	if err != nil {
		return p, err
	}
	for i, a := range args {
		name := filepath.Join(dir, fmt.Sprintf("%s-%d.log", kind, i+1))
		log, err := os.Create(name)
		if err != nil {
			return p, err
		}
		c := exec.Command(self, append([]string{kind}, a...)...)
		c.Stdout, c.Stderr = log, log
		// In a group of its own: a terminal's Ctrl-C is for the client, which ends them.
		c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
		err = c.Start()
		_ = log.Close() // the process has its own descriptor
		if err != nil {
			return p, fmt.Errorf("start %s: %w", kind, err)
		}
		ended := make(chan struct{})
		p.commands, p.logs, p.ended = append(p.commands, c), append(p.logs, name), append(p.ended, ended)
		go func() { _ = c.Wait(); close(ended) }()
	}
	return p, nil
}

// await asks until the answer is nil, for as long as all processes run.
func (p *processes) await(ctx context.Context, what string, ask func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, peerReadyTimeout)
	defer cancel()
	for {
		err := ask(ctx)
		if err == nil {
			return nil
		}
		for i, ended := range p.ended {
			select {
			case <-ended:
				return fmt.Errorf("%s: server %d ended by itself: %s", what, i+1, lastWords(p.logs[i]))
			default:
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: not within %v: %w; server 1 says: %s", what, peerReadyTimeout, err, lastWords(p.logs[0]))
		case <-time.After(peerPoll):
		}
	}
}

// cpuTime is the processor time of the processes.
func (p *processes) cpuTime() (sum time.Duration, err error) {
	for i, c := range p.commands {
		used, err := target.ProcessTime(c.Process.Pid)
		if err != nil {
			return 0, fmt.Errorf("processor time of server %d: %w; it says: %s", i+1, err, lastWords(p.logs[i]))
		}
		sum += used
	}
	return sum, nil
}

// peakBytes is the most memory that one of the processes ever had resident.
func (p *processes) peakBytes() (most int64, err error) {
	for i, c := range p.commands {
		peak, err := target.PeakBytesOf(c.Process.Pid)
		if err != nil {
			return 0, fmt.Errorf("memory of server %d: %w; it says: %s", i+1, err, lastWords(p.logs[i]))
		}
		most = max(most, peak)
	}
	return most, nil
}

// stop ends the processes, with SIGTERM and, if that is not enough, SIGKILL.
func (p *processes) stop() error {
	var errs []error
	for _, c := range p.commands {
		if err := c.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
			errs = append(errs, err)
		}
	}
	limit := time.After(peerStopTimeout)
	for i, c := range p.commands {
		select {
		case <-p.ended[i]:
			continue
		case <-limit:
			limit = time.After(0)
		}
		_ = c.Process.Kill()
		<-p.ended[i]
	}
	return errors.Join(errs...)
}

// lastWords is the end of a log.
func lastWords(log string) string {
	text, err := os.ReadFile(log)
	if err != nil {
		return err.Error()
	}
	text = bytes.TrimSpace(text)
	return string(text[max(0, len(text)-lastWordsBytes):])
}

// freeAddresses finds free ports on loopback, for the processes to take.
func freeAddresses(n int) (addresses []string, err error) {
	for range n {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer func() { _ = listener.Close() }()
		addresses = append(addresses, listener.Addr().String())
	}
	return addresses, nil
}

// versionOf is the version of a module within this program.
func versionOf(module string) string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, dependency := range info.Deps {
			if dependency.Path == module {
				return strings.TrimPrefix(dependency.Version, "v")
			}
		}
	}
	return ""
}

// untilTold waits for the signal that ends a server.
func untilTold(ended <-chan struct{}, told <-chan os.Signal) error {
	select {
	case <-told:
		return nil
	case <-ended:
		return errors.New("the server ended by itself")
	}
}
