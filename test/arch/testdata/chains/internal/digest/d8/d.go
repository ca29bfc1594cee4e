// Package d8 is a link of a chain.
package d8

import _ "uplevel/internal/digest/d9"
