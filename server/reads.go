package server

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/playhead-load/playhead/server/cold"
	"github.com/playhead-load/playhead/viewing"
)

// Names of the headers by which a reader follows its own writes to any node.
const (
	headerIndex    = "Playhead-Index"
	headerMinIndex = "Playhead-Min-Index"
)

func setIndex(c echo.Context, index uint64) {
	c.Response().Header()[headerIndex] = []string{strconv.FormatUint(index, 10)}
}

// read answers a read at the level that the request asks for: f looks at the
// state, and what it returns is sent as JSON.
//
//   - stale: whatever this node has applied, if it has applied anything.
//   - leader: what the node that leads has applied; wrong for as long as a deposed
//     leader takes to notice, which is the leader's lease.
//   - linearizable: what a quorum agreed was committed after the request came.
func (s *Server) read(c echo.Context, f func(state *viewing.State, now viewing.Millis) (any, error)) error {
	forwarded, err := s.awaitLevel(c)
	if forwarded || err != nil {
		return err
	}
	var answer any
	s.views.read(s.clock(), func(state *viewing.State, now viewing.Millis) {
		answer, err = f(state, now)
	})
	if err != nil {
		return s.readFailure(err)
	}
	return c.JSON(http.StatusOK, answer)
}

// readFailure is the answer to an error of a look at the state. What is no problem is
// the cold store's: it names files, which are the log's business. It is logged once,
// since a client can repeat it.
func (s *Server) readFailure(err error) error {
	var p *problem
	switch {
	case errors.As(err, &p):
		return err
	case errors.Is(err, cold.ErrClosed):
		return errShuttingDown
	}
	if !s.unread.Swap(true) {
		s.log.Error("sessions that left memory cannot be read: what needs one is answered 500", "error", err)
	}
	return newProblem(http.StatusInternalServerError, "this node cannot read from its disk what the answer needs: its log says why")
}

// awaitLevel waits until this node may answer a read at the level that the request
// asks for, or lets the leader answer it.
func (s *Server) awaitLevel(c echo.Context) (forwarded bool, err error) {
	level := queryParam(c, "consistency")
	if level != "" && level != "stale" && level != "leader" && level != "linearizable" {
		return false, badField("consistency", "stale, leader or linearizable")
	}
	minIndex, err := minIndexHeader(c)
	if err != nil {
		return false, err
	}
	if level != "stale" && !s.node.IsLeader() {
		return true, s.forward(c, nil) // the leader waits for the index
	}
	if minIndex > s.node.AppliedIndex() {
		if err := s.waitMinIndex(c.Request().Context(), minIndex); err != nil {
			return false, err
		}
	}
	switch level {
	case "stale":
		if s.node.AppliedIndex() == 0 {
			err = newProblem(http.StatusServiceUnavailable, "this node has applied nothing yet: ask another, or this one later")
		}
	case "linearizable":
		_, err = s.node.LinearizableReadIndex(s.patience.context())
	default:
		_, err = s.node.LeaderReadIndex(s.patience.context())
	}
	if err != nil {
		return false, err
	}
	// Taken before the read, so that all of the entry it names is in the answer.
	setIndex(c, s.node.AppliedIndex())
	return false, nil
}

// minIndexHeader reads the index that the reader has seen, 0 where it does not say.
func minIndexHeader(c echo.Context) (uint64, error) {
	text := c.Request().Header.Get(headerMinIndex)
	if text == "" {
		return 0, nil
	}
	index, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, badField(headerMinIndex, "an index, as Playhead-Index told it")
	}
	return index, nil
}

// waitMinIndex waits until this node shows the index that the reader has seen.
func (s *Server) waitMinIndex(ctx context.Context, index uint64) error {
	ctx, cancel := context.WithTimeout(ctx, minIndexTimeout)
	defer cancel()
	return s.node.WaitApplied(ctx, index)
}

// getActive answers: what else am I watching?
func (s *Server) getActive(c echo.Context) error {
	accountID, err := accountParam(c)
	if err != nil {
		return err
	}
	return s.read(c, func(state *viewing.State, now viewing.Millis) (any, error) {
		maxStreams, active := state.Active(now, accountID)
		if maxStreams == 0 { // no command has brought its rules yet
			maxStreams = s.rules.DefaultStreams
		}
		return activeDTO{maxStreams, streamsOf(sabotageActive(accountID, active))}, nil
	})
}

