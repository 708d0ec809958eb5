package server

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/playhead-load/playhead/viewing"
)

// audience says whom a route is for.
type audience uint8

const (
	forAdmins  audience = iota // first: a route that nobody thought about is theirs
	forDevices                 // of one account, which the path names
	forTellers                 // devices, of the account that each event names, and aggregators, of all
	forAll                     // it tells nothing of anybody
)

// accountKey is where a request keeps the account that its token is bound to.
const accountKey = "account"

// headerAccount tells the leader what account a request that is passed on is bound to.
// It is believed of other nodes alone.
const headerAccount = "Playhead-Account"

var (
	errNoToken = newProblem(http.StatusUnauthorized, "expected a token, as in Authorization: Bearer …")
	errToken   = newProblem(http.StatusUnauthorized, "the token is unknown or has expired")
	errAdmins  = newProblem(http.StatusForbidden, "this is for admins")
	errDevices = newProblem(http.StatusForbidden, "this is for devices: an admin's token opens no account")
	errTellers = newProblem(http.StatusForbidden, "this is for devices: an aggregator's token tells events, and opens no account")
	errAccount = newProblem(http.StatusForbidden, "the token is of another account")
)

// admit lets those in whom a route is for.
func (s *Server) admit(who audience, next echo.HandlerFunc) echo.HandlerFunc {
	switch who {
	case forAll:
		return next
	case forDevices, forTellers:
		return func(c echo.Context) error {
			if err := s.admitClient(c, who); err != nil {
				return err
			}
			return next(c)
		}
	}
	return func(c echo.Context) error {
		if err := s.admitAdmin(c.Request()); err != nil {
			return err
		}
		return next(c)
	}
}

func (s *Server) admitAdmin(r *http.Request) error {
	token, err := bearer(r)
	if err != nil {
		return err
	}
	tokens := s.secrets.Load().tokens
	if tokens.IsAdmin(token) {
		return nil
	}
	if _, err := tokens.Client(token); err == nil {
		return errAdmins
	}
	return errToken
}

func (s *Server) admitClient(c echo.Context, who audience) error {
	token, err := bearer(c.Request())
	if err != nil {
		return err
	}
	tokens := s.secrets.Load().tokens
	client, err := tokens.Client(token)
	switch {
	case err != nil && tokens.IsAdmin(token):
		return errDevices
	case err != nil:
		return errToken
	case client.Aggregator && who != forTellers:
		return errTellers
	case client.Aggregator:
		return nil
	}
	if c.Param("account") != "" {
		asked, err := accountParam(c)
		if err != nil {
			return err
		}
		if asked != client.Account {
			return errAccount
		}
	}
	c.Set(accountKey, client.Account)
	return nil
}

// bearer is the token of a request (RFC 6750).
func bearer(r *http.Request) (string, error) {
	given := r.Header[echo.HeaderAuthorization]
	if len(given) != 1 {
		return "", errNoToken
	}
	scheme, token, _ := strings.Cut(given[0], " ")
	if !strings.EqualFold(scheme, "Bearer") || token == "" {
		return "", errNoToken
	}
	return token, nil
}

func isPassedOn(c echo.Context) bool { return c.Request().Context().Value(passedOn{}) != nil }

// boundAccount is the only account that a request may tell of; 0 is any.
func boundAccount(c echo.Context) (uint64, error) {
	if !isPassedOn(c) {
		account, _ := c.Get(accountKey).(uint64)
		return account, nil
	}
	text := c.Request().Header.Get(headerAccount)
	if text == "" {
		return 0, nil
	}
	account, err := strconv.ParseUint(text, 10, 64)
	if err != nil || account == 0 {
		return 0, badField(headerAccount, "an account")
	}
	return account, nil
}

// errForeign rejects an event in a batch.
var errForeign = &viewing.FieldError{Field: "account_id", Expected: "the account of the token"}
