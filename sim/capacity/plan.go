package capacity

import "math"

// Size is what a population takes at its peak: groups of nodes that have a leader each,
// and share the accounts. Low is at the high end of the capacity's interval, High at its
// low end.
type Size struct {
	Demand
	ShardsLow  int `json:"shards_low"`
	ShardsHigh int `json:"shards_high"`
	NodesLow   int `json:"nodes_low"`
	NodesHigh  int `json:"nodes_high"`
}

// SizeOf divides a demand among groups of that many nodes, each of which holds from low to
// high events a second. Where only a low bound is known, high is infinite.
func SizeOf(demand Demand, nodes int, low, high float64) Size {
	fewest, most := shards(demand.PeakPerS, high), shards(demand.PeakPerS, low)
	return Size{Demand: demand, ShardsLow: fewest, ShardsHigh: most, NodesLow: fewest * nodes, NodesHigh: most * nodes}
}

func shards(demand, each float64) int { return max(1, int(math.Ceil(demand/each))) }
