package target

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// overloadClient is for many requests at once that may each take long.
var overloadClient = &http.Client{Timeout: time.Minute, Transport: &http.Transport{MaxIdleConnsPerHost: 64}}

// firstAccount makes the names of accounts equally long.
const firstAccount = 100_000

// batchOf is events of the session of firstAccount, seqs from 0 on.
func batchOf(events int) []byte {
	var body bytes.Buffer
	for seq := range events {
		fmt.Fprintf(&body, `{"session_id":"%s","seq":%d,"type":"keepalive","at":"2026-11-23T21:12:45.123Z","account_id":%d,"profile_id":1,"device_id":%d,"device_type":"tv","title_id":80,"position_ms":%d,"played_ms":%d}`+"\n",
			overloadSession(firstAccount), seq, firstAccount, firstAccount, seq, seq)
	}
	return body.Bytes()
}

// postEvents posts a batch as that of another account, and returns status and header.
func postEvents(t *testing.T, url string, account, events int, batch []byte) (int, http.Header) {
	t.Helper()
	body := bytes.NewReader(bytes.ReplaceAll(batch, fmt.Append(nil, firstAccount), fmt.Append(nil, account)))
	response, err := overloadClient.Post(url+"/v1/events", "application/x-ndjson", body)
	if err != nil {
		t.Log(err)
		return 0, nil
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if accepted := bytes.Count(answer, []byte(`"accepted"`)); err != nil || response.StatusCode == http.StatusOK && accepted != events {
		t.Errorf("%d of %d events were accepted: %v", accepted, events, err)
	}
	return response.StatusCode, response.Header
}

func overloadSession(account int) string {
	return fmt.Sprintf("00000000-0000-4000-9000-%012d", account)
}

// eventsOf is how many events the account's session has, 0 if nothing is known of it.
func eventsOf(t *testing.T, url string, account int) int {
	t.Helper()
	response, err := overloadClient.Get(fmt.Sprintf("%s/v1/accounts/%d/sessions/%s?consistency=linearizable", url, account, overloadSession(account)))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var session struct{ Events int }
	switch response.StatusCode {
	case http.StatusNotFound:
	case http.StatusOK:
		if err := json.NewDecoder(response.Body).Decode(&session); err != nil {
			t.Fatal(err)
		}
	default:
		t.Fatalf("account %d: %s", account, response.Status)
	}
	return session.Events
}

// metric is a figure that a node tells of itself.
func (n *Node) metric(t *testing.T, name string) float64 {
	t.Helper()
	response, err := overloadClient.Get(n.URL + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		if text, ok := strings.CutPrefix(lines.Text(), name+" "); ok {
			value, err := strconv.ParseFloat(text, 64)
			if err != nil {
				t.Fatal(err)
			}
			return value
		}
	}
	t.Fatalf("%s does not tell %s: %v", n.ID, name, lines.Err())
	return 0
}

const residentBytes = "process_resident_memory_bytes"

// descriptorsFor skips the test where the system does not let it have so many.
func descriptorsFor(t *testing.T, connections uint64) {
	t.Helper()
	const others = 2500 // of the test and, on the server's side, those it reserves
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if limit.Max < connections+others {
		t.Skipf("%d descriptors is the hard limit here, %d connections need %d", limit.Max, connections, connections+others)
	}
	limit.Cur = limit.Max
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
}

// Ten thousand connections that do nothing, half of which asked something before,
// cost the server little memory and hold up nobody.
func TestIdleConnections(t *testing.T) {
	t.Parallel()
	const idle, mostEach = 10_000, 40 << 10
	descriptorsFor(t, idle)
	cluster := boot(t, 1)
	node := cluster.Nodes()[0]
	before := node.metric(t, residentBytes)
	for i := range idle {
		conn, err := net.DialTimeout("tcp", strings.TrimPrefix(node.URL, "http://"), readyTimeout)
		if err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
		defer conn.Close()
		if i%2 == 0 {
			continue
		}
		if err := conn.SetDeadline(time.Now().Add(readyTimeout)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, "GET /v1/accounts/42/sessions HTTP/1.1\r\nHost: playhead\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		response, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		_, err = io.Copy(io.Discard, response.Body)
		if err := errors.Join(err, response.Body.Close()); err != nil || response.StatusCode != http.StatusOK {
			t.Fatalf("connection %d: %s, %v", i, response.Status, err)
		}
	}
	// Those that have not asked anything are cut before long, the others stay for two minutes.
	if open := node.metric(t, "playhead_http_connections"); open < idle/2 {
		t.Errorf("%v connections are open", open)
	}
	if status, _ := postEvents(t, node.URL, firstAccount, 100, batchOf(100)); status != http.StatusOK {
		t.Errorf("answered %d", status)
	}
	if got := eventsOf(t, node.URL, firstAccount); got != 100 {
		t.Errorf("%d events are there", got)
	}
	each := (node.metric(t, residentBytes) - before) / idle
	t.Logf("%.1f KiB of memory a connection", each/1024)
	if each > mostEach {
		t.Errorf("a connection takes %.0f bytes, want at most %d", each, mostEach)
	}
}
