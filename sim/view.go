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
	lowViews, lowBeginningMS                            float64
	longPauseMS, shortSeekMS                            int32
}

func habitsOf(m *population.Model) habits {
	return habits{
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
	}
}

// machine moves devices; it has no state of its own but the mode.
type machine struct {
	catalogue   *population.Catalogue
	habits      habits
	keepaliveMS int32
	quiet       bool // playbacks that begin are not told to the server
}

// sit begins a sitting of a profile on an idle device.
func (m *machine) sit(d *device, profile uint8, stream *random.Stream) viewing.EventType {
	d.profile = profile
	d.clear(nextUp | fromMemory)
	if d.remembered != 0 && d.rememberedBy == profile && stream.Chance(m.habits.resume) {
		d.set(fromMemory)
	}
	return m.begin(d, stream)
}

// begin starts the next view of a sitting.
func (m *machine) begin(d *device, stream *random.Stream) viewing.EventType {
	led, remembered := d.has(nextUp), d.has(fromMemory)
	d.clear(quiet | denied | silent | complete | short | nextUp)
	if m.quiet {
		d.set(quiet)
	}
	d.position = 0
	switch {
	case led:
		d.title++
		m.wantNext(d, stream)
	case remembered:
		d.title, d.position = uint32(d.remembered), d.rememberedAt
		m.wantRest(d, stream)
	default:
		d.title = m.catalogue.Pick(stream)
		m.wantPicked(d, stream)
	}
	if stream.Chance(m.habits.endsSilent) {
		d.set(silent)
	}
	d.stall = 0
	if stream.Chance(m.habits.rebuffered) {
		d.stall = int32(min(stream.Exp()*m.habits.rebufferMS, minuteMS))
	}
	d.start = d.due
	d.sessions++
	d.seq, d.played = 0, 0
	d.keepalive = never
	m.play(d, d.stall, stream)
	return viewing.Start
}

// want sets how much of the title will be played: up to position until, or all.
func (d *device) want(until float64) { d.left = max(secondMS, int32(until)-d.position) }

func (d *device) wantAll() {
	d.set(complete)
	d.left = never / 4 // seeks back do not shorten it
}

func (m *machine) wantPicked(d *device, stream *random.Stream) {
	b := &m.habits
	title := m.catalogue.Title(d.title)
	runtime := float64(title.RuntimeMS)
	switch {
	case stream.Chance(b.shortView):
		d.set(short)
		d.want(min(stream.Exp()*b.shortMeanMS, 0.45*runtime))
	case title.Film && stream.Chance(b.filmComplete):
		d.wantAll()
	case title.Film: // density 1/x from filmFirst to the end
		d.want(b.filmFirstMS * random.Exp(stream.Float64()*random.Ln(runtime/b.filmFirstMS)))
	case stream.Chance(b.longComplete):
		d.wantAll()
	case stream.Chance(b.longOverHalf):
		d.want(stream.Between(0.5, 1) * runtime)
	default:
		d.want(stream.Between(0.1, 0.5) * runtime)
	}
}

func (m *machine) wantNext(d *device, stream *random.Stream) {
	if stream.Chance(m.habits.nextComplete) {
		d.wantAll()
		return
	}
	d.want(stream.Between(0.1, 1) * float64(m.catalogue.Title(d.title).RuntimeMS))
}

func (m *machine) wantRest(d *device, stream *random.Stream) {
	if stream.Chance(m.habits.resumeComplete) {
		d.wantAll()
		return
	}
	d.want(stream.Between(float64(d.position), float64(m.catalogue.Title(d.title).RuntimeMS)))
}

// finish ends a playback and decides what follows it; gaveUp: a pause was too long.
func (m *machine) finish(d *device, gaveUp bool, stream *random.Stream) viewing.EventType {
	b := &m.habits
	title := m.catalogue.Title(d.title)
	m.remember(d, title)
	ended := d.has(complete) && d.position >= title.RuntimeMS
	gap := stream.Exp() * b.browseMeanMS
	silently := d.has(silent) && !gaveUp
	switch {
	case gaveUp || silently:
		d.state = idle
	case ended && title.HasNext && stream.Chance(b.nextEpisode):
		d.set(nextUp)
		d.state = browsing
		gap = nextGapMS
	case d.has(short) || !stream.Chance(b.sittingEnds):
		d.state = browsing
	default:
		d.state = idle
	}
	d.clear(fromMemory)
	d.due += secondMS + int64(min(gap, hourMS))
	if silently {
		return 0
	}
	return viewing.Stop
}

const nextGapMS = 8 * secondMS // the countdown before the next episode

// remember keeps the title for a later sitting when it was left half-way.
func (m *machine) remember(d *device, title population.Title) {
	if d.has(short) {
		return
	}
	if d.position*20 < title.RuntimeMS || d.position > title.RuntimeMS/20*19 {
		if uint32(d.remembered) == d.title && d.rememberedBy == d.profile {
			d.remembered = 0
		}
		return
	}
	d.remembered, d.rememberedAt, d.rememberedBy = uint16(d.title), d.position, d.profile
	d.clear(explicit)
	if d.has(denied) || d.has(quiet) {
		d.set(explicit) // the server knows nothing of this playback
	}
}
