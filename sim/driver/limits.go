package driver

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	limitTimeout = 10 * time.Second // of one try to set a limit
	limitsAtOnce = 128              // connections: a door for admins has fewer than one for devices
)

// SetLimits tells the target how many streams each account may play at once. A
// target that cannot say yes at once is asked again, another node each time, a few
// times. It returns the first failure, or the end of ctx.
func SetLimits(ctx context.Context, targets []string, limits map[uint64]int, connections int, access Access) error {
	connections = min(connections, limitsAtOnce)
	asker := asker{access.client(limitTimeout, connections), access.Bearer}
	defer asker.client.CloseIdleConnections()
	group, asking := errgroup.WithContext(ctx)
	group.SetLimit(connections)
	for account, streams := range limits {
		if asking.Err() != nil {
			break
		}
		group.Go(func() error { return asker.setLimitTrying(asking, targets, account, streams) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("set the stream limits: %w", err)
	}
	return nil
}

func (a *asker) setLimitTrying(ctx context.Context, targets []string, account uint64, streams int) error {
	first := int(account % uint64(len(targets)))
	for try := 1; ; try++ {
		url := fmt.Sprintf("%s/v1/accounts/%d", targets[(first+try-1)%len(targets)], account)
		again, err := a.setLimit(ctx, url, account, streams)
		if err == nil || !again || try == maxTries {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(retryWait):
		}
	}
}

// setLimit says with its error whether another try may help.
func (a *asker) setLimit(ctx context.Context, url string, account uint64, streams int) (again bool, err error) {
	status, answer, err := a.exchange(ctx, http.MethodPut, url, account, fmt.Appendf(nil, `{"max_streams":%d}`, streams))
	if err != nil {
		return true, fmt.Errorf("set a stream limit: %w", err)
	}
	if status != http.StatusOK {
		return mayBeRepeated(status), fmt.Errorf("set a stream limit: %w", refused(http.MethodPut, url, status, answer))
	}
	return false, nil
}

// asker makes requests outside the plan.
type asker struct {
	client *http.Client
	bearer func(account uint64) string // nil: no tokens are asked for
}

// exchange makes a request about an account and reads its answer, up to maxAnswer.
func (a *asker) exchange(ctx context.Context, method, url string, account uint64, body []byte) (status int, answer []byte, err error) {
	request, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	if a.bearer != nil {
		request.Header.Set("Authorization", "Bearer "+a.bearer(account))
	}
	response, err := a.client.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = response.Body.Close() }()
	answer, err = io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	return response.StatusCode, answer, err
}

// refused tells of an answer that is no yes, in one line: a problem by its detail
// (RFC 9457).
func refused(method, url string, status int, answer []byte) error {
	var problem struct {
		Detail string `json:"detail"`
	}
	told := strings.Join(strings.Fields(string(answer)), " ")
	if json.Unmarshal(answer, &problem) == nil && problem.Detail != "" {
		told = problem.Detail
	}
	err := fmt.Errorf("%s %s: %d %s: %.200s", method, url, status, http.StatusText(status), told)
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound:
		return refusal{err}
	}
	return err
}

// refusal is the error of an answer 401, 403 or 404.
type refusal struct{ error }

// IsRefusal says of an error of SetLimits or AskTerms whether the target did not let in who
// asked, or had no such door.
func IsRefusal(err error) bool {
	var r refusal
	return errors.As(err, &r)
}
