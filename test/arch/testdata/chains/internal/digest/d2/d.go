// Package d2 is a link of a chain.
package d2

import _ "uplevel/internal/digest/d3"
