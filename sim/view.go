package sim

import (
	"github.com/playhead-load/playhead/sim/population"
	"github.com/playhead-load/playhead/sim/random"
	"github.com/playhead-load/playhead/viewing"
)

const (
	secondMS = 1000
	minuteMS = 60 * secondMS
	hourMS   = 60 * minuteMS
	dayMS    = 24 * hourMS
)

// habits are the model's numbers of viewers, in milliseconds and once an hour.
type habits struct {
	shortView, longComplete, filmComplete, longOverHalf float64
	nextEpisode, nextComplete, resume, resumeComplete   float64
	sittingEnds, endsSilent, rebuffered, shortSeeks     float64
	shortMeanMS, filmFirstMS, browseMeanMS, rebufferMS  float64
	pauses, seeks, errors, telemetry, interruptsPerHour float64
	pauseMedianMS, pauseSigma, longSeekMS               float64
	lowViews, lowBeginningMS, dips, dipBeginsMS, dipMS  float64
	startupMS, startupSigma, abandonsAfterMS, abandons  float64
	rebufferCost, crowdStaysMS                          float64
	offlineMS                                           float64
	crowdBeginsMS                                       int64
	longPauseMS, shortSeekMS                            int32
}

func habitsOf(m *population.Model) habits {
	h := habits{
		shortView: m.ShortView.Value, longComplete: m.LongComplete.Value,
		filmComplete: m.FilmComplete.Value, longOverHalf: m.LongOverHalf.Value,
		nextEpisode: m.NextEpisode.Value, nextComplete: m.NextComplete.Value,
		resume: m.ResumeTitle.Value, resumeComplete: m.ResumeComplete.Value,
		sittingEnds: m.SittingEnds.Value, endsSilent: m.EndsWithoutStop.Value,
		rebuffered: m.RebufferedViews.Value, shortSeeks: m.ShortSeeks.Value,
		shortMeanMS: m.ShortMean.Value * minuteMS, filmFirstMS: m.FilmFirst.Value * minuteMS,
		browseMeanMS: m.BrowseMean.Value * secondMS, rebufferMS: m.RebufferMean.Value * secondMS,
		pauses: m.Pauses.Value, seeks: m.Seeks.Value,
		errors: m.Errors.Value, telemetry: m.Telemetry.Value,
		interruptsPerHour: m.Pauses.Value + m.Seeks.Value + m.Errors.Value + m.Telemetry.Value,
		pauseMedianMS:     m.PauseMedian.Value * secondMS, pauseSigma: m.PauseSigma.Value,
		longSeekMS: m.LongSeekMax.Value * minuteMS,
		lowViews:   m.LowRungViews.Value, lowBeginningMS: m.LowRungBeginning.Value * secondMS,
		longPauseMS: int32(m.LongPause.Value * minuteMS),
		shortSeekMS: int32(m.ShortSeek.Value * secondMS),
		dips:        m.DipViews.Value, dipBeginsMS: m.DipBegins.Value * secondMS, dipMS: m.DipMean.Value * secondMS,
		startupMS: m.StartupMedian.Value * secondMS, startupSigma: m.StartupSigma.Value,
		abandonsAfterMS: m.AbandonsAfter.Value * secondMS, abandons: m.Abandons.Value,
		rebufferCost: m.RebufferCost.Value, offlineMS: m.OfflineMean.Value * minuteMS,
		crowdBeginsMS: int64(m.Crowd.Hour.Value * hourMS), crowdStaysMS: m.Crowd.Stays.Value * minuteMS,
	}
	return h
}

// machine moves devices; it has no state of its own but the mode.
type machine struct {
	catalogue   *population.Catalogue
	habits      habits
	keepaliveMS int32
	quiet       bool // playbacks that begin are not told to the server
}

// shelf is what an account's viewers left half-way, the latest first.
type shelf [2]bookmark

// bookmark is a title left half-way; 0 is none.
type bookmark struct {
	title  uint16
	viewer uint8 // of who
	known  bool  // to the server
	at     int32 // ms
}

// of is what a viewer left half-way, on whatever device.
func (l *shelf) of(viewer uint8) *bookmark {
	for i := range l {
		if l[i].title != 0 && l[i].viewer == viewer {
			return &l[i]
		}
	}
	return nil
}

// put keeps a bookmark, in the place of the viewer's last one or of the oldest.
func (l *shelf) put(b bookmark) {
	if l[0].title != 0 && l[0].viewer != b.viewer {
		l[1] = l[0]
	}
	l[0] = b
}

// drop forgets a bookmark of of.
func (l *shelf) drop(b *bookmark) {
	if b == &l[0] {
		l[0] = l[1]
	}
	l[1] = bookmark{}
}

// sit begins a sitting whose device, viewer and start are set.
func (m *machine) sit(s *sitting, shelf *shelf, stream *random.Stream) viewing.EventType {
	if shelf.of(s.who.viewer()) != nil && stream.Chance(m.habits.resume) {
		s.set(fromMemory)
	}
	return m.begin(s, 0, shelf, stream)
}

// begin starts the next view of a sitting.
func (m *machine) begin(s *sitting, elapsed int32, shelf *shelf, stream *random.Stream) viewing.EventType {
	led, remembered := s.has(nextUp), s.has(fromMemory)
	s.flags = 0
	s.who &^= joined
	if m.quiet {
		s.set(quiet)
	}
	s.position = 0
	left := shelf.of(s.who.viewer())
	switch {
	case led:
		s.title++
		m.wantNext(s, stream)
	case remembered && left != nil:
		s.title, s.position = left.title, left.at
		if left.known && !s.offline() {
			s.set(resumes)
		}
		m.wantRest(s, stream)
	default:
		s.title = uint16(m.catalogue.Pick(stream))
		m.wantPicked(s, stream)
	}
	return m.open(s, elapsed, stream)
}

