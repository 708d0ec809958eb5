package population

const (
	none       = "no public figure"
	engagement = "fit to Netflix's engagement report, 2025 H1"
	imc        = "Krishnan & Sitaraman, IMC 2012"
	tencent    = "Tencent Video, 540 M views; split over kinds of view tuned to its 20 % complete and 56 % under half"
	membersUS  = "letter to shareholders, 2015 Q1: 41.4 of 62.3 M members; by zone as the people of the country"
	abroad     = "the rest of the members: " + none + " by country"
	hours      = "the deck of 2015: 62 M members, 3.0 G hours a month"
)

func netflix2015() Model {
	return Model{
		Name: "netflix-2015",
		Zones: []Zone{ // the virtual clock is that of New York
			{"US", 0.313, 0, membersUS, Recalled}, {"US", 0.193, -60, membersUS, Recalled},
			{"US", 0.047, -120, membersUS, Recalled}, {"US", 0.113, -180, membersUS, Recalled},
			{"CA", 0.060, 0, abroad, Assumed}, {"GB", 0.075, 300, abroad, Assumed},
			{"BR", 0.045, 180, abroad, Assumed}, {"MX", 0.040, -60, abroad, Assumed},
			{"NL", 0.030, 360, abroad, Assumed}, {"SE", 0.025, 360, abroad, Assumed},
			{"DE", 0.025, 360, abroad, Assumed}, {"AR", 0.034, 120, abroad, Assumed},
		},

		Members:      Param{"members", 62_000_000, "accounts", hours, Verified},
		MeanStreams:  Param{"mean_streams", 4_100_000, "playbacks", hours + ", divided by the hours of a month", Derived},
		TroughToPeak: Param{"trough_to_peak", 0.2, "ratio", "Scryer fleet figures, BBC iPlayer; peak/mean 1.67", Derived},
		PeakHour:     Param{"peak_hour", 21, "h local", "Scryer fleet figures, BBC iPlayer", Derived},

		Plans: []Share{
			{1, 0.25, "limits: Netflix help pages; shares: " + none, Assumed},
			{2, 0.45, "limits: Netflix help pages; shares: " + none, Assumed},
			{4, 0.30, "limits: Netflix help pages; shares: " + none, Assumed},
		},
		Profiles: []Share{
			{1, 0.24, none + "; mean 2.5", Assumed}, {2, 0.31, none + "; mean 2.5", Assumed},
			{3, 0.22, none + "; mean 2.5", Assumed}, {4, 0.17, none + "; mean 2.5", Assumed},
			{5, 0.06, none + "; mean 2.5", Assumed},
		},
		Households: []Share{
			{2, 1.0 / 3, none, Assumed}, {3, 1.0 / 3, none, Assumed}, {4, 1.0 / 3, none, Assumed},
		},
		Networks: []Share{
			{0, 0.6, none, Assumed}, {1, 0.3, none, Assumed}, {2, 0.1, none, Assumed},
		},
		Devices: []DeviceShare{
			{"tv", 0.70, "Vox / MacRumors 2018", Verified, 0.9, []string{"560", "1750", "3000", "5800"}, 0, Assumed},
			{"web", 0.15, "Vox / MacRumors 2018", Verified, 0.6, []string{"560", "1050", "1750", "3000"}, 0, Assumed},
			{"phone", 0.10, "Vox / MacRumors 2018", Verified, 0.8, []string{"235", "375", "560", "750"}, 0.03, Assumed},
			{"tablet", 0.05, "Vox / MacRumors 2018", Verified, 0.4, []string{"375", "560", "1050", "1750"}, 0.05, Assumed},
		},

		Titles:          Param{"titles", 7200, "titles", engagement, Derived},
		PopularityPower: Param{"popularity_power", 0.54, "", engagement, Derived},
		PopularityTail:  Param{"popularity_tail", 2600, "ranks", engagement, Derived},
		SeriesEpisodes:  Param{"series_episodes", 10, "titles", none + "; neighbours in the ranking", Assumed},
		FilmsAfter:      Param{"films_after_series", 4, "titles", none + "; tuned to a mean play of 21 to 24 min", Assumed},
		EpisodeMin:      Param{"episode_min", 22, "min", engagement, Verified},
		EpisodeMax:      Param{"episode_max", 60, "min", engagement, Verified},
		FilmMedian:      Param{"film_median", 105, "min", engagement, Derived},
		FilmSigma:       Param{"film_sigma", 0.2, "", none, Assumed},

		ShortView:        Param{"short_view", 0.555, "probability", tencent, Derived},
		ShortMean:        Param{"short_mean", 3, "min", "exponential: PPLive, Chen et al. 2014; mean: " + none, Assumed},
		LongComplete:     Param{"long_complete", 0.265, "probability", tencent, Derived},
		FilmComplete:     Param{"film_complete", 0.24, "probability", tencent, Derived},
		LongOverHalf:     Param{"long_over_half", 0.87, "probability", tencent, Derived},
		FilmFirst:        Param{"film_first", 14, "min", "truncated power law: PPLive, Chen et al. 2014; its beginning: " + none, Assumed},
		NextEpisode:      Param{"next_episode", 0.65, "probability", "Netflix / Reuters 2016, a binge averages 2 h 10", Derived},
		NextComplete:     Param{"next_complete", 0.85, "probability", none, Assumed},
		ResumeTitle:      Param{"resume_title", 0.30, "probability", none, Assumed},
		ResumeComplete:   Param{"resume_complete", 0.47, "probability", none, Assumed},
		SittingEnds:      Param{"sitting_ends", 0.7, "probability", none, Assumed},
		BrowseMean:       Param{"browse_mean", 40, "s", none, Assumed},
		EndsWithoutStop:  Param{"ends_without_stop", 0.03, "probability", none, Assumed},
		StartupMedian:    Param{"startup_median", 1.2, "s", none, Assumed},
		StartupSigma:     Param{"startup_sigma", 0.6, "", none, Assumed},
		AbandonsAfter:    Param{"abandons_after", 2, "s", imc, Verified},
		Abandons:         Param{"abandons", 0.058, "probability", imc + ", for each further second", Verified},
		RebufferedViews:  Param{"rebuffered_views", 0.1, "probability", none, Assumed},
		RebufferMean:     Param{"rebuffer_mean", 2, "s", none, Assumed},
		RebufferCost:     Param{"rebuffer_cost", 5, "times", imc + "; 1 % of rebuffering, 5 % less watched", Verified},
		LowRungViews:     Param{"low_rung_views", 0.1, "probability", none, Assumed},
		LowRungBeginning: Param{"low_rung_beginning", 15, "s", none, Assumed},
		DipViews:         Param{"dip_views", 0.2, "probability", none, Assumed},
		DipBegins:        Param{"dip_begins", 600, "s", none, Assumed},
		DipMean:          Param{"dip_mean", 60, "s", none, Assumed},
		OfflineMean:      Param{"offline_mean", 90, "min", none, Assumed},

		Pauses:      Param{"pauses", 0.6, "1/h", none, Assumed},
		PauseMedian: Param{"pause_median", 60, "s", none, Assumed},
		PauseSigma:  Param{"pause_sigma", 1.5, "", none, Assumed},
		LongPause:   Param{"long_pause", 30, "min", "open-source Netflix client for Kodi", Verified},
		Seeks:       Param{"seeks", 1, "1/h", none, Assumed},
		ShortSeeks:  Param{"short_seeks", 0.7, "probability", none, Assumed},
		ShortSeek:   Param{"short_seek", 10, "s", none, Assumed},
		LongSeekMax: Param{"long_seek_max", 5, "min", none, Assumed},
		Errors:      Param{"errors", 0.02, "1/h", none, Assumed},
		Telemetry:   Param{"telemetry", 0.1, "1/h", none, Assumed},

		Crowd: Crowd{
			Streams: Param{"crowd_streams", 0, "playbacks", "no event on a usual day", Assumed},
			Hour:    Param{"crowd_hour", 21, "h", none + "; the peak hour", Assumed},
			Gathers: Param{"crowd_gathers", 5, "min", none, Assumed},
			Runtime: Param{"crowd_runtime", 60, "min", "an episode, at most: " + engagement, Derived},
			Stays:   Param{"crowd_stays", 45, "min", none, Assumed},
		},

		Figures: netflix2015Figures(),
	}
}

