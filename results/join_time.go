package results

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// joinSeries adds the parts' series second by second, and takes the peak from the sums. A
// percentile of a whole second is not known.
func (f *Folder) joinSeries(parts []*joint) {
	seconds := map[int]*Interval{}
	for _, p := range parts {
		for at, second := range p.bySecond() {
			sum := seconds[at]
			if sum == nil {
				sum = &Interval{AtS: float64(at), P50MS: math.NaN(), P99MS: math.NaN(), Phase: second.Phase}
				seconds[at] = sum
			}
			sum.Count += second.Count
			sum.RatePerS = round3(sum.RatePerS + second.RatePerS)
			sum.ActiveSessions += second.ActiveSessions
			sum.Errors += second.Errors
			sum.Denied += second.Denied
			sum.Stolen = most(sum.Stolen, second.Stolen)
		}
	}
	for _, at := range slices.Sorted(maps.Keys(seconds)) {
		f.Files.Series = append(f.Files.Series, *seconds[at])
		f.Run.Load.ActiveSessionsPeak = max(f.Run.Load.ActiveSessionsPeak, seconds[at].ActiveSessions)
	}
}

// heldSeconds is for how many seconds without a row those who played count on.
const heldSeconds = 5

// bySecond is a part's series by the second of the whole that each row is nearest to.
// Seconds count from the part's first, so that rows that end near the middle of two do not
// fall now into the one and now into the other; AtS is how much of it is known.
func (p *joint) bySecond() map[int]Interval {
	seconds := map[int]Interval{}
	var before Interval
	for i, row := range p.Files.Series {
		at := p.second(row.AtS)
		if i > 0 {
			for held := p.second(before.AtS) + 1; held < min(at, p.second(before.AtS)+heldSeconds+1); held++ {
				seconds[held] = Interval{ActiveSessions: before.ActiveSessions, Phase: before.Phase}
			}
		}
		s := seconds[at]
		lasted := max(row.AtS-before.AtS, 0.001)
		s.RatePerS = (s.RatePerS*s.AtS + row.RatePerS*lasted) / (s.AtS + lasted)
		s.AtS += lasted
		s.Count += row.Count
		s.ActiveSessions = max(s.ActiveSessions, row.ActiveSessions)
		s.Errors += row.Errors
		s.Denied += row.Denied
		s.Phase = row.Phase
		s.Stolen = most(s.Stolen, row.Stolen)
		seconds[at] = s
		before = row
	}
	return seconds
}

func (p *joint) second(atS float64) int {
	firstS := p.Files.Series[0].AtS
	return int(math.Round(p.beginS+firstS) + math.Round(atS-firstS))
}

// most is the larger of two that may not be known.
func most(a, b *float64) *float64 {
	if a == nil || b != nil && *b > *a {
		return b
	}
	return a
}

// jointWindow is a window of the whole: those of its parts that are nearest in time.
type jointWindow struct {
	Window
	pieces []Piece
}

// joinWindows puts the parts' windows together, with those of their histograms. One of
// the whole begins with the first of its parts', which may begin up to half a window later.
func (f *Folder) joinWindows(parts []*joint) error {
	together := newWindows(0, int64(f.Run.DurationS*1e6))
	joined := windowsOf(parts, float64(together.lengthUS)/1e6)
	for _, at := range slices.Sorted(maps.Keys(joined)) {
		j := joined[at]
		together.startUS, together.phase = int64(j.AtS*1e6), j.Phase
		for _, piece := range j.pieces {
			if err := together.addPiece(piece); err != nil {
				return fmt.Errorf("join windows: %w", err)
			}
		}
		together.end(together.startUS + int64(max(j.Seconds, 0.001)*1e6))
		ended := &together.ended[len(together.ended)-1]
		ended.Errors, ended.Denied, ended.Stolen = j.Errors, j.Denied, j.Stolen
	}
	told := together.timeline()
	for name, phase := range told.Phases {
		phase.count(name, parts)
	}
	f.Run.Windows, f.Run.Phases, f.Files.Pieces = told.Windows, told.Phases, told.Pieces
	return together.err
}

// windowsOf are the parts' windows by their place in the whole, which counts windows of
// that length from when the first part was measured.
func windowsOf(parts []*joint, lengthS float64) map[int]*jointWindow {
	joined := map[int]*jointWindow{}
	fromS := math.Inf(1)
	for _, p := range parts {
		if len(p.Run.Windows) > 0 {
			fromS = min(fromS, p.beginS+p.Run.Windows[0].AtS)
		}
	}
	for _, p := range parts {
		windows, lengths := p.Run.Windows, map[int]float64{}
		pieces := p.Run.piecesByWindow(p.Files.Pieces)
		for i := range windows {
			w := windows[i]
			at := int(math.Round((p.beginS+windows[0].AtS-fromS)/lengthS) + math.Round((w.AtS-windows[0].AtS)/lengthS))
			lengths[at] += w.Seconds
			w.AtS += p.beginS
			j := joined[at]
			if j == nil {
				j = &jointWindow{Window: Window{AtS: w.AtS, Phase: w.Phase}}
				joined[at] = j
			}
			j.AtS, j.Seconds = min(j.AtS, w.AtS), max(j.Seconds, lengths[at])
			j.Errors += w.Errors
			j.Denied += w.Denied
			j.Stolen = most(j.Stolen, w.Stolen)
			j.pieces = append(j.pieces, pieces[i]...)
		}
	}
	return joined
}

// piecesByWindow are the pieces of each of the run's windows: those that begin when it does.
func (r *Run) piecesByWindow(pieces []Piece) [][]Piece {
	by := make([][]Piece, max(len(r.Windows), 1))
	at := 0
	for _, piece := range pieces {
		startS := float64(piece.StartUS) / 1e6
		for at+1 < len(by) && math.Abs(startS-r.Windows[at+1].AtS) < math.Abs(startS-r.Windows[at].AtS) {
			at++
		}
		by[at] = append(by[at], piece)
	}
	return by
}

// addPiece counts a piece's times, of which it is not known how many were errors.
func (w *windows) addPiece(piece Piece) error {
	response, err := hdrhistogram.Decode(piece.Response)
	if err != nil {
		return err
	}
	service, err := hdrhistogram.Decode(piece.Service)
	if err != nil {
		return err
	}
	w.open[piece.Op].add(&tally{response: response, service: service, count: piece.Count})
	return nil
}

// count adds what was counted in the parts' phases of one name, and is not in histograms.
func (p *Phase) count(name string, parts []*joint) {
	for op, o := range p.Operations {
		for _, part := range parts {
			more := part.Run.Phases[name].Operations[op]
			o.Errors += more.Errors
			o.Denied += more.Denied
			o.Clipped += more.Clipped
		}
		p.Operations[op] = o
	}
}

// windowed is an error where the windows' histograms do not hold what run.json counts.
func (r *Run) windowed(pieces []Piece) error {
	by := r.piecesByWindow(pieces)
	for i, w := range r.Windows {
		var times int64
		for _, piece := range by[i] {
			times += piece.Count
		}
		if times != w.Count {
			return inFile(r, WindowsFile, fmt.Errorf("%d times in the window at %gs, and %d of them in %s", times, w.AtS, w.Count, RunFile))
		}
	}
	return nil
}
