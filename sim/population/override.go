package population

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Set replaces numbers of the model by name. What is replaced names the scenario as
// its source. The error of an unknown name lists the known, that of a number out of
// its bounds the bounds.
func (m *Model) Set(values map[string]float64) error {
	if m.Crowd != nil {
		crowd := *m.Crowd
		m.Crowd = &crowd
	}
	params := map[string]*Param{}
	for _, p := range m.params() {
		params[p.Name] = p
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		p, known := params[name]
		if !known {
			return fmt.Errorf("%s: no such parameter of %s: expected one of %s", name, m.Name, strings.Join(slices.Sorted(maps.Keys(params)), ", "))
		}
		least, most := p.bounds()
		if value := values[name]; !(value >= least && value <= most) {
			return fmt.Errorf("%s %v: expected %v to %v", name, value, least, most)
		}
		p.Value, p.Source, p.Mark = values[name], "the scenario", Assumed
	}
	return nil
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
	case "episode_min", "episode_max":
		return 1, 600
	case "film_median":
		return 60, 240
	case "long_pause":
		return 1, 24 * 60
	case "popularity_tail", "members", "mean_streams", "crowd_streams", "crowd_gathers":
		return 1, 1e10
	case "popularity_power":
		return 0, 10
	}
	switch p.Unit {
	case "probability", "ratio":
		return 0, 1
	case "h local", "h":
		return 0, 24
	case "1/h":
		return 0, 3600
	case "":
		return 0, 5
	}
	return 0, 24 * 60 // minutes, seconds, counts
}