// netflix2018 and netflix2025 have the habits and the countries of 2015: what is
// calibrated is a day of 1.67 times its mean at the peak, which members all round the
// world, whose evenings are hours apart, cannot have.
func netflix2018() Model {
	m := netflix2015()
	const source = "letters to shareholders, 2018: 117 M members, 4.2 G hours a month"
	m.Name = "netflix-2018"
	m.Members = Param{"members", 117_000_000, "accounts", source, Verified}
	m.MeanStreams = Param{"mean_streams", 5_800_000, "playbacks", source + ", divided by the hours of a month", Derived}
	m.Figures = m.Figures.scaled(&m, 4_400, 7_500, 97_000, 165_000)
	return m
}

func netflix2025() Model {
	m := netflix2015()
	const source = "engagement report and letters to shareholders, 2025: about 300 M members, 95 G hours in half a year"
	m.Name = "netflix-2025"
	m.Members = Param{"members", 300_000_000, "accounts", source, Verified}
	m.MeanStreams = Param{"mean_streams", 21_900_000, "playbacks", source + ", divided by the hours", Derived}
	m.Figures = m.Figures.scaled(&m, 16_600, 28_000, 364_000, 620_000)
	return m
}

// liveEvent is an evening of netflix-2025 with one title that everybody comes to.
func liveEvent() Model {
	m := netflix2025()
	const fight = "a fight of 2024-11-15: 65 M streams at the peak"
	m.Name = "live-event"
	m.Crowd = Crowd{
		Streams: Param{"crowd_streams", 65_000_000, "playbacks", fight, Verified},
		Hour:    Param{"crowd_hour", 21, "h", none, Assumed},
		Gathers: Param{"crowd_gathers", 20, "min", none, Assumed},
		Runtime: Param{"crowd_runtime", 240, "min", none, Assumed},
		Stays:   Param{"crowd_stays", 120, "min", none, Assumed},
	}
	return m
}
