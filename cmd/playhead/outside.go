package main

import (
	"context"
	"fmt"
	"time"

	"github.com/playhead-load/playhead/plan"
)

// parseURLs checks the URLs that a flag names.
func parseURLs(flag string, texts []string) ([]string, error) {
	var urls []string
	for _, text := range texts {
		u, err := plan.TargetURL(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", flag, err)
		}
		urls = append(urls, u)
	}
	return urls, nil
}

// checkTerms compares the terms that a target gives with the scenario's, by which
// the auditor judges admissions.
func checkTerms(ctx context.Context, target string, access *access, keepalive, lease time.Duration) error {
	terms, err := plan.AskTerms(ctx, target, access.devices(), lease)
	if err != nil {
		return access.explained(err)
	}
	if err := plan.CheckTerms(terms, keepalive, lease); err != nil {
		return usageError{err}
	}
	return nil
}
