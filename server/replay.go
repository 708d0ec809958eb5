package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/playhead-load/playhead/server/archive"
)

// MostNamed is how many gaps, and how many damages, a replay names; it counts all.
const MostNamed = 1000

// replayAhead is how many frames are read and decompressed ahead of applying.
const replayAhead = 4

// Replay is what a replay of an archive has found so far.
type Replay struct {
	Dir        string // of the archive
	Bytes      int64
	Segments   int
	Commands   uint64 // applied
	Events     uint64 // that these told
	Last       uint64 // index up to which the archive tells of everything, or says that it is missing
	Applied    uint64 // index up to which the state was rebuilt
	Took       time.Duration
	Equal      int            // digests that were those of the state
	EqualUpTo  uint64         // index of the last of them
	Differs    *DigestDiffers // the first that was not; nil: none
	Unknown    int            // digests that this program computes in another way
	Gaps       []archive.Gap  // entries that the archive does not hold, the first MostNamed
	GapCount   int
	Damages    []archive.Damage       // what cannot be read, or is left of the last write, the first MostNamed
	Damaged    int                    // how many of all of them are damage
	Sum        [archive.SumBytes]byte // digest of the rebuilt state
	summed     bool
	afterEqual int // damages since the last digest that was equal
}

// DigestDiffers is a digest that is not the state's.
type DigestDiffers struct {
	Index     uint64 // the entry after which they differ
	EqualUpTo uint64 // index of the last digest that was equal, 0: none
}

// Verdict is what a replay proves.
type Verdict uint8

// The verdicts.
const (
	Proven   Verdict = iota // the state was rebuilt from the first entry and had each digest
	Differs                 // a digest is not the state's
	Unproven                // entries are missing, or there is no digest
)

// Verdict says what the replay proves, and why it proves nothing.
func (r *Replay) Verdict() (v Verdict, why string) {
	switch {
	case r.Differs != nil:
		return Differs, fmt.Sprintf("the state rebuilt up to entry %d is not what the node had", r.Differs.Index)
	case len(r.Gaps) > 0:
		return Unproven, fmt.Sprintf("the archive does not hold entries %d to %d", r.Gaps[0].From, r.Gaps[0].To)
	case r.afterEqual > 0:
		return Unproven, "entries may be missing where it is damaged, and no digest follows that says otherwise"
	case r.Equal == 0 && r.Unknown > 0:
		return Unproven, "its digests are of another version of Playhead"
	case r.Equal == 0:
		return Unproven, "it has no digest to compare with: a node writes one with each snapshot, and when it is closed"
	}
	return Proven, ""
}

// FindArchive is the directory of an archive that a path names: it itself, or a
// node's data directory. The error says what was expected there.
func FindArchive(path string) (string, error) {
	inside := filepath.Join(path, ArchiveDir)
	if info, err := os.Stat(inside); err == nil && info.IsDir() {
		return inside, nil
	}
	info, err := os.Stat(path)
	if err != nil {
		return "", fmt.Errorf("expected an archive, or the data directory of a node: %w", err)
	}
	if !info.IsDir() {
		return "", fmt.Errorf("expected an archive, or the data directory of a node: %s is a file", path)
	}
	return path, nil
}

// ReplayArchive rebuilds the state from all that an archive holds, by the function
// that the server applies its log with, and compares it with each digest on the way.
// After the first gap nothing is applied; the rest is read, so that all damage is
// named. told is called now and then with what was found so far, on the goroutine of
// the caller; it may be nil. The archive may be that of a running node.
func ReplayArchive(ctx context.Context, dir string, told func(*Replay)) (*Replay, error) {
	reader, err := archive.OpenReader(dir)
	if err != nil {
		return nil, err
	}
	p := player{Replay: Replay{Dir: dir, Bytes: reader.Bytes(), Segments: reader.Segments()}, fold: newFold()}
	begun := time.Now()
	err = p.play(ctx, reader, func() {
		p.Took = time.Since(begun)
		if told != nil {
			told(&p.Replay)
		}
	})
	p.Took, p.Events, p.Last = time.Since(begun), p.fold.told, reader.Last()
	p.digest()
	return &p.Replay, errors.Join(err, reader.Close())
}

type player struct {
	Replay
	fold     fold
	commands [][]byte // for use by apply
}

// play applies what another goroutine reads ahead. It returns after that has ended.
func (p *player) play(ctx context.Context, reader *archive.Reader, each func()) error {
	ahead := make(chan *archive.Record, replayAhead)
	free := make(chan *archive.Record, replayAhead)
	for range replayAhead {
		free <- &archive.Record{}
	}
	ctx, stop := context.WithCancel(ctx)
	var readErr error
	go func() {
		defer close(ahead)
		for {
			rec := <-free // it comes back, whatever becomes of it
			if readErr = ctx.Err(); readErr == nil {
				readErr = reader.Next(rec)
			}
			if readErr != nil {
				return
			}
			ahead <- rec // has room for all there are
		}
	}()
	var err error
	for rec := range ahead {
		if err == nil {
			if err = p.take(rec); err != nil {
				stop()
			}
			each()
		}
		free <- rec
	}
	stop()
	switch {
	case err != nil:
		return err
	case errors.Is(readErr, io.EOF):
		return nil
	}
	return fmt.Errorf("replay %s: stopped after entry %d: %w", p.Dir, p.Applied, readErr)
}

func (p *player) take(rec *archive.Record) error {
	switch rec.Kind {
	case archive.Entries:
		return p.apply(rec)
	case archive.Gaps:
		p.GapCount++
		if len(p.Gaps) < MostNamed {
			p.Gaps = append(p.Gaps, rec.Gap)
		}
	case archive.Damages:
		if !rec.Damage.Torn {
			p.Damaged++
			p.afterEqual++
		}
		if len(p.Damages) < MostNamed {
			p.Damages = append(p.Damages, rec.Damage)
		}
	case archive.Digests:
		p.compare(&rec.Digest)
	}
	return nil
}

func (p *player) apply(rec *archive.Record) error {
	if len(p.Gaps) > 0 {
		return nil
	}
	for rest := rec.Entries; len(rest) > 0; {
		first := &rest[0]
		p.commands = p.commands[:0]
		for len(rest) > 0 && rest[0].Index == first.Index && rest[0].StampMS == first.StampMS {
			p.commands = append(p.commands, rest[0].Command)
			rest = rest[1:]
		}
		if err := p.fold.apply(first.StampMS, p.commands, nil); err != nil {
			return fmt.Errorf("replay %s: entry %d: %w", rec.Segment, first.Index, err)
		}
		p.Applied = first.Index
	}
	p.summed = false
	p.Commands += uint64(len(rec.Entries))
	p.Events = p.fold.told
	return nil
}

// digest is the state's.
func (p *player) digest() [archive.SumBytes]byte {
	if !p.summed {
		p.Sum, p.summed = p.fold.state.Digest(), true
	}
	return p.Sum
}

func (p *player) compare(d *archive.Digest) {
	switch {
	case len(p.Gaps) > 0 || p.Differs != nil:
	case d.Version != digestVersion:
		p.Unknown++
	case d.Sum != p.digest():
		p.Differs = &DigestDiffers{Index: d.Index, EqualUpTo: p.EqualUpTo}
	default:
		p.Applied = d.Index
		p.Equal, p.EqualUpTo, p.afterEqual = p.Equal+1, d.Index, 0
	}
}
