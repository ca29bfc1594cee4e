// Package install is the installation on disk: it finds a product home, looks at what
// lies there, stages a change beside its targets, commits it through one journal,
// and completes or undoes what a crash cut. docs/design/commit.md is its design.
//
// It never asks the network and decides nothing about contents: a plan comes in, the
// home goes from wholly old to wholly new.
package install
