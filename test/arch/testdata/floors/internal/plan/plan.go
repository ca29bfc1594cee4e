// Package plan stands above digest.
package plan
