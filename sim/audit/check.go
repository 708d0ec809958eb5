package audit

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/playhead-load/playhead/sim/random"
	"github.com/playhead-load/playhead/viewing"
)

// Kinds of violation, named as run.json names their counts.
const (
	KindLost          = "events_lost"
	KindOverAdmission = "over_admissions"
	KindFalseDenial   = "false_denials"
	KindPosition      = "position_mismatches"
	KindHistory       = "history_mismatches"
	KindRejected      = "events_rejected"
	KindLinearizable  = "linearizable"
	KindStale         = "stale_reads"
	KindRegression    = "position_regressions"
)

// Bounds of an audit.
const (
	readers         = 16 // questions under way at once
	examplesPerKind = 5
)

// Options say what the target promised. Its clocks must be within
// viewing.MaxAheadMS of the driver's, and those of its nodes within the guard of
// a thousandth of the lease of each other.
type Options struct {
	URLs           []string
	Lease          time.Duration // by the wall clock
	DefaultStreams int
	// Late is how long after its last try an unanswered request may still take
	// effect, counted from when its account is answered again.
	Late time.Duration
	// ClocksOff is by how much a node's clock may have been set ahead or back during the
	// run. By that much a lease may end early, or late, when another leads whose clock is
	// right, or this one: a list of active sessions is not judged by the difference.
	ClocksOff time.Duration
	// Used says that the target may have served these accounts before the run: what
	// began before it is not judged, nor a denial while its streams may have lasted.
	Used bool
	// Search is how long a linearization of one account is searched for at most;
	// 0: half a second, below 0: it is not.
	Search time.Duration
	// ReadBack is the share of accounts, above 0 and at most 1, that the target is asked
	// about; Seed decides which. 0: all. What needs no question is judged of all.
	ReadBack float64
	Seed     uint64
	// TLS is of URLs of https, and Bearer the token to ask about an account with; nil: the
	// target wants to see none. It may be called at the same time.
	TLS    *tls.Config
	Bearer func(account uint64) string
	// Dial opens connections to the nodes; nil: the machine's own way.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// NowUS is the clock of the log's entries. With it the list of active sessions is
	// also judged by their leases; nil: only by what ended them.
	NowUS    func() int64
	Progress func(done, of int)
}

// Report is what an audit found.
type Report struct {
	Sessions     int64
	Acknowledged int64            // events that must be there
	Unanswered   int64            // events that may be there
	Accounts     int64            // that the log knows
	ReadBack     int64            // of them, those that the target was asked about
	Readings     int64            // answers during the run that were judged
	Unread       int64            // such answers beyond the log's bound
	Uncounted    int64            // sessions whose events the target does not count: one lost in the middle is not seen
	Unjudged     int64            // answers that a folded keepalive may explain
	Overflowed   int64            // events beyond the log's bound: if there are any, nothing was judged
	Violations   map[string]int64 // by kind
	Examples     []Example        // the first few of each kind

	Linearizability Linearizability
}

// Example is one violation with what its device knows.
type Example struct {
	Kind    string
	Account uint64
	Session viewing.SessionID
	Detail  string
	History []string // all that the session's device knows, a line an event; of a long session its ends
}

type check struct {
	options  Options
	target   Target
	beganAt  viewing.Millis // when the run began, by the devices' clocks
	searched time.Duration  // spent on linearizations
	mu       sync.Mutex
	report   Report
	examples map[string]int
}

// Check compares all that the devices know with what the nodes at options.URLs answer
// now. The target must be at rest. An error means that the target could not be asked,
// and the report is what was found until then; or that the log has overflowed.
func (l *Log) Check(ctx context.Context, options Options) (Report, error) {
	client := &http.Client{CheckRedirect: followNone, Transport: &http.Transport{
		MaxIdleConnsPerHost: readers, MaxIdleConns: readers * len(options.URLs), TLSClientConfig: options.TLS, DialContext: options.Dial,
	}}
	defer client.CloseIdleConnections()
	return l.check(ctx, &reader{urls: options.URLs, client: client, bearer: options.Bearer}, readers, options)
}

// CheckTarget is Check for a target in this process. It is asked one thing at a time,
// one account after another.
func (l *Log) CheckTarget(ctx context.Context, target Target, options Options) (Report, error) {
	return l.check(ctx, target, 1, options)
}

func (l *Log) check(ctx context.Context, target Target, atOnce int, options Options) (Report, error) {
	c := newCheck(options, target)
	var err error
	if c.report.Overflowed, err = l.whole(options); err != nil {
		return c.report, err
	}
	c.judge(l)
	err = c.ask(ctx, l, atOnce)
	slices.SortFunc(c.report.Examples, func(a, b Example) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Account, b.Account), a.Session.Compare(b.Session))
	})
	return c.report, err
}

func newCheck(options Options, target Target) *check {
	return &check{
		options: options, target: target,
		report:   Report{Violations: map[string]int64{}},
		examples: map[string]int{},
	}
}

// judge judges all for which the target need not be asked, a part of the accounts on
// each processor. What it finds does not depend on how many there are.
func (c *check) judge(l *Log) {
	c.beganAt, c.report.Unread = l.bounds()
	accounts := int(l.accounts())
	c.report.Accounts = int64(accounts)
	parts := make([]*check, runtime.GOMAXPROCS(0))
	var judging sync.WaitGroup
	for i := range parts {
		part := newCheck(c.options, c.target)
		part.beganAt, parts[i] = c.beganAt, part
		judging.Go(func() {
			for number := accounts*i/len(parts) + 1; number <= accounts*(i+1)/len(parts); number++ {
				part.judgeHousehold(l.household(uint32(number), c.options))
			}
		})
	}
	judging.Wait()
	for _, part := range parts {
		c.join(part)
	}
}

