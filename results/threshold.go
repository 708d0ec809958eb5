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
