package trace

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/playhead-load/playhead/viewing"
)

const (
	header  = "session_id,seq,type,at,account_id,profile_id,device_id,device_type,title_id,position_ms,played_ms,bitrate_ms,offline\n"
	session = "01935b6e-2c1a-7c3e-9d1f-5a0c6e1b2d3f"
	csvLine = session + `,7,keepalive,2026-11-23T20:15:00.123Z,42,1,9001,tv,80,881000,911000,"{""5800"":800000,""3000"":111000}",` + "\n"
	jsonOut = `{"session_id":"` + session + `","seq":7,"type":"keepalive","at":"2026-11-23T20:15:00.123Z","account_id":42,"profile_id":1,"device_id":9001,` +
		`"device_type":"tv","title_id":80,"position_ms":881000,"played_ms":911000,"bitrate_ms":{"3000":111000,"5800":800000}}` + "\n"
)

// imported is what Import makes of a text, its problems a line each.
func imported(t testing.TB, content string, mapping map[string]string) (trace, problems string, report ImportReport, err error) {
	t.Helper()
	var out bytes.Buffer
	report, err = Import(t.Context(), file(t, "log", content), func() (*Writer, error) { return NewWriter(&out, "memory"), nil }, ImportOptions{Map: mapping})
	for _, p := range report.Problems {
		problems += p.String() + "\n"
	}
	return out.String(), problems, report, err
}

