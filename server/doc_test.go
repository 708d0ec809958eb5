package server

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"
)

var (
	pathParameter  = regexp.MustCompile(`:(\w+)`)
	documentedPath = regexp.MustCompile(`/(?:v1/|healthz|readyz|metrics)[\w{}/-]*`)
)

// TestDocsNameMetrics: every metric in the docs is on a running server's /metrics.
func TestDocsNameMetrics(t *testing.T) {
	t.Parallel()
	names := exposed(string(startSingle(t).get(t, "/metrics").body))
	for _, file := range []string{"archive.md", "memory.md"} {
		doc, err := os.ReadFile("../docs/" + file)
		if err != nil {
			t.Fatal(err)
		}
		named := metricName.FindAllString(string(doc), -1)
		if len(named) < 3 {
			t.Errorf("docs/%s names only %v", file, named)
		}
		for _, name := range named {
			if names[name] == nil {
				t.Errorf("docs/%s names %s, which nobody tells", file, name)
			}
		}
	}
}

// TestDocNamesEveryRoute: docs/api.md names each route with its method, and no path
// that is not one.
func TestDocNamesEveryRoute(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile("../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	paths := map[string]bool{}
	for _, route := range startSingle(t).http.Handler.(*echo.Echo).Routes() {
		path := pathParameter.ReplaceAllString(route.Path, "{$1}")
		paths[path] = true
		if named := "| `" + route.Method + " " + path + "` |"; !strings.Contains(string(doc), named) {
			t.Errorf("docs/api.md lacks the row %s", named)
		}
	}
	if len(paths) == 0 {
		t.Fatal("the server has no routes")
	}
	for _, path := range documentedPath.FindAllString(string(doc), -1) {
		if !paths[path] {
			t.Errorf("docs/api.md names %s, which is no route", path)
		}
	}
}
