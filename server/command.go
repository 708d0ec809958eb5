package server

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/playhead-load/playhead/viewing"
	"github.com/playhead-load/playhead/viewing/wire"
)

// commandVersion is the first byte of a command in the log. A change of the
// encoding takes the next number, and decoding keeps the old ones.
const commandVersion = 1

// commandKind says what a command does.
type commandKind uint8

const (
	commandEvents  commandKind = 1 + iota // events, one after another to the end
	commandStart                          // one event, a start that is asked for
	commandAccount                        // account id, max streams
	commandHide                           // account id, profile id, title id
)

// A command is version, kind, the leader's rules, and what the kind says. The
// rules travel with it so that nodes with other flags judge alike.
func appendCommand(dst []byte, kind commandKind, rules viewing.Rules) []byte {
	dst = append(dst, commandVersion, byte(kind))
	dst = binary.AppendUvarint(dst, uint64(rules.LeaseMS))
	return binary.AppendUvarint(dst, uint64(rules.DefaultStreams))
}

func appendAccountCommand(dst []byte, rules viewing.Rules, accountID uint64, maxStreams int) []byte {
	dst = appendCommand(dst, commandAccount, rules)
	dst = binary.AppendUvarint(dst, accountID)
	return binary.AppendUvarint(dst, uint64(maxStreams))
}

func appendHideCommand(dst []byte, rules viewing.Rules, accountID uint64, profileID uint8, titleID uint32) []byte {
	dst = appendCommand(dst, commandHide, rules)
	dst = binary.AppendUvarint(dst, accountID)
	dst = binary.AppendUvarint(dst, uint64(profileID))
	return binary.AppendUvarint(dst, uint64(titleID))
}

var errCommand = errors.New("a command in the log is cut short")

// command is a command taken apart; rest is what its kind says.
type command struct {
	kind  commandKind
	rules viewing.Rules
	rest  []byte
}

func parseCommand(b []byte) (command, error) {
	if len(b) < 2 {
		return command{}, errCommand
	}
	if b[0] != commandVersion {
		return command{}, fmt.Errorf("a command in the log has version %d, expected %d: run a newer server", b[0], commandVersion)
	}
	c := command{kind: commandKind(b[1]), rest: b[2:]}
	lease, err := c.uint()
	if err != nil {
		return command{}, err
	}
	streams, err := c.uint()
	if err != nil {
		return command{}, err
	}
	c.rules = viewing.Rules{LeaseMS: int64(lease), DefaultStreams: int(streams)}
	return c, nil
}

func (c *command) uint() (uint64, error) {
	v, n := binary.Uvarint(c.rest)
	if n <= 0 {
		return 0, errCommand
	}
	c.rest = c.rest[n:]
	return v, nil
}

func (c *command) uints(to ...*uint64) error {
	for _, v := range to {
		var err error
		if *v, err = c.uint(); err != nil {
			return err
		}
	}
	return nil
}

// decoder is the log's: its bytes were valid when they were written and are
// checksummed since.
func (c *command) event(decoder *wire.Decoder, e *viewing.Event) (err error) {
	c.rest, err = decoder.DecodeTrusted(c.rest, e)
	return err
}
