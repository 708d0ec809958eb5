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

// SetLimits tells the target how many streams each account may play at once. A
// target that cannot say yes at once is asked again, a few times.
func SetLimits(ctx context.Context, targets []string, limits map[uint64]int, connections int) error {
	client := &http.Client{
		Transport: &http.Transport{MaxIdleConnsPerHost: connections, MaxIdleConns: connections * len(targets)},
		Timeout:   10 * time.Second,
	}
	defer client.CloseIdleConnections()
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(connections)
	for account, streams := range limits {
		if ctx.Err() != nil {
			break
		}
		group.Go(func() error {
			var err error
			for try := range maxTries {
				url := fmt.Sprintf("%s/v1/accounts/%d", targets[(int(account%uint64(len(targets)))+try)%len(targets)], account)
				if err = setLimit(ctx, client, url, streams); err == nil {
					return nil
				}
				select {
				case <-ctx.Done():
					return err
				case <-time.After(retryWait):
				}
			}
			return err
		})
	}
	return group.Wait()
}

func setLimit(ctx context.Context, client *http.Client, url string, streams int) error {
	body := fmt.Appendf(nil, `{"max_streams":%d}`, streams)
	request, err := http.NewRequestWithContext(ctx, http.MethodPut, url, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("set a stream limit: %w", err)
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("set a stream limit: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("set a stream limit: %w", err)
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("set a stream limit: PUT %s: %s: %s", url, response.Status, bytes.TrimSpace(answer))
	}
	return nil
}
