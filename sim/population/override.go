package population

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Set replaces numbers of the model by name: those of Params, and the shares of its
// tables, each of which has to have a sum of 1 again: New sees to that. What is replaced
// names the scenario as its source. The error of an unknown name lists the known, that
// of a number out of its bounds the bounds. The model must be of Named.
func (m *Model) Set(values map[string]float64) error {
	known := m.numbers()
	for _, name := range slices.Sorted(maps.Keys(values)) {
		n, found := known[name]
		if !found {
			return fmt.Errorf("%s: no such parameter of %s: expected one of %s", name, m.Name, strings.Join(slices.Sorted(maps.Keys(known)), ", "))
		}
		if value := values[name]; !(value >= n.least && value <= n.most) {
			return fmt.Errorf("%s %v: expected %v to %v", name, value, n.least, n.most)
		}
		*n.value, *n.source, *n.mark = values[name], "the scenario", Assumed
	}
	return nil
}

// Bounds are the least and the most that Set takes, by name.
func (m *Model) Bounds() map[string][2]float64 {
	bounds := map[string][2]float64{}
	for name, n := range m.numbers() {
		bounds[name] = [2]float64{n.least, n.most}
	}
	return bounds
}

// number is a number of a model that may be replaced.
type number struct {
	least, most float64
	value       *float64
	source      *string
	mark        *Mark
}

func (m *Model) numbers() map[string]number {
	numbers := map[string]number{}
	for _, p := range m.params() {
		least, most := p.bounds()
		numbers[p.Name] = number{least, most, &p.Value, &p.Source, &p.Mark}
	}
	for prefix, table := range map[string][]Share{"plan": m.Plans, "profiles": m.Profiles, "households": m.Households, "network": m.Networks} {
		for i := range table {
			row := &table[i]
			numbers[fmt.Sprintf("%s_%d", prefix, row.Value)] = number{0, 1, &row.Share, &row.Source, &row.Mark}
		}
	}
	for i := range m.Devices {
		d := &m.Devices[i]
		numbers[d.Type+"_streams"] = number{0, 1, &d.Streams, &d.Source, &d.Mark}
		var owned, offline string // they have no source
		numbers[d.Type+"_owned"] = number{0, 1, &d.Owned, &owned, &d.OwnedMark}
		numbers[d.Type+"_offline"] = number{0, 1, &d.Offline, &offline, &d.OwnedMark}
	}
	for i := range m.Zones {
		z := &m.Zones[i]
		numbers[fmt.Sprintf("zone_%s%+d", z.Country, z.OffsetMinutes)] = number{0, 1, &z.Share, &z.Source, &z.Mark}
	}
	return numbers
}

// bounds are of what a fleet can play.
func (p *Param) bounds() (least, most float64) {
	switch p.Name {
	case "titles":
		return 1, MaxTitles
	case "series_episodes":
		return 1, 1000
	case "film_first":
		return 1, 60
	case "episode_min", "episode_max", "film_median":
		return 1, 600
	case "long_pause", "crowd_runtime":
		return 1, 24 * 60
	case "popularity_tail", "members", "mean_streams":
		return 1, 1e10
	case "crowd_streams":
		return 0, 1e10
	case "crowd_gathers":
		return 1, 24 * 60
	case "popularity_power":
		return 0, 10
	}
	switch p.Unit {
	case "probability", "ratio":
		return 0, 1
	case "h local", "h":
		return 0, 23.999
	case "1/h":
		return 0, 60
	case "":
		return 0, 5
	}
	return 0, 24 * 60 // minutes, seconds, counts
}
