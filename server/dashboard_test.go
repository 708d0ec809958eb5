package server

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// dashboard is what the tests look at in deploy/grafana/playhead.json.
type dashboard struct {
	SchemaVersion int
	Templating    struct {
		List []struct{ Name, Type, Query any }
	}
	Panels []panel
}

type panel struct {
	ID         int
	Type       string
	Title      string
	Datasource struct{ Type, UID string }
	GridPos    struct{ H, W, X, Y int }
	Targets    []struct {
		Expr       string
		Datasource struct{ Type, UID string }
	}
	FieldConfig struct {
		Defaults struct{ Unit string }
	}
}

func readDashboard(t *testing.T) (d dashboard, text string) {
	t.Helper()
	b, err := os.ReadFile("../deploy/grafana/playhead.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &d); err != nil {
		t.Fatal(err)
	}
	return d, string(b)
}

var (
	metricName  = regexp.MustCompile(`\b(playhead|go|process)_[a-z0-9_]+\b`)
	labelsNamed = regexp.MustCompile(`(?:\bby \(([^)]*)\)|\{([^}]*)\})`)
	labelName   = regexp.MustCompile(`^\s*([a-z_]+)`)
	quoted      = regexp.MustCompile(`"[^"]*"`)
	sampleName  = regexp.MustCompile(`^([a-z0-9_]+)(?:\{(.*)\})? `)
)

// exposed are the names on a node's /metrics, each with the labels that it has.
func exposed(metrics string) map[string]map[string]bool {
	names := map[string]map[string]bool{}
	for line := range strings.Lines(metrics) {
		parts := sampleName.FindStringSubmatch(line)
		if parts == nil {
			continue
		}
		if names[parts[1]] == nil {
			names[parts[1]] = map[string]bool{"job": true, "instance": true} // of the scrape
		}
		for _, pair := range strings.Split(quoted.ReplaceAllString(parts[2], ""), ",") {
			names[parts[1]][strings.TrimSuffix(pair, "=")] = true
		}
	}
	return names
}

// unknown are the metrics that an expression names and nobody exposes, and the labels
// that none of its metrics has.
func unknown(expr string, names map[string]map[string]bool) []string {
	var found []string
	labels := map[string]bool{}
	for _, name := range metricName.FindAllString(expr, -1) {
		if names[name] == nil {
			found = append(found, name)
		}
		maps.Copy(labels, names[name])
	}
	for _, group := range labelsNamed.FindAllStringSubmatch(quoted.ReplaceAllString(expr, ""), -1) {
		for _, text := range strings.Split(group[1]+group[2], ",") {
			if label := labelName.FindStringSubmatch(text); label == nil || !labels[label[1]] {
				found = append(found, "the label "+text)
			}
		}
	}
	return found
}

// TestDashboardNamesMetrics: each metric and label of the dashboard is on a running
// server's /metrics, and each metric of ours is on the dashboard.
func TestDashboardNamesMetrics(t *testing.T) {
	t.Parallel()
	n := startSingle(t)
	n.tell(t, newEvent(1, 0, "start"))
	n.send(t, http.MethodPost, "/v1/cluster/snapshot", nil)
	names := exposed(string(n.get(t, "/metrics").body))
	if len(names) < 30 {
		t.Fatalf("/metrics has %v", slices.Sorted(maps.Keys(names)))
	}
	for _, wrong := range []string{
		`rate(playhead_http_requests[1m])`, `playhead_raft_term{node="n1"}`, `sum by (reason) (playhead_starts_total)`,
		`go_goroutine`, `process_cpu_seconds`, `playhead_raft_term{instance="n1"} - playhead_raft_terms`,
	} {
		if len(unknown(wrong, names)) == 0 {
			t.Errorf("nobody notices %s", wrong)
		}
	}
	d, text := readDashboard(t)
	for _, name := range metricName.FindAllString(text, -1) { // also those that its variables ask for
		if names[name] == nil {
			t.Errorf("there is no %s", name)
		}
	}
	shown := map[string]bool{}
	for _, p := range d.Panels {
		for _, target := range p.Targets {
			for _, what := range unknown(target.Expr, names) {
				t.Errorf("%s: nobody tells %s", p.Title, what)
			}
			for _, name := range metricName.FindAllString(target.Expr, -1) {
				shown[name] = true
			}
			if err := balanced(target.Expr); err != nil {
				t.Errorf("%s: %v: %s", p.Title, err, target.Expr)
			}
		}
	}
	for name := range names {
		base := strings.TrimSuffix(strings.TrimSuffix(name, "_sum"), "_count")
		if strings.HasPrefix(name, "playhead_") && !shown[name] && !shown[base+"_bucket"] {
			t.Errorf("no panel shows %s", name)
		}
	}
}

// balanced finds an expression that was cut short.
func balanced(expr string) error {
	var open []rune
	closes := map[rune]rune{')': '(', ']': '[', '}': '{'}
	for _, r := range quoted.ReplaceAllString(expr, "") {
		switch r {
		case '(', '[', '{':
			open = append(open, r)
		case ')', ']', '}':
			if len(open) == 0 || open[len(open)-1] != closes[r] {
				return fmt.Errorf("%c closes nothing", r)
			}
			open = open[:len(open)-1]
		}
	}
	if len(open) > 0 {
		return fmt.Errorf("%c is not closed", open[len(open)-1])
	}
	return nil
}

// TestDashboardCanBeImported: it asks for the data source, and its panels have a
// place, a unit and a query each.
func TestDashboardCanBeImported(t *testing.T) {
	t.Parallel()
	d, _ := readDashboard(t)
	if d.SchemaVersion < 39 { // of Grafana 11
		t.Errorf("schema version %d", d.SchemaVersion)
	}
	if len(d.Templating.List) == 0 || d.Templating.List[0].Type != "datasource" || d.Templating.List[0].Name != "datasource" || d.Templating.List[0].Query != "prometheus" {
		t.Errorf("variables: %v", d.Templating.List)
	}
	var rows []string
	ids, taken := map[int]bool{}, map[[2]int]string{}
	for _, p := range d.Panels {
		if p.ID == 0 || ids[p.ID] {
			t.Errorf("%s: id %d", p.Title, p.ID)
		}
		ids[p.ID] = true
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if x >= 24 || taken[[2]int{x, y}] != "" {
					t.Fatalf("%s stands on %q", p.Title, taken[[2]int{x, y}])
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
		if p.Type == "row" {
			rows = append(rows, p.Title)
			continue
		}
		if p.Datasource.UID != "${datasource}" || p.FieldConfig.Defaults.Unit == "" || len(p.Targets) == 0 {
			t.Errorf("%s: %+v", p.Title, p)
		}
		for _, target := range p.Targets {
			if target.Datasource.UID != "${datasource}" {
				t.Errorf("%s: the data source of a query is %q", p.Title, target.Datasource.UID)
			}
		}
	}
	if want := []string{"Traffic and latency", "Cluster", "State size", "Archive", "Refusals and errors", "Go runtime"}; !slices.Equal(rows, want) {
		t.Errorf("rows %q, want %q", rows, want)
	}
}
