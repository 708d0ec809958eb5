package audit

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/playhead-load/playhead/viewing"
)

// Limits of asking the target.
const (
	askTimeout    = 10 * time.Second // of one question
	askTries      = 5                // while the target says that it cannot answer now
	askAgainAfter = 500 * time.Millisecond
	maxAnswer     = 8 << 20 // bytes
	titlesAsked   = 100     // in one question for positions
	viewsAsked    = 100     // on one page of history
	maxPages      = 1000    // of one history
)

// followNone keeps the answers those of the node that was asked.
func followNone(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// reader asks the target's public API, one node after another.
type reader struct {
	client *http.Client
	urls   []string
	bearer func(account uint64) string // nil: no tokens are asked for
}

// Session implements Target.
func (r *reader) Session(ctx context.Context, account uint64, id viewing.SessionID) (*Session, error) {
	var answer Session
	known, err := r.get(ctx, account, fmt.Sprintf("/v1/accounts/%d/sessions/%v", account, id), &answer)
	if err != nil || !known {
		return nil, err
	}
	return &answer, nil
}

// Active implements Target.
func (r *reader) Active(ctx context.Context, account uint64) ([]viewing.SessionID, error) {
	var answer struct {
		Active []struct {
			SessionID viewing.SessionID `json:"session_id"`
		} `json:"active"`
	}
	if _, err := r.get(ctx, account, fmt.Sprintf("/v1/accounts/%d/sessions", account), &answer); err != nil {
		return nil, err
	}
	ids := make([]viewing.SessionID, len(answer.Active))
	for i, stream := range answer.Active {
		ids[i] = stream.SessionID
	}
	return ids, nil
}

// Positions implements Target.
func (r *reader) Positions(ctx context.Context, account uint64, profile uint8, titles []uint32) (map[uint32]Position, error) {
	known := map[uint32]Position{}
	for len(titles) > 0 {
		n := min(len(titles), titlesAsked)
		list := make([]string, n)
		for i, title := range titles[:n] {
			list[i] = strconv.FormatUint(uint64(title), 10)
		}
		titles = titles[n:]
		var answer struct {
			Positions []Position `json:"positions"`
		}
		path := fmt.Sprintf("/v1/accounts/%d/profiles/%d/positions?title_id=%s", account, profile, strings.Join(list, ","))
		if _, err := r.get(ctx, account, path, &answer); err != nil {
			return nil, err
		}
		for _, p := range answer.Positions {
			known[p.TitleID] = p
		}
	}
	return known, nil
}

// History implements Target: it asks for one page after another.
func (r *reader) History(ctx context.Context, account uint64, profile uint8) ([]View, error) {
	var all []View
	cursor := ""
	for range maxPages {
		var answer struct {
			Views      []View `json:"views"`
			NextCursor string `json:"next_cursor"`
		}
		path := fmt.Sprintf("/v1/accounts/%d/profiles/%d/history?limit=%d&cursor=%s", account, profile, viewsAsked, url.QueryEscape(cursor))
		if _, err := r.get(ctx, account, path, &answer); err != nil {
			return nil, err
		}
		all = append(all, answer.Views...)
		if cursor = answer.NextCursor; cursor == "" {
			return all, nil
		}
	}
	return nil, fmt.Errorf("history of account %d profile %d: more than %d pages", account, profile, maxPages)
}

// get asks for a path, of another node each time the answer is that none can be
// given now. known is false if nothing is known there.
func (r *reader) get(ctx context.Context, account uint64, path string, answer any) (known bool, err error) {
	for try := range askTries {
		node := r.urls[(int(account%uint64(len(r.urls)))+try)%len(r.urls)]
		status, body, askErr := r.once(ctx, account, node+path)
		switch {
		case askErr == nil && status == http.StatusOK:
			if err := json.Unmarshal(body, answer); err != nil {
				return false, fmt.Errorf("audit: GET %s: %w", path, err)
			}
			return true, nil
		case askErr == nil && status == http.StatusNotFound:
			return false, nil
		case askErr == nil:
			err = fmt.Errorf("audit: GET %s: status %d: %s", path, status, body)
		default:
			err = fmt.Errorf("audit: GET %s: %w", path, askErr)
		}
		select {
		case <-ctx.Done():
			return false, err
		case <-time.After(askAgainAfter):
		}
	}
	return false, err
}

func (r *reader) once(ctx context.Context, account uint64, url string) (status int, body []byte, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return 0, nil, err
	}
	if r.bearer != nil {
		request.Header.Set("Authorization", "Bearer "+r.bearer(account))
	}
	status, _, body, err = r.send(request)
	return status, body, err
}

// send makes a request, which may be sent again, and reads its answer.
func (r *reader) send(request *http.Request) (status int, header http.Header, body []byte, err error) {
	ctx, cancel := context.WithTimeout(request.Context(), askTimeout)
	defer cancel()
	sent := request.Clone(ctx)
	if request.GetBody != nil {
		if sent.Body, err = request.GetBody(); err != nil {
			return 0, nil, nil, err
		}
	}
	response, err := r.client.Do(sent)
	if err != nil {
		return 0, nil, nil, err
	}
	defer func() { _ = response.Body.Close() }()
	body, err = io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	return response.StatusCode, response.Header, body, err
}
