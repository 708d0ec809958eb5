package raft

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
)

// Limits of hello: one JSON line each way, after the byte 'H'.
const (
	maxHelloRequestBytes = 256
	maxHelloAnswerBytes  = 4096
	helloServeWithin     = time.Second
	helloAskWithin       = 500 * time.Millisecond // three times the way there and back, with TLS
)

type helloRequest struct {
	Version int    `json:"version"` // 1
	NodeID  string `json:"node_id"` // who asks
}

// helloAnswer is what a node says of itself to the other nodes: to anyone who can
// reach its raft port, where the nodes do not prove who they are.
type helloAnswer struct {
	NodeID       string `json:"node_id"`
	ClusterID    string `json:"cluster_id"` // empty: in no cluster, or not known yet
	RaftAddress  string `json:"raft_address"`
	HTTPAddress  string `json:"http_address"`
	Bootstrapped bool   `json:"bootstrapped"` // has any log, term or snapshot
	LastIndex    uint64 `json:"last_index"`   // of its log; 1 when it was founded and no leader was elected yet
	Role         string `json:"role"`
	LeaderID     string `json:"leader_id"`
	Snapshot     bool   `json:"snapshot,omitempty"` // it writes one, or is about to
}

// serveHello answers one request on a connection whose first byte was read.
// Whatever is not exactly one line of the request, or names another node than the
// one that asks, is cut without an answer.
func serveHello(conn net.Conn, answer func() helloAnswer) {
	_ = conn.SetDeadline(time.Now().Add(helloServeWithin))
	line, err := readLine(conn, maxHelloRequestBytes)
	if err != nil {
		return
	}
	var request helloRequest
	if err := json.Unmarshal(line, &request); err != nil || request.Version != 1 {
		return
	}
	if held, ok := conn.(*heldConn); ok && !names(held.Conn, request.NodeID) {
		return
	}
	body, err := json.Marshal(answer())
	if err != nil {
		return
	}
	_, _ = conn.Write(append(body, '\n'))
}

// askHello asks the node that is dialled there who it is, within helloAskWithin.
func askHello(ctx context.Context, to, nodeID string, identity func() Identity) (helloAnswer, error) {
	ctx, cancel := context.WithTimeout(ctx, helloAskWithin)
	defer cancel()
	answer, err := exchangeHello(ctx, to, nodeID, identity)
	if err != nil {
		return helloAnswer{}, fmt.Errorf("hello to %s: %w", to, err)
	}
	return answer, nil
}

func exchangeHello(ctx context.Context, to, nodeID string, identity func() Identity) (answer helloAnswer, err error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", to)
	if err != nil {
		return answer, err
	}
	if conn, err = prove(ctx, conn, identity, ""); err != nil {
		return answer, err
	}
	defer func() { _ = conn.Close() }()
	deadline, _ := ctx.Deadline()
	_ = conn.SetDeadline(deadline)
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	body, err := json.Marshal(helloRequest{Version: 1, NodeID: nodeID})
	if err != nil {
		return answer, err
	}
	if _, err := conn.Write(append(append([]byte{helloByte}, body...), '\n')); err != nil {
		return answer, err
	}
	line, err := readLine(conn, maxHelloAnswerBytes)
	if err != nil {
		return answer, err
	}
	if err := json.Unmarshal(line, &answer); err != nil {
		return answer, err
	}
	if answer.NodeID == "" || answer.RaftAddress == "" {
		return answer, errors.New("the answer names no node")
	}
	if !names(conn, answer.NodeID) {
		return answer, fmt.Errorf("it says that it is %q, its certificate does not", answer.NodeID)
	}
	return answer, nil
}

// readLine reads up to a newline, at most limit bytes.
func readLine(r io.Reader, limit int64) ([]byte, error) {
	line, err := bufio.NewReader(io.LimitReader(r, limit)).ReadBytes('\n')
	if err != nil {
		return nil, fmt.Errorf("expected a line of at most %d bytes: %w", limit, err)
	}
	return bytes.TrimSuffix(line, []byte("\n")), nil
}

