package driver

import (
	"bytes"
	"encoding/json"
	"net/http"
	"time"

	"github.com/playhead-load/playhead/http1"
	"github.com/playhead-load/playhead/results"
	"github.com/playhead-load/playhead/sim/audit"
	"github.com/playhead-load/playhead/viewing"
	"github.com/playhead-load/playhead/viewing/wire"
)

// screenOf is what the questions for lists ask.
var screenOf = map[results.Op]audit.Screen{
	results.OpActiveSessions: audit.Active, results.OpHistory: audit.History, results.OpContinueWatching: audit.Continue,
}

// listAnswer is readAnswer, with the list that the target answered a question with, in
// the memory of listed. What is not in the contract is nonsense.
func listAnswer(of audit.Screen, got *http1.Answer, listed []audit.Listed) answer {
	a := readAnswer(got.Status)
	if got.Status != http.StatusOK {
		return a
	}
	all, more, ok := scanList(got.Body, listed[:0])
	if !ok {
		all, more, ok = parseList(got.Body, listed[:0])
	}
	a.read, a.failed, a.reading = ok, !ok, audit.Reading{Of: of, Listed: all, More: more}
	return a
}

// parseList reads a list of views, or of active sessions, in any form of JSON.
func parseList(body []byte, listed []audit.Listed) (all []audit.Listed, more, ok bool) {
	type view struct {
		SessionID  viewing.SessionID `json:"session_id"`
		TitleID    uint32            `json:"title_id"`
		StartedAt  time.Time         `json:"started_at"`
		PositionMS int64             `json:"position_ms"`
		Completed  bool              `json:"completed"`
	}
	var told struct {
		Views      *[]view `json:"views"`
		Active     *[]view `json:"active"`
		NextCursor string  `json:"next_cursor"`
	}
	if json.Unmarshal(body, &told) != nil || (told.Views == nil) == (told.Active == nil) {
		return nil, false, false
	}
	list := told.Views
	if list == nil {
		list = told.Active
	}
	for _, v := range (*list)[:min(len(*list), audit.MostListed+1)] {
		if v.SessionID == (viewing.SessionID{}) || v.StartedAt.UnixMilli() <= 0 {
			return nil, false, false
		}
		listed = append(listed, audit.Listed{
			Session: v.SessionID, StartedAt: viewing.Millis(v.StartedAt.UnixMilli()), PositionMS: v.PositionMS, Title: v.TitleID, Completed: v.Completed,
		})
	}
	return listed, told.NextCursor != "", true
}

// scanList reads a list without allocating, where its keys and what is read of it have
// no escapes. Anything else is not ok.
func scanList(body []byte, listed []audit.Listed) (all []audit.Listed, more, ok bool) {
	s := scanner{rest: body}
	found := false
	for key := s.open('{', '}'); key; key = s.next('}') {
		switch string(s.key()) {
		case "views", "active":
			s.ok(!found)
			found = true
			for one := s.open('[', ']'); one; one = s.next(']') {
				listed = append(listed, s.listed())
				s.ok(len(listed) <= audit.MostListed)
			}
		case "next_cursor":
			more = len(s.text()) > 0
		default:
			s.skip(skipDepth)
		}
	}
	return listed, more, found && !s.bad && len(s.space()) == 0
}

// skipDepth is how deep what is not read may nest.
const skipDepth = 8

// scanner reads JSON from the beginning of what is left. Once it has met what it does not
// read, it is bad and what it tells means nothing.
type scanner struct {
	rest []byte
	bad  bool
}

