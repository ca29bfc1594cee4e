package main

import (
	"context"
	"os"
	"os/exec"
)

// inside is what goes before a command so that it runs in a network that leads nowhere.
// Where the system allows no such thing the command runs as it is, and it is said.
func (d *demo) inside() string {
	for _, way := range []string{"unshare --net ", "unshare --map-root-user --net "} {
		if exec.Command("sh", "-c", way+"true").Run() == nil {
			return way
		}
	}
	d.note("(this system lets nobody make a network that leads nowhere: the commands run in yours)")
	return ""
}

// step is a line to type and how it must end.
type step struct {
	code int
	line string
}

func (d *demo) steps(ctx context.Context, steps ...step) error {
	for _, s := range steps {
		if _, err := d.typed(ctx, s.code, s.line); err != nil {
			return err
		}
	}
	return nil
}

// lockedDown is a site without Internet: two servers at two levels, one zip.
func (d *demo) lockedDown(ctx context.Context) error {
	d.title("Two servers without Internet, at levels 0 and 2, one customised: what they tell is carried out, one zip is carried in")
	d.changeDir(d.path("work"))
	in := d.inside()
	return d.steps(ctx,
		step{0, "mkdir -p carried && uplevel-publish pack allure 2 --level 0 --out inside/one && uplevel-publish pack allure 2 --level 2 --out inside/two"},
		step{0, `sed -i "s|^DEFAULT_JVM_OPTS=.*|DEFAULT_JVM_OPTS='\"-Xmx1g\"'|" inside/two/bin/allure`},
		step{13, in + "inside/one/bin/uplevel check"},
		step{0, in + "inside/one/bin/uplevel current-state --out carried/one.json"},
		step{0, in + "inside/two/bin/uplevel current-state --out carried/two.json"},
		step{0, "uplevel create-update --dir allure-2 --from-state carried/one.json --from-state carried/two.json --out carried/november.zip"},
		step{0, in + "inside/one/bin/uplevel apply-update carried/november.zip --offline"},
		step{0, in + "inside/two/bin/uplevel apply-update carried/november.zip --offline"},
		step{0, "grep -n '^DEFAULT_JVM_OPTS' inside/two/bin/allure && diff -rq --exclude=updates --exclude='uplevel*' inside/one ../releases/2.42.0 && echo 'one equals release 2.42.0'"},
	)
}

// repair is a disk that lost files, on a server without Internet.
func (d *demo) repair(ctx context.Context) error {
	d.title("A disk was full there: one file is empty, one gone. What is missing is carried in, and nothing else is touched")
	in := d.inside()
	return d.steps(ctx,
		step{0, ": > inside/one/lib/slf4j-api-2.0.18.jar && rm inside/one/config/allure.yml"},
		step{14, in + "inside/one/bin/uplevel verify"},
		step{0, in + "inside/one/bin/uplevel current-state --out carried/damaged.json"},
		step{0, "uplevel create-update --dir allure-2 --from-state carried/damaged.json --out carried/repair.zip"},
		step{0, in + "inside/one/bin/uplevel verify --repair --yes --from carried/repair.zip --report carried/repair.txt"},
		step{0, in + "inside/one/bin/uplevel verify --strict"},
	)
}

// reports makes what runs inside visible outside.
func (d *demo) reports(ctx context.Context) error {
	d.title("And who has what? Reports are carried out of there, and sent")
	in := d.inside()
	return d.steps(ctx,
		step{0, "mkdir carried/reports && for server in one two; do " + in + "inside/$server/bin/uplevel report --out carried/reports; done"},
		step{0, "uplevel report --upload carried/reports"},
		step{0, "upleveld admin installation list"},
	)
}

// takeOver is a product that U2 kept updated until today.
func (d *demo) takeOver(ctx context.Context) error {
	d.title("A pack that WSO2 Updates 2.0 left: the tool is copied into bin/ under its old name, nothing else; old scripts go on")
	d.changeDir(d.path("work"))
	config := `{"username": "` + operator + `", "update-level": "0", "channel": "full", "service": {"access-token": "f00ba7"}, "hotfixes": null}` + "\n"
	if err := d.steps(ctx,
		step{0, "uplevel-publish tools --out tools --tool-name wso2update"},
		step{0, "cp -R ../releases/2.38.1 old && mkdir old/updates && echo allure-2 > old/updates/product.txt && cp tools/* old/bin/"},
	); err != nil {
		return err
	}
	if err := os.WriteFile(d.path("work", "old", "updates", "config.json"), []byte(config), 0o600); err != nil {
		return err
	}
	d.note("(old/updates/config.json is as U2 leaves it: level 0, and a token of its service)")
	return d.steps(ctx,
		step{0, "old/bin/wso2update_* --level 4 --template 'Modified: {{.Modified}}, Conflicts: {{.Conflicts}}'"},
		step{0, "cat old/updates/config.json"},
		step{4, "old/bin/wso2update_* --revert"},
	)
}

// help is what to type when nothing works, and for a ticket.
func (d *demo) help(ctx context.Context) error {
	d.title("When something is wrong: doctor looks, and a support bundle collects what a ticket needs, secrets taken out")
	d.changeDir(d.home)
	return d.steps(ctx,
		step{0, "uplevel doctor"},
		step{0, "uplevel support-bundle --out ../ticket.zip"},
		step{0, "uplevel bundle show ../ticket.zip"},
	)
}
