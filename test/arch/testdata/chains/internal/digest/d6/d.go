// Package d6 is a link of a chain.
package d6

import _ "uplevel/internal/digest/d7"
