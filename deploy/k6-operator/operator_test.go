// Package operator holds the files of this folder against the tree: what they name exists,
// and what is said in two of them is the same in both.
package operator

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

// root is the repository's, where the image is built.
const root = "../.."

// folder is the text of each file here by its name, and what was found wrong with them.
type folder struct {
	files    map[string]string
	problems []string
}

func read(t *testing.T) map[string]string {
	t.Helper()
	files := map[string]string{}
	for _, name := range []string{"Dockerfile", "kustomization.yaml", "report.yaml", "results.yaml", "testrun.yaml"} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		files[name] = string(text)
	}
	return files
}

func (f *folder) expect(ok bool, format string, args ...any) {
	if !ok {
		f.problems = append(f.problems, fmt.Sprintf(format, args...))
	}
}

func (f *folder) decode(name string, into any) {
	err := yaml.UnmarshalWithOptions([]byte(f.files[name]), into, yaml.Strict())
	f.expect(err == nil, "%s: %v", name, err)
}

var (
	passed  = regexp.MustCompile(`-e ([A-Z]+)=(\S+)`)
	wanted  = regexp.MustCompile(`__ENV\.([A-Z]+)`)
	opened  = regexp.MustCompile(`open\('([^']+)'\)`)
	goOfMod = regexp.MustCompile(`(?m)^go (\d+\.\d+)`)
)

// problemsOf are what is wrong with the files, a sentence each.
func problemsOf(files map[string]string) []string {
	f := &folder{files: files}
	var run testRun
	var report job
	var results claim
	var kustomize kustomization
	f.decode("testrun.yaml", &run)
	f.decode("report.yaml", &report)
	f.decode("results.yaml", &results)
	f.decode("kustomization.yaml", &kustomize)
	for _, name := range kustomize.Resources {
		f.expect(files[name] != "", "kustomization.yaml: no file %s", name)
	}
	if len(report.Spec.Template.Spec.Containers) != 1 {
		return append(f.problems, "report.yaml: not one container")
	}
	image := f.image()
	f.testRun(run, image)
	f.joined(run, report, results, image)
	return f.problems
}

// testRun looks at what the operator is told of script, VUs and environment.
func (f *folder) testRun(run testRun, image image) {
	f.expect(run.APIVersion == "k6.io/v1alpha1" && run.Kind == "TestRun", "testrun.yaml: %s %s", run.APIVersion, run.Kind)
	told := map[string]string{}
	for _, pair := range passed.FindAllStringSubmatch(run.Spec.Arguments, -1) {
		told[pair[1]] = pair[2]
	}
	f.expect(told["VUS"] == fmt.Sprint(run.Spec.Parallelism), "testrun.yaml: VUS=%s for %d runners", told["VUS"], run.Spec.Parallelism)
	for _, variable := range run.Spec.Runner.Env {
		f.expect(told[variable.Name] == "", "testrun.yaml: %s is told twice", variable.Name)
		told[variable.Name] = variable.Value
	}
	source := image.files[run.Spec.Script.LocalFile]
	script, err := os.ReadFile(filepath.Join(root, source))
	if source == "" || err != nil {
		f.expect(false, "testrun.yaml: no %s in the image", run.Spec.Script.LocalFile)
		return
	}
	var reads []string
	for _, match := range wanted.FindAllStringSubmatch(string(script), -1) {
		reads = append(reads, match[1])
	}
	for name := range told {
		f.expect(slices.Contains(reads, name), "testrun.yaml: %s is not read by %s", name, source)
	}
	for _, match := range opened.FindAllStringSubmatch(string(script), -1) {
		file := path.Join(path.Dir(run.Spec.Script.LocalFile), match[1])
		f.expect(image.files[file] != "", "Dockerfile: the script opens %s, which is not in the image", file)
	}
}

