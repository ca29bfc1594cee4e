package crashservice

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
)

// operation is one thing that changes the service or the publisher's folder.
type operation struct {
	name   string
	run    func(s *site) []string
	there  func(s *site) (bool, error) // asked from outside
	before func(s *site) error         // while the service runs, undisturbed

	own     bool   // its own calls are disturbed; else those of the service that answers it
	serves  bool   // it is the service itself: started, and asked to end once it serves
	dev     bool   // with --dev
	empty   bool   // there is nothing before it
	revokes bool   // a customer may be refused after it
	least   int    // the level that a customer gets at least
	already string // what it says, refusing, where it was done before
}

// twice reports whether a refusal says that it was done before.
func (op operation) twice(r ran) bool { return op.already != "" && strings.Contains(r.err, op.already) }

// line is a command that is the same on every site, but for what stands in braces.
func line(words ...string) func(*site) []string {
	return func(s *site) []string {
		all := make([]string, len(words))
		for i, w := range words {
			all[i] = strings.NewReplacer("{site}", s.dir, "{lab}", s.Dir).Replace(w)
		}
		return all
	}
}

var (
	publishLevel  = line("uplevel-publish", "level", "shop", "1", "--dist", "{lab}/shop 2", "--notes", "{lab}/notes.yaml")
	publishHotfix = line("uplevel-publish", "hotfix", "shop", "1", "--for", "Bank", "--level", "0", "--dist", "{lab}/fixed 0", "--notes", "{lab}/notes.yaml", "--out", "{site}/hotfixes")
	addProduct    = line("uplevel-publish", "product", "add", "other", "1", "--platform", "unix", "--dist", "{lab}/spare 0")
	withdraw      = line("uplevel-publish", "withdraw", "shop", "1", "1", "--reason", "It does not start.")
	initKeys      = line("uplevel-publish", "keys", "init")
)

func operations() []operation {
	level := operation{run: publishLevel, there: levelIs("shop", 2, "live"), least: 1}
	hotfix := operation{run: publishHotfix, there: says("hotfixes?product=shop&version=1", "hf1"), least: 1}
	product := operation{run: addProduct, there: published("other"), least: 1}
	withdrawn := operation{run: withdraw, there: levelIs("shop", 1, "withdrawn")}
	return append([]operation{
		named("level", level), named("hotfix", hotfix), named("product", product), named("withdraw", withdrawn),
		{name: "report", run: line("uplevel", "--dir", "{site}/home", "report"), there: says("installations", `"product":"shop"`), least: 1},
		{name: "first start", run: func(s *site) []string { return s.serve() }, there: starts, serves: true, empty: true},
		{name: "first start of a trial", run: line("upleveld", "serve", "--dev", "--listen", "127.0.0.1:0"), there: starts, serves: true, empty: true, dev: true},
		{name: "migrate", run: line("upleveld", "migrate"), there: starts, serves: true, empty: true},
		{name: "start and end", run: func(s *site) []string { return s.serve() }, there: starts, serves: true, least: 1},
		publisher("level", level), publisher("hotfix", hotfix), publisher("product", product), publisher("withdraw", withdrawn),
		publisher("first keys", operation{run: initKeys, before: admit, there: hasRoot, empty: true}),
	}, administration()...)
}

func named(name string, op operation) operation {
	op.name = name
	return op
}

// publisher is an operation whose own calls are disturbed.
func publisher(name string, op operation) operation {
	op.name, op.own = "publisher: "+name, true
	return op
}

// administration are commands on the service's machine; the service runs meanwhile.
func administration() []operation {
	return []operation{
		{
			name: "organisation", own: true, run: line("upleveld", "admin", "organisation", "add", "Insurance"),
			there: knows("Insurance"), already: "there already", least: 1,
		},
		{
			name: "user", own: true, run: line("upleveld", "admin", "user", "add", "lee@bank.example", "--organisation", "Bank", "--role", "operator", "--password-stdin"),
			there: logsIn("lee@bank.example"), already: "there already", least: 1,
		},
		{
			name: "subscription", own: true, run: line("upleveld", "admin", "subscription", "add", "--organisation", "Bank", "--product", "spare", "--kind", "paid"),
			there: status("products/spare/1/channels/full/levels", http.StatusOK), least: 1,
		},
		{
			name: "revocation", own: true, run: line("upleveld", "admin", "subscription", "revoke", "--organisation", "Bank", "--product", "shop"),
			there: status("products/shop/1/channels/full/levels", http.StatusForbidden), revokes: true, already: "has no subscription to",
		},
		{
			name: "end of an organisation", own: true, run: line("upleveld", "admin", "organisation", "revoke", "Bank"),
			there: status("products/shop/1/channels/full/levels", http.StatusForbidden), revokes: true, already: "has no subscription to",
		},
	}
}

