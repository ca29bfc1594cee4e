// Package plan asks the clock.
package plan

import "time"

// Now is not pure.
var Now = time.Now
