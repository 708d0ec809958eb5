package main

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/playhead-load/playhead/sim/driver"
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

// leaseSlack is how far a target's lease, read off one answer by our own clock, may
// be from the scenario's: a second for the clocks, and a tenth of it.
func leaseSlack(lease time.Duration) time.Duration { return time.Second + lease/10 }

// checkTerms compares the terms that a target gives with the scenario's, by which
// the auditor judges admissions.
func checkTerms(ctx context.Context, target string, access *access, keepalive, lease time.Duration) error {
	terms, err := driver.AskTerms(ctx, target, access.devices())
	if err != nil {
		return access.explained(err)
	}
	longest, shortest := terms.Lease, terms.Lease-terms.Took
	if terms.Keepalive != keepalive || longest < lease-leaseSlack(lease) || shortest > lease+leaseSlack(lease) {
		return usageError{fmt.Errorf(
			"the target asks for a keepalive every %v and leases streams for %v; the scenario means %v and %v on the clock on the wall: start the target with --keepalive %v --lease %v, or change the scenario's target or its time_scale",
			terms.Keepalive, terms.Lease.Round(100*time.Millisecond), keepalive, lease, keepalive, lease)}
	}
	return nil
}
