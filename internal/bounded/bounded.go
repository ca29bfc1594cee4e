// Package bounded reads JSON of unknown origin for no more than it may cost: what a text
// is made into takes many times its bytes, if it is made of many small values.
package bounded

import (
	"encoding/json"
	"fmt"
)

// JSON is [json.Unmarshal] for texts of at most so many commas, colons and opening
// brackets, which is about the number of their values. They are counted before anything
// is made of them.
func JSON(data []byte, most int, v any) error {
	if Values(data, most) > most {
		return fmt.Errorf("it holds more than %d values", most)
	}
	return json.Unmarshal(data, v)
}

// Values counts commas, colons and opening brackets outside of texts, until there are more
// than most.
func Values(data []byte, most int) int {
	n, quoted := 0, false
	for i := 0; i < len(data) && n <= most; i++ {
		switch c := data[i]; {
		case c == '\\' && quoted:
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == ',' || c == ':' || c == '[' || c == '{':
			n++
		}
	}
	return n
}
