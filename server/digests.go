package server

import (
	"encoding/hex"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/playhead-load/playhead/viewing"
)

// digestsKept is how many entries back the digests of two nodes can be compared.
const digestsKept = 256

// digests remembers what the state was after each of the newest entries.
type digests struct {
	index  uint64 // of the entry being applied; 0 before the first
	newest [digestsKept]entryDigest
}

type entryDigest struct {
	index  uint64
	digest [32]byte
}

// begin notes the state as the entry before has left it, when the first command of
// the entry at index comes.
func (d *digests) begin(index uint64, state *viewing.State) {
	if index == d.index {
		return
	}
	if d.index > 0 {
		d.newest[d.index%digestsKept] = entryDigest{d.index, state.Digest()}
	}
	d.index = index
}

type digestDTO struct {
	Index  uint64 `json:"index"`
	Digest string `json:"digest"`
}

// getDigests tells what the state was after each of this node's newest entries. Of
// equal indexes every node tells the same, or they have come apart.
func (s *Server) getDigests(c echo.Context) error {
	answer := struct {
		NodeID  string      `json:"node_id"`
		Digests []digestDTO `json:"digests"` // the newest first
	}{s.node.Status().NodeID, []digestDTO{}}
	s.views.mu.RLock()
	d := &s.views.digests
	for index := d.index; index > 0 && index+digestsKept > d.index; index-- {
		if e := d.newest[index%digestsKept]; e.index == index {
			answer.Digests = append(answer.Digests, digestDTO{e.index, hex.EncodeToString(e.digest[:])})
		}
	}
	s.views.mu.RUnlock()
	return c.JSON(http.StatusOK, answer)
}
