package hotfix

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"uplevel/internal/problem"
	"uplevel/internal/release"
)

// MaxSequence bounds a hotfix's place in its sequence.
const MaxSequence = 9999

var (
	organisationPattern = regexp.MustCompile(`^[A-Za-z0-9_.]{1,64}$`)
	idPattern           = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,80}$`)
	// Neither organisation nor version has a hyphen, so a name splits in one way only.
	filePattern = regexp.MustCompile(`^([a-z][a-z0-9_-]{0,63})-([0-9.]{1,39})-([A-Za-z0-9_.]{1,64})-hf-?([1-9][0-9]{0,3})\.zip$`)
	namePattern = regexp.MustCompile(`^([A-Za-z0-9_.]{1,64})-hf-?([1-9][0-9]{0,3})$`)
)

// CheckOrganisation refuses what can not stand for an organisation in names of hotfixes:
// letters, digits, dot and underscore, 64 at most.
func CheckOrganisation(name string) error {
	if !organisationPattern.MatchString(name) {
		return fmt.Errorf("organisation %.80q: want letters, digits, dots and underscores", name)
	}
	return nil
}

// Name returns the name of an organisation's nth hotfix: ACME-hf1.
func Name(organisation string, n int) string { return organisation + "-hf" + strconv.Itoa(n) }

// FileName returns the name of a hotfix's zip: wso2is-7.1.0-ACME-hf1.zip.
func FileName(line release.Line, organisation string, n int) string {
	return line.ProductVersion() + "-" + Name(organisation, n) + ".zip"
}

// Named is what the name of a hotfix's zip says. Only the record inside counts.
type Named struct {
	Product, Version string
	For              string // ORG
	Sequence         int
}

// Name returns the hotfix's name: ACME-hf1.
func (n Named) Name() string { return Name(n.For, n.Sequence) }

// ParseFileName reads PRODUCT-VERSION-ORG-hfN.zip and PRODUCT-VERSION-ORG-hf-N.zip, folders
// before it ignored. Another name is an error of kind [problem.Failed].
func ParseFileName(name string) (Named, error) {
	base := filepath.Base(filepath.FromSlash(name))
	m := filePattern.FindStringSubmatch(base)
	if m == nil || release.CheckVersion(m[2]) != nil {
		return Named{}, problem.New(problem.Failed, "Give the file the name it came with, such as wso2is-7.1.0-ACME-hf1.zip.",
			"Invalid hotfix name %.200q: want PRODUCT-VERSION-ORGANISATION-hfN.zip", base)
	}
	n, err := strconv.Atoi(m[4])
	return Named{Product: m[1], Version: m[2], For: m[3], Sequence: n}, err
}

// ParseName reads ORG-hfN, also written ORG-hf-N, and returns it as ORG-hfN. Another name
// is an error of kind [problem.Failed].
func ParseName(name string) (string, error) {
	organisation, n, ok := splitName(name)
	if !ok {
		return "", problem.New(problem.Failed, "Write it as check lists it, such as ACME-hf1.",
			"Invalid hotfix name %.200q: want ORGANISATION-hfN", name)
	}
	return Name(organisation, n), nil
}

func splitName(name string) (organisation string, n int, ok bool) {
	m := namePattern.FindStringSubmatch(strings.TrimSpace(name))
	if m == nil {
		return "", 0, false
	}
	n, err := strconv.Atoi(m[2])
	return m[1], n, err == nil
}
