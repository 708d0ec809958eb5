package results

import (
	"fmt"
	"strings"
)

func (p *printer) audit(a *Audit, design string) {
	p.section("AUDIT")
	if a.Sessions == 0 {
		p.line("    %s nothing was audited", p.dim("–"))
		return
	}
	p.line("    %s %s, %s acknowledged", p.dim("·"), plural(a.Sessions, "session"), plural(a.EventsAcknowledged, "event"))
	if a.Unacknowledged > 0 {
		p.line("    %s %s not judged, since they may be there or not: no try was answered, or not every one", p.dim("·"), plural(a.Unacknowledged, "event"))
	}
	if a.Uncounted > 0 {
		p.line("    %s %s whose events the target does not count: of those only the loss of the newest shows", p.dim("·"), plural(a.Uncounted, "session"))
	}
	p.scope(a)
	for _, m := range auditMetrics {
		kind := strings.TrimPrefix(m.name, "audit.")
		if design == External && (kind == "node_crashes" || kind == "replica_mismatches") {
			continue // its processes and their states are not ours to see
		}
		n := m.count(a)
		count := FormatCount(n)
		if n > 0 {
			count = p.red(count)
		}
		p.line("    %s %s %s", p.mark(n == 0), p.leader(strings.ReplaceAll(kind, "_", " ")), count)
		p.examples(a, kind, n)
	}
	p.linearizability(a)
}

// scope says what was judged of less than all.
func (p *printer) scope(a *Audit) {
	if a.AccountsReadBack < a.Accounts {
		p.line("    %s %s of %s read back (%s): lost events and wrong histories are looked for in those", p.dim("·"),
			FormatCount(a.AccountsReadBack), plural(a.Accounts, "account"), formatShare(float64(a.AccountsReadBack)/float64(a.Accounts)))
	}
	if a.ReadingsUnkept > 0 {
		p.line("    %s %s told during the run not judged: more than the auditor holds", p.dim("·"), plural(a.ReadingsUnkept, "answer"))
	}
	if a.Unjudged > 0 {
		p.line("    %s %s during the run not judged: keepalives of which only the number is kept may explain them", p.dim("·"), plural(a.Unjudged, "answer"))
	}
}

func (p *printer) linearizability(a *Audit) {
	l := a.Linearizability
	name := p.leader("linearizable")
	checked := plural(l.AccountsChecked, "account") + " checked"
	switch {
	case l.Illegal > 0 || a.Linearizable != nil && !*a.Linearizable:
		p.line("    %s %s %s of %s", p.mark(false), name, p.red(FormatCount(l.Illegal)+" illegal"), checked)
		p.examples(a, "linearizable", max(l.Illegal, 1))
	case a.Linearizable != nil:
		p.line("    %s %s %s", p.mark(true), name, checked)
	case l.AccountsChecked > 0:
		p.line("    %s %s not decided: %s", p.dim("–"), name, checked)
	case l.Unknown > 0:
		p.line("    %s %s not decided", p.dim("–"), name)
	default:
		p.line("    %s %s not checked", p.dim("–"), name)
	}
	if l.Unknown > 0 {
		p.line("    %s %s undecided: too many orders to try, or played offline", p.dim("·"), plural(l.Unknown, "account"))
	}
}

// historyShown is how many events of a session are shown, the last; run.json has more.
const historyShown = 10

func (p *printer) history(lines []string, indent string) {
	if left := len(lines) - historyShown; left > 0 {
		p.line("%s%s", indent, p.dim(fmt.Sprintf("… %d more in run.json", left)))
		lines = lines[left:]
	}
	for _, l := range lines {
		p.line("%s%s", indent, p.dim(l))
	}
}

// examples shows the first few of a kind, and how many of total that leaves.
func (p *printer) examples(a *Audit, kind string, total int64) {
	const indent = "        "
	shown := int64(0)
	for _, e := range a.Examples {
		if e.Kind != kind || shown == examplesPerKind {
			continue
		}
		shown++
		text := ""
		if e.AccountID != 0 {
			text = fmt.Sprintf("account %d", e.AccountID)
		}
		if e.SessionID != "" {
			text += ", session " + e.SessionID
		}
		for _, l := range Wrap(strings.TrimPrefix(text+": "+e.Detail, ": "), summaryWidth-len(indent)) {
			p.line("%s%s", indent, p.dim(l))
		}
		if shown == 1 {
			p.history(e.History, indent+"  ")
		}
	}
	if shown > 0 && total > shown {
		p.line("%s%s", indent, p.dim(fmt.Sprintf("and %s more", FormatCount(total-shown))))
	}
}
