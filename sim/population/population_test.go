package population_test

import (
	"math"
	"strings"
	"testing"

	"github.com/playhead-load/playhead/sim/population"
	"github.com/playhead-load/playhead/sim/random"
)

func build(t *testing.T, options population.Options) *population.Population {
	t.Helper()
	model, err := population.Named("netflix-2015")
	if err != nil {
		t.Fatal(err)
	}
	p, err := population.New(model, options)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestAnUnknownNameListsTheKnown(t *testing.T) {
	_, err := population.Named("netflix-1999")
	if err == nil || !strings.Contains(err.Error(), "netflix-2015") {
		t.Errorf("got %v, want the known names", err)
	}
}

func TestOptionsOutOfBoundsAreRefused(t *testing.T) {
	model, _ := population.Named("netflix-2015")
	for _, options := range []population.Options{
		{Scale: 0}, {Scale: -1}, {Scale: math.NaN()}, {Scale: math.Inf(1)}, {Scale: 1000},
		{Scale: 1, SharedAccounts: -0.1}, {Scale: 1, SharedAccounts: 1.1},
	} {
		if _, err := population.New(model, options); err == nil {
			t.Errorf("%+v: expected an error", options)
		}
	}
}

func TestEveryParameterHasASource(t *testing.T) {
	model, _ := population.Named("netflix-2015")
	names := map[string]bool{}
	for _, p := range model.Params() {
		if p.Name == "" || p.Source == "" || !strings.ContainsRune("VDRA", rune(p.Mark)) || names[p.Name] {
			t.Errorf("parameter %+v: expected a name of its own, a source and a mark", p)
		}
		names[p.Name] = true
	}
	for _, table := range [][]population.Share{model.Plans, model.Profiles, model.Households} {
		for _, row := range table {
			if row.Source == "" || !strings.ContainsRune("VDRA", rune(row.Mark)) {
				t.Errorf("row %+v: expected a source and a mark", row)
			}
		}
	}
}

func TestAnAccountDependsOnSeedAndIndexAlone(t *testing.T) {
	small := build(t, population.Options{Seed: 7, Scale: 1.0 / 100_000})
	large := build(t, population.Options{Seed: 7, Scale: 1.0 / 1000})
	other := build(t, population.Options{Seed: 8, Scale: 1.0 / 1000})
	differ := 0
	for i := small.Accounts() - 1; i >= 0; i-- {
		if small.Account(i) != large.Account(i) {
			t.Fatalf("account %d: %+v and %+v", i, small.Account(i), large.Account(i))
		}
		if small.Account(i) != other.Account(i) {
			differ++
		}
	}
	if differ < small.Accounts()/2 {
		t.Errorf("another seed changes %d of %d accounts", differ, small.Accounts())
	}
}

// 62,000 accounts: the standard error of a share is at most 0.002, of the mean
// of profiles 0.005; the tolerances are five of them.
func TestAccountsFollowTheModel(t *testing.T) {
	p := build(t, population.Options{Seed: 3, Scale: 1.0 / 1000, SharedAccounts: 0.1})
	n := float64(p.Accounts())
	plans, devices := map[int]float64{}, map[uint64]bool{}
	var profiles, shared, households, load float64
	for i := range p.Accounts() {
		account := p.Account(i)
		if account.ID != uint64(i)+1 {
			t.Fatalf("account %d has id %d", i, account.ID)
		}
		plans[account.MaxStreams]++
		profiles += float64(account.Profiles)
		households += float64(account.Households)
		if account.Households > 1 {
			shared++
		}
		owners := map[uint8]bool{}
		for _, d := range account.Devices() {
			if devices[d.ID] || d.ID != population.DeviceID(i, d.Household, d.Kind) {
				t.Fatalf("device %+v of account %d", d, i)
			}
			devices[d.ID], owners[d.Household] = true, true
			load += p.Load(d.Kind, account.Profiles)
		}
		if len(owners) != account.Households {
			t.Fatalf("account %d: %d of %d households have a device", i, len(owners), account.Households)
		}
	}
	for _, c := range []struct {
		name                 string
		got, want, tolerance float64
	}{
		{"accounts", n, 62_000, 0},
		{"plan 1", plans[1] / n, 0.25, 0.01}, {"plan 2", plans[2] / n, 0.45, 0.01}, {"plan 4", plans[4] / n, 0.30, 0.01},
		{"profiles", profiles / n, 2.5, 0.025}, {"shared", shared / n, 0.1, 0.006},
		{"households", households / n, 1.2, 0.015},
		{"load an account", load / n, 4.1 / 62, 0.0015},
	} {
		if math.Abs(c.got-c.want) > c.tolerance {
			t.Errorf("%s: got %v, want %v ± %v", c.name, c.got, c.want, c.tolerance)
		}
	}
}

func TestWeightsOfTheCatalogueFitTheReport(t *testing.T) {
	c := build(t, population.Options{Scale: 1e-6}).Catalogue()
	if c.Len() != 7200 {
		t.Fatalf("%d titles", c.Len())
	}
	for _, want := range []struct {
		titles int
		share  float64
	}{{72, 0.20}, {720, 0.58}, {1440, 0.74}, {7200, 1}} {
		sum := 0.0
		for id := 1; id <= want.titles; id++ {
			sum += c.Weight(uint32(id))
		}
		if math.Abs(sum-want.share) > 0.01 {
			t.Errorf("first %d titles: %.3f of views, want %.2f", want.titles, sum, want.share)
		}
	}
}

func TestTitlesAreSeriesAndFilms(t *testing.T) {
	c := build(t, population.Options{Scale: 1e-6}).Catalogue()
	for id := uint32(1); id <= uint32(c.Len()); id++ {
		title := c.Title(id)
		minutes := float64(title.RuntimeMS) / 60_000
		switch {
		case title.Film && (minutes < 60 || minutes > 240 || title.HasNext):
			t.Errorf("film %d: %+v", id, title)
		case !title.Film && (minutes < 21.9 || minutes > 60):
			t.Errorf("episode %d: %+v", id, title)
		case title.HasNext && (c.Title(id+1).Film || c.Title(id+1).RuntimeMS != title.RuntimeMS):
			t.Errorf("title %d: next is %+v", id, c.Title(id+1))
		}
	}
}

// A million picks, a standard error of at most 0.0005.
func TestPickTakesTheHeadMost(t *testing.T) {
	c := build(t, population.Options{Scale: 1e-6}).Catalogue()
	stream := random.At(random.Key(1, 0, 0), 0)
	const n = 1_000_000
	head, first := 0, 0
	for range n {
		id := c.Pick(&stream)
		if id < 1 || id > 7200 {
			t.Fatalf("picked %d", id)
		}
		if id <= 720 {
			head++
		}
		if id == 1 {
			first++
		}
	}
	if share := float64(head) / n; math.Abs(share-0.58) > 0.02 {
		t.Errorf("first tenth of titles: %.3f of picks", share)
	}
	if share := float64(first) / n; share < c.Weight(1) {
		t.Errorf("title 1: %.4f of picks, want at least its %.4f of views", share, c.Weight(1))
	}
}