// Cache of what peers said of themselves.
const (
	peerFresh      = 10 * time.Second // an answer
	peerRetryAfter = time.Second      // no answer
)

// peerBook remembers the HTTP addresses of the peers.
type peerBook struct {
	nodeID   string          // ours, named when asking
	identity func() Identity // nil: peers are believed
	detours  Detours
	asking   singleflight.Group // one question at a time to an address
	mu       sync.Mutex
	known    map[string]peerEntry // by raft address; pruned when the members change
}

func newPeerBook(cfg Config) *peerBook {
	return &peerBook{nodeID: cfg.NodeID, identity: cfg.Identity, detours: cfg.DialThrough, known: map[string]peerEntry{}}
}

type peerEntry struct {
	answer   helloAnswer // the last one
	at       time.Time   // of the answer; zero: none, or out of date
	err      error       // of the last question
	failedAt time.Time
}

// ask returns the peer's answer, from memory while it is fresh. With an error
// it returns the last known answer, if there is one.
func (p *peerBook) ask(ctx context.Context, raftAddress string) (helloAnswer, error) {
	if known, fresh := p.look(raftAddress); fresh {
		return known.answer, known.err
	}
	// The question goes on when a caller leaves: its haste says nothing about the peer.
	asked := p.asking.DoChan(raftAddress, func() (any, error) {
		if known, fresh := p.look(raftAddress); fresh { // answered a moment ago
			return known, nil
		}
		answer, err := askHello(context.WithoutCancel(ctx), p.detours.to(raftAddress), p.nodeID, p.identity)
		return p.note(raftAddress, answer, err), nil
	})
	select {
	case got := <-asked:
		known := got.Val.(peerEntry)
		return known.answer, known.err
	case <-ctx.Done():
		known, _ := p.look(raftAddress)
		return known.answer, ctx.Err()
	}
}

func (p *peerBook) look(raftAddress string) (known peerEntry, fresh bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	known = p.known[raftAddress]
	return known, time.Since(known.at) < peerFresh || time.Since(known.failedAt) < peerRetryAfter
}

// note keeps the last answer when a question fails.
func (p *peerBook) note(raftAddress string, answer helloAnswer, err error) peerEntry {
	p.mu.Lock()
	defer p.mu.Unlock()
	entry := peerEntry{answer: answer, at: time.Now()}
	if err != nil {
		entry = peerEntry{answer: p.known[raftAddress].answer, err: err, failedAt: time.Now()}
	}
	p.known[raftAddress] = entry
	return entry
}

// forget makes everything known out of date, when the leader or the members
// changed; what was out of date already is dropped.
func (p *peerBook) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for address, known := range p.known {
		if known.answer.NodeID == "" || known.at.IsZero() && known.err == nil {
			delete(p.known, address)
			continue
		}
		p.known[address] = peerEntry{answer: known.answer}
	}
}

// askAll asks every address at the same time; nil where a node did not answer.
func (p *peerBook) askAll(ctx context.Context, raftAddresses []string) []*helloAnswer {
	return askEach(ctx, raftAddresses, p.ask)
}

// askNow is askAll, whatever is known already, and waits for as long as it is told.
func (p *peerBook) askNow(ctx context.Context, within time.Duration, raftAddresses []string) []*helloAnswer {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	return askEach(ctx, raftAddresses, func(ctx context.Context, raftAddress string) (helloAnswer, error) {
		return exchangeHello(ctx, p.detours.to(raftAddress), p.nodeID, p.identity)
	})
}

func askEach(ctx context.Context, raftAddresses []string, ask func(ctx context.Context, raftAddress string) (helloAnswer, error)) []*helloAnswer {
	answers := make([]*helloAnswer, len(raftAddresses))
	var asked sync.WaitGroup
	for i, raftAddress := range raftAddresses {
		asked.Go(func() {
			if answer, err := ask(ctx, raftAddress); err == nil {
				answers[i] = &answer
			}
		})
	}
	asked.Wait()
	return answers
}