func TestImport(t *testing.T) {
	replaced := func(old, by string) string { return strings.Replace(csvLine, old, by, 1) }
	for name, test := range map[string]struct {
		log      string
		mapping  map[string]string
		trace    string // what is kept
		problems string // each line's beginning
	}{
		"CSV":                 {log: header + csvLine, trace: jsonOut},
		"CSV with CRLF":       {log: strings.ReplaceAll(header+csvLine, "\n", "\r\n"), trace: jsonOut},
		"CSV with a mark":     {log: "\xef\xbb\xbf" + header + csvLine, trace: jsonOut},
		"NDJSON":              {log: jsonOut, trace: jsonOut},
		"zstd":                {log: compressed(t, header+csvLine), trace: jsonOut},
		"empty lines":         {log: "\n\n" + header + "\n  \n" + csvLine + "\n", trace: jsonOut},
		"no end of line":      {log: strings.TrimSuffix(jsonOut, "\n"), trace: jsonOut},
		"Unix ms in CSV":      {log: header + replaced("2026-11-23T20:15:00.123Z", "1795464900123"), trace: jsonOut},
		"Unix ms in JSON":     {log: strings.Replace(jsonOut, `"2026-11-23T20:15:00.123Z"`, "1795464900123", 1), trace: jsonOut},
		"another time zone":   {log: header + replaced("20:15:00.123Z", "21:15:00.123+01:00"), trace: jsonOut},
		"unknown JSON keys":   {log: strings.Replace(jsonOut, `{`, `{"x":[{"y":null}],"app":"4.2",`, 1), trace: jsonOut},
		"null is no value":    {log: strings.Replace(jsonOut, `{`, `{"country":null,`, 1), trace: jsonOut},
		"a quoted cell":       {log: header + replaced("tv", `"tv"`), trace: jsonOut},
		"other names, CSV":    {log: strings.Replace(header, "account_id", "user", 1) + csvLine, mapping: map[string]string{"user": "account_id"}, trace: jsonOut},
		"other names, NDJSON": {log: strings.Replace(jsonOut, "account_id", "user", 1), mapping: map[string]string{"user": "account_id"}, trace: jsonOut},
		"ours under theirs":   {log: strings.Replace(jsonOut, `{`, `{"user":42,`, 1), mapping: map[string]string{"user": "account_id"}, trace: jsonOut},

		"too many cells": {log: header + strings.TrimSpace(csvLine) + ",x\n" + csvLine, trace: jsonOut, problems: "line 2: expected 13 cells, as the header has, got 14\n"},
		"an open quote":  {log: header + replaced("tv", `"tv`) + csvLine, trace: jsonOut, problems: "line 2: expected a comma after a quoted cell\n"},
		"a lone quote":   {log: header + "\"\n" + csvLine, trace: jsonOut, problems: "line 2: a quoted cell does not end on its line\n"},
		"a bad number":   {log: header + replaced("9001", "9e3") + csvLine, trace: jsonOut, problems: "line 2: device_id: expected an integer from 1"},
		"NaN":            {log: header + replaced("881000", "NaN") + csvLine, trace: jsonOut, problems: "line 2: position_ms: expected an integer from 0"},
		"a huge number":  {log: header + replaced("881000", strings.Repeat("9", 500)) + csvLine, trace: jsonOut, problems: "line 2: position_ms: expected an integer from 0"},
		"a negative one": {log: header + replaced("881000", "-1") + csvLine, trace: jsonOut, problems: "line 2: position_ms: expected an integer from 0"},
		"a number's injection": {log: header + replaced("881000", `"1,""seq"":8"`) + csvLine, trace: jsonOut,
			problems: "line 2: position_ms: expected an integer from 0"},
		"an object's injection": {log: header + replaced(`"{""5800"":800000,""3000"":111000}"`, `"{},""offline"":true"`) + csvLine, trace: jsonOut,
			problems: "line 2: bitrate_ms: expected at most 32"},
		"no UTF-8":         {log: header + replaced("tv", "\xff\xfe") + csvLine, trace: jsonOut, problems: "line 2: device_type: expected 1 to 64 bytes of printable ASCII\n"},
		"a missing field":  {log: header + replaced(",80,", ",,") + csvLine, trace: jsonOut, problems: "line 2: title_id: expected an integer from 1 to 4294967295 (it is missing)\n"},
		"seconds, not ms":  {log: header + replaced("2026-11-23T20:15:00.123Z", "1795464900") + csvLine, trace: jsonOut, problems: "line 2: at: expected an RFC 3339 time from 2000 to 2100\n"},
		"far from any day": {log: header + replaced("2026-11-23T20:15:00.123Z", "9223372036854775807") + csvLine, trace: jsonOut, problems: "line 2: at: expected an RFC 3339"},
		"no JSON":          {log: "{\"seq\":NaN}\n" + jsonOut, trace: jsonOut, problems: "line 1: expected a JSON object: invalid character 'N'"},
		"an array":         {log: jsonOut + "[]\n", trace: jsonOut, problems: "line 2: expected a JSON object: "},
		"deep nesting":     {log: `{"x":` + strings.Repeat("[", 30000) + "\n" + jsonOut, trace: jsonOut, problems: "line 1: expected a JSON object: "},
		"over-long":        {log: jsonOut + strings.Repeat("x", 2*MaxLineBytes) + "\n", trace: jsonOut, problems: "line 2: a line of more than 65536 bytes\n"},
		"a repeated event": {log: header + csvLine + csvLine, trace: jsonOut, problems: "line 3: seq: expected more than in the session's events before"},
		"another title":    {log: header + csvLine + strings.NewReplacer(",7,", ",8,", ",80,", ",81,").Replace(csvLine), trace: jsonOut, problems: "line 3: session_id: expected the same account"},
		"offline":          {log: header + strings.NewReplacer("keepalive", "start", ",881000,", ",,", ",\n", ",true\n").Replace(csvLine) + csvLine, trace: jsonOut, problems: "line 2: position_ms: expected one in a start that is offline"},
		"no flag":          {log: header + strings.Replace(csvLine, ",\n", ",yes\n", 1) + csvLine, trace: jsonOut, problems: "line 2: offline: expected true or false\n"},
	} {
		t.Run(name, func(t *testing.T) {
			trace, problems, report, err := imported(t, test.log, test.mapping)
			if err != nil {
				t.Fatal(err)
			}
			if trace != test.trace {
				t.Errorf("kept\n%s\nwant\n%s", trace, test.trace)
			}
			if !strings.HasPrefix(problems, test.problems) || (problems == "") != (test.problems == "") || strings.Count(problems, "\n") > 1 {
				t.Errorf("problems\n%s\nwant\n%s", problems, test.problems)
			}
			if report.Lines != report.Kept+report.Bad || report.Sessions != 1 || report.First != report.Last {
				t.Errorf("report %+v", report)
			}
		})
	}
}

