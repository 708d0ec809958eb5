package fit_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"regexp"
	"strings"
	"testing"

	"github.com/playhead-load/playhead/sim/fit"
)

// loads are the ways of a page to have something loaded.
var loads = regexp.MustCompile(`(?i)\bsrc=|\bhref=|url\(|@import|<script|<link|<iframe`)

// TestThePageLoadsNothing and has every marginal, and every panel with both of its
// curves.
func TestThePageLoadsNothing(t *testing.T) {
	report := fit.Judge(play(t.Context(), t, model(t), day, 10*minute), populate(t, model(t)))
	report.Scenario = "<a & b>"
	var page, picture bytes.Buffer
	if err := errors.Join(report.HTML(&page), report.SVG(&picture)); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"page": page.String(), "picture": picture.String()} {
		if found := loads.FindString(text); found != "" {
			t.Errorf("the %s has %q", name, found)
		}
		if strings.Contains(text, "NaN") || strings.Contains(text, "Inf") || strings.Contains(text, "<a & b>") {
			t.Errorf("the %s has what is no number, or a name as it stands", name)
		}
		for _, panel := range report.Panels {
			if !strings.Contains(text, ">"+panel.Title+"<") {
				t.Errorf("the %s lacks %s", name, panel.Title)
			}
		}
		for _, class := range []string{"generated", "calibrated"} {
			curves := strings.Count(text, `<polyline class="`+class) + strings.Count(text, `<rect class="`+class)
			if curves < len(report.Panels) {
				t.Errorf("the %s has %d curves and bars that are %s, of %d panels", name, curves, class, len(report.Panels))
			}
		}
	}
	for _, line := range report.Lines {
		if !strings.Contains(page.String(), ">"+line.Name+"<") {
			t.Errorf("the page lacks %s", line.Name)
		}
	}
	for in := xml.NewDecoder(&picture); ; {
		if _, err := in.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("the picture is no XML: %v", err)
		}
	}
}

// TestTextAndJSONTellTheSame lines with the same verdicts.
func TestTextAndJSONTellTheSame(t *testing.T) {
	report := fit.Judge(play(t.Context(), t, model(t), 300*minute, minute), populate(t, model(t)))
	var text, data bytes.Buffer
	if err := errors.Join(report.Text(&text), report.JSON(&data)); err != nil {
		t.Fatal(err)
	}
	var back fit.Report
	if err := json.Unmarshal(data.Bytes(), &back); err != nil {
		t.Fatal(err)
	}
	if len(back.Lines) != len(report.Lines) {
		t.Fatalf("%d lines in JSON, want %d", len(back.Lines), len(report.Lines))
	}
	signs := map[fit.Verdict]string{fit.Pass: "✓", fit.Fail: "✗", fit.NotJudged: "·"}
	for _, line := range back.Lines {
		form := regexp.MustCompile(`(?m)^  ` + signs[line.Verdict] + ` ` + regexp.QuoteMeta(line.Name) + ` .*  ` + line.Mark + `  ` + regexp.QuoteMeta(line.Source) + `$`)
		if !form.MatchString(text.String()) {
			t.Errorf("the text lacks %s, %s, with %s and its source", line.Name, line.Verdict, line.Mark)
		}
	}
}
