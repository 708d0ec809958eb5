package population

import (
	"fmt"
	"math"

	"github.com/playhead-load/playhead/sim/random"
	"github.com/playhead-load/playhead/viewing"
)

// Limits of what a population can hold.
const (
	maxHouseholds = 4
	maxKinds      = 4
	MaxDevices    = maxHouseholds * maxKinds // of one account
	MaxZones      = 32
	MaxAccounts   = 1<<30 - 1
	maxOffset     = 24 * 60 // minutes
	maxStreams    = 4       // of an account, mean over the day: its devices can hardly do more
)

// Options choose one population of a model.
type Options struct {
	Seed           uint64
	Scale          float64 // accounts = members × Scale, at least 1
	SharedAccounts float64 // 0 … 1: share of accounts used by several households (mark A)
}

// Population is the accounts and the catalogue. It is immutable after New and
// safe for concurrent use.
type Population struct {
	model     Model
	options   Options
	accounts  int
	catalogue *Catalogue
	networks  random.Family
	load      [maxKinds]float64 // of a device of that kind, of an account with one profile
}

// Account is one paying account.
type Account struct {
	ID         uint64 // 1 … Accounts
	MaxStreams int
	Profiles   int // profile ids are 1 … Profiles
	Households int // 1, or 2 … 4 that share the account
	Zone       int // index in Model.Zones

	devices [MaxDevices]Device
	count   int
}

// Device is one screen of an account.
type Device struct {
	ID        uint64
	Kind      uint8 // index in Model.Devices
	Household uint8 // 0 … Households-1
}

// Devices are the account's screens, at least one a household. The slice is
// the account's own memory.
func (a *Account) Devices() []Device { return a.devices[:a.count] }

// New builds a population. It refuses a scale that is not above 0 or gives more
// than MaxAccounts, and shares outside 0 … 1.
func New(model Model, options Options) (*Population, error) {
	accounts := math.Round(model.Members.Value * options.Scale)
	if !(options.Scale > 0) || accounts > MaxAccounts {
		return nil, fmt.Errorf("scale %v: expected above 0 and at most %d accounts", options.Scale, MaxAccounts)
	}
	if !(options.SharedAccounts >= 0 && options.SharedAccounts <= 1) {
		return nil, fmt.Errorf("shared accounts %v: expected 0 to 1", options.SharedAccounts)
	}
	if err := model.check(); err != nil {
		return nil, fmt.Errorf("population %s: %w", model.Name, err)
	}
	catalogue, err := newCatalogue(&model)
	if err != nil {
		return nil, fmt.Errorf("population %s: %w", model.Name, err)
	}
	p := &Population{
		model: model, options: options, catalogue: catalogue,
		accounts: max(1, int(accounts)),
		networks: random.NewFamily(options.Seed, networkDomain),
	}
	for kind := range model.Devices {
		p.load[kind] = p.loadOf(kind)
	}
	return p, nil
}

func (m *Model) check() error {
	if n := len(m.Devices); n < 1 || n > maxKinds {
		return fmt.Errorf("%d kinds of device: expected 1 to %d", n, maxKinds)
	}
	if n := len(m.Zones); n < 1 || n > MaxZones {
		return fmt.Errorf("%d zones: expected 1 to %d", n, MaxZones)
	}
	there := 0.0
	for _, z := range m.Zones {
		if z.OffsetMinutes < -maxOffset || z.OffsetMinutes > maxOffset {
			return fmt.Errorf("offset of %d minutes: expected %d to %d", z.OffsetMinutes, -maxOffset, maxOffset)
		}
		there += z.Share
	}
	if math.Abs(there-1) > 1e-6 {
		return fmt.Errorf("the shares of zone_…: expected a sum of 1, got %v", there)
	}
	streams := 0.0
	for _, d := range m.Devices {
		if !(d.Owned > 0 && d.Owned <= 1) {
			return fmt.Errorf("owned share %v of %s: expected above 0, at most 1", d.Owned, d.Type)
		}
		if n := len(d.Ladder); n < 1 || n > viewing.MaxBitrates {
			return fmt.Errorf("%d rungs of %s: expected 1 to %d", n, d.Type, viewing.MaxBitrates)
		}
		if !(d.Offline >= 0 && d.Offline <= 1) {
			return fmt.Errorf("offline share %v of %s: expected 0 to 1", d.Offline, d.Type)
		}
		streams += d.Streams
	}
	if math.Abs(streams-1) > 1e-6 {
		return fmt.Errorf("the shares of …_streams: expected a sum of 1, got %v", streams)
	}
	for _, table := range []struct {
		name string
		rows []Share
	}{{"plan", m.Plans}, {"profiles", m.Profiles}, {"households", m.Households}, {"network", m.Networks}} {
		sum := 0.0
		for _, row := range table.rows {
			sum += row.Share
		}
		if math.Abs(sum-1) > 1e-6 {
			return fmt.Errorf("the shares of %s_…: expected a sum of 1, got %v", table.name, sum)
		}
	}
	return m.checkBounds()
}

