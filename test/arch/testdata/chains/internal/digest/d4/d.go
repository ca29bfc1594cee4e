// Package d4 is a link of a chain.
package d4

import _ "uplevel/internal/digest/d5"
