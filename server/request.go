package server

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"

	"github.com/labstack/echo/v4"

	"github.com/playhead-load/playhead/viewing"
	"github.com/playhead-load/playhead/viewing/wire"
)

// maxBodyBytes is the largest request body that is read (docs/api.md).
const maxBodyBytes = 4 << 20

// keptBytes is the largest buffer that goes back to the pool.
const keptBytes = 1 << 20

// trustedBytes is how much memory a request gets for saying that it will be long;
// the rest it gets as its body comes.
const trustedBytes = 16 << 10

// scratch is what a request needs until it is answered. It goes back to the pool then.
type scratch struct {
	body     []byte
	command  []byte
	answer   []byte
	outcomes []viewing.Outcome
	decoder  wire.Decoder
	event    viewing.Event

	charged int64 // of the node's memory for bodies
	share   int64 // of the writes that are decided at once
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

func (s *scratch) free() {
	if max(cap(s.body), cap(s.command), cap(s.answer)) > keptBytes {
		return
	}
	scratches.Put(s)
}

// wholeQuery refuses a query of which net/http would pass over a part: it might be
// the one that asks for consistency.
func wholeQuery(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		query := c.Request().URL.RawQuery
		if isPlainQuery(query) {
			return next(c)
		}
		if _, err := url.ParseQuery(query); err != nil {
			return newProblem(http.StatusBadRequest, "query: "+err.Error())
		}
		return next(c)
	}
}

// isPlainQuery says whether nothing in a query is escaped or could be passed over.
func isPlainQuery(query string) bool { return !strings.ContainsAny(query, "%;+") }

// queryParam is c.QueryParam, which makes a map of the query, without the map where
// the query is plain.
func queryParam(c echo.Context, name string) string {
	query := c.Request().URL.RawQuery
	if !isPlainQuery(query) {
		return c.QueryParam(name)
	}
	for query != "" {
		var pair string
		pair, query, _ = strings.Cut(query, "&")
		if key, value, _ := strings.Cut(pair, "="); key == name && pair != "" {
			return value
		}
	}
	return ""
}

// param reads an integer from the path, 1 … highest.
func param(c echo.Context, name, field string, highest uint64) (uint64, error) {
	return inRange(c.Param(name), field, highest)
}

func inRange(text, field string, highest uint64) (uint64, error) {
	v, err := strconv.ParseUint(text, 10, 64)
	if err != nil || v < 1 || v > highest {
		return 0, badField(field, "an integer from 1 to "+strconv.FormatUint(highest, 10))
	}
	return v, nil
}

func accountParam(c echo.Context) (uint64, error) {
	return param(c, "account", "account_id", viewing.MaxAccountID)
}

func profileParam(c echo.Context) (uint8, error) {
	v, err := param(c, "profile", "profile_id", viewing.MaxProfileID)
	return uint8(v), err
}

func titleParam(c echo.Context) (uint32, error) {
	v, err := param(c, "title", "title_id", viewing.MaxTitleID)
	return uint32(v), err
}

// viewerParams reads the account and the profile of a path.
func viewerParams(c echo.Context) (accountID uint64, profileID uint8, err error) {
	if accountID, err = accountParam(c); err != nil {
		return 0, 0, err
	}
	profileID, err = profileParam(c)
	return accountID, profileID, err
}

// watchedParams reads the account, the profile and the title of a path.
func watchedParams(c echo.Context) (accountID uint64, profileID uint8, titleID uint32, err error) {
	if accountID, profileID, err = viewerParams(c); err != nil {
		return 0, 0, 0, err
	}
	titleID, err = titleParam(c)
	return accountID, profileID, titleID, err
}

// pageParams reads the account and the profile of a path, and ?limit=.
func pageParams(c echo.Context) (accountID uint64, profileID uint8, limit int, err error) {
	if accountID, profileID, err = viewerParams(c); err != nil {
		return 0, 0, 0, err
	}
	limit, err = limitParam(c)
	return accountID, profileID, limit, err
}

const (
	defaultLimit = 20
	maxLimit     = 100
)

// limitParam reads ?limit=, how many views a page holds.
func limitParam(c echo.Context) (int, error) {
	text := queryParam(c, "limit")
	if text == "" {
		return defaultLimit, nil
	}
	v, err := inRange(text, "limit", maxLimit)
	return int(v), err
}
