package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

// manifest is what the tests look at of a Kubernetes object.
type manifest struct {
	APIVersion string `yaml:"apiVersion"`
	Kind       string
	Spec       struct {
		Parallelism int
		Script      struct {
			LocalFile string `yaml:"localFile"`
		}
		Runner struct {
			Env []struct{ Name, Value string }
		}
	}
}

func readManifests(t *testing.T, path string) map[string]manifest {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]manifest{}
	for decoder := yaml.NewDecoder(bytes.NewReader(text)); ; {
		var m manifest
		err := decoder.Decode(&m)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil || m.APIVersion == "" {
			t.Fatalf("%s: %+v, %v", path, m, err)
		}
		all[m.Kind] = m
	}
}

func TestDockerfileNamesWhatIsThere(t *testing.T) {
	root := "../.."
	if _, err := os.Stat(filepath.Join(root, "k6")); errors.Is(err, os.ErrNotExist) {
		t.Skip("the k6 extension, which it builds, is not in this tree")
	}
	text, err := os.ReadFile(filepath.Join(root, "deploy/k6-operator/Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	for _, copied := range regexp.MustCompile(`(?m)^COPY ([^-\n]+) \S+$`).FindAllStringSubmatch(string(text), -1) {
		paths = append(paths, strings.Fields(copied[1])...)
	}
	built := regexp.MustCompile(`go build .*`).FindString(string(text))
	paths = append(paths, regexp.MustCompile(`\./\S+`).FindAllString(built, -1)...)
	paths = append(paths, readManifests(t, filepath.Join(root, "deploy/k6-operator/testrun.yaml"))["TestRun"].Spec.Script.LocalFile)
	if len(paths) < 6 {
		t.Fatalf("found only %q", paths)
	}
	for _, path := range paths {
		if _, err := os.Stat(filepath.Join(root, path)); err != nil {
			t.Error(err)
		}
	}
}

// Each process of k6 needs a VU, or a part of the fleet is played by nobody.
func TestEveryRunnerHasAVU(t *testing.T) {
	run := readManifests(t, "../../deploy/k6-operator/testrun.yaml")["TestRun"].Spec
	vus := 0
	for _, variable := range run.Runner.Env {
		if variable.Name == "VUS" {
			vus, _ = strconv.Atoi(variable.Value)
		}
	}
	if run.Parallelism < 2 || vus == 0 || vus%run.Parallelism != 0 {
		t.Errorf("%d VUs for %d processes", vus, run.Parallelism)
	}
}
