package main

import (
	"fmt"
	"io"
	"strings"

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
	shares := func(name, of string, rows []population.Share) {
		for _, row := range rows {
			line(fmt.Sprintf("%s_%d", name, row.Value), row.Share, of, row.Mark, row.Source)
		}
	}
	line("shared_accounts", sharedAccounts, "share", population.Assumed, "the scenario; no public figure")
	shares("plan", "of accounts", m.Plans)
	shares("profiles", "of accounts", m.Profiles)
	shares("households", "of shared", m.Households)
	shares("network", "of households", m.Networks)
	for _, z := range m.Zones {
		line(fmt.Sprintf("zone_%s%+d", z.Country, z.OffsetMinutes), z.Share, "of accounts", z.Mark, z.Source)
	}
	for _, d := range m.Devices {
		line(d.Type+"_streams", d.Streams, "of streams", d.Mark, d.Source)
		line(d.Type+"_owned", d.Owned, "of households", d.OwnedMark, "have one; it plays at "+strings.Join(d.Ladder, ", ")+" kbit/s")
		line(d.Type+"_offline", d.Offline, "of sittings", d.OwnedMark, "are played without a connection and told later; no public figure")
	}
}
