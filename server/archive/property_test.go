package archive

import (
	"os"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestWhatIsWrittenIsRead: whatever is appended, synced, closed, or lost to crashes
// and then told again by the log, is read as it was, once and in order; a crash loses
// nothing that was synced.
func TestWhatIsWrittenIsRead(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(t.TempDir(), "") // rapid runs many times in one test
		if err != nil {
			rt.Fatal(err)
		}
		m := model{t: rt, dir: dir, opts: Options{
			SegmentBytes: rapid.Int64Range(1, 2000).Draw(rt, "segment bytes"),
			blockBytes:   rapid.IntRange(1, 300).Draw(rt, "block bytes"),
		}}
		m.open()
		rt.Repeat(map[string]func(*rapid.T){
			"append": func(*rapid.T) { m.append() },
			"sync":   func(*rapid.T) { m.sync() },
			"digest": func(*rapid.T) { m.digest() },
			"gap":    func(*rapid.T) { m.gap() },
			"close":  func(*rapid.T) { m.do(m.w.Close()); m.synced = len(m.log); m.open() },
			"crash":  func(*rapid.T) { m.crash() },
		})
		m.do(m.w.Close())
		m.compare()
	})
}

// model is a log and its archive. The log is what was committed: entries, and the
// gaps where the node skipped some.
type model struct {
	t      *rapid.T
	dir    string
	opts   Options
	w      *Writer
	log    []logged
	last   uint64
	synced int // of the log: on the disk
}

type logged struct {
	index    uint64
	commands [][]byte // none: a gap up to the index
	gapFrom  uint64
}

func (m *model) do(err error) {
	if err != nil {
		m.t.Fatal(err)
	}
}

func (m *model) open() {
	w, err := Open(m.dir, m.opts)
	m.do(err)
	m.w = w
}

func (m *model) tell(l logged) {
	if l.commands == nil {
		m.do(m.w.Gap(l.index))
	}
	for _, command := range l.commands {
		m.do(m.w.Append(l.index, stampOf(l.index), command))
	}
}

func (m *model) append() {
	m.last += rapid.Uint64Range(1, 3).Draw(m.t, "step") // some entries have no commands
	l := logged{index: m.last}
	for range rapid.IntRange(1, 4).Draw(m.t, "commands") {
		l.commands = append(l.commands, rapid.SliceOfN(rapid.Byte(), 0, 80).Draw(m.t, "command"))
	}
	m.log = append(m.log, l)
	m.tell(l)
}

func (m *model) sync() { m.do(m.w.Sync()); m.synced = len(m.log) }

func (m *model) digest() { m.do(m.w.Digest(digestAt(m.last))) }

func (m *model) gap() {
	m.sync()
	from := m.w.Last() + 1
	m.last = max(m.last, from) + rapid.Uint64Range(0, 9).Draw(m.t, "gap")
	m.log = append(m.log, logged{index: m.last, gapFrom: from})
	m.tell(m.log[len(m.log)-1])
	m.sync() // as a node does before it goes on from a snapshot
}

// crash ends the process, cuts off some of what was not synced, and tells what was
// not synced, and some of what was, once more.
func (m *model) crash() {
	path, size, held := m.w.path, m.w.size, m.w.file != nil
	clean := m.w.unsynced == 0
	m.do(m.w.crash())
	if held && !clean && rapid.Bool().Draw(m.t, "torn") {
		b, err := os.ReadFile(path)
		m.do(err)
		m.do(os.Truncate(path, rapid.Int64Range(m.safe(b), size).Draw(m.t, "length")))
	}
	m.open()
	for _, l := range m.log[rapid.IntRange(0, m.synced).Draw(m.t, "from"):] {
		if l.commands != nil {
			m.tell(l)
		}
	}
}

// safe is how much of the newest segment was synced: the end of the frame that holds
// the last synced entry.
func (m *model) safe(b []byte) int64 {
	last := uint64(0)
	if m.synced > 0 {
		last = m.log[m.synced-1].index
	}
	end := int64(0)
	for at := int64(segmentBytes); at < int64(len(b)); {
		h, err := parseFrameHeader(b[at:])
		m.do(err)
		at += frameBytes + int64(h.size)
		if h.prev < last || h.kind == kindDigest && h.first <= last {
			end = at
		}
	}
	return end
}

func (m *model) compare() {
	r, err := OpenReader(m.dir)
	if len(m.log) == 0 {
		return
	}
	m.do(err)
	var got []Entry
	var gaps []Gap
	for rec := (Record{}); r.Next(&rec) == nil; {
		switch rec.Kind {
		case Entries:
			for _, e := range rec.Entries {
				got = append(got, Entry{e.Index, e.StampMS, slices.Clone(e.Command)})
			}
		case Gaps:
			gaps = append(gaps, rec.Gap)
		case Damages:
			m.t.Fatalf("damage: %v", &rec.Damage)
		}
	}
	m.do(r.Close())
	var want []Entry
	var wantGaps []Gap
	for _, l := range m.log {
		for _, command := range l.commands {
			want = append(want, Entry{l.index, stampOf(l.index), command})
		}
		if l.commands == nil {
			wantGaps = append(wantGaps, Gap{From: l.gapFrom, To: l.index, Recorded: true})
		}
	}
	equal := func(a, b Entry) bool {
		return a.Index == b.Index && a.StampMS == b.StampMS && string(a.Command) == string(b.Command)
	}
	if !slices.EqualFunc(got, want, equal) || !slices.Equal(gaps, wantGaps) {
		m.t.Fatalf("read %d commands and gaps %v, want %d and %v", len(got), gaps, len(want), wantGaps)
	}
}
