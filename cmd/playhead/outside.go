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
	slack := leaseSlack(lease)
	terms, err := askTerms(ctx, target, access, slack/2)
	if err != nil {
		return access.explained(err)
	}
	longest, shortest := terms.Lease, terms.Lease-terms.Took
	if terms.Keepalive != keepalive || longest < lease-slack || shortest > lease+slack {
		told := longest.Round(100 * time.Millisecond).String()
		if low := shortest.Round(100 * time.Millisecond); low.String() != told {
			told = fmt.Sprintf("%v to %v, as far as its slow answer tells,", low, told)
		}
		return usageError{fmt.Errorf(
			"the target asks for a keepalive every %v and leases streams for %s; the scenario means %v and %v on the clock on the wall: start the target with --keepalive %v --lease %v, or change the scenario's target or its time_scale",
			terms.Keepalive, told, keepalive, lease, keepalive, lease)}
	}
	return nil
}

// termsAsked is how often a target is asked for its terms that answers too late to know
// its lease by.
const termsAsked = 3

// askTerms asks until the answer comes within a time, or often enough: the quickest tells
// the lease best.
func askTerms(ctx context.Context, target string, access *access, within time.Duration) (quickest driver.Terms, err error) {
	for asked := range termsAsked {
		terms, err := driver.AskTerms(ctx, target, access.devices())
		if err != nil {
			return terms, err
		}
		if asked == 0 || terms.Took < quickest.Took {
			quickest = terms
		}
		if quickest.Took <= within {
			break
		}
	}
	return quickest, nil
}
