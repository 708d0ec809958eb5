package server

import (
	"encoding/binary"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/playhead-load/playhead/http1"
	"github.com/playhead-load/playhead/viewing"
	"github.com/playhead-load/playhead/viewing/wire"
)

// Requests over a socket against a node alone, with a client that allocates nothing:
// what is counted is the server's, the log's share included.

func BenchmarkPostEvents(b *testing.B) {
	for _, batch := range []int{1, 100} {
		b.Run(fmt.Sprint(batch), func(b *testing.B) {
			benchmarkRequests(b, func(connection int) func(dst []byte, i int) []byte {
				var body []byte
				return func(dst []byte, i int) []byte {
					body = append(body[:0], '[')
					for n := range batch {
						if n > 0 {
							body = append(body, ',')
						}
						body = wire.AppendEventJSON(body, benchEvent(connection, i*batch+n))
					}
					body = append(body, ']')
					dst = http1.AppendHead(dst, http.MethodPost, "/v1/events", "playhead")
					dst = http1.AppendHeader(dst, "Content-Type", "application/json")
					return http1.AppendBody(dst, body)
				}
			})
		})
	}
}

func BenchmarkGetPosition(b *testing.B) {
	for _, level := range []string{"stale", "leader", "linearizable"} {
		b.Run(level, func(b *testing.B) {
			request := http1.AppendNoBody(http1.AppendHead(nil, http.MethodGet, "/v1/accounts/1/profiles/1/positions/80?consistency="+level, "playhead"))
			benchmarkRequests(b, func(int) func(dst []byte, i int) []byte {
				return func(dst []byte, _ int) []byte { return append(dst, request...) }
			})
		})
	}
}

func benchEvent(connection, i int) *viewing.Event {
	e := &viewing.Event{
		Seq: uint32(i), Type: viewing.Keepalive, At: viewing.Millis(time.Now().UnixMilli()), AccountID: uint64(1 + connection),
		ProfileID: 1, DeviceID: 1, DeviceType: "tv", TitleID: 80, Country: "US", RuntimeMS: 5_400_000, Offline: true,
	}
	binary.BigEndian.PutUint64(e.SessionID[8:], e.AccountID)
	return e
}

// benchmarkRequests sends requests over some connections at once.
func benchmarkRequests(b *testing.B, requests func(connection int) func(dst []byte, i int) []byte) {
	n := startSingle(b)
	n.send(b, http.MethodPost, "/v1/events", []event{newEvent(1, 1, "keepalive").with("account_id", 1).with("offline", true)})
	const connections = 32
	work := make(chan int, connections)
	done := make(chan error, connections)
	b.ReportAllocs()
	b.ResetTimer()
	for connection := range connections {
		next := requests(connection)
		go func() {
			done <- func() error {
				c, err := http1.Dial(b.Context(), n.HTTPAddress(), 0)
				if err != nil {
					return err
				}
				defer func() { _ = c.Close() }()
				var request []byte
				for i := range work {
					request = next(request[:0], i)
					answer, err := c.Do(request, time.Now().Add(answerWithin))
					if err != nil {
						return err
					}
					if answer.Status != http.StatusOK {
						return fmt.Errorf("answered %d %s", answer.Status, answer.Body)
					}
				}
				return nil
			}()
		}()
	}
	for i := range b.N {
		work <- i
	}
	close(work)
	for range connections {
		if err := <-done; err != nil {
			b.Error(err)
		}
	}
}
