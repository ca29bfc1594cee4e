// Package d5 is a link of a chain.
package d5

import _ "uplevel/internal/digest/d6"