// listed reads a view or an active session.
func (s *scanner) listed() (v audit.Listed) {
	sessions, starts := 0, 0
	for key := s.open('{', '}'); key; key = s.next('}') {
		var ok bool
		switch string(s.key()) {
		case "session_id":
			sessions++
			v.Session, ok = viewing.ParseSessionID(s.text())
			s.ok(ok)
		case "started_at":
			starts++
			v.StartedAt, ok = wire.ParseTime(s.text())
			s.ok(ok && v.StartedAt > 0)
		case "title_id":
			v.Title = uint32(s.number(viewing.MaxTitleID))
		case "position_ms":
			v.PositionMS = int64(s.number(viewing.MaxMediaMS))
		case "completed":
			word := s.word()
			v.Completed = string(word) == "true"
			s.ok(v.Completed || string(word) == "false")
		default:
			s.skip(skipDepth)
		}
	}
	s.ok(sessions == 1 && starts == 1 && v.Session != (viewing.SessionID{}))
	return v
}

func (s *scanner) ok(ok bool) { s.bad = s.bad || !ok }

func (s *scanner) space() []byte {
	for len(s.rest) > 0 && (s.rest[0] == ' ' || s.rest[0] == '\n' || s.rest[0] == '\r' || s.rest[0] == '\t') {
		s.rest = s.rest[1:]
	}
	return s.rest
}

// take says whether c is what comes next, and goes behind it.
func (s *scanner) take(c byte) bool {
	if rest := s.space(); !s.bad && len(rest) > 0 && rest[0] == c {
		s.rest = rest[1:]
		return true
	}
	return false
}

// open goes into an object or an array, and says whether there is something in it.
func (s *scanner) open(begin, end byte) bool {
	s.ok(s.take(begin))
	return !s.bad && !s.take(end)
}

// next goes to what comes next in an object or an array, or behind it.
func (s *scanner) next(end byte) bool {
	if s.take(',') {
		return true
	}
	s.ok(s.take(end))
	return false
}

func (s *scanner) key() []byte {
	key := s.text()
	s.ok(s.take(':'))
	return key
}

// text reads a string without escapes.
func (s *scanner) text() []byte {
	s.ok(s.take('"'))
	end := bytes.IndexByte(s.rest, '"')
	if end < 0 || bytes.IndexByte(s.rest[:end], '\\') >= 0 {
		s.bad = true
		return nil
	}
	text := s.rest[:end]
	s.rest = s.rest[end+1:]
	return text
}

// word reads a number, true, false or null.
func (s *scanner) word() []byte {
	rest, i := s.space(), 0
	for i < len(rest) && (rest[i] >= '0' && rest[i] <= '9' || rest[i]|' ' >= 'a' && rest[i]|' ' <= 'z' || rest[i] == '-' || rest[i] == '+' || rest[i] == '.') {
		i++
	}
	s.ok(i > 0)
	s.rest = rest[i:]
	return rest[:i]
}

func (s *scanner) number(most uint64) uint64 {
	n := uint64(0)
	word := s.word()
	for _, c := range word {
		s.ok(c >= '0' && c <= '9' && n <= most)
		n = n*10 + uint64(c-'0')
	}
	s.ok(n <= most && len(word) < 20)
	return n
}

// skip goes behind a value.
func (s *scanner) skip(depth int) {
	switch rest := s.space(); {
	case len(rest) == 0 || depth == 0:
		s.bad = true
	case rest[0] == '"':
		s.skipText()
	case rest[0] == '{':
		for key := s.open('{', '}'); key; key = s.next('}') {
			s.skipText()
			s.ok(s.take(':'))
			s.skip(depth - 1)
		}
	case rest[0] == '[':
		for one := s.open('[', ']'); one; one = s.next(']') {
			s.skip(depth - 1)
		}
	default:
		s.word()
	}
}

func (s *scanner) skipText() {
	s.ok(s.take('"'))
	for from := 0; ; {
		end := bytes.IndexByte(s.rest[from:], '"') + from
		if end < from {
			s.bad = true
			return
		}
		escapes := 0
		for end-escapes > 0 && s.rest[end-escapes-1] == '\\' {
			escapes++
		}
		if from = end + 1; escapes%2 == 0 {
			s.rest = s.rest[from:]
			return
		}
	}
}
