package fleet

import (
	"testing"
	"time"
)

// TestClocksThatAreWrong goes through what an installation's clock may say: levels as
// they were reported, one after the other, and the level that is known in the end.
func TestClocksThatAreWrong(t *testing.T) {
	t.Parallel()
	noon := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	at := func(hours int) time.Time { return noon.Add(time.Duration(hours) * time.Hour) }
	const year = 24 * 365
	type step struct {
		made, received int // hours from noon
		carried        bool
		fate           Fate
	}
	for name, row := range map[string]struct {
		steps []step
		want  int // the step whose level is known in the end
	}{
		"in order":                             {[]step{{0, 1, true, New}, {2, 3, true, New}}, 1},
		"uploaded the wrong way around":        {[]step{{2, 3, true, New}, {0, 4, true, Older}}, 0},
		"carried, then direct":                 {[]step{{0, 5, true, New}, {6, 6, false, New}}, 1},
		"direct, then what was carried before": {[]step{{6, 6, false, New}, {0, 7, true, Older}}, 0},
		"from the future, then mended":         {[]step{{9 * year, 1, true, New}, {2, 3, true, New}}, 1},
		"two from the future":                  {[]step{{9 * year, 1, true, New}, {9*year + 1, 3, true, New}}, 1},
		"from the future, then an old one":     {[]step{{9 * year, 5, true, New}, {2, 6, true, Older}}, 0},
		"direct with a clock far behind":       {[]step{{0, 0, false, New}, {-9 * year, 1, false, New}}, 1},
		"direct with a clock far ahead":        {[]step{{9 * year, 0, false, New}, {1, 1, false, New}}, 1},
		"carried with a clock far behind":      {[]step{{0, 1, true, New}, {-9 * year, 2, true, Older}}, 0},
		"all with a clock far behind":          {[]step{{-9 * year, 1, true, New}, {-9*year + 1, 2, true, New}}, 1},
	} {
		var i Installation
		for n, s := range row.steps {
			r := good()
			r.Level, r.Made = n, at(s.made)
			if fate := i.Learn(Told{Report: r, Received: at(s.received), Carried: s.carried}); fate != s.fate {
				t.Errorf("%s: step %d is %s, want %s", name, n, fate, s.fate)
			}
		}
		if i.Level != row.want || i.Reports != len(row.steps) || i.Last.Before(i.First) {
			t.Errorf("%s: %+v", name, i)
		}
	}
}

// TestALaterReportHidesNothing keeps a failed update and a known drift beside the last
// report.
func TestALaterReportHidesNothing(t *testing.T) {
	t.Parallel()
	noon := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	var i Installation
	for n, r := range []Report{
		{Operation: "report", Outcome: "ok", Customised: 3},
		{Operation: "update", Outcome: "rolled-back", FromLevel: 2, DriftUnknown: true},
		{Operation: OperationReport, Outcome: "ok", DriftUnknown: true},
	} {
		i.Learn(Told{Report: r, Received: noon.Add(time.Duration(n) * time.Hour)})
	}
	if i.Operation != "report" || i.Change != (Change{"update", "rolled-back", 2, noon.Add(time.Hour)}) || i.Drift != (Drift{3, 0, noon}) {
		t.Errorf("%+v", i)
	}
}

func TestCarriedReportsSayWhenTheyWereMade(t *testing.T) {
	t.Parallel()
	r := good()
	if (Told{Report: r, Carried: true}).Check() == nil {
		t.Error("without a time: accepted")
	}
	if err := (Told{Report: r}).Check(); err != nil {
		t.Error(err)
	}
	east := time.FixedZone("", 23*3600)
	for _, made := range []time.Time{time.Date(0, 1, 1, 0, 0, 0, 0, east), time.Unix(-1, 0)} {
		r.Made = made
		if (Told{Report: r, Carried: true}).Check() == nil {
			t.Errorf("made %s: accepted", made)
		}
	}
	for _, made := range []time.Time{time.Unix(0, 0), time.Date(9999, 12, 31, 23, 0, 0, 0, east)} {
		r.Made = made
		if err := (Told{Report: r, Carried: true}).Check(); err != nil {
			t.Error(err)
		}
	}
}
