package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"uplevel/internal/api"
	"uplevel/internal/install"
	"uplevel/internal/problem"
)

// tool is one run of the program: the outside world, the options, and what was opened.
type tool struct {
	args           []string
	stdin          *os.File
	stdout, stderr io.Writer
	getenv         func(string) string
	now            func() time.Time

	options  options
	commands []string // names of all
	home     *install.Home
	vendor   vendor
	service  *api.Client // of the updater; nil where none is used

	credentials *credentials // of the last client that was made

	log     *slog.Logger
	logFile string // empty: this command keeps no log
	cleanup []func() error
	exit    int  // of a command that ends without an error
	copied  bool // the change is made to a copy, in --to

	renewed   *selfUpdateResult // set when the tool was renewed and nothing else done
	successor func() int        // the new tool, that goes on in the place of this one
}

// name is what the program calls itself: the name of its file.
func (t *tool) name() string {
	name := filepath.Base(t.args[0])
	if suffix := len(name) - len(".exe"); suffix > 0 && strings.EqualFold(name[suffix:], ".exe") {
		name = name[:suffix]
	}
	return name
}

// stem is the name without the system that U2's file names end in: wso2update of
// wso2update_linux_arm64. The logs are called so, on every system alike.
func (t *tool) stem() string {
	return regexp.MustCompile(`(?i)_(linux|darwin|windows)(_amd64|_arm64)?$`).ReplaceAllString(t.name(), "")
}

// typed is how the program is called in a command to type next: with the product that
// was named, or the copy that was made of it, so that the line works as it stands.
func (t *tool) typed() string {
	var dir string
	switch {
	case t.home != nil && t.copied:
		dir = t.options.to
	case t.options.given["dir"]:
		dir = t.options.dir
	default:
		return t.called()
	}
	return t.called() + " --dir " + quoted(dir)
}

// called is how this program was called, so that calling it again works: its name, where
// the shell finds it by that, else the path that was typed.
func (t *tool) called() string {
	typed := t.args[0]
	if filepath.Base(typed) == typed {
		return t.name()
	}
	if found, err := exec.LookPath(t.name()); err == nil && sameFile(found, typed) {
		return t.name()
	}
	return quoted(typed)
}

func sameFile(a, b string) bool {
	x, err := os.Stat(a)
	y, err2 := os.Stat(b)
	return err == nil && err2 == nil && os.SameFile(x, y)
}

// quoted puts a path into single quotes where a shell would read it otherwise.
func quoted(path string) string {
	if strings.ContainsFunc(path, func(r rune) bool {
		return strings.ContainsRune(" \t'\"$`*?;&|<>()", r) || r == '\\' && filepath.Separator != '\\'
	}) {
		return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
	}
	return path
}

// call is how a command is called, as [tool.called].
func (t *tool) call(cmd *cobra.Command) string {
	return t.called() + strings.TrimPrefix(cmd.CommandPath(), cmd.Root().Name())
}

// run runs the command line and returns the exit code.
func (t *tool) run(ctx context.Context) int {
	t.log = slog.New(slog.DiscardHandler)
	root := t.rootCommand() //nolint:contextcheck // cobra hands the context on
	t.commands = namesOf(root)
	root.SetArgs(t.args[1:])
	root.SetOut(t.stdout)
	root.SetErr(t.stderr)
	err := t.guarded(func() error { return root.ExecuteContext(ctx) })
	if err != nil && ctx.Err() != nil {
		err = interrupted(err)
	}
	if err != nil {
		t.exit = t.fail(err)
	}
	for _, v := range slices.Backward(t.cleanup) {
		if err := v(); err != nil {
			t.log.Warn("closing", "error", err)
		}
	}
	if t.successor != nil && err == nil {
		return t.successor()
	}
	return t.exit
}

// guarded turns an error of the program itself into a failure in its one voice. Left
// alone it would end with 2, on which U2's scripts run the tool once more.
func (t *tool) guarded(run func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			t.log.Error("the program failed", "value", fmt.Sprint(r), "stack", string(debug.Stack()))
			err = problem.New(problem.Failed, "Run current-state; send the log to the vendor's support.", "The program itself has an error: %v", r).
				Standing("A change that was cut is completed or undone by the next command.")
		}
	}()
	return run()
}

// interrupted says so of a failure that came after a signal, but where what stands says
// more: a change that waits with its side files, a commit that lies open.
func interrupted(err error) error {
	if slices.Contains([]problem.Kind{problem.Interrupted, problem.Conflicts, problem.Broken}, problem.KindOf(err)) {
		return err
	}
	stands := ""
	if p, ok := errors.AsType[*problem.Error](err); ok {
		stands = p.Stands
	}
	return problem.New(problem.Interrupted, "Run the command again; what was downloaded is kept.", "Interrupted: %w", err).Standing(stands)
}

// later has something closed when the program ends.
func (t *tool) later(do func() error) { t.cleanup = append(t.cleanup, do) }

// silent is an error that was printed already, as part of a JSON answer.
type silent struct{ error }

func (s silent) Unwrap() error { return s.error }