// joined looks at whether the report finds, and may read, what the runners leave.
func (f *folder) joined(run testRun, report job, results claim, image image) {
	runner, reporter := run.Spec.Runner, report.Spec.Template.Spec.Containers[0]
	f.expect(report.Spec.BackoffLimit == 0 && report.Spec.Template.Spec.RestartPolicy == "Never", "report.yaml: a verdict is asked for again")
	f.expect(slices.Contains(results.Spec.AccessModes, "ReadWriteMany"), "results.yaml: %v, for several machines", results.Spec.AccessModes)
	f.expect(runner.Image != "" && runner.Image == reporter.Image, "images: %q and %q", runner.Image, reporter.Image)
	var out string
	for _, variable := range runner.Env {
		if variable.Name == "OUT" {
			out = variable.Value
		}
	}
	command := strings.Join(reporter.Command, " ")
	expected := fmt.Sprintf("sh -c playhead report %s/*-of-%d", out, run.Spec.Parallelism)
	f.expect(command == expected, "report.yaml: %q, expected %q", command, expected)
	for name, has := range map[string]struct {
		Pod
		Container
	}{"testrun.yaml": {runner.Pod, runner.Container}, "report.yaml": {report.Spec.Template.Spec.Pod, reporter}} {
		user := fmt.Sprintf("%d:%d", has.SecurityContext.RunAsUser, has.SecurityContext.RunAsGroup)
		f.expect(has.SecurityContext.RunAsNonRoot && user == image.user, "%s: runs as %s, the image as %s", name, user, image.user)
		f.expect(has.SecurityContext.FSGroup == has.SecurityContext.RunAsGroup, "%s: fsGroup %d", name, has.SecurityContext.FSGroup)
		mounted := len(has.Volumes) == 1 && len(has.VolumeMounts) == 1 && has.Volumes[0].Name == has.VolumeMounts[0].Name
		f.expect(mounted && strings.HasPrefix(out, has.VolumeMounts[0].Path+"/"), "%s: %s is on no volume", name, out)
		f.expect(mounted && has.Volumes[0].Claim.Name == results.Metadata.Name, "%s: the volume is not %s", name, results.Metadata.Name)
	}
}

// image is what the last stage of the Dockerfile makes.
type image struct {
	files map[string]string // path in the image, path in the tree; of a program, its package
	user  string
}

// image reads the Dockerfile as far as this one goes: each instruction on a line.
func (f *folder) image() image {
	made := image{files: map[string]string{}}
	built := map[string]string{}
	stages := 0
	for line := range strings.Lines(f.files["Dockerfile"]) {
		words := strings.Fields(line)
		switch {
		case len(words) == 0 || words[0] == "#":
		case words[0] == "FROM":
			if stages++; stages == 1 {
				mod, err := os.ReadFile(filepath.Join(root, "go.mod"))
				version := goOfMod.FindStringSubmatch(string(mod))
				f.expect(err == nil && version != nil && words[1] == "golang:"+version[1], "Dockerfile: %s, go.mod has %v", words[1], version)
			}
		case words[0] == "USER":
			made.user = words[1]
		case words[0] == "RUN" && slices.Contains(words, "build"):
			for _, word := range words {
				if name, ok := strings.CutPrefix(word, "./"); ok {
					_, err := os.Stat(filepath.Join(root, name, "main.go"))
					f.expect(err == nil, "Dockerfile: no program %s", word)
					built["/out/"+path.Base(name)] = name
				}
			}
		case words[0] == "COPY":
			f.copied(words[1:], built, made.files)
		}
	}
	f.expect(stages == 2, "Dockerfile: %d stages", stages)
	for _, program := range []string{"k6", "playhead"} {
		f.expect(made.files["/usr/local/bin/"+program] != "", "Dockerfile: no %s in the image's PATH", program)
	}
	f.expect(made.user != "" && !strings.HasPrefix(made.user, "0"), "Dockerfile: the user is root")
	return made
}