func (m *Model) checkBounds() error {
	for _, row := range m.Profiles {
		if row.Value < 1 || row.Value > viewing.MaxProfileID {
			return fmt.Errorf("%d profiles: expected 1 to %d", row.Value, viewing.MaxProfileID)
		}
	}
	for _, row := range m.Households {
		if row.Value < 1 || row.Value > maxHouseholds {
			return fmt.Errorf("%d households: expected 1 to %d", row.Value, maxHouseholds)
		}
	}
	for _, p := range m.params() {
		if least, most := p.bounds(); !(p.Value >= least && p.Value <= most) {
			return fmt.Errorf("%s %v: expected %v to %v", p.Name, p.Value, least, most)
		}
	}
	if streams, accounts := m.MeanStreams.Value, m.Members.Value; streams > maxStreams*accounts {
		return fmt.Errorf("mean_streams %v: expected at most %d times members, %v", streams, maxStreams, accounts)
	}
	if m.Crowd.Streams.Value > m.Members.Value {
		return fmt.Errorf("crowd_streams %v: expected at most members, %v", m.Crowd.Streams.Value, m.Members.Value)
	}
	if m.EpisodeMin.Value > m.EpisodeMax.Value {
		return fmt.Errorf("episode_min %v: expected at most episode_max, %v", m.EpisodeMin.Value, m.EpisodeMax.Value)
	}
	return nil
}

// Model is the population's model.
func (p *Population) Model() *Model { return &p.model }

// Catalogue is what can be watched.
func (p *Population) Catalogue() *Catalogue { return p.catalogue }

// Accounts is the number of accounts; their indexes are 0 … Accounts-1.
func (p *Population) Accounts() int { return p.accounts }

// AccountID is the id of account i.
func AccountID(i int) uint64 { return uint64(i) + 1 }

// DeviceID is the id of a household's device of that kind, in account i.
func DeviceID(i int, household, kind uint8) uint64 {
	return uint64(i)*MaxDevices + uint64(household)*maxKinds + uint64(kind) + 1
}

// Uses of an account's number in random.Key.
const (
	accountDomain = 1
	networkDomain = 6
)

// Account is account number i: a pure function of (seed, i).
func (p *Population) Account(i int) Account {
	stream := random.At(random.Key(p.options.Seed, accountDomain, uint64(i)), 0)
	account := Account{
		ID:         AccountID(i),
		MaxStreams: draw(&stream, p.model.Plans),
		Profiles:   draw(&stream, p.model.Profiles),
		Households: 1,
	}
	households := draw(&stream, p.model.Households)
	if stream.Chance(p.options.SharedAccounts) {
		account.Households = households
	}
	account.Zone = p.zone(&stream)
	for household := range account.Households {
		p.equip(&account, household, &stream)
	}
	return account
}

func (p *Population) zone(stream *random.Stream) int {
	u := stream.Float64()
	for i := range p.model.Zones {
		if u -= p.model.Zones[i].Share; u < 0 {
			return i
		}
	}
	return len(p.model.Zones) - 1
}

// Network is how many rungs of a device's ladder the network of a household is too
// slow for.
func (p *Population) Network(account int, household uint8) int {
	stream := random.At(p.networks.Key(uint64(account)), uint32(household))
	return draw(&stream, p.model.Networks)
}

// equip gives a household its devices; one that drew none gets the first kind.
func (p *Population) equip(account *Account, household int, stream *random.Stream) {
	before := account.count
	for kind, share := range p.model.Devices {
		if stream.Chance(share.Owned) {
			account.add(household, kind)
		}
	}
	if account.count == before {
		account.add(household, 0)
	}
}

func (a *Account) add(household, kind int) {
	a.devices[a.count] = Device{
		ID:        DeviceID(int(a.ID-1), uint8(household), uint8(kind)),
		Kind:      uint8(kind),
		Household: uint8(household),
	}
	a.count++
}

func draw(stream *random.Stream, table []Share) int {
	u := stream.Float64()
	for _, row := range table {
		if u -= row.Share; u < 0 {
			return row.Value
		}
	}
	return table[len(table)-1].Value
}

func mean(table []Share) float64 {
	sum := 0.0
	for _, row := range table {
		sum += float64(float64(row.Value) * row.Share)
	}
	return sum
}

// Load is the mean over the day of the playbacks in progress on a device of
// that kind, in a household of an account with that many profiles. Viewing is
// proportional to profiles. Sharing an account adds viewers to it and takes
// none away from the rest, so each household is given less, and the population
// as a whole has MeanStreams × Scale whatever the share.
func (p *Population) Load(kind uint8, profiles int) float64 {
	return float64(p.load[kind] * float64(profiles))
}

func (p *Population) loadOf(kind int) float64 {
	m := &p.model
	households := 1 + float64(p.options.SharedAccounts*(mean(m.Households)-1))
	perProfile := m.MeanStreams.Value / m.Members.Value / (households * mean(m.Profiles))
	owned := m.Devices[kind].Owned
	if kind == 0 {
		without := 1.0
		for _, d := range m.Devices {
			without *= 1 - d.Owned
		}
		owned += without
	}
	return perProfile * m.Devices[kind].Streams / owned
}
