package http1

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"syscall"
	"testing"
	"time"
)

const benchAnswer = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nPlayhead-Index: 123456\r\n" +
	"Date: Mon, 23 Nov 2026 20:15:00 GMT\r\nContent-Length: 38\r\n\r\n{\"outcomes\":[{\"status\":\"accepted\"}]}  "

var benchBody = bytes.Repeat([]byte("x"), 204)

// reportCPU tells the processor time of a request, that of the server included: it is
// the same small one for both clients.
func reportCPU(b *testing.B) (stop func()) {
	before := cpuTime()
	return func() { b.ReportMetric(float64((cpuTime()-before).Nanoseconds())/float64(b.N), "cpu-ns/op") }
}

func cpuTime() time.Duration {
	var usage syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func BenchmarkConn(b *testing.B) {
	address := newEcho(b, benchAnswer)
	b.ReportAllocs()
	defer reportCPU(b)()
	b.SetParallelism(16)
	b.RunParallel(func(pb *testing.PB) {
		c, err := Dial(b.Context(), address, 0)
		if err != nil {
			b.Error(err)
			return
		}
		defer c.Close()
		var request []byte
		for pb.Next() {
			request = AppendHeader(AppendHead(request[:0], "POST", "/v1/events", address), "Content-Type", "application/json")
			request = AppendBody(request, benchBody)
			a, err := c.Do(request, time.Now().Add(soon))
			if err != nil || a.Status != 200 {
				b.Error(a, err)
				return
			}
		}
	})
}

func BenchmarkNetHTTP(b *testing.B) {
	address := newEcho(b, benchAnswer)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1000, DisableCompression: true}, Timeout: soon}
	defer client.CloseIdleConnections()
	b.ReportAllocs()
	defer reportCPU(b)()
	b.SetParallelism(16)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			r, err := client.Post("http://"+address+"/v1/events", "application/json", bytes.NewReader(benchBody))
			if err != nil {
				b.Error(err)
				return
			}
			if _, err := io.Copy(io.Discard, r.Body); err != nil {
				b.Error(err)
			}
			_ = r.Body.Close()
		}
	})
}

// BenchmarkServer is a small POST and its answer, by Server and by net/http.
func BenchmarkServer(b *testing.B) {
	whole := httptest.NewServer(http.HandlerFunc(ping))
	b.Cleanup(whole.Close)
	_, plain := serve(b, &http.Server{Handler: http.HandlerFunc(ping)})
	for name, address := range map[string]string{"plain": plain, "net/http": whole.Listener.Addr().String()} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			defer reportCPU(b)()
			b.SetParallelism(16)
			b.RunParallel(func(pb *testing.PB) {
				c := dial(b, address, 0)
				request := post(benchBody)
				for pb.Next() {
					if a, err := c.Do(request, time.Now().Add(soon)); err != nil || a.Status != 200 {
						b.Error(a, err)
						return
					}
				}
			})
		})
	}
}
