package results

import "fmt"

// Op is an operation that is recorded: one kind of event or one kind of read.
// The set is closed, so that a run's memory and files are bounded.
type Op uint8

// The operations.
const (
	OpStart Op = iota
	OpKeepalive
	OpPause
	OpResume
	OpSeek
	OpTelemetry
	OpError
	OpStop
	OpUpload // of an event of any kind that was played without a connection
	OpPosition
	OpHistory
	OpContinueWatching
	OpActiveSessions

	OpCount // how many there are
)

var opNames = [OpCount]string{
	OpStart:            "start",
	OpKeepalive:        "keepalive",
	OpPause:            "pause",
	OpResume:           "resume",
	OpSeek:             "seek",
	OpTelemetry:        "telemetry",
	OpError:            "error",
	OpStop:             "stop",
	OpUpload:           "upload",
	OpPosition:         "position",
	OpHistory:          "history",
	OpContinueWatching: "continue-watching",
	OpActiveSessions:   "active-sessions",
}

// Ops lists every operation, in the order people read them in.
func Ops() []Op {
	ops := make([]Op, OpCount)
	for i := range ops {
		ops[i] = Op(i)
	}
	return ops
}

// String is the operation's name in run.json, in file names and in thresholds.
func (op Op) String() string {
	if op >= OpCount {
		return fmt.Sprintf("op(%d)", uint8(op))
	}
	return opNames[op]
}

// ParseOp finds an operation by its name.
func ParseOp(name string) (Op, error) {
	for i, n := range opNames {
		if n == name {
			return Op(i), nil
		}
	}
	return 0, fmt.Errorf("unknown operation %q", name)
}

// Result is how an operation ended.
type Result uint8

// The results. A denial is an answer, not an error.
const (
	ResultOK     Result = iota
	ResultDenied        // answered: too many streams
	ResultError         // no answer in time, or an answer that is an error
)
