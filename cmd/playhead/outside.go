package main

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/playhead-load/playhead/plan"
)

// parseURLs checks the URLs that a flag names.
func parseURLs(flag string, texts []string) ([]string, error) {
	var urls []string
	for _, text := range texts {
		u, err := url.Parse(text)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
			return nil, fmt.Errorf("%s: expected a URL such as http://127.0.0.1:8080, got %q", flag, text)
		}
		urls = append(urls, strings.TrimRight(text, "/"))
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
