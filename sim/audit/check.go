package audit

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
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
	KindLinearizable  = "linearizable"
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
	// Used says that the target may have served these accounts before the run: what
	// began before it is not judged, nor a denial while its streams may have lasted.
	Used     bool
	Progress func(done, of int)
}

// Report is what an audit found.
type Report struct {
	Sessions     int64
	Acknowledged int64            // events that must be there
	Unanswered   int64            // events that may be there
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
}

type check struct {
	options  Options
	reader   reader
	beganAt  viewing.Millis // the earliest at of the run
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
	households, beganAt := l.knowledge(options)
	c.beganAt = beganAt
	for _, home := range households {
		c.streams(home)
	}
	c.linearize(households)
	err := c.ask(ctx, households)
	slices.SortFunc(c.report.Examples, func(a, b Example) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Account, b.Account), a.Session.Compare(b.Session))
	})
	return c.report, err
}

// ask judges what the target answers now.
func (c *check) ask(ctx context.Context, households []*household) error {
	group, asking := errgroup.WithContext(ctx)
	group.SetLimit(readers)
	for i, home := range households {
		if asking.Err() != nil {
			break
		}
		group.Go(func() error { return c.household(asking, home) })
		if c.options.Progress != nil {
			c.options.Progress(i+1, len(households))
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

func (c *check) household(ctx context.Context, home *household) error {
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

// streams judges admissions and denials, for which the target need not be asked.
func (c *check) streams(home *household) {
	known := home.holdings(c.options.Lease.Microseconds())
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

// session judges what the target knows of one session.
func (c *check) session(ctx context.Context, p *playback) error {
	c.mu.Lock()
	c.report.Sessions++
	c.report.Acknowledged += int64(p.must)
	c.report.Unanswered += int64(p.may)
	c.mu.Unlock()
	if p.must+p.may == 0 {
		return nil // a start that was denied leaves nothing that must or must not be told of
	}
	answer, err := c.reader.session(ctx, p)
	if err != nil {
		return err
	}
	if answer == nil {
		if p.must > 0 {
			c.violation(KindLost, p, int64(p.must), fmt.Sprintf("%d events acknowledged, the session is not known: %s", p.must, p.told()))
		}
		return nil
	}
	if lost, detail := p.lost(answer); lost > 0 {
		c.violation(KindLost, p, lost, detail)
		return nil
	}
	if detail := p.differs(answer); detail != "" {
		c.violation(KindHistory, p, 1, detail)
	}
	return nil
}

// lost is how many acknowledged events the target does not know, at least.
func (p *playback) lost(answer *found) (lost int64, detail string) {
	if answer.Events != nil && *answer.Events < p.must {
		lost = int64(p.must - *answer.Events)
		detail = fmt.Sprintf("%d events acknowledged, %d there: %s", p.must, *answer.Events, p.told())
	}
	if newest := p.newest(); newest != nil && answer.LastSeq < newest.Seq {
		lost = max(lost, 1)
		detail = fmt.Sprintf("seq %d acknowledged, the newest there is %d: %s", newest.Seq, answer.LastSeq, p.told())
	}
	return lost, detail
}

// differs says in what the summary differs from what the device told.
func (p *playback) differs(answer *found) string {
	e := p.bySeq(answer.LastSeq)
	if e == nil || !e.there() && !e.maybeThere() {
		return fmt.Sprintf("the newest seq there is %d, which was not told: %s", answer.LastSeq, p.told())
	}
	if answer.Events != nil && *answer.Events > p.must+p.may {
		return fmt.Sprintf("%d events there, %d told: %s", *answer.Events, p.must+p.may, p.told())
	}
	if stopped := answer.State == string(viewing.Stopped); stopped != (e.Type == viewing.Stop) {
		return fmt.Sprintf("the newest event is %v seq %d; there the session is %s", e.Type, e.Seq, answer.State)
	}
	rates := make([]viewing.Bitrate, 0, len(answer.BitrateMS))
	for rung, ms := range answer.BitrateMS {
		rates = append(rates, viewing.Bitrate{Kbps: rung, PlayedMS: ms})
	}
	if answer.TitleID != p.title || answer.ProfileID != p.profile || answer.DeviceID != p.device ||
		answer.PlayedMS != e.PlayedMS || e.placed() && answer.PositionMS != e.PositionMS ||
		answer.RebufferMS != e.RebufferMS || HashBitrates(rates) != e.Bitrates {
		return fmt.Sprintf("seq %d told device %d profile %d title %d played %d at %d rebuffered %d; "+
			"there it is device %d profile %d title %d played %d at %d rebuffered %d, rates %v",
			e.Seq, p.device, p.profile, p.title, e.PlayedMS, e.PositionMS, e.RebufferMS,
			answer.DeviceID, answer.ProfileID, answer.TitleID, answer.PlayedMS, answer.PositionMS, answer.RebufferMS, answer.BitrateMS)
	}
	if detail := p.startedWrong(&answer.view); detail != "" {
		return detail
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
