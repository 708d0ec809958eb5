package server

import (
	"encoding/json"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/labstack/echo/v4"
	"pgregory.net/rapid"

	"github.com/playhead-load/playhead/viewing"
)

// TestPositionByHand: what is written by hand is what encoding/json writes.
func TestPositionByHand(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := viewing.Position{
			TitleID:    rapid.Uint32().Draw(t, "title"),
			PositionMS: rapid.Int64().Draw(t, "position"),
			RuntimeMS:  rapid.Int64().Draw(t, "runtime"),
			At:         viewing.Millis(rapid.Int64Range(0, 4_000_000_000_000).Draw(t, "at")),
		}
		copy(p.SessionID[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "session"))
		want, err := json.Marshal(positionOf(p))
		if got := appendPosition(nil, p); err != nil || string(got) != string(want) {
			t.Fatalf("%s, want %s (%v)", got, want, err)
		}
	})
}

// TestQueryByHand: a query means what it means to net/url.
func TestQueryByHand(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		query := rapid.StringOf(rapid.SampledFrom([]rune("ab=&%2;+"))).Draw(t, "query")
		values, err := url.ParseQuery(query)
		if isPlainQuery(query) && err != nil {
			t.Fatalf("%q is plain, and net/url says %v", query, err)
		}
		r := httptest.NewRequest("GET", "/", nil)
		r.URL.RawQuery = query
		c := echo.New().NewContext(r, httptest.NewRecorder())
		if err != nil {
			return // wholeQuery refuses it
		}
		for _, name := range []string{"a", "b", "ab", ""} {
			if got, want := queryParam(c, name), values.Get(name); got != want {
				t.Fatalf("%q of %q is %q, want %q", name, query, got, want)
			}
		}
	})
}
