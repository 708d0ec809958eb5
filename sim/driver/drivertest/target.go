package drivertest

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/playhead-load/playhead/http1"
)

// AskedPath is where a Target tells how many requests it was asked, this one left out.
const AskedPath = "/asked"

// readHeadTimeout bounds how long a client may take over a request's head.
const readHeadTimeout = 10 * time.Second

// Delay is how long an answer to the n-th request, counted from 0, is held back when it
// arrives at that moment. It is called from many goroutines at once.
type Delay func(n int64, at time.Time) time.Duration

// Target answers every request as a server that is well answers one event, after its
// delay.
type Target struct {
	delay Delay
	asked atomic.Int64
}

// NewTarget returns a target; without a delay it answers at once.
func NewTarget(delay Delay) *Target { return &Target{delay: delay} }

// Serve answers on the connections of l until it fails.
func (t *Target) Serve(l net.Listener) error {
	return http1.NewServer(&http.Server{Handler: t, ReadHeaderTimeout: readHeadTimeout}).Serve(l)
}

// ServeHTTP implements http.Handler.
func (t *Target) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == AskedPath {
		fmt.Fprint(w, t.asked.Load())
		return
	}
	n := t.asked.Add(1) - 1
	if t.delay != nil {
		if held := t.delay(n, time.Now()); held > 0 {
			time.Sleep(held)
		}
	}
	answer := `{}`
	switch {
	case r.URL.Path == "/v1/events":
		answer = `{"outcomes":[{"status":"accepted"}]}`
	case r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/sessions"):
		w.WriteHeader(http.StatusCreated)
		answer = `{"position_ms":0}`
	}
	_, _ = io.WriteString(w, answer)
}
