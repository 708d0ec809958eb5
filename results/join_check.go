package results

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// joint is a part that is being joined.
type joint struct {
	*Folder
	number, of int
	beginS     float64 // when it began, in seconds after the earliest
}

// jointsOf are the parts in their order, if they are all parts of one run.
func jointsOf(folders []*Folder) ([]*joint, error) {
	if len(folders) < 2 {
		return nil, errors.New("expected two parts of a run or more")
	}
	parts := make([]*joint, 0, len(folders))
	for _, f := range folders {
		part, err := jointOf(f)
		if err != nil {
			return nil, err
		}
		if len(parts) > 0 {
			if err := ofOneRun(parts[0], part); err != nil {
				return nil, err
			}
		}
		parts = append(parts, part)
	}
	slices.SortStableFunc(parts, func(a, b *joint) int { return cmp.Compare(a.number, b.number) })
	if err := complete(parts); err != nil {
		return nil, err
	}
	return parts, together(parts)
}

func jointOf(f *Folder) (*joint, error) {
	number, of, found := strings.Cut(f.Run.Segment, "/")
	n, err := strconv.Atoi(number)
	m, err2 := strconv.Atoi(of)
	switch {
	case f.Run.Segment == "":
		return nil, fmt.Errorf("%s is a whole run: only parts of one, each played with --segment, can be joined", f.Run.Dir)
	case !found || err != nil || err2 != nil || n < 1 || n > m:
		return nil, inFile(f.Run, RunFile, fmt.Errorf("segment: expected a part such as 2/8, got %q", f.Run.Segment))
	case f.Run.Target.Design != External || len(f.Run.Faults) > 0:
		return nil, fmt.Errorf("%s was played against a cluster of its own: parts of one run are played against one target, with --target", f.Run.Dir)
	}
	return &joint{Folder: f, number: n, of: m}, nil
}

// inFile names the file of a run's folder in which something is wrong.
func inFile(run *Run, file string, err error) error {
	return fmt.Errorf("%s: %w", filepath.Join(run.Dir, file), err)
}

// sameInAll is what the parts of one run have in common.
var sameInAll = []struct {
	name string
	of   func(*Run) any
}{
	{"scenario", func(r *Run) any { return r.Scenario }},
	{"version", func(r *Run) any { return r.Version }},
	{"seed", func(r *Run) any { return r.Seed }},
	{"population", func(r *Run) any { return r.Model }},
	{"scale", func(r *Run) any { return r.Scale }},
	{"time scale", func(r *Run) any { return r.TimeScale }},
}

func ofOneRun(a, b *joint) error {
	for _, same := range sameInAll {
		if x, y := same.of(a.Run), same.of(b.Run); x != y {
			return fmt.Errorf("%s and %s are not parts of one run: %s %v and %v", a.Run.Dir, b.Run.Dir, same.name, x, y)
		}
	}
	if a.of != b.of {
		return fmt.Errorf("%s and %s are not parts of one run: part %s and %s", a.Run.Dir, b.Run.Dir, a.Run.Segment, b.Run.Segment)
	}
	if !bytes.Equal(a.Files.Scenario, b.Files.Scenario) {
		return fmt.Errorf("%s and %s are not parts of one run: their %s differs", a.Run.Dir, b.Run.Dir, ScenarioFile)
	}
	if !slices.EqualFunc(a.Run.Thresholds, b.Run.Thresholds, func(t, u ThresholdResult) bool {
		return t.Metric == u.Metric && t.Expression == u.Expression
	}) {
		return fmt.Errorf("%s and %s are not parts of one run: their thresholds differ", a.Run.Dir, b.Run.Dir)
	}
	return nil
}

// complete is an error where a part, of those in their order, is missing or there twice.
func complete(parts []*joint) error {
	for i, p := range parts[1:] {
		if before := parts[i]; before.number == p.number {
			return fmt.Errorf("%s and %s are both part %s: their accounts are the same", before.Run.Dir, p.Run.Dir, p.Run.Segment)
		}
	}
	missing := parts[0].of - len(parts)
	if missing == 0 {
		return nil
	}
	number := 1
	for number <= len(parts) && parts[number-1].number == number {
		number++
	}
	others := ""
	if missing > 1 {
		others = fmt.Sprintf(", and %s", plural(int64(missing-1), "other"))
	}
	return fmt.Errorf("part %d/%d is missing%s: the verdict is of the whole", number, parts[0].of, others)
}

// together notes when each part began. It is an error where one was measured when
// another had half its time behind it: their rates are not of the same time.
func together(parts []*joint) error {
	measuredFrom := func(r *Run) time.Time {
		return r.StartedAt.Add(time.Duration((r.DurationS - r.MeasuredS) * float64(time.Second)))
	}
	byBegin := func(a, b *joint) int { return measuredFrom(a.Run).Compare(measuredFrom(b.Run)) }
	first, last := slices.MinFunc(parts, byBegin), slices.MaxFunc(parts, byBegin)
	apart := measuredFrom(last.Run).Sub(measuredFrom(first.Run))
	if longest := slices.MaxFunc(parts, func(a, b *joint) int { return cmp.Compare(a.Run.MeasuredS, b.Run.MeasuredS) }); apart.Seconds() > longest.Run.MeasuredS/2 {
		return fmt.Errorf("%s and %s were played %v apart: parts of one run are played at the same time", first.Run.Dir, last.Run.Dir, apart.Round(time.Second))
	}
	earliest := slices.MinFunc(parts, func(a, b *joint) int { return a.Run.StartedAt.Compare(b.Run.StartedAt) }).Run.StartedAt
	for _, p := range parts {
		p.beginS = p.Run.StartedAt.Sub(earliest).Seconds()
	}
	return nil
}
