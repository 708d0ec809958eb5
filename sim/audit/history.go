package audit

import "fmt"

// What an example shows of a long session: its first events and its last.
const (
	historyFirst = 8
	historyLast  = 40
)

// history tells all that the session's device knows, a line an event.
func (p *playback) history() []string {
	var lines []string
	for i := range p.entries {
		if left := len(p.entries) - historyFirst - historyLast; i == historyFirst && left > 0 {
			lines = append(lines, fmt.Sprintf("… %d more", left))
		}
		if i >= historyFirst && i < len(p.entries)-historyLast {
			continue
		}
		e := &p.entries[i]
		if e.folded > 0 {
			lines = append(lines, fmt.Sprintf("until %.3f s: %d keepalives, accepted", seconds(e.FirstSentUS), e.folded))
		}
		lines = append(lines, e.line())
	}
	return lines
}

func (e *entry) line() string {
	sent := fmt.Sprintf("%.3f s", seconds(e.FirstSentUS))
	if e.retried() {
		sent += fmt.Sprintf(" and last %.3f s", seconds(e.LastSentUS))
	}
	what := fmt.Sprintf("%v seq %d", e.Type, e.Seq)
	if e.placed() {
		what += fmt.Sprintf(" at %d ms", e.PositionMS)
	}
	if e.Offline {
		what += ", offline"
	}
	if e.ErrorCode != "" {
		what += ", " + e.ErrorCode
	}
	return fmt.Sprintf("%s: %s: %v at %.3f s", sent, what, e.Fate, seconds(e.DoneUS))
}
