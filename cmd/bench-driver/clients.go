package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	vegeta "github.com/tsenart/vegeta/v12/lib"
	"github.com/valyala/fasthttp"
	"golang.org/x/sync/errgroup"

	"github.com/playhead-load/playhead/results"
)

// postBody is what all but Playhead's driver send: a short keepalive of 204 bytes.
const postBody = `[{"session_id":"01935b6e-2c1a-7c3e-9d1f-5a0c6e1b2d3f","seq":7,"type":"keepalive","at":"2026-11-23T20:15:00.123Z","account_id":4,"profile_id":1,"device_id":9,"device_type":"tv","title_id":8,"played_ms":0}]`

// leanEvery is how often a lean process collects its garbage.
const leanEvery = 100 * time.Millisecond

// readLoad reads what a process was told to make, and has it be lean if it is to be.
func readLoad(args []string) (l load, err error) {
	if err := json.Unmarshal([]byte(args[0]), &l); err != nil {
		return l, err
	}
	if l.Lean {
		go func() {
			for range time.Tick(leanEvery) {
				debug.FreeOSMemory()
			}
		}()
	}
	return l, nil
}

// tell writes what a process has to say.
func tell(out io.Writer, s said) error { return json.NewEncoder(out).Encode(s) }

func newHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(results.MinTimeUS, results.MaxTimeUS, results.SignificantDigits)
}

func percentilesOf(h *hdrhistogram.Histogram) results.Percentiles {
	at := func(percent float64) float64 { return float64(h.ValueAtPercentile(percent)) / 1000 }
	return results.Percentiles{P50: at(50), P90: at(90), P99: at(99), P999: at(99.9), Max: float64(h.Max()) / 1000}
}

// loop sends on every connection as soon as the last request on it was answered, for the
// load's length. It calls connect once a connection, and what that returns once a request.
func loop(l load, out io.Writer, connect func() (send func() error)) error {
	var mu sync.Mutex
	histogram := newHistogram() // one: a thousand of them would be the memory of a thousand connections
	until := time.Now().Add(l.Length)
	var group errgroup.Group
	for range l.Connections {
		group.Go(func() error {
			send := connect()
			for begun := time.Now(); begun.Before(until); {
				if err := send(); err != nil {
					return err
				}
				now := time.Now()
				mu.Lock()
				err := histogram.RecordValue(min(now.Sub(begun).Microseconds(), results.MaxTimeUS))
				mu.Unlock()
				if err != nil {
					return err
				}
				begun = now
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return tell(out, said{Percentiles: percentilesOf(histogram)})
}

func loopNetHTTP(args []string, out io.Writer) error {
	l, err := readLoad(args)
	if err != nil {
		return err
	}
	client := &http.Client{Transport: &http.Transport{MaxIdleConns: l.Connections, MaxIdleConnsPerHost: l.Connections, DisableCompression: true}}
	body := []byte(l.Body)
	send := func() error {
		request, err := http.NewRequestWithContext(context.Background(), http.MethodPost, l.URL+"/v1/events", bytes.NewReader(body))
		if err != nil {
			return err
		}
		request.Header.Set("Content-Type", "application/json")
		response, err := client.Do(request)
		if err != nil {
			return err
		}
		defer func() { _ = response.Body.Close() }()
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("answered %s", response.Status)
		}
		_, err = io.Copy(io.Discard, response.Body)
		return err
	}
	return loop(l, out, func() func() error { return send })
}

func loopFastHTTP(args []string, out io.Writer) error {
	l, err := readLoad(args)
	if err != nil {
		return err
	}
	client := &fasthttp.HostClient{Addr: strings.TrimPrefix(l.URL, "http://"), MaxConns: l.Connections}
	return loop(l, out, func() func() error {
		request, response := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
		request.Header.SetMethod(http.MethodPost)
		request.SetRequestURI(l.URL + "/v1/events")
		request.Header.SetContentType("application/json")
		request.SetBodyString(l.Body)
		return func() error {
			if err := client.Do(request, response); err != nil {
				return err
			}
			if response.StatusCode() != http.StatusOK {
				return fmt.Errorf("answered %d", response.StatusCode())
			}
			return nil
		}
	})
}

func attackVegeta(args []string, out io.Writer) error {
	l, err := readLoad(args)
	if err != nil {
		return err
	}
	options := []func(*vegeta.Attacker){vegeta.KeepAlive(true)}
	if l.Connections > 0 {
		options = append(options, vegeta.Connections(l.Connections), vegeta.Workers(uint64(l.Connections)), vegeta.MaxWorkers(uint64(l.Connections)))
	}
	targeter := vegeta.NewStaticTargeter(vegeta.Target{
		Method: http.MethodPost, URL: l.URL + "/v1/events", Body: []byte(l.Body), Header: http.Header{"Content-Type": {"application/json"}},
	})
	rate := vegeta.Rate{Freq: int(l.PerS), Per: time.Second} // 0 is as fast as the workers go
	var metrics vegeta.Metrics
	for result := range vegeta.NewAttacker(options...).Attack(targeter, rate, l.Length, "") {
		metrics.Add(result)
	}
	metrics.Close()
	if len(metrics.Errors) > 0 {
		return fmt.Errorf("vegeta: %s", metrics.Errors[0])
	}
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	at := &metrics.Latencies
	return tell(out, said{Percentiles: results.Percentiles{P50: ms(at.P50), P90: ms(at.P90), P99: ms(at.P99), Max: ms(at.Max)}})
}
