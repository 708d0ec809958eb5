package scenarios

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/playhead-load/playhead/results"
)

const docFile = "../docs/scenario.md"

var (
	quoted      = regexp.MustCompile("`([^`]+)`")
	yamlBlock   = regexp.MustCompile("(?s)```yaml\n(.*?)```")
	unknownKey  = regexp.MustCompile(`unknown key "zzz"(?: in \S+)?, expected (.+)`)
	betweenKeys = regexp.MustCompile(`, | or `)
)

// TestDocNamesEveryKey: the table of docs/scenario.md has the keys that the decoder
// knows, and its example has them all and no mistake.
func TestDocNamesEveryKey(t *testing.T) {
	doc := readDoc(t)
	var documented []string
	for _, row := range rowsUnder(doc, "## Keys") {
		documented = append(documented, quotedIn(row[0])...)
	}
	known := keysOfDecoder()
	if diff := cmp.Diff(known, documented); diff != "" {
		t.Errorf("keys (-decoder +%s):\n%s", docFile, diff)
	}
	examples := ""
	for _, block := range yamlBlock.FindAllStringSubmatch(doc, -1) {
		examples += block[1]
		if _, err := Parse(docFile, []byte(block[1])); err != nil {
			t.Error(err)
		}
	}
	for _, key := range known {
		if last := key[strings.LastIndex(key, ".")+1:]; !regexp.MustCompile(`(?m)^[ -]*` + last + `:`).MatchString(examples) {
			t.Errorf("the example lacks %s", key)
		}
	}
}

// TestDocNamesEveryMetric: the table has each metric, and the aggregations that fit it.
func TestDocNamesEveryMetric(t *testing.T) {
	doc := readDoc(t)
	var operations, documented []string
	for line := range strings.Lines(doc) {
		if names := quotedIn(line); strings.HasPrefix(line, "`<operation>` is ") {
			operations = names[1:]
		}
	}
	for _, row := range rowsUnder(doc, "## Thresholds") {
		metrics := []string{strings.Trim(row[0], "`")}
		if field, ok := strings.CutPrefix(metrics[0], "<operation>"); ok {
			metrics = nil
			for _, operation := range operations {
				metrics = append(metrics, operation+field)
			}
		}
		documented = append(documented, metrics...)
		fitting := quotedIn(row[1])
		for _, aggregation := range []string{"avg", "min", "max", "med", "p(N)", "rate", "count", "value"} {
			for _, metric := range metrics {
				err := results.ValidateMetric(metric, results.Threshold{Aggregation: strings.TrimSuffix(aggregation, "(N)")})
				if named := slices.Contains(fitting, aggregation); named != (err == nil) {
					t.Errorf("%s of %s: named %v, but %v", aggregation, metric, named, err)
				}
			}
		}
	}
	known := results.Metrics()
	slices.Sort(known)
	slices.Sort(documented)
	if diff := cmp.Diff(known, documented); diff != "" {
		t.Errorf("metrics (-results.Metrics +%s):\n%s", docFile, diff)
	}
}

// TestDocNamesEveryScenario: the table has each file that is shipped, and no other.
func TestDocNamesEveryScenario(t *testing.T) {
	shipped, err := filepath.Glob("*.yaml")
	if err != nil || len(shipped) == 0 {
		t.Fatalf("no scenarios are shipped: %v", err)
	}
	var documented []string
	for _, row := range rowsUnder(readDoc(t), "## Scenarios that are here") {
		documented = append(documented, quotedIn(row[0])...)
	}
	slices.Sort(documented)
	if diff := cmp.Diff(shipped, documented); diff != "" {
		t.Errorf("scenarios (-shipped +%s):\n%s", docFile, diff)
	}
}

func readDoc(t *testing.T) string {
	t.Helper()
	doc, err := os.ReadFile(docFile)
	if err != nil {
		t.Fatal(err)
	}
	return string(doc)
}

// keysOfDecoder asks the decoder which keys it knows: it tells them where it meets
// one that it does not know.
func keysOfDecoder() []string {
	var keys []string
	for _, key := range keysExpected("zzz: 0") {
		inside, prefix := keysExpected(key+": {zzz: 0}"), key+"."
		if inside == nil {
			inside, prefix = keysExpected(key+": [{zzz: 0}]"), key+"[]."
		}
		if inside == nil {
			keys = append(keys, key)
		}
		for _, name := range inside {
			keys = append(keys, prefix+name)
		}
	}
	return keys
}

// keysExpected are the keys that the decoder names as it refuses zzz, nil if it does not.
func keysExpected(text string) []string {
	_, err := Parse("", []byte(text))
	var problems Problems
	_ = errors.As(err, &problems)
	for _, p := range problems {
		if m := unknownKey.FindStringSubmatch(p.Message); m != nil {
			return betweenKeys.Split(m[1], -1)
		}
	}
	return nil
}

// rowsUnder are the cells of the table under a heading, its head left out.
func rowsUnder(doc, heading string) (rows [][]string) {
	_, section, _ := strings.Cut(doc, heading+"\n")
	section, _, _ = strings.Cut(section, "\n## ")
	for line := range strings.Lines(section) {
		if row, ok := strings.CutPrefix(line, "| `"); ok {
			rows = append(rows, strings.Split("`"+row, " | "))
		}
	}
	return rows
}

func quotedIn(text string) (names []string) {
	for _, m := range quoted.FindAllStringSubmatch(text, -1) {
		names = append(names, m[1])
	}
	return names
}
