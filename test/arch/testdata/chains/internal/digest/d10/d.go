// Package d10 is the end of a chain.
package d10
