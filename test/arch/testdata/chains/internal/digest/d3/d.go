// Package d3 is a link of a chain.
package d3

import _ "uplevel/internal/digest/d4"
