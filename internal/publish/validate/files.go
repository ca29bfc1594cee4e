package validate

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"uplevel/internal/manifest"
	"uplevel/internal/release"
)

// reserved are the names that mean a device on Windows, with any extension.
var reserved = regexp.MustCompile(`^(?i:con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])$`)

// unusable says why a part of a path cannot stand on Windows; empty: it can.
func unusable(part string) string {
	stem, _, _ := strings.Cut(part, ".")
	switch {
	case reserved.MatchString(strings.TrimRight(stem, " ")):
		return "names a device"
	case strings.HasSuffix(part, "."), strings.HasSuffix(part, " "):
		return "ends with a dot or a space"
	case strings.ContainsAny(part, `<>:"|?*`):
		return "holds one of < > : \" | ? *"
	}
	return ""
}

func checkNames(in Input, add add) {
	if in.Platform == release.Unix {
		return
	}
	var bad []string
	same := map[string]string{}
	var collisions []string
	fold := cases.Fold()
	for _, e := range in.Tree.Entries() {
		if unusable(path.Base(e.Path)) != "" {
			bad = append(bad, e.Path)
		}
		key := norm.NFC.String(fold.String(norm.NFD.String(e.Path)))
		if other, taken := same[key]; taken {
			collisions = append(collisions, other, e.Path)
		}
		same[key] = e.Path
	}
	add(WindowsName, "names that Windows cannot have", bad...)
	add(CaseCollision, "names that are equal but for case or Unicode form", collisions...)
}

func checkFiles(in Input, add add) {
	var outward, writable, large []string
	licensed := false
	for _, l := range in.Outward {
		outward = append(outward, l.Path+" -> "+oneLine(l.Target))
	}
	for _, e := range in.Tree.Entries() {
		if e.Mode&0o002 != 0 {
			writable = append(writable, e.Path)
		}
		if e.Size > MaxFile {
			large = append(large, e.Path)
		}
		licensed = licensed || isLicense(e.Path)
	}
	add(LinkOutside, "links that leave the product", outward...)
	add(SetUserID, "files with set-user-id or set-group-id", slices.Clone(in.SetID)...)
	add(WorldWritable, "files that everybody may write", writable...)
	add(OversizedFile, fmt.Sprintf("files larger than %d MiB", MaxFile>>20), large...)
	if !licensed {
		add(MissingLicense, "no file of this name stands at the top of the distribution", "LICENSE")
	}
}

// oneLine quotes a target that would break the line it stands in.
func oneLine(target string) string {
	if strings.ContainsFunc(target, unicode.IsControl) {
		return strconv.Quote(target)
	}
	return target
}

func isLicense(p string) bool {
	name := strings.ToUpper(p)
	return !strings.Contains(p, "/") &&
		(strings.HasPrefix(name, "LICENSE") || strings.HasPrefix(name, "LICENCE") || strings.HasPrefix(name, "COPYING"))
}

// library splits a.b-core-1.2.3.jar or a.b_1.2.3.jar into name and version.
var library = regexp.MustCompile(`^(.+)[-_](\d[0-9A-Za-z.+]*?(?:[-.](?i:snapshot|final|ga|release|m\d+|rc\d*|alpha\d*|beta\d*|jre|android))*)\.jar$`)

// system is what some libraries name after the version.
var system = regexp.MustCompile(`-(?:linux|windows|osx|mac|darwin)[0-9A-Za-z_-]*\.jar$`)

func checkLibraries(in Input, add add) {
	versions := map[string]map[string][]string{}
	for _, e := range in.Tree.Entries() {
		m := library.FindStringSubmatch(system.ReplaceAllString(path.Base(e.Path), ".jar"))
		if m == nil || e.Kind != manifest.File {
			continue
		}
		if versions[m[1]] == nil {
			versions[m[1]] = map[string][]string{}
		}
		versions[m[1]][m[2]] = append(versions[m[1]][m[2]], e.Path)
	}
	var twice []string
	for _, byVersion := range versions {
		if len(byVersion) < 2 {
			continue
		}
		for _, paths := range byVersion {
			twice = append(twice, paths...)
		}
	}
	add(DuplicateLibrary, "libraries of which more than one version is there", twice...)
}

// checkReturns finds files whose content is that of an earlier level and was another
// in between.
func checkReturns(in Input, add add) {
	var back []string
	for _, e := range in.Tree.Entries() {
		if e.Kind != manifest.File {
			continue
		}
		former, there := in.Former.Lookup(e.Path)
		if there && former.SameContent(e) {
			continue
		}
		for _, older := range in.Older {
			if o, ok := older.Tree.Lookup(e.Path); ok && o.SameContent(e) {
				back = append(back, fmt.Sprintf("%s (as in level %d)", e.Path, older.Level))
				break
			}
		}
	}
	add(ContentReturns, "files that return to an older content, which may undo a fix", back...)
}

const bundlesInfo = "bundles.info"

// maxBundles bounds the bytes of a bundle list.
const maxBundles = 4 << 20

// checkBundles compares every bundles.info with the jar files that are there.
func checkBundles(in Input, add add) error {
	jars, listed, folders := map[string][]string{}, map[string]bool{}, map[string]bool{}
	var lists []manifest.Entry
	for _, e := range in.Tree.Entries() {
		if e.Kind == manifest.File && path.Base(e.Path) == bundlesInfo && e.Size <= maxBundles {
			lists = append(lists, e)
		}
		if strings.HasSuffix(e.Path, ".jar") {
			jars[path.Base(e.Path)] = append(jars[path.Base(e.Path)], e.Path)
		}
	}
	var wrong []string
	for _, list := range lists {
		text, err := in.New(list)
		if err != nil {
			return fmt.Errorf("reading %s: %w", list.Path, err)
		}
		for line := range strings.Lines(string(text)) {
			f := strings.Split(strings.TrimSpace(line), ",")
			if len(f) != 5 || strings.HasPrefix(f[0], "#") {
				continue
			}
			jar := path.Base(f[2])
			listed[jar] = true
			if len(jars[jar]) == 0 {
				wrong = append(wrong, list.Path+" lists "+jar+", which is not there")
			}
			for _, p := range jars[jar] {
				folders[path.Dir(p)] = true
			}
		}
	}
	for jar, paths := range jars {
		for _, p := range paths {
			if folders[path.Dir(p)] && !listed[jar] {
				wrong = append(wrong, p+" is in no "+bundlesInfo)
			}
		}
	}
	add(BundleList, "bundle lists that disagree with the bundles", wrong...)
	return nil
}
