package audit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/playhead-load/playhead/viewing"
)

// KindReplicas is the kind of violation that Replicas finds.
const KindReplicas = "replica_mismatches"

// Replicas compares the nodes of a reference cluster: of every entry that two of them
// remember, both tell the same digest of their state. It writes once, so that all of
// them have an entry to compare. An error means that they could not be compared.
func Replicas(ctx context.Context, urls []string, defaultStreams int) ([]Example, error) {
	r := reader{client: &http.Client{CheckRedirect: followNone}, urls: urls}
	defer r.client.CloseIdleConnections()
	index, err := r.settle(ctx, defaultStreams)
	if err != nil {
		return nil, fmt.Errorf("audit: compare the replicas: %w", err)
	}
	first := map[uint64]told{}
	compared := 0
	var differing []Example
	for _, url := range urls {
		node, err := r.digests(ctx, url, index)
		if err != nil {
			return nil, fmt.Errorf("audit: compare the replicas: %w", err)
		}
		for _, d := range node.Digests {
			before, known := first[d.Index]
			switch {
			case !known:
				first[d.Index] = told{node.NodeID, d.Digest}
			case before.digest != d.Digest:
				differing = append(differing, Example{Kind: KindReplicas, Detail: fmt.Sprintf(
					"after entry %d the state of %s is %.12s… and that of %s %.12s…", d.Index, before.node, before.digest, node.NodeID, d.Digest)})
				fallthrough
			default:
				compared++
			}
		}
	}
	if compared == 0 && len(urls) > 1 {
		return nil, errors.New("audit: compare the replicas: they remember no entry in common")
	}
	return differing, nil
}

type told struct{ node, digest string }

// settle writes an entry, and tells its index.
func (r *reader) settle(ctx context.Context, streams int) (index string, err error) {
	path := fmt.Sprintf("%s/v1/accounts/%d", r.urls[0], uint64(viewing.MaxAccountID))
	request, err := http.NewRequestWithContext(ctx, http.MethodPut, path, strings.NewReader(fmt.Sprintf(`{"max_streams":%d}`, streams)))
	if err != nil {
		return "", err
	}
	header, err := r.exchange(request, nil)
	return header.Get("Playhead-Index"), err
}

type nodeDigests struct {
	NodeID  string `json:"node_id"`
	Digests []struct {
		Index  uint64 `json:"index"`
		Digest string `json:"digest"`
	} `json:"digests"`
}

// digests asks a node for its digests, after it shows the entry at index.
func (r *reader) digests(ctx context.Context, url, index string) (node nodeDigests, err error) {
	path := fmt.Sprintf("%s/v1/accounts/%d/sessions?consistency=stale", url, uint64(viewing.MaxAccountID))
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, path, http.NoBody)
	if err != nil {
		return node, err
	}
	request.Header.Set("Playhead-Min-Index", index)
	if _, err := r.exchange(request, nil); err != nil {
		return node, err
	}
	request, err = http.NewRequestWithContext(ctx, http.MethodGet, url+"/v1/cluster/digests", http.NoBody)
	if err != nil {
		return node, err
	}
	_, err = r.exchange(request, &node)
	return node, err
}

// exchange makes a request, again while the node says
// that it cannot answer now, and reads the answer into answer unless that is nil.
func (r *reader) exchange(request *http.Request, answer any) (http.Header, error) {
	var err error
	for range askTries {
		status, header, body, sendErr := r.send(request)
		switch {
		case sendErr != nil:
			err = sendErr
		case status != http.StatusOK:
			err = fmt.Errorf("%s %s: status %d: %s", request.Method, request.URL, status, body)
		case answer == nil:
			return header, nil
		default:
			return header, json.Unmarshal(body, answer)
		}
		select {
		case <-request.Context().Done():
			return nil, err
		case <-time.After(askAgainAfter):
		}
	}
	return nil, err
}
