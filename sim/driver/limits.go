package driver

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"
)

// limitTimeout bounds one try to set a limit.
const limitTimeout = 10 * time.Second

// SetLimits tells the target how many streams each account may play at once. A
// target that cannot say yes at once is asked again, another node each time, a few
// times. It returns the first failure, or the end of ctx.
func SetLimits(ctx context.Context, targets []string, limits map[uint64]int, connections int) error {
	client := &http.Client{
		Transport:     &http.Transport{MaxIdleConnsPerHost: connections, MaxIdleConns: connections * len(targets)},
		CheckRedirect: followNone,
		Timeout:       limitTimeout,
	}
	defer client.CloseIdleConnections()
	group, asking := errgroup.WithContext(ctx)
	group.SetLimit(connections)
	for account, streams := range limits {
		if asking.Err() != nil {
			break
		}
		group.Go(func() error { return setLimitTrying(asking, client, targets, account, streams) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("set the stream limits: %w", err)
	}
	return nil
}

func setLimitTrying(ctx context.Context, client *http.Client, targets []string, account uint64, streams int) error {
	first := int(account % uint64(len(targets)))
	for try := 1; ; try++ {
		url := fmt.Sprintf("%s/v1/accounts/%d", targets[(first+try-1)%len(targets)], account)
		again, err := setLimit(ctx, client, url, streams)
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
func setLimit(ctx context.Context, client *http.Client, url string, streams int) (again bool, err error) {
	status, answer, err := exchange(ctx, client, http.MethodPut, url, fmt.Appendf(nil, `{"max_streams":%d}`, streams))
	if err != nil {
		return true, fmt.Errorf("set a stream limit: %w", err)
	}
	if status != http.StatusOK {
		return mayBeRepeated(status), fmt.Errorf("set a stream limit: %w", refused(http.MethodPut, url, status, answer))
	}
	return false, nil
}

// exchange makes one request outside the plan and reads its answer, up to maxAnswer.
func exchange(ctx context.Context, client *http.Client, method, url string, body []byte) (status int, answer []byte, err error) {
	request, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := client.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = response.Body.Close() }()
	answer, err = io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	return response.StatusCode, answer, err
}

func refused(method, url string, status int, answer []byte) error {
	return fmt.Errorf("%s %s: %d %s: %s", method, url, status, http.StatusText(status), bytes.TrimSpace(answer))
}