// copied puts what a COPY copies into files.
func (f *folder) copied(words []string, built, files map[string]string) {
	from, sources, to := words[0], words[:len(words)-1], words[len(words)-1]
	if strings.HasPrefix(from, "--from=") {
		for _, source := range sources[1:] {
			f.expect(built[source] != "", "Dockerfile: %s was not built", source)
			files[path.Join(to, path.Base(source))] = built[source]
		}
		return
	}
	for _, source := range sources {
		found, err := filepath.Glob(filepath.Join(root, source))
		f.expect(err == nil && len(found) > 0, "Dockerfile: no %s", source)
		if len(found) == 1 {
			if within, err := filepath.Glob(found[0] + "/*"); err == nil && len(within) > 0 {
				found = within // of a folder, what is in it
			}
		}
		for _, file := range found {
			name, err := filepath.Rel(root, file)
			f.expect(err == nil, "Dockerfile: %v", err)
			files[path.Join(to, filepath.Base(file))] = name
		}
	}
}

func TestWhatTheFilesNameExists(t *testing.T) {
	for _, problem := range problemsOf(read(t)) {
		t.Error(problem)
	}
}

// Each line breaks one thing, which must be told.
func TestWhatIsWrongIsFound(t *testing.T) {
	for _, wrong := range []struct{ file, is, becomes, told string }{
		{"testrun.yaml", "parallelism: 4", "parallelism: 5", "VUS=4 for 5 runners"},
		{"testrun.yaml", "k6.io/v1alpha1", "k6.io/v1", "testrun.yaml: k6.io/v1 TestRun"},
		{"testrun.yaml", "localFile", "localfile", "unknown field"},
		{"testrun.yaml", "prime-time.js", "primetime.js", "no /scenarios/k6/primetime.js in the image"},
		{"testrun.yaml", "name: TARGET", "name: TARGETS", "TARGETS is not read by scenarios/k6/prime-time.js"},
		{"testrun.yaml", "value: /results/", "value: /result/", "/result/prime-time is on no volume"},
		{"testrun.yaml", "claimName: playhead-results", "claimName: results", "the volume is not playhead-results"},
		{"testrun.yaml", "runAsUser: 12345", "runAsUser: 1000", "runs as 1000:12345, the image as 12345:12345"},
		{"testrun.yaml", "fsGroup: 12345", "fsGroup: 1", "fsGroup 1"},
		{"report.yaml", "-of-4", "-of-2", "/results/prime-time/*-of-2"},
		{"report.yaml", "image: playhead-k6", "image: playhead", `"playhead-k6" and "playhead"`},
		{"report.yaml", "backoffLimit: 0", "backoffLimit: 6", "asked for again"},
		{"results.yaml", "ReadWriteMany", "ReadWriteOnce", "for several machines"},
		{"kustomization.yaml", "testrun.yaml", "test.yaml", "no file test.yaml"},
		{"Dockerfile", "golang:1.26", "golang:1.25", "golang:1.25, go.mod has"},
		{"Dockerfile", "./cmd/playhead", "./cmd/player", "no program ./cmd/player"},
		{"Dockerfile", "/out/playhead", "", "no playhead in the image's PATH"},
		{"Dockerfile", "go.sum", "go.lock", "no go.lock"},
		{"Dockerfile", "scenarios/*.yaml /scenarios/", "scenarios/*.yaml /", "opens /scenarios/prime-time.yaml"},
		{"Dockerfile", "USER 12345:12345", "USER 0:0", "the user is root"},
	} {
		t.Run(wrong.told, func(t *testing.T) {
			files := read(t)
			broken := strings.Replace(files[wrong.file], wrong.is, wrong.becomes, 1)
			if broken == files[wrong.file] {
				t.Fatalf("%s has no %q", wrong.file, wrong.is)
			}
			files[wrong.file] = broken
			problems := problemsOf(files)
			if !slices.ContainsFunc(problems, func(p string) bool { return strings.Contains(p, wrong.told) }) {
				t.Errorf("expected %q, found %q", wrong.told, problems)
			}
		})
	}
}
