package signing

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"uplevel/internal/api"
	"uplevel/internal/problem"
	"uplevel/internal/trust"
	"uplevel/internal/trust/sign"
)

// Change is what one waiting document changes against the one in force.
type Change struct {
	Role    string
	Facts   sign.Facts
	Holders []HolderChange // roles whose keys or threshold change
}

// HolderChange is who signs a role before and after.
type HolderChange struct {
	Role                    string
	Kept, Added, Dropped    []string // ids
	Threshold, WasThreshold int
}

// Review says what waiting documents change and whose signatures they need. It refuses
// those that are not the next step of what the folder trusts, or that change anything but
// keys, thresholds, version and expiry: who signs must see all that they sign.
func (p *Signer) Review(w Waiting) ([]Change, []Need, error) {
	var changes []Change
	var needs []Need
	for _, doc := range w.Documents {
		change, err := p.review(doc)
		if err != nil {
			return nil, nil, err
		}
		changes = append(changes, change)
		more, err := p.needs(w, doc)
		if err != nil {
			return nil, nil, err
		}
		needs = append(needs, more...)
	}
	return changes, needs, nil
}

func (p *Signer) review(doc api.RoleMetadata) (Change, error) {
	none := Change{}
	before, err := p.trusted(doc.Role)
	if errors.Is(err, fs.ErrNotExist) {
		return none, problem.New(problem.Refused, "Run keys status with a connection to the service first.",
			"%s holds no document of %s to compare with: %w", p.Folder.Dir, doc.Role, err)
	}
	if err != nil {
		return none, err
	}
	was, err := sign.FactsOf(before)
	if err != nil {
		return none, err
	}
	now, err := sign.FactsOf(doc.Data)
	if err != nil {
		return none, notNext(doc.Role, "%w", err)
	}
	latest := sign.NextExpiry(doc.Role, p.Now()).AddDate(0, 0, 1)
	switch {
	case now.Version <= was.Version:
		return none, problem.New(problem.Refused, "Make it again with keys rotate or keys renew: something was published since.",
			"The document of %s is version %d, and version %d is in force", doc.Role, now.Version, was.Version)
	case now.Version != was.Version+1:
		return none, notNext(doc.Role, "it is version %d, and this folder has seen version %d", now.Version, was.Version)
	case !now.Expires.After(p.Now()) || now.Expires.After(latest):
		return none, notNext(doc.Role, "it would run out on %s", now.Expires.Format("2006-01-02"))
	}
	changed, holders, err := holderChanges(doc.Role, before, doc.Data)
	if err != nil {
		return none, notNext(doc.Role, "%w", err)
	}
	want, err := sign.Next(doc.Role, before, changed, now.Expires)
	if err != nil {
		return none, notNext(doc.Role, "%w", err)
	}
	if same, err := sign.SameContent(doc.Role, want, doc.Data); err != nil || !same {
		return none, notNext(doc.Role, "it changes more than keys, thresholds, version and expiry")
	}
	if doc.Role == trust.RoleRoot {
		if err := offlineApart(doc.Data); err != nil {
			return none, notNext(doc.Role, "%w", err)
		}
	}
	return Change{doc.Role, now, holders}, nil
}

func notNext(role, format string, args ...any) error {
	return problem.New(problem.Verification, "Do not sign it. Ask whoever sent it; run keys status if this folder may be behind.",
		"The document of %s is not the next step of what is trusted here: %w", role, fmt.Errorf(format, args...))
}

// offlineApart refuses a root that lets a key of the service sign more than snapshot and
// timestamp.
func offlineApart(root []byte) error {
	online := map[string]bool{}
	for _, role := range []string{trust.RoleSnapshot, trust.RoleTimestamp, trust.RoleTargets, trust.RoleRoot} {
		h, err := sign.HoldersOf(trust.RoleRoot, root, role)
		if err != nil {
			return err
		}
		for _, key := range h.Keys {
			public := strings.ToLower(key.Value.PublicKey)
			switch {
			case role == trust.RoleSnapshot || role == trust.RoleTimestamp:
				online[public] = true
			case online[public]:
				return fmt.Errorf("it lets a key of the service sign %s", role)
			}
		}
	}
	return nil
}

// signable are the roles that a document of role can name keys of.
func signable(role string, doc []byte) ([]string, error) {
	if role == trust.RoleRoot {
		return []string{trust.RoleRoot, trust.RoleTargets, trust.RoleSnapshot, trust.RoleTimestamp}, nil
	}
	facts, err := sign.FactsOf(doc)
	return facts.Delegated, err
}

// holderChanges compares who signs what in two versions of a document.
func holderChanges(role string, before, after []byte) (map[string]sign.Holders, []HolderChange, error) {
	roles, err := signable(role, after)
	if err != nil {
		return nil, nil, err
	}
	changed := map[string]sign.Holders{}
	var told []HolderChange
	for _, held := range roles {
		was, err := sign.HoldersOf(role, before, held)
		if err != nil {
			return nil, nil, err
		}
		is, err := sign.HoldersOf(role, after, held)
		if err != nil {
			return nil, nil, err
		}
		c, err := compare(held, was, is)
		if err != nil {
			return nil, nil, err
		}
		if len(c.Added)+len(c.Dropped) > 0 || c.Threshold != c.WasThreshold {
			changed[held] = is
			told = append(told, c)
		}
	}
	return changed, told, nil
}

func compare(role string, was, is sign.Holders) (HolderChange, error) {
	c := HolderChange{Role: role, Threshold: is.Threshold, WasThreshold: was.Threshold}
	before, err := was.IDs()
	if err != nil {
		return c, err
	}
	after, err := is.IDs()
	if err != nil {
		return c, err
	}
	for _, id := range after {
		if slices.Contains(before, id) {
			c.Kept = append(c.Kept, id)
		} else {
			c.Added = append(c.Added, id)
		}
	}
	for _, id := range before {
		if !slices.Contains(after, id) {
			c.Dropped = append(c.Dropped, id)
		}
	}
	return c, nil
}
