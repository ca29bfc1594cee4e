// Package d9 is a link of a chain.
package d9

import _ "uplevel/internal/digest/d10"