// TestImportOfWhatIsNoLog: one error, and no trace.
func TestImportOfWhatIsNoLog(t *testing.T) {
	whole := compressed(t, header+noise(1<<20))
	for name, test := range map[string]struct {
		log     string
		mapping map[string]string
		want    string
	}{
		"empty":              {"", nil, "is empty: expected NDJSON, or CSV with a header"},
		"white space":        {"\n \n", nil, "is empty"},
		"an unnamed column":  {strings.Replace(header, "account_id", "user", 1) + csvLine, nil, "line 1: the header lacks account_id: if a column has another name, say so with --map theirs=ours"},
		"semicolons":         {strings.ReplaceAll(header, ",", ";"), nil, "CSV is separated by commas"},
		"a column twice":     {"seq," + header, nil, `line 1: the header has the column "seq" twice`},
		"binary":             {"PAR1\x00\x01\x02", nil, "the header lacks session_id"},
		"an over-long head":  {strings.Repeat("x", 2*MaxLineBytes), nil, "line 1: expected NDJSON or the header of CSV, got a line of more than"},
		"UTF-16":             {"\xff\xfes\x00", nil, "is UTF-16"},
		"cut":                {whole[:len(whole)-1000], nil, "is cut short"},
		"a map to nowhere":   {jsonOut, map[string]string{"user": "account"}, `user=account: there is no field "account"; the fields are [session_id`},
		"a map from nothing": {jsonOut, map[string]string{"": "seq"}, "expected their name before the ="},
		"a map of two":       {jsonOut, map[string]string{"b": "seq", "a": "seq"}, "seq is mapped from both a and b"},
	} {
		trace, _, report, err := imported(t, test.log, test.mapping)
		if t.Logf("%s: %v", name, err); err == nil || !strings.Contains(err.Error(), test.want) || trace != "" || report.Kept != 0 {
			t.Errorf("%s: %v, kept %q, want the error %q", name, err, trace, test.want)
		}
	}
}

// TestImportBounds: the list of problems is bounded, their count is exact, and with
// nothing good there is no trace.
func TestImportBounds(t *testing.T) {
	_, problems, report, err := imported(t, header+strings.Repeat("x\n", 3*MaxProblems)+csvLine, nil)
	if err != nil || report.Bad != 3*MaxProblems || report.Kept != 1 || strings.Count(problems, "\n") != MaxProblems {
		t.Errorf("%v, %+v", err, report)
	}
	report, err = Import(t.Context(), file(t, "log", header+"x\n"), func() (*Writer, error) {
		t.Error("a trace was made of nothing")
		return nil, context.Canceled
	}, ImportOptions{})
	if err != nil || report.Bad != 1 || report.Kept != 0 {
		t.Errorf("%v, %+v", err, report)
	}
	_, _, report, err = imported(t, "app,"+header+"x,"+csvLine, nil)
	if err != nil || fmt.Sprint(report.Ignored) != "[app]" {
		t.Errorf("%v, %+v", err, report)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = Import(ctx, file(t, "log", jsonOut), nil, ImportOptions{})
	mustHave(t, err, "interrupted after line 1")
}

// TestImportSorts: a log in any order becomes the same trace, whether it fits in
// memory or not, and is a trace to a player.
func TestImportSorts(t *testing.T) {
	var events []*viewing.Event
	for seq := range uint32(40) {
		for n := range byte(10) {
			kind := viewing.Keepalive
			if seq == 0 {
				kind = viewing.Start
			}
			events = append(events, event(n+1, seq, int64(seq)*1000, kind))
		}
	}
	want := text(events...)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	random.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
	log := text(events...)
	for _, memory := range []int{200, 2000, sortMemory} {
		lines, err := openLines(file(t, "log", log))
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		m := &importing{lines: lines, names: names(Fields), sorter: sorter{memory: memory}}
		report, err := m.all(t.Context(), func() (*Writer, error) { return NewWriter(&out, "memory"), nil }, ImportOptions{})
		if err != nil || out.String() != want || report.Kept != 400 {
			t.Fatalf("in %d bytes: %v, %+v, the trace differs: %v", memory, err, report, out.String() != want)
		}
		if spilled := len(m.sorter.runs) > 0; spilled != (memory < sortMemory) {
			t.Errorf("in %d bytes: %d files", memory, len(m.sorter.runs))
		}
		if p := play(t, file(t, "x", out.String()), PlayerOptions{}); p.Events() != 400 || p.Devices() != 10 {
			t.Errorf("a player sees %d events on %d devices", p.Events(), p.Devices())
		}
	}
}

// TestImportTooLarge: beyond the last temporary file it says so.
func TestImportTooLarge(t *testing.T) {
	s := sorter{memory: 1}
	defer func() { _ = s.close() }()
	for i := range uint32(maxRuns) {
		if err := s.add(1, event(1, i, 0, viewing.Keepalive)); err != nil {
			t.Fatal(err)
		}
	}
	mustHave(t, s.add(1, event(1, maxRuns, 0, viewing.Keepalive)), "more than 16384 MiB of events: split the file")
}
