package results

import (
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

var joinedAt = time.Date(2026, 11, 28, 20, 30, 0, 0, time.UTC)

// sampleParts are the folders of a run of two parts, which began 1.3 s apart: ten seconds
// of warm-up and twenty that are measured. Each second the first has 10 keepalives of 1 ms
// and the second 5 of 100 ms, one of them an error.
func sampleParts(t *testing.T) []string {
	t.Helper()
	var dirs []string
	for i, part := range []struct {
		began    time.Duration
		n        int
		ms       int64
		sessions int64
		lagMS    float64
	}{{0, 10, 1, 40, 0.3}, {1300 * time.Millisecond, 5, 100, 25, 0.7}} {
		const warmUp = 10
		r := NewRecorder(warmUp*1_000_000, 30_000_000)
		var series []Interval
		for second := int64(1); second <= 30; second++ {
			in := Interval{ActiveSessions: part.sessions, Phase: PhaseCalm}
			if second > warmUp {
				answered(r, part.n, part.ms)
				in = r.Interval(second*1_000_000, Now{ActiveSessions: part.sessions, Phase: PhaseCalm})
			}
			in.AtS = float64(second)
			// The first part's sessions are many early, the second's late: at no time are both.
			if i == 0 && second == 5 || i == 1 && second == 25 {
				in.ActiveSessions += 100
			}
			series = append(series, in)
		}
		told, err := r.Timeline()
		if err != nil {
			t.Fatal(err)
		}
		p99, yes := float64(part.ms), true
		run := &Run{
			Version: "v1", ID: fmt.Sprint("run-", i), Scenario: "prime-time", Seed: 7, Model: "netflix-2015", Scale: 0.001, TimeScale: 60,
			Segment: fmt.Sprintf("%d/2", i+1), StartedAt: joinedAt.Add(part.began), DurationS: 30, MeasuredS: 20,
			Target:     Target{Design: External, Nodes: 2, URLs: []string{"http://n1", fmt.Sprint("http://n", i+2)}, Salt: fmt.Sprint("salt", i)},
			Load:       Load{TargetPerS: float64(part.n), OfferedPerS: float64(part.n), AchievedPerS: float64(part.n), ActiveSessionsPeak: part.sessions + 100, Unsent: 1, Retries: 2, Backlog: 3},
			Operations: r.Operations(20), Windows: told.Windows, Phases: told.Phases,
			Generator: Generator{Fit: true, SendLagMS: SendLag{P99: part.lagMS, Max: 1}, CPU: part.lagMS},
			Audit:     Audit{Sessions: 3, EventsAcknowledged: 100, Linearizable: &yes, Linearizability: Linearizability{AccountsChecked: 4}},
			Thresholds: []ThresholdResult{
				{Metric: "keepalive.response_ms", Expression: "p(60)<50", Value: &p99, OK: part.ms < 50},
				{Metric: "audit.events_lost", Expression: "count==0", Value: new(float64), OK: true},
			},
		}
		run.Verdict = run.Judge()
		dir := filepath.Join(t.TempDir(), fmt.Sprint("part", i+1))
		files := Files{Measurements: r.Measurements(), Pieces: told.Pieces, Series: series, Scenario: []byte("name: prime-time\n")}
		if err := Write(dir, run, files); err != nil {
			t.Fatal(err)
		}
		dirs = append(dirs, dir)
	}
	return dirs
}

func readFolders(t *testing.T, dirs ...string) []*Folder {
	t.Helper()
	var folders []*Folder
	for _, dir := range dirs {
		folder, err := ReadFolder(dir)
		if err != nil {
			t.Fatal(err)
		}
		folders = append(folders, folder)
	}
	return folders
}

func TestJoin(t *testing.T) {
	dirs := sampleParts(t)
	whole, err := Join(readFolders(t, dirs[1], dirs[0]))
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "whole")
	if err := Write(dir, whole.Run, whole.Files); err != nil {
		t.Fatal(err)
	}
	run := readFolders(t, dir)[0].Run // what was joined is itself whole
	if diff := cmp.Diff(Load{TargetPerS: 15, OfferedPerS: 15, AchievedPerS: 15, ActiveSessionsPeak: 165, Unsent: 2, Retries: 4, Backlog: 6}, run.Load); diff != "" {
		t.Errorf("load (-want +got):\n%s", diff)
	}
	if run.DurationS != 31.3 || run.MeasuredS != 20 || !run.StartedAt.Equal(joinedAt) || run.Segment != "" {
		t.Errorf("%v s, %v measured, from %v, segment %q", run.DurationS, run.MeasuredS, run.StartedAt, run.Segment)
	}
	o := run.Operations["keepalive"]
	if o.Count != 300 || o.Errors != 40 || o.RatePerS != 15 || math.Abs(o.ResponseMS.P50-1) > 0.01 || math.Abs(o.ResponseMS.P90-100) > 0.1 {
		t.Errorf("keepalives %+v", o)
	}
	var windows []string
	for _, w := range run.Windows {
		windows = append(windows, fmt.Sprintf("%v+%v %s %d/%d %v/s p90 %.0f", w.AtS, w.Seconds, w.Phase, w.Errors, w.Count, w.RatePerS, w.ResponseMS.P90))
	}
	if diff := cmp.Diff([]string{"10+10 calm 20/150 15/s p90 100", "20+10 calm 20/150 15/s p90 100"}, windows); diff != "" {
		t.Errorf("windows (-want +got):\n%s", diff)
	}
	if calm := run.Phases[PhaseCalm]; len(run.Phases) != 1 || calm.Seconds != 20 || calm.Operations["keepalive"].Errors != 40 || calm.Operations["keepalive"].RatePerS != 15 {
		t.Errorf("phases %+v", run.Phases)
	}
	if diff := cmp.Diff(Generator{Fit: true, SendLagMS: SendLag{P99: 0.7, Max: 1}, CPU: 0.7}, run.Generator); diff != "" {
		t.Errorf("generator (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(Target{Design: External, Nodes: 3, URLs: []string{"http://n1", "http://n2", "http://n3"}}, run.Target); diff != "" {
		t.Errorf("target (-want +got):\n%s", diff)
	}
	if run.Audit.Sessions != 6 || run.Audit.EventsAcknowledged != 200 || !*run.Audit.Linearizable || run.Audit.Linearizability.AccountsChecked != 8 {
		t.Errorf("audit %+v", run.Audit)
	}
	// The second part crosses the threshold by itself; of the whole it is held.
	if run.Verdict != VerdictPass || len(run.Thresholds) != 2 || math.Abs(*run.Thresholds[0].Value-1) > 0.01 {
		t.Errorf("verdict %s, %+v", run.Verdict, run.Thresholds)
	}
	if len(run.Parts) != 2 || run.Parts[0].Folder != dirs[0] || run.Parts[1].Salt != "salt1" || run.Parts[1].Verdict != VerdictFail {
		t.Errorf("parts %+v", run.Parts)
	}
	series, err := readSeries(dir)
	if err != nil || len(series) != 31 || series[0].ActiveSessions != 40 || series[20].Count != 15 || series[20].RatePerS != 15 || !math.IsNaN(series[20].P99MS) {
		t.Errorf("%d seconds, %+v, %v", len(series), series[20], err)
	}
}

// However recordings are dealt out to recorders, the whole of them is what one would have
// recorded.
func TestJoinedHistogramsAreThoseOfOne(t *testing.T) {
	// A check makes some 200 histograms of 180 KB each. -rapid.checks asks for another number.
	if checks := flag.Lookup("rapid.checks").Value; checks.String() == "100" {
		if err := checks.Set("20"); err != nil {
			t.Fatal(err)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		of := rapid.IntRange(2, 3).Draw(t, "parts")
		all, parts := NewRecorder(0, 0), make([]*Recorder, of)
		for i := range parts {
			parts[i] = NewRecorder(0, 0)
		}
		var folders []*Folder
		for second := range int64(rapid.IntRange(1, 12).Draw(t, "seconds")) {
			for range rapid.IntRange(0, 5).Draw(t, "recordings") {
				op := rapid.SampledFrom([]Op{OpStart, OpUpload, OpActiveSessions}).Draw(t, "op")
				waited, took := rapid.Int64Range(0, 1000).Draw(t, "waited"), rapid.Int64Range(0, 2*MaxTimeUS).Draw(t, "took")
				result := Result(rapid.IntRange(0, 2).Draw(t, "result"))
				for _, r := range []*Recorder{all, parts[rapid.IntRange(0, of-1).Draw(t, "part")]} {
					if took%7 == 0 {
						r.RecordUnsent(op, 0, took)
						continue
					}
					r.Record(op, 0, waited, took, result)
				}
			}
			for _, r := range append(parts, all) {
				r.Interval((second+1)*1_000_000, Now{Phase: PhaseCalm})
			}
		}
		for i, r := range parts {
			folders = append(folders, partOf(t, r, i+1, of))
		}
		whole, err := Join(folders)
		if err != nil {
			t.Fatal(err)
		}
		one := partOf(t, all, 1, 1)
		for op, m := range one.Files.Measurements {
			got := whole.Files.Measurements[op]
			if !m.Response.Equals(got.Response) || !m.Service.Equals(got.Service) {
				t.Fatalf("%s: the histograms differ", op)
			}
		}
		if diff := cmp.Diff(one.Run.Operations, whole.Run.Operations, nearlyEqual); diff != "" {
			t.Fatalf("operations (-of one +joined):\n%s", diff)
		}
		if diff := cmp.Diff(one.Run.Windows, whole.Run.Windows, nearlyEqual); diff != "" {
			t.Fatalf("windows (-of one +joined):\n%s", diff)
		}
		if diff := cmp.Diff(one.Run.Phases, whole.Run.Phases, nearlyEqual); diff != "" {
			t.Fatalf("phases (-of one +joined):\n%s", diff)
		}
	})
}

// nearlyEqual allows for sums of rates that were each rounded.
var nearlyEqual = cmp.Comparer(func(a, b float64) bool { return math.Abs(a-b) < 0.005 })

func partOf(t *rapid.T, r *Recorder, number, of int) *Folder {
	told, err := r.Timeline()
	if err != nil {
		t.Fatal(err)
	}
	seconds := told.Windows[len(told.Windows)-1].AtS + told.Windows[len(told.Windows)-1].Seconds
	return &Folder{
		Run: &Run{
			Segment: fmt.Sprintf("%d/%d", number, of), StartedAt: joinedAt, DurationS: seconds, MeasuredS: seconds,
			Target: Target{Design: External}, Generator: Generator{Fit: true},
			Operations: r.Operations(seconds), Windows: told.Windows, Phases: told.Phases,
		},
		Files: Files{Measurements: r.Measurements(), Pieces: told.Pieces},
	}
}

func TestJoinRefusesWhatIsNotOneRun(t *testing.T) {
	dirs := sampleParts(t)
	for name, tc := range map[string]struct {
		change func(*Folder) // of the second part
		want   string
	}{
		"a whole run":       {func(f *Folder) { f.Run.Segment = "" }, "B is a whole run: only parts of one, each played with --segment, can be joined"},
		"a strange segment": {func(f *Folder) { f.Run.Segment = "3/2" }, `B/run.json: segment: expected a part such as 2/8, got "3/2"`},
		"its own cluster":   {func(f *Folder) { f.Run.Target.Design = "raft" }, "B was played against a cluster of its own: parts of one run are played against one target, with --target"},
		"another scenario":  {func(f *Folder) { f.Run.Scenario = "soak" }, "A and B are not parts of one run: scenario prime-time and soak"},
		"another seed":      {func(f *Folder) { f.Run.Seed = 8 }, "A and B are not parts of one run: seed 7 and 8"},
		"another version":   {func(f *Folder) { f.Run.Version = "v2" }, "A and B are not parts of one run: version v1 and v2"},
		"another scale":     {func(f *Folder) { f.Run.Scale = 0.5 }, "A and B are not parts of one run: scale 0.001 and 0.5"},
		"another file":      {func(f *Folder) { f.Files.Scenario = []byte("name: prime-time") }, "A and B are not parts of one run: their scenario.yaml differs"},
		"other thresholds":  {func(f *Folder) { f.Run.Thresholds = f.Run.Thresholds[:1] }, "A and B are not parts of one run: their thresholds differ"},
		"the same part":     {func(f *Folder) { f.Run.Segment = "1/2" }, "A and B are both part 1/2: their accounts are the same"},
		"parts of others":   {func(f *Folder) { f.Run.Segment = "2/3" }, "A and B are not parts of one run: part 1/2 and 2/3"},
		"another time":      {func(f *Folder) { f.Run.StartedAt = joinedAt.Add(-11 * time.Second) }, "B and A were played 11s apart: parts of one run are played at the same time"},
	} {
		folders := readFolders(t, dirs...)
		folders[0].Run.Dir, folders[1].Run.Dir = "A", "B"
		tc.change(folders[1])
		if _, err := Join(folders); err == nil || err.Error() != tc.want {
			t.Errorf("%s: %v, want %s", name, err, tc.want)
		}
	}
	for of, want := range map[int]string{3: "part 3/3 is missing: ", 4: "part 3/4 is missing, and 1 other: "} {
		folders := readFolders(t, dirs...)
		for i, f := range folders {
			f.Run.Segment = fmt.Sprintf("%d/%d", i+1, of)
		}
		if _, err := Join(folders); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("two parts of %d: %v, want %s", of, err, want)
		}
	}
	if _, err := Join(readFolders(t, dirs[0])); err == nil {
		t.Error("one part was joined")
	}
}

