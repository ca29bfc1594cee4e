// Package d1 is a link of a chain.
package d1

import _ "uplevel/internal/digest/d2"
