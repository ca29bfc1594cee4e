package main

import (
	"archive/zip"
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"

	"uplevel/internal/merge/formats"
	"uplevel/test/bench/npm"
)

// product is a product on npm at two releases, pinned by digest.
type product struct {
	name, oldVersion, newVersion string
	oldDigest, newDigest         string // SHA-512 of the package, base64, as the registry names it
	folder                       string // where its configuration lies
	bundles                      bool   // instead: the list of the OSGi bundles among its jars
}

// products are of six kinds: INI, properties and XML, YAML, JSON, TOML, bundle lists.
func products() []product {
	return []product{
		{
			"Haraka", "2.8.28", "3.1.1",
			"E12Nkf7epnVBXxleaMWWGmMDPjUP4BevOPF6jAQy2LgB6m+iVBZVW1un7Hghu7NVztH0JlAW2rtX2lroXfru3A==",
			"Op1VBL9NUfePgzjkii13qZ5cOdIVPdVyM6Tx94MB3+eJ+y5Wu1MUUekQ6LMR2VfC7tb5Ew0+LjF+5vJ9xWAkFg==", "config", false,
		},
		{
			"cordova-android", "10.1.2", "13.0.0",
			"F28+NvgKO4ZhKFkqctCOh62mhVoNyUuRQh/F/nqp+Sti4ODv2rUa6UeW18khhdYTjlDeihHQsPqxvB7mI6fVYA==",
			"uQG+cSyrB1NMi2aIzihldIupHB9WGpZVvrMMMAAtnyc6tDlEk7gweSSaFsEONyGAnteRYpIvrzg/YwDW08PcUg==", "", false,
		},
		{
			"verdaccio", "4.13.2", "5.33.0",
			"llMwNj1WA7DSV1/L3svSbn4a0CPXw1Hwnx/xk3PvqaWfCF/51WdzhCuICrGgpgGJ8fLJOo7C7rs578+rICAFAw==",
			"mZWTt/k3KyprhS9IriUEHfKSV4lqB9P1aTVhw5GcNgu4533GSsJRwlBwrFijnoBbWDVarjZoIf+t8wq0iv+5jg==", "conf", false,
		},
		{
			"ghost", "3.42.9", "4.48.9",
			"44MFZXswojNkexw1eO4/4V/chkE3yZufWwIXqsOi09FfrrInNmtQCyOFbgCnw/Ecs87hb2xVJk4BxdvennNuaw==",
			"xrNiJi6HB4g3wqGpPzFZKW/itRxri5C3ps1zJqY6df7jYRPVqi2Jr83qNpXtY841JmKmeYz11bz5CVtkn7F4Hw==", "core/shared/config", false,
		},
		{
			"create-cloudflare", "2.9.0", "2.31.0",
			"rYcdjuPizVP1Jl+w+nZaku9+TusrZ9JCg6qd8w6zHTkbctd6RlENcTLeJl7dT2z18SD+rz/lMb7+wP4fHAt+aw==",
			"peVrhhzI4U24wZD6WUHoqwN+9TDJ5ALcCKzCCVzyDBACdcPiYmwffiKLByA4AbZtB+LK7MckWoqTBHCgOcT13w==", "templates", false,
		},
		{
			"allure-commandline", "2.38.1", "2.42.0",
			"qkoEz8/Y+K6XRlkJFmPEsT4bJFa2nHmYMkp6aEg6HaM4uewpJRI0jJsQhVWl8xZ6k6VtVr3vWnsAMPL5LPthvA==",
			"MLBxpoyZqcunRK+Jx0zvswxs1M7qr4hCu2oaBTHx1QTR2iEZt78Qyzqf+cQHsx1fKhWWfPiNFmbS0cj6Qv6AXQ==", "dist/lib", true,
		},
	}
}

// fetch returns the files of every product that its vendor changed. What lies verified in
// cache is not fetched again.
func fetch(ctx context.Context, cache string) ([]shipped, error) {
	var all []shipped
	for _, p := range products() {
		old, err := p.release(ctx, cache, p.oldVersion, p.oldDigest)
		if err != nil {
			return nil, err
		}
		next, err := p.release(ctx, cache, p.newVersion, p.newDigest)
		if err != nil {
			return nil, err
		}
		s := shipped{name: fmt.Sprintf("%s %s → %s", p.name, p.oldVersion, p.newVersion)}
		for _, name := range slices.Sorted(maps.Keys(old)) {
			if next[name] == nil || bytes.Equal(old[name], next[name]) {
				continue
			}
			if _, err := newJudge(name, old[name], old[name], next[name]); err == nil {
				s.files = append(s.files, pair{name, old[name], next[name]})
			}
		}
		all = append(all, s)
	}
	return all, nil
}

// release returns the configuration files of one release.
func (p product) release(ctx context.Context, cache, version, digest string) (map[string][]byte, error) {
	data, err := npm.Release{Name: p.name, Version: version, Digest: digest}.Fetch(ctx, cache)
	if err != nil {
		return nil, err
	}
	files, err := p.unpack(data)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", p.name, version, err)
	}
	return files, nil
}

// unpack reads what is wanted of a package into memory.
func (p product) unpack(data []byte) (map[string][]byte, error) {
	all := map[string][]byte{}
	var list []string
	err := npm.Files(data, func(name string, _ os.FileMode, r io.Reader) error {
		if !strings.HasPrefix(name, p.folder) || !p.wants(name) {
			return nil
		}
		content, err := io.ReadAll(io.LimitReader(r, 64<<20))
		if err != nil {
			return err
		}
		if !p.bundles {
			all[name] = content
		} else if line, ok := bundle(name, content); ok {
			list = append(list, line)
		}
		return nil
	})
	if p.bundles {
		slices.Sort(list)
		all["bundles.info"] = []byte("#encoding=UTF-8\n#version=1\n" + strings.Join(list, ""))
	}
	return all, err
}

// wants reports whether a file is configuration: what belongs to the package itself, to
// its tests, to a compiler, or is a picture is not.
func (p product) wants(name string) bool {
	if p.bundles {
		return path.Ext(name) == ".jar"
	}
	base := path.Base(name)
	return formats.For(name) != nil && base != "package.json" && base != "tsconfig.json" && !strings.Contains(name, "test") && !strings.Contains(name, "/mipmap")
}

// bundle returns a jar's line in a bundles.info; false: it is no OSGi bundle. It is what
// Eclipse's publisher writes for it.
func bundle(name string, jar []byte) (string, bool) {
	r, err := zip.NewReader(bytes.NewReader(jar), int64(len(jar)))
	if err != nil {
		return "", false
	}
	f, err := r.Open("META-INF/MANIFEST.MF")
	if err != nil {
		return "", false
	}
	defer f.Close()
	manifest, err := io.ReadAll(io.LimitReader(f, 1<<20))
	if err != nil {
		return "", false
	}
	text := regexp.MustCompile(`\r?\n `).ReplaceAllString(string(manifest), "")
	field := func(key string) string {
		m := regexp.MustCompile(`(?m)^` + key + `: *([^;\r\n]+)`).FindStringSubmatch(text)
		if m == nil {
			return ""
		}
		return strings.TrimSpace(m[1])
	}
	id, version := field("Bundle-SymbolicName"), field("Bundle-Version")
	return fmt.Sprintf("%s,%s,plugins/%s,4,false\n", id, version, path.Base(name)), id != "" && version != ""
}