// A part without a verdict, or with a wrong answer in it, is one of the whole.
func TestJoinKeepsWhatIsWrongWithAPart(t *testing.T) {
	dirs, no := sampleParts(t), false
	for name, tc := range map[string]struct {
		change func(*Run) // of the second part
		want   Verdict
		reason string
	}{
		"nothing":          {func(*Run) {}, VerdictPass, ""},
		"unfit":            {func(r *Run) { r.Generator.Fit, r.VoidReason = false, "it was late" }, VerdictVoid, "part 2/2: it was late"},
		"void, it says":    {func(r *Run) { r.Verdict = VerdictVoid }, VerdictVoid, "part 2/2: the generator was unfit to measure"},
		"interrupted":      {func(r *Run) { r.Interrupted, r.VoidReason = true, "interrupted" }, VerdictVoid, "part 2/2: interrupted"},
		"not audited":      {func(r *Run) { r.Audit = Audit{} }, VerdictVoid, "part 2/2: nothing was audited"},
		"lost":             {func(r *Run) { r.Audit.EventsLost = 1 }, VerdictViolated, ""},
		"not linearizable": {func(r *Run) { r.Audit.Linearizable = &no }, VerdictViolated, ""},
		"not decided":      {func(r *Run) { r.Audit.Linearizable = nil }, VerdictPass, ""},
	} {
		folders := readFolders(t, dirs...)
		tc.change(folders[1].Run)
		whole, err := Join(folders)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if whole.Run.Verdict != tc.want || whole.Run.VoidReason != tc.reason {
			t.Errorf("%s: %s %q, want %s %q", name, whole.Run.Verdict, whole.Run.VoidReason, tc.want, tc.reason)
		}
	}
	folders := readFolders(t, dirs...)
	for _, f := range folders {
		f.Run.Thresholds[0].Expression = "p(60)<0.5"
	}
	if whole, err := Join(folders); err != nil || whole.Run.Verdict != VerdictFail {
		t.Errorf("a threshold that the whole crosses: %v, %v", whole.Run.Verdict, err)
	}
}

