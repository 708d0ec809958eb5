package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/playhead-load/playhead/sim/driver/drivertest"
	simtarget "github.com/playhead-load/playhead/sim/target"
)

// Limits of running a process.
const (
	startTimeout = 60 * time.Second // until its first request: k6 makes a thousand VUs before
	endTimeout   = 60 * time.Second // after its length
	pollEvery    = 10 * time.Millisecond
	lastWords    = 500 // bytes of what it said that an error shows
)

// processes are what this program runs as when its first argument names one. What they
// say at their end they write to out.
var processes = map[string]func(args []string, out io.Writer) error{
	"target":     serveTarget,
	"playhead":   playPopulation,
	"steady":     playSteady,
	"nethttp":    loopNetHTTP,
	"fasthttp":   loopFastHTTP,
	"vegeta":     attackVegeta,
	targetFrozen: serveFrozenTarget,
}

// The processors of the two sides, where there are two.
const (
	targetCPU    = 0
	generatorCPU = 1
	anyCPU       = -1
)

// process is a running program.
type process struct {
	command        *exec.Cmd
	stdout, stderr bytes.Buffer // to be read once it has ended
	ended          chan struct{}
}

// startProcess starts a program, on that processor alone if it can be had. It dies with
// this one, however that ends.
func startProcess(cpu int, argv []string, stdin string, files ...*os.File) (*process, error) {
	if taskset, err := exec.LookPath("taskset"); err == nil && cpu != anyCPU && runtime.NumCPU() > 1 {
		argv = append([]string{taskset, "-c", strconv.Itoa(cpu)}, argv...)
	}
	p := &process{command: exec.Command(argv[0], argv[1:]...), ended: make(chan struct{})}
	p.command.Stdin, p.command.Stdout, p.command.Stderr = strings.NewReader(stdin), &p.stdout, &p.stderr
	p.command.ExtraFiles = files
	// In a group of its own: a terminal's Ctrl-C is for this program, which ends it.
	p.command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := p.command.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", argv[0], err)
	}
	go func() { _ = p.command.Wait(); close(p.ended) }()
	return p, nil
}

// kill ends the process, if it has not ended.
func (p *process) kill() {
	_ = p.command.Process.Kill()
	<-p.ended
}

// wait waits until the process has ended by itself, and well.
func (p *process) wait(ctx context.Context, limit time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(limit):
		return fmt.Errorf("it had not ended %v later", limit)
	case <-p.ended:
	}
	return p.failure()
}

// failure is why a process that has ended did not end well, if it did not.
func (p *process) failure() error {
	if p.command.ProcessState.Success() {
		return nil
	}
	said := bytes.TrimSpace(append(p.stdout.Bytes(), p.stderr.Bytes()...))
	return fmt.Errorf("%s: %s", p.command.ProcessState, said[max(0, len(said)-lastWords):])
}

func (p *process) proc(name string) string {
	return filepath.Join("/proc", strconv.Itoa(p.command.Process.Pid), name)
}

// cpuTime is the processor time that the process has used.
func (p *process) cpuTime() (time.Duration, error) {
	return simtarget.ProcessTime(p.command.Process.Pid)
}

// residentBytes is the memory that the process has.
func (p *process) residentBytes() (int64, error) {
	statm, err := os.ReadFile(p.proc("statm"))
	if err != nil {
		return 0, err
	}
	fields := bytes.Fields(statm)
	if len(fields) < 2 {
		return 0, errors.New("memory: the process has ended")
	}
	pages, err := strconv.ParseInt(string(fields[1]), 10, 64)
	return pages * int64(os.Getpagesize()), err
}

// sockets is how many the process has open.
func (p *process) sockets() (count int64, err error) {
	descriptors, err := os.ReadDir(p.proc("fd"))
	if err != nil {
		return 0, err
	}
	for _, d := range descriptors {
		if to, err := os.Readlink(filepath.Join(p.proc("fd"), d.Name())); err == nil && strings.HasPrefix(to, "socket:") {
			count++
		}
	}
	return count, nil
}

// target is the server in a process of its own.
type target struct {
	*process
	url string
}

// startTarget starts this program as a target of that kind. It inherits its listener.
func startTarget(cpu int, kind string, args ...string) (*target, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	defer func() { _ = l.Close() }()
	file, err := l.(*net.TCPListener).File()
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p, err := startProcess(cpu, append([]string{self, kind}, args...), "", file)
	if err != nil {
		return nil, err
	}
	return &target{p, "http://" + l.Addr().String()}, nil
}

// asked is how many requests the target was asked so far.
func (t *target) asked(ctx context.Context) (int64, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, t.url+drivertest.AskedPath, nil)
	if err != nil {
		return 0, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err
	}
	defer func() { _ = response.Body.Close() }()
	var asked int64
	err = json.NewDecoder(response.Body).Decode(&asked)
	return asked, err
}

// await waits until the target was asked by p.
func (t *target) await(ctx context.Context, p *process) error {
	for deadline := time.Now().Add(startTimeout); ; {
		asked, err := t.asked(ctx)
		if err != nil || asked > 0 {
			return err
		}
		select {
		case <-p.ended:
			return errors.Join(errors.New("it ended and had sent nothing"), p.failure())
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pollEvery):
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("it sent nothing within %v", startTimeout)
		}
	}
}

// inherited is the listener that a target was started with.
func inherited() (net.Listener, error) { return net.FileListener(os.NewFile(3, "listener")) }

// serveTarget is a target that holds every answer back as long as its argument says.
func serveTarget(args []string, _ io.Writer) error {
	held, err := time.ParseDuration(args[0])
	if err != nil {
		return err
	}
	var delay drivertest.Delay
	if held > 0 {
		delay = func(int64, time.Time) time.Duration { return held }
	}
	l, err := inherited()
	if err != nil {
		return err
	}
	return drivertest.NewTarget(delay).Serve(l)
}

// targetFrozen is the kind of a target that freezes.
const targetFrozen = "target-frozen"

func serveFrozenTarget([]string, io.Writer) error {
	l, err := inherited()
	if err != nil {
		return err
	}
	return drivertest.NewTarget(freeze.Delay).Serve(l)
}
