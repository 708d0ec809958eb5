package plan

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/playhead-load/playhead/sim/driver"
)

// TargetURL reads a target's base URL, without a slash at its end.
func TargetURL(text string) (string, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return "", fmt.Errorf("expected a URL such as http://127.0.0.1:8080, got %q", text)
	}
	return strings.TrimRight(text, "/"), nil
}

// leaseSlack is how far a target's lease, read off one answer by our own clock, may
// be from the scenario's: a second for the clocks, and a tenth of it.
func leaseSlack(lease time.Duration) time.Duration { return time.Second + lease/10 }

// termsAsked is how often a target is asked for its terms that answers too late to know
// its lease by.
const termsAsked = 3

// AskTerms asks a target for its terms, again where it answers too late to know a lease
// like this one by, a few times: the quickest answer tells it best.
func AskTerms(ctx context.Context, target string, access driver.Access, lease time.Duration) (driver.Terms, error) {
	return quickest(func() (driver.Terms, error) { return driver.AskTerms(ctx, target, access) }, leaseSlack(lease)/2)
}

func quickest(ask func() (driver.Terms, error), within time.Duration) (best driver.Terms, err error) {
	for asked := range termsAsked {
		terms, err := ask()
		if err != nil {
			return terms, err
		}
		if asked == 0 || terms.Took < best.Took {
			best = terms
		}
		if best.Took <= within {
			break
		}
	}
	return best, nil
}

// CheckTerms compares the terms that a target gives with the scenario's, by which
// the auditor judges admissions: both on the clock on the wall.
func CheckTerms(terms driver.Terms, keepalive, lease time.Duration) error {
	slack := leaseSlack(lease)
	longest, shortest := terms.Lease, terms.Lease-terms.Took
	if terms.Keepalive == keepalive && longest >= lease-slack && shortest <= lease+slack {
		return nil
	}
	told := longest.Round(100 * time.Millisecond).String()
	if low := shortest.Round(100 * time.Millisecond); low.String() != told {
		told = fmt.Sprintf("%v to %v, as far as its slow answer tells,", low, told)
	}
	return fmt.Errorf(
		"the target asks for a keepalive every %v and leases streams for %s; the scenario means %v and %v on the clock on the wall: start the target with --keepalive %v --lease %v, or change the scenario's target or its time_scale",
		terms.Keepalive, told, keepalive, lease, keepalive, lease)
}