// Every count of an audit is added: a new one is not forgotten.
func TestJoinAddsEveryCountOfAnAudit(t *testing.T) {
	var one, sum Audit
	var set func(v reflect.Value)
	set = func(v reflect.Value) {
		for i := range v.NumField() {
			switch f := v.Field(i); f.Kind() {
			case reflect.Int64:
				f.SetInt(1)
			case reflect.Struct:
				set(f)
			}
		}
	}
	set(reflect.ValueOf(&one).Elem())
	for range joinedExamples + 5 {
		one.Examples = append(one.Examples, Example{Kind: "events_lost"})
	}
	one.Examples = append(one.Examples, Example{Kind: "stale_reads"})
	sum.add(&one, true)
	sum.add(&one, false)
	var check func(name string, v reflect.Value)
	check = func(name string, v reflect.Value) {
		for i := range v.NumField() {
			switch f := v.Field(i); f.Kind() {
			case reflect.Int64:
				if f.Int() != 2 {
					t.Errorf("%s%s is %d of 1 and 1", name, v.Type().Field(i).Name, f.Int())
				}
			case reflect.Struct:
				check(name+v.Type().Field(i).Name+".", f)
			}
		}
	}
	check("", reflect.ValueOf(sum))
	if len(sum.Examples) != joinedExamples+2 {
		t.Errorf("%d examples", len(sum.Examples))
	}
}

