package viewing

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// difference is empty where two answers are the same, and an empty list is the same as
// none. Most are, which is found sooner without cmp.
func difference(want, got any) string {
	if reflect.DeepEqual(want, got) {
		return ""
	}
	return cmp.Diff(want, got, cmpopts.EquateEmpty())
}

// sessionNamed makes the id of a session from a short name, nameOf finds the name.
func sessionNamed(name string) (id SessionID) {
	copy(id[:], name)
	return id
}

func nameOf(id SessionID) string { return strings.TrimRight(string(id[:]), "\x00") }

func moment(t *testing.T, d *datadriven.TestData, text string) Millis {
	duration, err := time.ParseDuration(text)
	if err != nil {
		d.Fatalf(t, "%v", err)
	}
	return Millis(duration.Milliseconds())
}

func scan(t *testing.T, d *datadriven.TestData, text string, to any) {
	if _, err := fmt.Sscan(text, to); err != nil {
		d.Fatalf(t, "%q: %v", text, err)
	}
}

func since(at Millis) time.Duration { return asDuration(int64(at - interactionEpoch)) }

func asDuration(ms int64) time.Duration { return time.Duration(ms) * time.Millisecond }

// sure asks a state whose cold store does not fail.
type sure struct{ *State }

func (s sure) Session(now Millis, accountID uint64, id SessionID) (Report, bool) {
	report, known, err := s.State.Session(now, accountID, id)
	mustNot(err)
	return report, known
}

func (s sure) History(now Millis, accountID uint64, profileID uint8, after *Cursor, limit int) ([]View, *Cursor) {
	page, next, err := s.State.History(now, accountID, profileID, after, limit)
	mustNot(err)
	return page, next
}

func (s sure) ContinueWatching(now Millis, accountID uint64, profileID uint8, limit int) []View {
	views, err := s.State.ContinueWatching(now, accountID, profileID, limit)
	mustNot(err)
	return views
}

func mustNot(err error) {
	if err != nil {
		panic(err)
	}
}
