package raft

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
)

// repeatEvery is the least time between two lines with the same text: a peer
// that is down would otherwise fill the log with its heartbeats.
const repeatEvery = 5 * time.Second

// expected are warnings of the library that belong to a normal start or a
// planned change; they are told at debug level.
var expected = map[string]bool{
	"heartbeat timeout reached, starting election":  true,
	"Election timeout reached, restarting election": true,
	"no known peers, aborting election":             true,
	"heartbeat timeout reached, not part of a stable configuration or a non-voter, not triggering a leader election": true,
	"not part of stable configuration, aborting election":                                                            true,
	"failed to get previous log":                        true,
	"appendEntries rejected, sending older logs":        true,
	"rejecting pre-vote request since we have a leader": true,
	"rejecting vote request since we have a leader":     true,
	"previous log term mis-match":                       true,
	"nothing new to snapshot":                           true,
	"found temporary snapshot":                          true, // one is being written, or removed
}

// telling are lines of the library about work that may show in the latency.
var telling = map[string]bool{"starting snapshot up to": true, "snapshot complete up to": true}

// logSink passes the library's log lines on to slog.
type logSink struct {
	logger  *slog.Logger
	closing <-chan struct{} // from then on errors are expected
	mu      sync.Mutex
	last    map[string]time.Time // by text; texts are constants of the library, so it stays small
}

func newLibraryLogger(logger *slog.Logger, closing <-chan struct{}) hclog.Logger {
	intercept := hclog.NewInterceptLogger(&hclog.LoggerOptions{Name: "raft", Level: hclog.Off, Output: io.Discard})
	intercept.RegisterSink(&logSink{logger: logger, closing: closing, last: map[string]time.Time{}})
	return intercept
}

// Accept implements hclog.SinkAdapter.
func (s *logSink) Accept(_ string, level hclog.Level, msg string, args ...any) {
	to := slog.LevelDebug
	switch {
	case telling[msg]:
		to = slog.LevelInfo
	case level >= hclog.Warn && !expected[msg] && !s.repeated(msg):
		// What the library calls an error is mostly a peer that does not answer.
		to = slog.LevelWarn
	}
	if !s.logger.Enabled(context.Background(), to) {
		return
	}
	for i, arg := range args {
		if format, ok := arg.(hclog.Format); ok && len(format) > 0 {
			args[i] = fmt.Sprintf(fmt.Sprint(format[0]), format[1:]...)
		}
	}
	s.logger.Log(context.Background(), to, "raft: "+msg, args...)
}

// repeated reports whether the same text was told a moment ago, or does not
// matter any more.
func (s *logSink) repeated(msg string) bool {
	select {
	case <-s.closing:
		return true
	default:
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if now.Sub(s.last[msg]) < repeatEvery {
		return true
	}
	s.last[msg] = now
	return false
}
