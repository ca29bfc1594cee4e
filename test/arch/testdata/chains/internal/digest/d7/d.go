// Package d7 is a link of a chain.
package d7

import _ "uplevel/internal/digest/d8"
