// Package update is the updater as one value: it refreshes trust, plans, fetches,
// installs and reports. Each method is one use of the tool and returns a plain result;
// commands print results and hold no rules. Described in docs/design/update.md.
package update