// starts: a start changes nothing that is asked for.
func starts(*site) (bool, error) { return true, nil }

func status(path string, want int) func(*site) (bool, error) {
	return func(s *site) (bool, error) {
		code, text, err := s.ask(path, customerToken)
		if err == nil && code >= 500 {
			err = fmt.Errorf("%s is answered with %d: %s", path, code, text)
		}
		return code == want, err
	}
}

func says(path, word string) func(*site) (bool, error) {
	return func(s *site) (bool, error) {
		code, text, err := s.ask(path, customerToken)
		if err == nil && code != http.StatusOK {
			err = fmt.Errorf("%s is answered with %d: %s", path, code, text)
		}
		return strings.Contains(text, word), err
	}
}

// levelIs: the newest level of a line is this one, in this state.
func levelIs(product string, level int, state string) func(*site) (bool, error) {
	return func(s *site) (bool, error) {
		code, text, err := s.ask("products/"+product+"/1/channels/full/levels", customerToken)
		var levels []struct {
			Level int    `json:"level"`
			State string `json:"state"`
		}
		if err == nil {
			err = json.Unmarshal([]byte(text), &levels)
		}
		if err != nil || code != http.StatusOK || len(levels) < 2 {
			return false, fmt.Errorf("the levels of %s are answered with %d: %s: %w", product, code, text, err)
		}
		last := levels[len(levels)-1]
		return last.Level == level && last.State == state, nil
	}
}

// published: whoever publishes sees level 0.
func published(product string) func(*site) (bool, error) {
	return func(s *site) (bool, error) {
		code, text, err := s.ask("products/"+product+"/1/channels/full/levels", publisherToken)
		if err == nil && code != http.StatusOK && code != http.StatusNotFound {
			err = fmt.Errorf("the levels of %s are answered with %d: %s", product, code, text)
		}
		return code == http.StatusOK && strings.Contains(text, `"level":0`), err
	}
}

// knows: the service has an organisation of that name.
func knows(name string) func(*site) (bool, error) {
	return func(s *site) (bool, error) {
		r := s.run(context.Background(), "upleveld", "admin", "installation", "list", "--organisation", name)
		if r.exit != 0 && !strings.Contains(r.err, name+" is not there") {
			return false, fmt.Errorf("exit %d: %s", r.exit, r.err)
		}
		return r.exit == 0, nil
	}
}

// logsIn: a person gets a token for the password that every command is given.
func logsIn(who string) func(*site) (bool, error) {
	return func(s *site) (bool, error) {
		body, err := json.Marshal(map[string]string{"email": who, "password": password})
		if err != nil {
			return false, err
		}
		answer, err := s.http.Post(s.env["UPLEVEL_SERVICE"]+"/api/v1/tokens", "application/json", bytes.NewReader(body))
		if err != nil {
			return false, err
		}
		defer answer.Body.Close()
		if answer.StatusCode >= 500 {
			return false, fmt.Errorf("a login is answered with %d", answer.StatusCode)
		}
		return answer.StatusCode < 300, nil
	}
}

// admit gives a service that has nobody a publisher.
func admit(s *site) error {
	const who = "walter@vendor.example"
	if r := s.run(context.Background(), "upleveld", "admin", "user", "add", who, "--role", "administrator"); r.exit != 0 && !strings.Contains(r.err, "there already") {
		return fmt.Errorf("no user can be added: exit %d: %s", r.exit, r.err)
	}
	r := s.run(context.Background(), "upleveld", "admin", "token", "add", "--user", who, "--name", "publisher", "--scope", "publish")
	if r.exit != 0 {
		return fmt.Errorf("no token can be made: exit %d: %s", r.exit, r.err)
	}
	return os.WriteFile(s.path(publisherToken), []byte(r.out), 0o600)
}

// hasRoot: the service gives out a vendor's root.
func hasRoot(s *site) (bool, error) {
	answer, err := s.http.Get(s.env["UPLEVEL_SERVICE"] + "/tuf/1.root.json")
	if err != nil {
		return false, err
	}
	return answer.StatusCode == http.StatusOK, answer.Body.Close()
}
