package results

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Threshold is a condition in k6's grammar, such as "p(99)<500", on a metric,
// such as "start.response_ms".
type Threshold struct {
	Metric      string  // what ParseThreshold leaves empty
	Expression  string  // as it was written
	Aggregation string  // avg, min, max, med, p, count, rate or value
	Percentile  float64 // of p: 0 … 100
	Operator    string  // < <= > >= == === !=
	Bound       float64 // in the metric's unit
}

var errThreshold = errors.New("expected an aggregation such as p(99), avg, min, max, med, count, rate or value, " +
	"then <, <=, >, >=, == or !=, then a number")

// operators are in the order they must be looked for: a longer one before its prefix.
var operators = []string{"===", "!=", "==", "<=", ">=", "<", ">"}

// ParseThreshold reads an expression of k6's threshold grammar: an aggregation,
// an operator and a number, with spaces allowed between them. The error says
// what was expected. Metric is left empty.
func ParseThreshold(expression string) (Threshold, error) {
	t := Threshold{Expression: expression}
	at := strings.IndexAny(expression, "<>=!")
	if at < 0 {
		return t, errThreshold
	}
	aggregation, rest := strings.TrimSpace(expression[:at]), expression[at:]
	for _, op := range operators {
		if strings.HasPrefix(rest, op) {
			t.Operator, rest = op, strings.TrimSpace(rest[len(op):])
			break
		}
	}
	if t.Operator == "" {
		return t, errThreshold
	}
	if percent, ok := strings.CutSuffix(rest, "%"); ok && aggregation == "rate" {
		if x, err := strconv.ParseFloat(strings.TrimSpace(percent), 64); err == nil {
			return t, fmt.Errorf("expected a share from 0 to 1%s", percentAsShare(x))
		}
	}
	bound, err := strconv.ParseFloat(rest, 64)
	if err != nil || math.IsNaN(bound) || math.IsInf(bound, 0) {
		return t, errThreshold
	}
	t.Bound = bound
	return t, t.setAggregation(aggregation)
}

func (t *Threshold) setAggregation(s string) error {
	switch s {
	case "avg", "min", "max", "med", "count", "rate", "value":
		t.Aggregation = s
		return nil
	}
	inner, ok := strings.CutPrefix(s, "p(")
	if !ok {
		return errThreshold
	}
	if inner, ok = strings.CutSuffix(inner, ")"); !ok {
		return errThreshold
	}
	p, err := strconv.ParseFloat(strings.TrimSpace(inner), 64)
	if err != nil {
		return errThreshold
	}
	if !(p >= 0 && p <= 100) {
		return fmt.Errorf("expected a percentile from 0 to 100, got p(%s)", inner)
	}
	t.Aggregation, t.Percentile = "p", p
	return nil
}

// percentAsShare says how to write what was meant as so many percent. It is empty where
// no share would do, for that would be refused in its turn.
func percentAsShare(percent float64) string {
	written := strconv.FormatFloat(percent/100, 'g', 6, 64)
	if share, err := strconv.ParseFloat(written, 64); err != nil || !(share > 0 && share < 1) {
		return ""
	}
	return fmt.Sprintf(": for %v %% write %s", percent, written)
}

// Decides is an error where a threshold is on a rate, and every rate there can be holds
// it, or none does. It says what was probably meant.
func (t Threshold) Decides() error {
	equality := t.Operator == "==" || t.Operator == "===" || t.Operator == "!="
	within := t.Bound >= 0 && t.Bound <= 1
	holds := t.Holds(0)
	if t.Aggregation != "rate" || equality && within || holds != t.Holds(1) {
		return nil
	}
	when := "never"
	if holds {
		when = "always"
	}
	hint := ""
	if t.Bound > 1 { // a smaller one was meant as a share
		hint = percentAsShare(t.Bound)
	}
	return fmt.Errorf("a rate is a share from 0 to 1, so this %s holds%s", when, hint)
}

// Holds tells whether value satisfies the threshold.
func (t Threshold) Holds(value float64) bool {
	switch t.Operator {
	case "<":
		return value < t.Bound
	case "<=":
		return value <= t.Bound
	case ">":
		return value > t.Bound
	case ">=":
		return value >= t.Bound
	case "==", "===":
		return value == t.Bound
	case "!=":
		return value != t.Bound
	}
	return false
}
