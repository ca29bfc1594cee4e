package sqlstore

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"uplevel/internal/fleet"
)

var _ fleet.Store = (*DB)(nil)

// told is a report of level n, of an installation named by a letter.
func told(letter string, n int, received time.Time) fleet.Told {
	return fleet.Told{Received: received, Report: fleet.Report{
		Installation: strings.Repeat(letter, 64), Product: "shop", Version: "1.0", Channel: "full", Level: n, Operation: "update", Outcome: "ok",
	}}
}

func carried(letter string, n int, made, received time.Time) fleet.Told {
	t := told(letter, n, received)
	t.Made, t.Carried = made, true
	return t
}

func TestReports(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, open func(...func(*Options)) *DB) {
		db := open()
		first, late := told("a", 2, start), told("a", 3, start.Add(time.Minute))
		late.Hotfixes = []string{"h1"}
		same(t, []fleet.Fate{fleet.New, fleet.Older}, must(db.AddReports(t.Context(), "org_a", []fleet.Told{late, first}))(t))
		same(t, []fleet.Fate{fleet.New}, must(db.AddReports(t.Context(), "org_b", []fleet.Told{first}))(t))
		same(t, []fleet.Installation{{
			Report: late.Report, Organisation: "org_a", First: start, Last: late.Received, Received: late.Received, Reports: 2,
			Change: fleet.Change{Operation: "update", Outcome: "ok", At: late.Received}, Drift: fleet.Drift{At: late.Received},
		}}, must(db.Installations(t.Context(), fleet.Query{Organisation: "org_a"}))(t))
		if got := must(db.Installations(t.Context(), fleet.Query{Organisation: "org_c"}))(t); len(got) != 0 {
			t.Errorf("another organisation sees %v", got)
		}
		if got := must(db.Installations(t.Context(), fleet.Query{Everyone: true}))(t); len(got) != 2 {
			t.Errorf("everyone has %v", got)
		}
	})
}

// TestReportsAreNoDoubles sends the same again, alone, within one upload, and from two
// sides at once.
func TestReportsAreNoDoubles(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, open func(...func(*Options)) *DB) {
		db := open()
		r := carried("a", 2, start, start.Add(time.Hour))
		same(t, []fleet.Fate{fleet.New, fleet.Known}, must(db.AddReports(t.Context(), "org_a", []fleet.Told{r, r}))(t))
		r.Received = r.Received.Add(time.Hour)
		same(t, []fleet.Fate{fleet.Known}, must(db.AddReports(t.Context(), "org_a", []fleet.Told{r}))(t))
		same(t, []fleet.Fate{fleet.New}, must(db.AddReports(t.Context(), "org_b", []fleet.Told{r}))(t))
		var all sync.WaitGroup
		var lock sync.Mutex
		counts := map[fleet.Fate]int{}
		for n := range 8 {
			all.Go(func() {
				fates, err := db.AddReports(t.Context(), "org_c", []fleet.Told{carried("c", n/2, start.Add(time.Duration(n/2)*time.Second), start.Add(time.Hour))})
				lock.Lock()
				defer lock.Unlock()
				if err != nil {
					t.Error(err)
				}
				for _, f := range fates {
					counts[f]++
				}
			})
		}
		all.Wait()
		got := must(db.Installations(t.Context(), fleet.Query{Organisation: "org_c"}))(t)
		if counts[fleet.Known] != 4 || len(got) != 1 || got[0].Level != 3 || got[0].Reports != 4 {
			t.Errorf("%v, %+v", counts, got)
		}
	})
}

func TestInstallationsComeInPages(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, open func(...func(*Options)) *DB) {
		db := open()
		var want []string
		for n := range 25 {
			r := told("a", n, start)
			r.Installation = fmt.Sprintf("%064d", n)
			if n%5 == 0 {
				r.Product = "other"
			} else {
				want = append(want, r.Installation)
			}
			must(db.AddReports(t.Context(), "org_a", []fleet.Told{r}))(t)
		}
		var got []string
		for q := (fleet.Query{Organisation: "org_a", Product: "shop", Limit: 7}); ; {
			page := must(db.Installations(t.Context(), q))(t)
			for _, i := range page {
				got = append(got, i.Installation)
			}
			if len(page) < q.Limit {
				break
			}
			q.After = page[len(page)-1].Installation
		}
		if !slices.Equal(got, want) {
			t.Errorf("got %v", got)
		}
	})
}