// fail prints a failure in the program's one voice and returns its exit code: what
// happened, what stands, what to do, where more is told.
func (t *tool) fail(err error) int {
	kind := problem.KindOf(err)
	t.log.Error("failed", "kind", kind.String(), "error", err)
	if _, printed := errors.AsType[silent](err); printed {
		return kind.ExitCode()
	}
	p, ok := errors.AsType[*problem.Error](err)
	if ok {
		t.log.Debug("advice", "stands", t.standing(p), "next", p.Next)
	}
	if !ok {
		p = problem.New(problem.Failed, "Run it again with --verbose, or ask support.", "%w", err)
	}
	if t.wantsJSON() {
		if err := t.printJSON(nil, err); err != nil {
			t.tellf("%s: %v\n", t.name(), err)
		}
		return kind.ExitCode()
	}
	t.tellf("%s: %s\n", t.name(), oneLine(p.Text))
	t.tellf("%s\n", t.standing(p))
	if p.Next != "" {
		t.tellf("Next: %s\n", t.withName(oneLine(p.Next)))
	}
	t.tellf("%s\n", t.moreAt())
	return kind.ExitCode()
}

// wantsJSON reports whether answers are JSON, also where the command line was refused
// before the options were read to the end.
func (t *tool) wantsJSON() bool {
	if t.options.given != nil || t.options.output == outputJSON {
		return t.options.output == outputJSON
	}
	for i, a := range t.args {
		if a == "--output="+outputJSON || a == "--output" && i+1 < len(t.args) && t.args[i+1] == outputJSON {
			return true
		}
	}
	return t.getenv("UPLEVEL_OUTPUT") == outputJSON
}

// oneLine keeps an error's text on one line, as scripts expect it. That a context was
// cancelled is how an interruption travels inside the program, and no news.
func oneLine(text string) string {
	text = strings.TrimSuffix(text, ": "+context.Canceled.Error())
	return strings.Join(strings.FieldsFunc(text, func(r rune) bool { return r == '\n' || r == '\r' }), "; ")
}

// standing says what stands now.
func (t *tool) standing(p *problem.Error) string {
	switch {
	case p.Stands != "":
		return p.Stands
	case p.Kind == problem.Usage:
		return "Nothing was done."
	case t.home != nil:
		s := t.home.State()
		return "Nothing was changed: the product is as it was, at level " + s.Point().Name(s.Line()) + "."
	}
	return "Nothing was changed."
}

func (t *tool) moreAt() string {
	log, support := "Log: none is kept by this command", "support: your vendor"
	if t.logFile != "" {
		log = "Log: " + t.logFile
	}
	if t.vendor.Support != "" {
		support = "support: " + t.vendor.Support
	}
	return log + "; " + support
}

// withName puts the program's name before the commands that a next step names, so that
// it can be typed as it stands.
func (t *tool) withName(next string) string {
	if first, size := utf8.DecodeRuneInString(next); size > 0 {
		next = string(unicode.ToUpper(first)) + next[size:] // the service's begin small
	}
	commands := regexp.MustCompile(`\b([Rr]un|with|or) (` + strings.Join(t.commands, "|") + `|--continue)\b`)
	return commands.ReplaceAllString(next, "$1 "+strings.ReplaceAll(t.typed(), "$", "$$")+" $2")
}

// namesOf are the names of all commands, the longer before what they begin with.
func namesOf(root *cobra.Command) []string {
	var names []string
	for _, c := range root.Commands() {
		if !c.Runnable() {
			continue // a page of help
		}
		names = append(names, regexp.QuoteMeta(c.Name()))
	}
	slices.Sort(names)
	slices.Reverse(names)
	return names
}

// usage is an error of wrong usage.
func usage(next, format string, args ...any) error {
	return problem.New(problem.Usage, next, format, args...)
}

// command makes a subcommand whose body gets the command's context.
func (t *tool) command(use, short string, args cobra.PositionalArgs, body func(ctx context.Context, args []string) error) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Args: t.usageOf(args),
		RunE: func(cmd *cobra.Command, args []string) error { return body(cmd.Context(), args) },
	}
}

// usageOf turns a refusal of arguments into wrong usage.
func (t *tool) usageOf(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return usage(t.typeThis(cmd, args), "%s", argumentsText(cmd, err))
		}
		return nil
	}
}

// typeThis is the next step after arguments that do not fit: the command that was meant,
// or how this one is typed.
func (t *tool) typeThis(cmd *cobra.Command, args []string) string {
	if cmd.HasSubCommands() && len(args) > 0 {
		cmd.SuggestionsMinimumDistance = 2
		if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
			return "Did you mean " + t.call(cmd) + " " + strings.Join(near, " or ") + "? All are in " + t.called() + " --help."
		}
		return "See the commands with " + t.call(cmd) + " --help."
	}
	_, arguments, _ := strings.Cut(cmd.Use, " ")
	return strings.TrimSpace("Type "+t.call(cmd)+" "+arguments) + "; see " + t.call(cmd) + " --help."
}

// argumentsText says in the tool's words what cobra says of arguments.
func argumentsText(cmd *cobra.Command, err error) string {
	if strings.HasPrefix(err.Error(), "accepts ") {
		_, arguments, _ := strings.Cut(cmd.Use, " ")
		if arguments == "" {
			arguments = "no arguments"
		}
		return cmd.Name() + " wants " + arguments
	}
	return err.Error()
}
