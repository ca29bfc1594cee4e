// Package trust decides what signed metadata make true. It verifies the files of a TUF
// repository (specification 1.0.34) that are handed to it and gives a [View]: the
// levels that the vendor's release keys list. It is pure: no files, no network, no
// clock. The roles, their files and lifetimes are described in docs/design/trust.md.
package trust

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"uplevel/internal/release"
)

// SpecVersion is the version of the TUF specification that new metadata name.
const SpecVersion = "1.0.34"

// Names of roles. Product and line roles are named by [release.ProductRole] and
// [release.Line.Role].
const (
	RoleRoot      = "root"
	RoleTimestamp = "timestamp"
	RoleSnapshot  = "snapshot"
	RoleTargets   = "targets"
	RoleTool      = "tool"   // the update tool itself; delegated by targets
	RoleHotfix    = "hotfix" // signs hotfix envelopes; delegated by targets
)

const (
	productPrefix = "product."
	linePrefix    = "line."
)

// Lengths in bytes beyond which a file of a role is refused unread.
const (
	MaxRoot      = 512 << 10
	MaxTimestamp = 16 << 10
	MaxSnapshot  = 2 << 20
	MaxTargets   = 4 << 20 // targets, product.*, tool, hotfix
	MaxLine      = 8 << 20
)

// MaxRotations bounds how many new roots one refresh accepts.
const MaxRotations = 256

const day = 24 * time.Hour

// MaxLength returns the length in bytes beyond which a file of role is refused.
func MaxLength(role string) int64 {
	switch {
	case role == RoleRoot:
		return MaxRoot
	case role == RoleTimestamp:
		return MaxTimestamp
	case role == RoleSnapshot:
		return MaxSnapshot
	case strings.HasPrefix(role, linePrefix):
		return MaxLine
	}
	return MaxTargets
}

// Lifetime returns how long a newly signed file of role is valid.
func Lifetime(role string) time.Duration {
	switch role {
	case RoleTimestamp:
		return 3 * day
	case RoleSnapshot:
		return 14 * day
	case RoleRoot:
		return 2 * 365 * day
	case RoleTargets:
		return 365 * day
	}
	return 120 * day
}

// RenewBefore returns how long before its expiry the service signs an online role
// again: timestamp 2 days, snapshot 7 days.
func RenewBefore(role string) time.Duration {
	if role == RoleTimestamp {
		return 2 * day
	}
	return 7 * day
}

// FileName returns the name of a role's file in a repository with consistent
// snapshots: N.ROLE.json, and timestamp.json. Characters of the role that mean
// something in a URL or a path are escaped.
func FileName(role string, version int64) string {
	if role == RoleTimestamp {
		return CacheName(role)
	}
	return strconv.FormatInt(version, 10) + "." + CacheName(role)
}

// CacheName returns the unversioned name of a role's file: ROLE.json, escaped as in
// [FileName]; it never leaves its folder.
func CacheName(role string) string {
	name := strings.ReplaceAll(url.QueryEscape(role), "+", "%20")
	return name + ".json"
}

// ProductPaths are the target paths that targets delegates to the role of product.
func ProductPaths(product string) []string { return []string{product + "/*/*/*"} }

// LinePaths are the target paths that a product's role delegates to the role of line.
func LinePaths(line release.Line) []string {
	return []string{fmt.Sprintf("%s/%s/%s/*", line.Product, line.Version, line.Channel)}
}

// ToolPaths are the target paths that targets delegates to the role tool.
func ToolPaths() []string { return []string{"uplevel-tool/*/*"} }

// HotfixPaths are the target paths that targets delegates to the role hotfix.
func HotfixPaths() []string { return []string{"uplevel-hotfix/*"} }

// ParseProductRole returns the product whose role it is.
func ParseProductRole(role string) (product string, ok bool) {
	product, ok = strings.CutPrefix(role, productPrefix)
	return product, ok && release.CheckName(product) == nil
}

// ParseLineRole returns the line whose role it is; the inverse of [release.Line.Role].
func ParseLineRole(role string) (release.Line, bool) {
	rest, ok := strings.CutPrefix(role, linePrefix)
	dot := strings.LastIndexByte(rest, '.')
	if !ok || dot < 0 {
		return release.Line{}, false
	}
	line, err := release.ParseProductVersion(rest[:dot])
	if err != nil {
		return release.Line{}, false
	}
	line.Channel = rest[dot+1:]
	return line, line.Check() == nil && line.Role() == role
}

// ParentRole returns the role that delegates to role in the layout of this project,
// and false for a name that has no place in it. Root is its own parent; the top-level
// roles have root.
func ParentRole(role string) (string, bool) {
	switch role {
	case RoleRoot, RoleTimestamp, RoleSnapshot, RoleTargets:
		return RoleRoot, true
	case RoleTool, RoleHotfix:
		return RoleTargets, true
	}
	if _, ok := ParseProductRole(role); ok {
		return RoleTargets, true
	}
	if line, ok := ParseLineRole(role); ok {
		return release.ProductRole(line.Product), true
	}
	return "", false
}
