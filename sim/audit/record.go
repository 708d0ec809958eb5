package audit

import "github.com/playhead-load/playhead/results"

// Record is the report as it stands in run.json. What only the cluster's keeper knows, of
// crashes and replicas, is not in it.
func (r *Report) Record() results.Audit {
	told := results.Audit{
		Sessions: r.Sessions, EventsAcknowledged: r.Acknowledged, Unacknowledged: r.Unanswered,
		EventsLost:          r.Violations[KindLost],
		OverAdmissions:      r.Violations[KindOverAdmission],
		FalseDenials:        r.Violations[KindFalseDenial],
		PositionMismatches:  r.Violations[KindPosition],
		HistoryMismatches:   r.Violations[KindHistory],
		EventsRejected:      r.Violations[KindRejected],
		StaleReads:          r.Violations[KindStale],
		PositionRegressions: r.Violations[KindRegression],
		Uncounted:           r.Uncounted,
		Accounts:            r.Accounts, AccountsReadBack: r.ReadBack,
		Readings: r.Readings, ReadingsUnkept: r.Unread, Unjudged: r.Unjudged,
		Linearizable: r.Linearizability.Verdict(),
		Linearizability: results.Linearizability{
			AccountsChecked: r.Linearizability.Checked,
			Illegal:         r.Linearizability.Illegal,
			Unknown:         r.Linearizability.Unknown,
		},
	}
	for _, e := range r.Examples {
		told.Examples = append(told.Examples, results.Example{
			Kind: e.Kind, AccountID: int64(e.Account), SessionID: e.Session.String(), Detail: e.Detail, History: e.History,
		})
	}
	return told
}
