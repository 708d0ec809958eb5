package audit

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/playhead-load/playhead/viewing"
)

// Kinds of violation, named as run.json names their counts.
const (
	KindLost          = "events_lost"
	KindOverAdmission = "over_admissions"
	KindFalseDenial   = "false_denials"
	KindPosition      = "position_mismatches"
	KindHistory       = "history_mismatches"
)

// Bounds of an audit.
const (
	readers         = 16 // questions under way at once
	examplesPerKind = 5
)

// Options say what the target promised.
type Options struct {
	URLs           []string
	Lease          time.Duration // by the wall clock
	DefaultStreams int
	Late           time.Duration // how long after its last try an unanswered request may still take effect
	Progress       func(done, of int)
}

// Report is what an audit found.
type Report struct {
	Sessions     int64
	Acknowledged int64            // events that must be there
	Unanswered   int64            // events that may be there
	Violations   map[string]int64 // by kind
	Examples     []Example        // the first few of each kind
}

// Example is one violation with what its device knows.
type Example struct {
	Kind    string
	Account uint64
	Session viewing.SessionID
	Detail  string
}

type check struct {
	options  Options
	reader   reader
	mu       sync.Mutex
	report   Report
	examples map[string]int
}

// Check compares all that the devices know with what the target answers now. The
// target must be at rest. An error means that the target could not be asked: the
// report is what was found until then.
func (l *Log) Check(ctx context.Context, options Options) (Report, error) {
	c := &check{
		options: options,
		reader: reader{urls: options.URLs, client: &http.Client{Transport: &http.Transport{
			MaxIdleConnsPerHost: readers, MaxIdleConns: readers * len(options.URLs),
		}}},
		report:   Report{Violations: map[string]int64{}},
		examples: map[string]int{},
	}
	defer c.reader.client.CloseIdleConnections()
	households := l.knowledge(options.DefaultStreams)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(readers)
	for i, home := range households {
		if ctx.Err() != nil {
			break
		}
		group.Go(func() error { return c.household(ctx, home) })
		if options.Progress != nil {
			options.Progress(i+1, len(households))
		}
	}
	err := group.Wait()
	slices.SortFunc(c.report.Examples, func(a, b Example) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Account, b.Account), a.Session.Compare(b.Session))
	})
	return c.report, err
}

func (c *check) household(ctx context.Context, home *household) error {
	c.streams(home)
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

// streams judges admissions and denials, for which the target need not be asked.
func (c *check) streams(home *household) {
	leaseUS := c.options.Lease.Microseconds()
	for _, over := range home.overAdmissions(leaseUS) {
		detail := fmt.Sprintf("%d streams at once, limit %d, %.3f s into the run:", len(over.held), home.limit, seconds(over.atUS))
		for _, p := range over.held {
			detail += fmt.Sprintf(" %v,", p)
		}
		c.violation(KindOverAdmission, over.latest, 1, detail[:len(detail)-1])
	}
	for _, denial := range home.falseDenials(leaseUS, c.options.Late.Microseconds()) {
		e := denial.entry
		c.violation(KindFalseDenial, denial.playback, 1, fmt.Sprintf(
			"%v seq %d was denied %.3f s into the run, when %d streams at most can have been held by other devices, limit %d",
			e.Type, e.Seq, seconds(e.DoneUS), denial.most, home.limit))
	}
}

// session judges what the target knows of one session.
func (c *check) session(ctx context.Context, p *playback) error {
	must, may := p.counts()
	c.mu.Lock()
	c.report.Sessions++
	c.report.Acknowledged += int64(must)
	c.report.Unanswered += int64(may)
	c.mu.Unlock()
	if must == 0 {
		return nil
	}
	answer, err := c.reader.session(ctx, p)
	if err != nil {
		return err
	}
	if answer == nil {
		c.violation(KindLost, p, int64(must), fmt.Sprintf("%d events acknowledged, the session is not known: %s", must, p.told()))
		return nil
	}
	if lost, detail := p.lost(answer, must); lost > 0 {
		c.violation(KindLost, p, lost, detail)
		return nil
	}
	if detail := p.differs(answer, must, may); detail != "" {
		c.violation(KindHistory, p, 1, detail)
	}
	return nil
}

// lost is how many acknowledged events the target does not know, at least.
func (p *playback) lost(answer *found, must int) (int64, string) {
	var lost int64
	detail := ""
	if answer.Events != nil && *answer.Events < must {
		lost = int64(must - *answer.Events)
		detail = fmt.Sprintf("%d events acknowledged, %d there", must, *answer.Events)
	}
	if newest := p.newest(); answer.LastSeq < newest.Seq {
		lost = max(lost, 1)
		detail = fmt.Sprintf("seq %d acknowledged, the newest there is %d", newest.Seq, answer.LastSeq)
	}
	return lost, detail + ": " + p.told()
}

// differs says in what the summary differs from what the device told.
func (p *playback) differs(answer *found, must, may int) string {
	e := p.bySeq(answer.LastSeq)
	if e == nil || !e.there() && !e.maybeThere() {
		return fmt.Sprintf("the newest seq there is %d, which was not told: %s", answer.LastSeq, p.told())
	}
	if answer.Events != nil && *answer.Events > must+may {
		return fmt.Sprintf("%d events there, %d told: %s", *answer.Events, must+may, p.told())
	}
	rates := make([]viewing.Bitrate, 0, len(answer.BitrateMS))
	for rung, ms := range answer.BitrateMS {
		rates = append(rates, viewing.Bitrate{Kbps: rung, PlayedMS: ms})
	}
	position := e.PositionMS
	if e.Resumed && e.Fate == Unanswered {
		position = answer.PositionMS // the device was never told where it resumed
	}
	if answer.TitleID != p.title || answer.PlayedMS != e.PlayedMS || answer.PositionMS != position ||
		answer.RebufferMS != e.RebufferMS || HashBitrates(rates) != e.Bitrates {
		return fmt.Sprintf("seq %d told title %d played %d at %d rebuffered %d; there it is title %d played %d at %d rebuffered %d, rates %v",
			e.Seq, p.title, e.PlayedMS, e.PositionMS, e.RebufferMS,
			answer.TitleID, answer.PlayedMS, answer.PositionMS, answer.RebufferMS, answer.BitrateMS)
	}
	return ""
}

func (c *check) violation(kind string, p *playback, count int64, detail string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.report.Violations[kind] += count
	if c.examples[kind]++; c.examples[kind] <= examplesPerKind {
		c.report.Examples = append(c.report.Examples, Example{kind, p.account, p.id, detail})
	}
}

// told is the session's history in a line: each event's seq, type and fate.
func (p *playback) told() string {
	const most = 12
	text := ""
	for i := max(0, len(p.entries)-most); i < len(p.entries); i++ {
		e := &p.entries[i]
		text += fmt.Sprintf(" %d %v %v at %.3f s,", e.Seq, e.Type, e.Fate, seconds(e.DoneUS))
	}
	if len(p.entries) > most {
		text = " …" + text
	}
	return "device" + text[:max(0, len(text)-1)]
}

var fateNames = [...]string{"unanswered", "accepted", "known", "denied", "rejected"}

func (f Fate) String() string { return fateNames[f] }

func seconds(us int64) float64 { return float64(us) / 1e6 }
