package lab

import (
	"context"
	"os"
)

// The operator of every lab.
const (
	Operator = "operator@lab.example"
	Password = "lab passw0rd"
)

// PublishTwo publishes two folders as levels 0 and 1 of NAME-1 and unpacks level 0 for
// an operator who may have both; it returns the home and the two publishing runs.
func (l *Lab) PublishTwo(ctx context.Context, name, dist0, dist1 string) (string, []Run, error) {
	notes := l.Path("notes.yaml")
	if err := os.WriteFile(notes, []byte("updates:\n  - {id: 1, type: regular, description: Measured change., files: ['**']}\n"), 0o644); err != nil {
		return "", nil, err
	}
	if err := l.Admit(ctx); err != nil {
		return "", nil, err
	}
	home := l.Path(name + "-home")
	var runs []Run
	for _, args := range [][]string{
		{"uplevel-publish", "product", "add", name, "1", "--platform", "unix", "--dist", dist0},
		{"uplevel-publish", "level", name, "1", "--dist", dist1, "--notes", notes},
		{"uplevel-publish", "pack", name, "1", "--level", "0", "--out", home},
		{"upleveld", "admin", "subscription", "add", "--organisation", "Lab", "--product", name, "--kind", "paid", "--eula-accepted-by", "Lab"},
	} {
		r, err := l.Do(ctx, l.Dir, args[0], args[1:]...)
		if err != nil {
			return "", nil, err
		}
		runs = append(runs, r)
	}
	return home, runs[:2], nil
}

// Admit makes keys, organisation and operator once.
func (l *Lab) Admit(ctx context.Context) error {
	if Exists(l.Path("keys")) {
		return nil
	}
	for _, args := range [][]string{
		{"uplevel-publish", "keys", "init"},
		{"upleveld", "admin", "organisation", "add", "Lab"},
		{"sh", "-c", "printf %s '" + Password + "' | upleveld admin user add " + Operator + " --organisation Lab --role operator --password-stdin"},
	} {
		if _, err := l.Do(ctx, l.Dir, args[0], args[1:]...); err != nil {
			return err
		}
	}
	l.Set("UPDATE_TOOL_USERNAME", Operator)
	l.Set("UPDATE_TOOL_PASSWORD", Password)
	return nil
}