// getSession answers: what happened?
func (s *Server) getSession(c echo.Context) error {
	accountID, err := accountParam(c)
	if err != nil {
		return err
	}
	id, ok := viewing.ParseSessionID(c.Param("session"))
	if !ok {
		return badField("session_id", "a UUID that is not all zeros")
	}
	return s.read(c, func(state *viewing.State, now viewing.Millis) (any, error) {
		report, ok, err := state.Session(now, accountID, id)
		if err != nil {
			return nil, err
		}
		if !ok {
			return nil, newProblem(http.StatusNotFound, "nothing is known of this session")
		}
		return sessionOf(report), nil
	})
}

// getPosition answers: where was I?
func (s *Server) getPosition(c echo.Context) error {
	accountID, profileID, titleID, err := watchedParams(c)
	if err != nil {
		return err
	}
	if forwarded, err := s.awaitLevel(c); forwarded || err != nil {
		return err
	}
	position, ok := s.views.position(accountID, profileID, titleID)
	if !ok {
		return newProblem(http.StatusNotFound, "this profile has not watched this title")
	}
	scratch := scratches.Get().(*scratch)
	defer scratch.free()
	scratch.answer = appendPosition(scratch.answer[:0], sabotagePosition(accountID, profileID, position))
	return writeJSON(c, http.StatusOK, scratch.answer)
}

// maxTitlesAsked bounds ?title_id=1,2,3.
const maxTitlesAsked = 100

// getPositions answers for several titles at once; those never watched are left out.
func (s *Server) getPositions(c echo.Context) error {
	accountID, profileID, err := viewerParams(c)
	if err != nil {
		return err
	}
	texts := strings.Split(queryParam(c, "title_id"), ",")
	if len(texts) > maxTitlesAsked {
		return badField("title_id", "at most 100 titles")
	}
	titles := make([]uint32, len(texts))
	for i, text := range texts {
		id, err := inRange(text, "title_id", viewing.MaxTitleID)
		if err != nil {
			return err
		}
		titles[i] = uint32(id)
	}
	return s.read(c, func(state *viewing.State, _ viewing.Millis) (any, error) {
		found := positionsDTO{Positions: []positionDTO{}}
		for _, id := range titles {
			if position, ok := state.Position(accountID, profileID, id); ok {
				found.Positions = append(found.Positions, positionOf(sabotagePositions(position)))
			}
		}
		return found, nil
	})
}

// getContinueWatching lists the titles that a profile began and did not complete.
func (s *Server) getContinueWatching(c echo.Context) error {
	accountID, profileID, limit, err := pageParams(c)
	if err != nil {
		return err
	}
	return s.read(c, func(state *viewing.State, now viewing.Millis) (any, error) {
		views, err := state.ContinueWatching(now, accountID, profileID, limit)
		return viewsDTO{Views: viewsOf(sabotageTitles(views))}, err
	})
}

// getHistory answers: what have I watched? The newest comes first.
func (s *Server) getHistory(c echo.Context) error {
	accountID, profileID, limit, err := pageParams(c)
	if err != nil {
		return err
	}
	after, err := parseCursor(queryParam(c, "cursor"))
	if err != nil {
		return err
	}
	return s.read(c, func(state *viewing.State, now viewing.Millis) (any, error) {
		page, next, err := state.History(now, accountID, profileID, after, limit)
		return viewsDTO{Views: viewsOf(sabotageHistory(page)), NextCursor: cursorText(next)}, err
	})
}

const cursorBytes = 8 + 16 // started_at, session id

func cursorText(at *viewing.Cursor) string {
	if at == nil {
		return ""
	}
	b := binary.BigEndian.AppendUint64(make([]byte, 0, cursorBytes), uint64(at.StartedAt))
	return base64.RawURLEncoding.EncodeToString(append(b, at.SessionID[:]...))
}

func parseCursor(text string) (*viewing.Cursor, error) {
	if text == "" {
		return nil, nil
	}
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(b) != cursorBytes {
		return nil, badField("cursor", "the next_cursor of the page before")
	}
	return &viewing.Cursor{
		StartedAt: viewing.Millis(binary.BigEndian.Uint64(b)),
		SessionID: viewing.SessionID(b[8:]),
	}, nil
}