// join begins a sitting at a live event, where it is then.
func (m *machine) join(s *sitting, at int64, stream *random.Stream) viewing.EventType {
	if m.quiet {
		s.set(quiet)
	}
	s.title = uint16(m.catalogue.Live())
	runtime := int64(m.catalogue.Title(uint32(s.title)).RuntimeMS)
	since := (at - m.habits.crowdBeginsMS) % dayMS
	if since > dayMS/2 { // it is yet to begin: at the beginning
		since = 0
	}
	s.position = int32(min(since, runtime-secondMS))
	s.left = max(secondMS, int32(min(stream.Exp()*m.habits.crowdStaysMS, never/4)))
	return m.open(s, 0, stream)
}

// open begins to play the view whose title is chosen: after its start-up, if the viewer
// waits for so long, and after a stall, which costs it more than its own time.
func (m *machine) open(s *sitting, elapsed int32, stream *random.Stream) viewing.EventType {
	b := &m.habits
	startup := min(stream.Lognormal(b.startupMS, b.startupSigma), minuteMS)
	if late := startup - b.abandonsAfterMS; late > 0 && stream.Chance(b.abandons*late/secondMS) {
		s.set(short)
		s.clear(complete)
		s.left = 0
	}
	stall := m.stall(stream.Key())
	if !s.has(complete) {
		s.left = max(0, s.left-int32(float64(stall)*b.rebufferCost))
	}
	if stream.Chance(b.endsSilent) {
		s.set(silent)
	}
	s.start += int64(elapsed)
	s.seq, s.played = 0, 0
	s.keepalive = never
	m.play(s, int32(startup)+stall, stream)
	return viewing.Start
}

// stall is how long the view with that key stalls at its beginning; ms.
func (m *machine) stall(view uint64) int32 {
	stream := random.At(view, stallNumber)
	if !stream.Chance(m.habits.rebuffered) {
		return 0
	}
	return int32(min(stream.Exp()*m.habits.rebufferMS, minuteMS))
}

// want sets how much of the title will be played: up to position until, or all.
func (s *sitting) want(until float64) { s.left = max(secondMS, int32(until)-s.position) }

func (s *sitting) wantAll() {
	s.set(complete)
	s.left = never / 4 // seeks back do not shorten it
}

func (m *machine) wantPicked(s *sitting, stream *random.Stream) {
	b := &m.habits
	title := m.catalogue.Title(uint32(s.title))
	runtime := float64(title.RuntimeMS)
	switch {
	case stream.Chance(b.shortView):
		s.set(short)
		s.want(min(stream.Exp()*b.shortMeanMS, 0.45*runtime))
	case title.Film && stream.Chance(b.filmComplete):
		s.wantAll()
	case title.Film: // density 1/x from filmFirst to the end
		s.want(b.filmFirstMS * random.Exp(stream.Float64()*random.Ln(runtime/b.filmFirstMS)))
	case stream.Chance(b.longComplete):
		s.wantAll()
	case stream.Chance(b.longOverHalf):
		s.want(stream.Between(0.5, 1) * runtime)
	default:
		s.want(stream.Between(0.1, 0.5) * runtime)
	}
}

func (m *machine) wantNext(s *sitting, stream *random.Stream) {
	if stream.Chance(m.habits.nextComplete) {
		s.wantAll()
		return
	}
	s.want(stream.Between(0.1, 1) * float64(m.catalogue.Title(uint32(s.title)).RuntimeMS))
}

func (m *machine) wantRest(s *sitting, stream *random.Stream) {
	if stream.Chance(m.habits.resumeComplete) {
		s.wantAll()
		return
	}
	s.want(stream.Between(float64(s.position), float64(m.catalogue.Title(uint32(s.title)).RuntimeMS)))
}

// finish ends a view and decides what follows it; gaveUp: a pause was too long.
func (m *machine) finish(s *sitting, elapsed int32, shelf *shelf, gaveUp bool, stream *random.Stream) viewing.EventType {
	b := &m.habits
	title := m.catalogue.Title(uint32(s.title))
	m.remember(s, shelf, title)
	ended := s.has(complete) && s.position >= title.RuntimeMS
	gap := stream.Exp() * b.browseMeanMS
	silently := s.has(silent) && !gaveUp
	switch {
	case gaveUp || silently || s.view&maxViews == maxViews:
		s.become(over)
	case ended && title.HasNext && stream.Chance(b.nextEpisode):
		s.set(nextUp)
		s.become(browsing)
		gap = nextGapMS
	case s.has(short) || !stream.Chance(b.sittingEnds):
		s.become(browsing)
	default:
		s.become(over)
	}
	s.end, s.interrupt, s.keepalive = elapsed+secondMS+int32(min(gap, hourMS)), never, never
	if silently {
		return 0
	}
	return viewing.Stop
}

const nextGapMS = 8 * secondMS // the countdown before the next episode

// remember keeps the title for a later sitting when it was left half-way.
func (m *machine) remember(s *sitting, shelf *shelf, title population.Title) {
	if s.has(short) {
		return
	}
	if s.position*20 < title.RuntimeMS || s.position > title.RuntimeMS/20*19 {
		if left := shelf.of(s.who.viewer()); left != nil && left.title == s.title {
			shelf.drop(left)
		}
		return
	}
	shelf.put(bookmark{
		title: s.title, viewer: s.who.viewer(), at: s.position,
		known: !s.has(denied|quiet) && !s.offline(), // else the server knows nothing of this view yet
	})
}
