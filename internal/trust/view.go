package trust

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"uplevel/internal/problem"
	"uplevel/internal/release"
)

// How expiry was judged.
const (
	Online  = "online"  // by the clock
	Carried = "carried" // one second before the expiry of the carried timestamp
)

// CarriedReference returns the reference time of metadata that were carried in: one
// second before their timestamp expires.
func CarriedReference(timestampExpires time.Time) time.Time {
	return timestampExpires.Add(-time.Second)
}

// View is verified metadata at one instant. It does not change and is safe for
// concurrent use.
type View struct {
	mode        string
	reference   time.Time
	fingerprint string
	rootVersion int64
	products    map[string][]release.Line         // product → lines that its role delegates
	levels      map[release.Line][]release.Listed // lines asked for, ascending
	expires     map[string]time.Time              // role → expiry
	hotfix      hotfixKeys                        // as targets delegates them
	tools       []release.Tool                    // the oldest first
	noTools     error                             // why they are not known
}

// Lines returns the lines that the role of product lists, ordered by name; none when
// the product is not known or was not asked for.
func (v *View) Lines(product string) []release.Line { return slices.Clone(v.products[product]) }

// Levels returns every level of line in every state, ascending. A line that is not
// listed, or was not asked for when the view was made, is an error of kind
// [problem.Failed].
func (v *View) Levels(line release.Line) ([]release.Listed, error) {
	levels, ok := v.levels[line]
	if !ok {
		return nil, problem.New(problem.Failed,
			"Look at updates/product.txt and at the channel, and at the products that the Updates Portal lists.",
			"The vendor publishes no levels of %s", line)
	}
	return slices.Clone(levels), nil
}

// Level returns one level of line. A level that is not listed is [release.ErrLevel].
func (v *View) Level(line release.Line, level int) (release.Listed, error) {
	levels, err := v.Levels(line)
	if err != nil {
		return release.Listed{}, err
	}
	for _, l := range levels {
		if l.Level == level {
			return l, nil
		}
	}
	return release.Listed{}, problem.New(problem.Failed, "Run check to see the levels there are.",
		"%w %s: %s has no such level", release.ErrLevel, line.LevelName(level), line)
}

// Expires returns the role among those the view rests on that expires first, and when.
func (v *View) Expires() (role string, at time.Time) {
	for name, expiry := range v.expires {
		if role == "" || expiry.Before(at) || expiry.Equal(at) && name < role {
			role, at = name, expiry
		}
	}
	return role, at
}

// Expired reports whether any role was no longer valid at the reference time. It is
// true only for a view of what was trusted earlier.
func (v *View) Expired() bool {
	_, at := v.Expires()
	return !at.After(v.reference)
}

// Mode returns how expiry was judged, [Online] or [Carried].
func (v *View) Mode() string { return v.mode }

// Reference returns the time at which expiry was judged.
func (v *View) Reference() time.Time { return v.reference }

// Age returns how far now lies behind the reference time, at least 0: in the carried
// mode how long ago the metadata ceased to be fresh.
func (v *View) Age(now time.Time) time.Duration { return max(0, now.Sub(v.reference)) }

// RootVersion returns the version of the root in force.
func (v *View) RootVersion() int64 { return v.rootVersion }

// RootFingerprint returns the [Fingerprint] of the root in force.
func (v *View) RootFingerprint() string { return v.fingerprint }

// Fingerprint identifies who may sign roots after this one: the SHA-256, in lower-case
// hexadecimal, of the root role's threshold in decimal and its key ids in ascending
// order, each followed by a line feed. It stays the same until root keys change. The
// root is verified by its own keys first.
func Fingerprint(root []byte) (string, error) {
	v, err := NewVerifier(root, time.Time{})
	if err != nil {
		return "", err
	}
	return fingerprint(&v.set.Root.Signed), nil
}

func fingerprint(root *metadata.RootType) string {
	return FingerprintOf(root.Roles[RoleRoot].Threshold, ownIDs(root, RoleRoot))
}

// ownIDs are the ids of a role's keys as the keys themselves have them, ascending: a root may
// name them as it likes, also by the ids of another's.
func ownIDs(root *metadata.RootType, role string) []string {
	ids := make([]string, 0, len(root.Roles[role].KeyIDs))
	for _, name := range root.Roles[role].KeyIDs {
		id := name // of no key, which signs nothing
		if key := root.Keys[name]; key != nil {
			if own, err := key.ID(); err == nil {
				id = own
			}
		}
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// FingerprintOf returns the [Fingerprint] of roots with this threshold and these key ids.
func FingerprintOf(threshold int, keyIDs []string) string {
	ids := slices.Clone(keyIDs)
	slices.Sort(ids)
	sum := sha256.Sum256([]byte(strconv.Itoa(threshold) + "\n" + strings.Join(ids, "\n") + "\n"))
	return hex.EncodeToString(sum[:])
}

// View makes a view of what was taken, with the levels of lines; timestamp, snapshot,
// targets, and the roles of lines that are delegated must be there.
func (v *Verifier) View(mode string, lines ...release.Line) (*View, error) {
	root := &v.set.Root.Signed
	view := &View{
		mode: mode, reference: v.Reference(), fingerprint: fingerprint(root), rootVersion: root.Version,
		products: map[string][]release.Line{}, levels: map[release.Line][]release.Listed{},
		expires: map[string]time.Time{RoleRoot: root.Expires},
	}
	if v.set.Timestamp == nil || v.set.Snapshot == nil || v.role(RoleTargets) == nil {
		return nil, Refuse("timestamp.json", fmt.Errorf("not all of timestamp, snapshot and targets are there"))
	}
	view.expires[RoleTimestamp] = v.set.Timestamp.Signed.Expires
	view.expires[RoleSnapshot] = v.set.Snapshot.Signed.Expires
	view.expires[RoleTargets] = v.role(RoleTargets).Expires
	view.hotfix = hotfixKeysOf(v.role(RoleTargets))
	for _, line := range lines {
		if err := v.addLine(view, line); err != nil {
			return nil, err
		}
	}
	return view, v.addTools(view)
}

func (v *Verifier) addLine(view *View, line release.Line) error {
	chain, err := v.Chain(line)
	if err != nil {
		return err
	}
	for _, step := range chain {
		signed := v.role(step.Role)
		if signed == nil {
			return Refuse(CacheName(step.Role), fmt.Errorf("it is not there"))
		}
		view.expires[step.Role] = signed.Expires
		if product, ok := ParseProductRole(step.Role); ok {
			view.products[product] = delegatedLines(signed, product)
			continue
		}
		levels, err := levelsOf(signed, line)
		if err != nil {
			return Refuse(CacheName(step.Role), err)
		}
		view.levels[line] = levels
	}
	return nil
}

func delegatedLines(signed *metadata.TargetsType, product string) []release.Line {
	var lines []release.Line
	if signed.Delegations == nil {
		return nil
	}
	for _, d := range signed.Delegations.Roles {
		if line, ok := ParseLineRole(d.Name); ok && line.Product == product && !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}
	slices.SortFunc(lines, func(a, b release.Line) int { return strings.Compare(a.Role(), b.Role()) })
	return lines
}
