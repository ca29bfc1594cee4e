// Package digest is of the ground.
package digest

import _ "uplevel/internal/plan"
