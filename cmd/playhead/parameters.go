package main

import (
	"fmt"
	"io"

	"github.com/playhead-load/playhead/sim/population"
)

// printModel lists the parameters with their sources. V: read in the source,
// D: derived from one, R: recalled, A: assumed.
func printModel(out io.Writer, m *population.Model, sharedAccounts float64) {
	fmt.Fprintf(out, "parameters of %s (V read in the source · D derived · R recalled · A assumed)\n", m.Name)
	line := func(name string, value float64, unit string, mark population.Mark, source string) {
		fmt.Fprintf(out, "  %-24s %9.4g %-13s %c  %s\n", name, value, unit, mark, source)
	}
	for _, p := range m.Params() {
		line(p.Name, p.Value, p.Unit, p.Mark, p.Source)
	}
	shares := func(name string, rows []population.Share) {
		for _, row := range rows {
			line(fmt.Sprintf("%s %d", name, row.Value), row.Share, "share", row.Mark, row.Source)
		}
	}
	line("shared_accounts", sharedAccounts, "share", population.Assumed, "the scenario; no public figure")
	shares("stream limit", m.Plans)
	shares("profiles", m.Profiles)
	shares("households sharing", m.Households)
	for _, d := range m.Devices {
		line(d.Type, d.Streams, "of streams", d.Mark, d.Source)
		line(d.Type, d.Owned, "of households", d.OwnedMark, "have one; it plays at "+d.LowRung+" and "+d.HighRung+" kbit/s")
	}
}
