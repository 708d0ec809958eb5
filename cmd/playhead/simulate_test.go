package main

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/playhead-load/playhead/plan"
	"github.com/playhead-load/playhead/scenarios"
	"github.com/playhead-load/playhead/sim/fit"
)

func TestVerdictOf(t *testing.T) {
	pass, fail := fit.Line{Verdict: fit.Pass}, fit.Line{Verdict: fit.Fail}
	notJudged := fit.Line{Verdict: fit.NotJudged}
	for name, c := range map[string]struct {
		report fit.Report
		code   int
	}{
		"nothing fails":                    {fit.Report{Lines: []fit.Line{pass, notJudged}}, 0},
		"one fails":                        {fit.Report{Lines: []fit.Line{pass, fail}}, 99},
		"interrupted":                      {fit.Report{Partial: true, Lines: []fit.Line{pass}}, 97},
		"interrupted, and there one fails": {fit.Report{Partial: true, Lines: []fit.Line{fail}}, 97},
	} {
		var verdict verdictError
		errors.As(verdictOf(&c.report), &verdict)
		if verdict.code != c.code {
			t.Errorf("%s: exit code %d, want %d", name, verdict.code, c.code)
		}
	}
}

// TestSimulateInterrupted: what was played is told, as a part, and there is no verdict.
func TestSimulateInterrupted(t *testing.T) {
	s, err := scenarios.Load("../../scenarios/prime-time.yaml", plan.ParameterBounds)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out, trouble bytes.Buffer
	err = simulate(ctx, s, simulateOptions{}, &out, &trouble)
	var verdict verdictError
	if !errors.As(err, &verdict) || verdict.code != 97 {
		t.Errorf("got %v, want exit code 97", err)
	}
	if !strings.Contains(out.String(), "INTERRUPTED, only 0s from 20:40") || !strings.Contains(out.String(), "not judged") {
		t.Errorf("the report lacks that it was interrupted:\n%s", out.String())
	}
}