func TestReadFolderNamesWhatIsBroken(t *testing.T) {
	for name, tc := range map[string]struct {
		file  string
		spoil func(text string) string
		want  string
	}{
		"run.json cut":        {RunFile, func(s string) string { return s[:len(s)/2] }, "unexpected end of JSON"},
		"a histogram cut":     {"keepalive.response.hlog", func(s string) string { return s[:len(s)-20] }, "read histogram"},
		"another's histogram": {"keepalive.response.hlog", func(s string) string { return s + lastLine(s) }, "400 times in it, and 200 of them in run.json"},
		"a window's cut":      {WindowsFile, func(s string) string { return strings.TrimSuffix(s, lastLine(s)) }, "it ends within a window"},
		"a window gone":       {WindowsFile, func(s string) string { return s[:strings.Index(s, "Tag=")] }, "0 times in the window at 10s, and 100 of them in run.json"},
		"windows shuffled":    {WindowsFile, func(s string) string { return strings.Replace(s, ".response,", ".service,", 1) }, "out of its place"},
		"a strange operation": {WindowsFile, func(s string) string { return strings.Replace(s, "Tag=keepalive", "Tag=jump", 1) }, "out of its place"},
		"a row cut":           {SeriesFile, func(s string) string { return s[:len(s)-12] }, "series.csv"},
		"another's columns":   {SeriesFile, func(string) string { return "t,n\n1,2\n" }, "expected the columns at_s,count"},
		"not a number":        {SeriesFile, func(s string) string { return strings.Replace(s, "\n3,", "\nthree,", 1) }, "line 4"},
		"backwards":           {SeriesFile, func(s string) string { return strings.Replace(s, "\n3,", "\n1,", 1) }, "1 s comes before 2 s"},
		"no scenario":         {ScenarioFile, nil, "no such file"},
		"no histogram":        {"keepalive.response.hlog", nil, "0 times in it, and 200 of them in run.json"},
		"no service times":    {"keepalive.service.hlog", nil, "no such file"},
		"no windows":          {WindowsFile, nil, "no such file"},
	} {
		dir := sampleParts(t)[0]
		path := filepath.Join(dir, tc.file)
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if tc.spoil == nil {
			err = os.Remove(path)
		} else {
			err = os.WriteFile(path, []byte(tc.spoil(string(text))), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		_, err = ReadFolder(dir)
		if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "copy the folder again") {
			t.Errorf("%s: %v, want the path, %q and what to do", name, err, tc.want)
		}
	}
}

func lastLine(text string) string {
	lines := strings.SplitAfter(strings.TrimSuffix(text, "\n"), "\n")
	return lines[len(lines)-1] + "\n"
}

// A second without a row has those who played before it, and one with two rows is one.
func TestJoinedSecondsHaveNoHoles(t *testing.T) {
	p := &joint{Folder: &Folder{}, beginS: 0.4}
	for _, row := range []struct {
		atS      float64
		sessions int64
	}{{1, 10}, {2, 20}, {3.6, 30}, {4.4, 35}, {14, 50}} {
		p.Files.Series = append(p.Files.Series, Interval{AtS: row.atS, Count: 1, RatePerS: 2, ActiveSessions: row.sessions})
	}
	got := map[int]string{}
	for at, s := range p.bySecond() {
		got[at] = fmt.Sprintf("%d of %d, %.2f/s", s.Count, s.ActiveSessions, s.RatePerS)
	}
	if diff := cmp.Diff(map[int]string{
		1: "1 of 10, 2.00/s", 2: "1 of 20, 2.00/s", 3: "0 of 20, 0.00/s", 4: "2 of 35, 2.00/s",
		5: "0 of 35, 0.00/s", 6: "0 of 35, 0.00/s", 7: "0 of 35, 0.00/s", 8: "0 of 35, 0.00/s", 9: "0 of 35, 0.00/s",
		14: "1 of 50, 2.00/s",
	}, got); diff != "" {
		t.Errorf("seconds (-want +got):\n%s", diff)
	}
}
