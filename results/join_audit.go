package results

// joinedExamples is how many examples of each kind a joined run keeps.
const joinedExamples = 20

// add counts what was found in another part of the accounts. Whether the whole is
// linearizable is decided where it is of every part.
func (a *Audit) add(part *Audit, first bool) {
	for _, sum := range []struct{ of, more *int64 }{
		{&a.Sessions, &part.Sessions},
		{&a.EventsAcknowledged, &part.EventsAcknowledged},
		{&a.Unacknowledged, &part.Unacknowledged},
		{&a.EventsLost, &part.EventsLost},
		{&a.OverAdmissions, &part.OverAdmissions},
		{&a.FalseDenials, &part.FalseDenials},
		{&a.PositionMismatches, &part.PositionMismatches},
		{&a.HistoryMismatches, &part.HistoryMismatches},
		{&a.StaleReads, &part.StaleReads},
		{&a.PositionRegressions, &part.PositionRegressions},
		{&a.EventsRejected, &part.EventsRejected},
		{&a.NodeCrashes, &part.NodeCrashes},
		{&a.ReplicaMismatches, &part.ReplicaMismatches},
		{&a.Uncounted, &part.Uncounted},
		{&a.Accounts, &part.Accounts},
		{&a.AccountsReadBack, &part.AccountsReadBack},
		{&a.Readings, &part.Readings},
		{&a.ReadingsUnkept, &part.ReadingsUnkept},
		{&a.Unjudged, &part.Unjudged},
		{&a.Linearizability.AccountsChecked, &part.Linearizability.AccountsChecked},
		{&a.Linearizability.Illegal, &part.Linearizability.Illegal},
		{&a.Linearizability.Unknown, &part.Linearizability.Unknown},
	} {
		*sum.of += *sum.more
	}
	if first {
		a.Linearizable = part.Linearizable
	} else {
		a.Linearizable = both(a.Linearizable, part.Linearizable)
	}
	a.addExamples(part.Examples)
}

// both is false where one is, and not known where one is not known.
func both(a, b *bool) *bool {
	switch {
	case a != nil && !*a:
		return a
	case b == nil, !*b:
		return b
	}
	return a
}

func (a *Audit) addExamples(more []Example) {
	kept := map[string]int{}
	for _, e := range a.Examples {
		kept[e.Kind]++
	}
	for _, e := range more {
		if kept[e.Kind]++; kept[e.Kind] <= joinedExamples {
			a.Examples = append(a.Examples, e)
		}
	}
}