func (c *check) judgeHousehold(home *household) {
	for _, p := range home.playbacks {
		c.report.Sessions++
		c.report.Acknowledged += int64(p.must)
		c.report.Unanswered += int64(p.may)
	}
	c.rejected(home)
	known := home.holdings(c.options.Lease.Microseconds())
	c.streams(home, known)
	c.readings(home, known)
	c.linearize(home)
}

// join adds what was found of the accounts that come next.
func (c *check) join(part *check) {
	r, more := &c.report, &part.report
	r.Sessions += more.Sessions
	r.Acknowledged += more.Acknowledged
	r.Unanswered += more.Unanswered
	r.Readings += more.Readings
	r.Unjudged += more.Unjudged
	r.Linearizability.Checked += more.Linearizability.Checked
	r.Linearizability.Illegal += more.Linearizability.Illegal
	r.Linearizability.Unknown += more.Linearizability.Unknown
	for kind, n := range more.Violations {
		r.Violations[kind] += n
	}
	for _, example := range more.Examples {
		if c.examples[example.Kind]++; c.examples[example.Kind] <= examplesPerKind {
			r.Examples = append(r.Examples, example)
		}
	}
}

// ask judges what the target answers now, of a few accounts at once.
func (c *check) ask(ctx context.Context, l *Log, atOnce int) error {
	group, asking := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	accounts := l.accounts()
	for number := uint32(1); number <= accounts && asking.Err() == nil; number++ {
		if !c.readsBack(l.account(number)) {
			continue
		}
		c.report.ReadBack++
		group.Go(func() error { return c.household(asking, l.household(number, c.options)) })
		if c.options.Progress != nil {
			c.options.Progress(int(number), int(accounts))
		}
	}
	if err := group.Wait(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	return nil
}

// readBackDomain is the use of the seed in random.Key.
const readBackDomain = 32

// readsBack says whether the target is asked about an account.
func (c *check) readsBack(account uint64) bool {
	share := c.options.ReadBack
	return share == 0 || share == 1 || float64(random.Key(c.options.Seed, readBackDomain, account)) < share*(1<<64)
}

func (c *check) household(ctx context.Context, home *household) error {
	if err := c.active(ctx, home); err != nil {
		return err
	}
	for _, p := range home.playbacks {
		if err := c.session(ctx, p); err != nil {
			return err
		}
	}
	for profile := uint8(1); profile <= viewing.MaxProfileID; profile++ {
		if err := c.profile(ctx, home, profile); err != nil {
			return err
		}
	}
	return nil
}

// certainUS is from when on no stream of before the run can be the reason of a
// denial.
func (c *check) certainUS() int64 {
	if !c.options.Used {
		return 0
	}
	leaseUS := c.options.Lease.Microseconds()
	return leaseUS + guardUS(leaseUS)
}

// rejected judges events that the target called wrong: every simulated one is valid,
// and none contradicts another.
func (c *check) rejected(home *household) {
	for _, p := range home.playbacks {
		for i := range p.entries {
			if e := &p.entries[i]; e.Fate == Rejected {
				c.violation(KindRejected, p, 1, fmt.Sprintf("a valid event was rejected %.3f s into the run: %v", seconds(e.DoneUS), &e.Entry))
			}
		}
	}
}

// String tells the event's fields in short.
func (e *Entry) String() string {
	text := fmt.Sprintf("%v seq %d at %d, device %d (%s) profile %d title %d, at %d of %d ms, played %d ms, rebuffered %d ms",
		e.Type, e.Seq, e.AtMS, e.Device, e.DeviceType, e.Profile, e.Title, e.PositionMS, e.RuntimeMS, e.PlayedMS, e.RebufferMS)
	if e.ErrorCode != "" {
		text += ", error " + e.ErrorCode
	}
	if e.Offline {
		text += ", offline"
	}
	return text
}

// streams judges admissions and denials, for which the target need not be asked.
func (c *check) streams(home *household, known *holdings) {
	for _, over := range home.overAdmissions(known) {
		var held []string
		for _, p := range over.held {
			held = append(held, p.String())
		}
		c.violation(KindOverAdmission, over.latest, 1, fmt.Sprintf("%d streams at once, limit %d, %.3f s into the run: %s",
			len(held), home.limit, seconds(over.atUS), strings.Join(held, ", ")))
	}
	for _, denial := range home.falseDenials(known, c.certainUS()) {
		e := denial.entry
		c.violation(KindFalseDenial, e.playback, 1, fmt.Sprintf(
			"%v seq %d was denied %.3f s into the run, %s", e.Type, e.Seq, seconds(e.DoneUS), denial.why))
	}
	for _, p := range home.playbacks {
		c.resumes(home, p)
	}
}

func (c *check) violation(kind string, p *playback, count int64, detail string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.report.Violations[kind] += count
	if c.examples[kind]++; c.examples[kind] <= examplesPerKind {
		c.report.Examples = append(c.report.Examples, Example{kind, p.account, p.id, detail, p.history()})
	}
}

func seconds(us int64) float64 { return float64(us) / 1e6 }
