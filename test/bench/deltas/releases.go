package deltas

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"uplevel/test/bench/npm"
)

// product is a product on npm, at releases of which each is a level.
type product struct {
	name     string
	releases []npm.Release
	skip     bool // from the first to the last, too
	goal     string
	marks    []Mark
}

// products are one fat jar, native code, many small text files, and a server-like product.
func products() []product {
	return []product{
		pinned(
			"google-closure-compiler-java", "≤ 56,900 bytes (0.9 × archive-patcher)",
			"20261011.0.0", "RsRW6+FUvxlGAVLcWEoUeV3glYLBkyu3VLrTwKbFLFUREWgBt+lMJfwY0HNzc60DnWNIazAkk7auW8oqX2juMA==",
			"20261015.0.0", "IyiJlnc6GOOAP9o3zR037aWhQdXxAqXLVps0PrcXFb79VXId+rBa+a6qbIR9UZ/cUQO3FRWSCaduSfwGHPp3dQ==",
		).with(
			Mark{"HDiffPatch", 954_175, 600 * time.Millisecond, 20 * time.Millisecond, 7},
			Mark{"archive-patcher", 63_181, 16_500 * time.Millisecond, 520 * time.Millisecond, 46},
		),
		pinned(
			"@esbuild/linux-x64", "≤ 1.05 × HDiffPatch",
			"0.28.1", "u/anNYF2mmVOEDwLtnQ1wOr3EZ9sTNGLWrsYGYwHWzGA3Si84IOkHXlbWTD1NB+9/1lcnweYKO54uhxZydNzfA==",
			"0.28.2", "4xTZr1FUmSoQW4XIWmit3tzQrUTZM+N3P0XV8xROKYF50XfI7xeO90+1bZvNwxIufQ9hDQVRJH5YhgPVF8A/HQ==",
		),
		pinned(
			"next", "≤ 20,000 bytes",
			"16.4.5", "rmdfsWosjTUO+6R0S3KokoIk6Kj0sWDRTe86tZHdqaWH/oXq/udX3/4xb+YQi7aWbyEFoglDU54kaifLCdXbBw==",
			"16.4.6", "QZJiYhaZLJMo2KpkQGQIwvmd79WVsAWeYIU554a8d7zArS3si/IRy3lBNV/rtYhE70oLwdLYhPAXLPx8HwcwtA==",
		),
		allure(),
	}
}

func allure() product {
	p := pinned(
		"allure-commandline", "≤ 0.5 × the best that opens no archives",
		"2.37.0", "s3zZ8zjqo2U3i5Lb3iLOCjwWQCtGK58GVpScTnZddOpgTXBDXAbXn+pT7QXN4NiY7pho6xw+UgyREyCRnx/9ug==",
		"2.38.0", "RcEB1ZdJt8t0CCucMQG3NF2R2r8S//sWwWWVWeJr8rPYNQhV7AMlcPyaVRfKp6a3zIHROysmurxs3mxP+L7SfQ==",
		"2.38.1", "qkoEz8/Y+K6XRlkJFmPEsT4bJFa2nHmYMkp6aEg6HaM4uewpJRI0jJsQhVWl8xZ6k6VtVr3vWnsAMPL5LPthvA==",
		"2.39.0", "72luWE0u8ZpdjhzQ1eDPjw+ZsCckIj9sItOsdYlfaMlehKmbNA1sIerro3RTIn3IKQj+6Qgk4Ro1cRkIfo0uJA==",
		"2.40.0", "Oyv2yOx8ORBPloYmfHny4TZa9m0Bq0MAJEf5YoNMs/Ft/dbCWkIF/xNU82c5wqgn65uHSh6ka6BUXHeruXC03w==",
		"2.41.0", "X3/zXt3i1q9k1ZMQLUKKfHRlwrxsSly6TVRtowYvcFskK5Q8FBtf1pm9h/bXQwG16f9M4ngvI77QhaWngy00og==",
		"2.42.0", "MLBxpoyZqcunRK+Jx0zvswxs1M7qr4hCu2oaBTHx1QTR2iEZt78Qyzqf+cQHsx1fKhWWfPiNFmbS0cj6Qv6AXQ==",
		"2.42.1", "aUGSoRHWvJFFBTS2D8UUvrBkaWwoDEvZ3IEEmeMh/br3v0LgD9s//bsussTtnzClpFe55bLh79bia4NJKQCUeA==",
		"2.43.0", "nsqccDOgi80fi9WjvBapZjlFlugodVWudotNtWx6XKiSI7NuN6oTWEkXnkxQBzNg02Yf9lZLtCFlKvjAlcpu6Q==",
		"2.44.0", "4diIR6wweeTbVJxB87OzdwZG9/1BsppgbiI9qGYkJAheN4Q5fwvU9KyEHqOJy6G+9lobaDDjFB8bA/Kct5oyiA==",
		"2.46.1", "4HTxbXR9D2+cJV9z4MO/IUa7sfYiLLXBP3/4MWSqC63ey55wBMvXAk83yZYwJ2t+jKU1Z7QW6LgCUx0BhPy9EQ==",
	)
	p.skip = true
	return p
}

// pinned returns a product of versions, each followed by its digest.
func pinned(name, goal string, versions ...string) product {
	p := product{name: name, goal: goal}
	for i := 0; i < len(versions); i += 2 {
		p.releases = append(p.releases, npm.Release{Name: name, Version: versions[i], Digest: versions[i+1]})
	}
	return p
}

func (p product) with(marks ...Mark) product {
	p.marks = marks
	return p
}

// Releases fetches the real releases and unpacks them below dir. What lies verified in cache
// is not fetched again.
func Releases(ctx context.Context, cache, dir string) ([]Pair, error) {
	var all []Pair
	for _, p := range products() {
		folder := func(i int) string { return filepath.Join(dir, filepath.FromSlash(p.name), p.releases[i].Version) }
		pair := func(from, to int) Pair {
			return Pair{
				Name: fmt.Sprintf("%s %s → %s", p.name, p.releases[from].Version, p.releases[to].Version),
				Old:  folder(from), New: folder(to), Goal: p.goal, Marks: p.marks,
			}
		}
		for i, r := range p.releases {
			data, err := r.Fetch(ctx, cache)
			if err != nil {
				return nil, err
			}
			if err := npm.Unpack(data, folder(i)); err != nil {
				return nil, fmt.Errorf("%s %s: %w", r.Name, r.Version, err)
			}
			if i > 0 {
				all = append(all, pair(i-1, i))
			}
		}
		if p.skip {
			all = append(all, pair(0, len(p.releases)-1))
		}
	}
	return all, nil
}
