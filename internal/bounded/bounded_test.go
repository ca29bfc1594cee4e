package bounded_test

import (
	"encoding/json"
	"strings"
	"testing"

	"uplevel/internal/bounded"
)

const most = 10_000

// TestCountlessValuesAreNotRead: 30 MB of empty lists cost the service 5 GB and a minute.
func TestCountlessValuesAreNotRead(t *testing.T) {
	t.Parallel()
	for what, text := range map[string]string{
		"lists": "[" + strings.Repeat("[],", most) + "[]]", "keys": "{" + strings.Repeat(`"a":1,`, most) + `"a":1}`,
		"deep": strings.Repeat("[", most+1), "no JSON": strings.Repeat(",", most+1),
	} {
		var v any
		if err := bounded.JSON([]byte(text), most, &v); err == nil || !strings.Contains(err.Error(), "values") || v != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// TestTextsAreOneValue: what looks like values within a text is none.
func TestTextsAreOneValue(t *testing.T) {
	t.Parallel()
	want := strings.Repeat(`[{,:"\`, most)
	text, err := json.Marshal([]string{want})
	var got []string
	if err == nil {
		err = bounded.JSON(text, 1, &got)
	}
	if err != nil || len(got) != 1 || got[0] != want {
		t.Error(err)
	}
}
