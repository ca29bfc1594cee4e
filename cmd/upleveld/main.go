// Command upleveld is the update service: API, delivery and administration of one
// vendor's levels. The parts are put together here and nowhere else; the rules are in
// the packages below.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/signal"
	"os/user"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"uplevel/internal/blob"
	"uplevel/internal/problem"
)

func main() { os.Exit(run()) }

// run is the whole program; it returns the exit code.
func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	p := &program{
		stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, now: time.Now, getenv: os.Getenv, account: account(),
		openObjects: openObjects, newHandler: newHandler,
	}
	return p.execute(ctx, os.Args[1:])
}

// account is who runs the program, for the audit log.
func account() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return "unknown"
}

// program is what the commands share: the outside world, and the options that all take.
type program struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	now            func() time.Time
	getenv         func(string) string
	account        string

	openObjects func(dir string) (blob.Store, error)
	newHandler  func(*service) (http.Handler, error) // API and delivery

	data, database, objects string
}

// execute runs one command line and speaks to the person: the one place that does.
func (p *program) execute(ctx context.Context, args []string) int {
	root := p.root() //nolint:contextcheck // cobra hands the context to each command
	root.SetArgs(args)
	root.SetIn(p.stdin)
	root.SetOut(p.stdout)
	root.SetErr(p.stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	return p.tell(err)
}

func (p *program) tell(err error) int {
	said, ok := errors.AsType[*problem.Error](err)
	if !ok {
		said = &problem.Error{Kind: problem.Failed, Text: plain(err)}
	}
	fmt.Fprintf(p.stderr, "upleveld: %s\n", said.Text)
	if said.Stands != "" {
		fmt.Fprintf(p.stderr, "  %s\n", said.Stands)
	}
	if said.Next != "" {
		fmt.Fprintf(p.stderr, "  next: %s\n", said.Next)
	}
	return said.Kind.ExitCode()
}

// plain says in words what the stores say with the errors of package fs.
func plain(err error) string {
	text := err.Error()
	var path *fs.PathError
	switch {
	case errors.As(err, &path):
	case errors.Is(err, fs.ErrExist):
		return strings.TrimSuffix(text, ": "+fs.ErrExist.Error()) + " is there already"
	case errors.Is(err, fs.ErrNotExist):
		return strings.TrimSuffix(text, ": "+fs.ErrNotExist.Error()) + " is not there"
	}
	return text
}

func (p *program) root() *cobra.Command {
	root := group("upleveld", "The update service", p.migrateCommand(), p.checkCommand(), p.adminCommand())
	if p.newHandler != nil {
		root.AddCommand(p.serveCommand())
	}
	root.SilenceErrors, root.SilenceUsage = true, true
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error { return p.fromEnvironment(cmd.Flags()) }
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetUsageTemplate(strings.NewReplacer(".FlagUsages ", ".FlagUsagesWrapped 80 ",
		`Use "{{.CommandPath}} [command] --help" for more information about a command.`,
		"{{.CommandPath}} COMMAND --help tells more of one.").Replace(root.UsageTemplate()))
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return problem.New(problem.Usage, cmd.CommandPath()+" --help", "%w", err)
	})
	flags := root.PersistentFlags()
	flags.StringVar(&p.data, "data", "uplevel-data", "folder of the service: database, objects, secret")
	flags.StringVar(&p.database, "database", "", "database, sqlite:PATH (default: uplevel.db in the data folder)")
	flags.StringVar(&p.objects, "objects", "", "object store, dir:PATH (default: objects in the data folder)")
	return root
}

// fromEnvironment gives every option that is not on the command line the value of its
// variable: --public-url is UPLEVEL_PUBLIC_URL.
func (p *program) fromEnvironment(flags *pflag.FlagSet) error {
	var failed error
	flags.VisitAll(func(f *pflag.Flag) {
		name := "UPLEVEL_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		value := p.getenv(name)
		if f.Changed || f.Name == "help" || value == "" || failed != nil {
			return
		}
		if err := flags.Set(f.Name, value); err != nil {
			failed = problem.New(problem.Usage, "correct the variable "+name, "%s: %w", name, err)
		}
	})
	return failed
}

// exactly refuses another number of arguments, naming those that are wanted.
func exactly(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == len(names) {
			return nil
		}
		wants := "no argument"
		if len(names) > 0 {
			wants = strings.Join(names, " ")
		}
		return problem.New(problem.Usage, cmd.CommandPath()+" --help", "%s wants %s, got %d arguments", cmd.CommandPath(), wants, len(args))
	}
}

// needs refuses a command line on which one of the options has no value.
func needs(cmd *cobra.Command, names ...string) error {
	for _, name := range names {
		if f := cmd.Flags().Lookup(name); f == nil || f.Value.String() == "" || f.Value.String() == "[]" {
			return problem.New(problem.Usage, cmd.CommandPath()+" --help", "--%s is missing", name)
		}
	}
	return nil
}

// group is a command that only holds others.
func group(use, short string, commands ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short, Args: cobra.ArbitraryArgs, RunE: func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			return problem.New(problem.Usage, cmd.CommandPath()+" --help", "unknown command %.60q for %s", args[0], cmd.CommandPath())
		}
		return problem.New(problem.Usage, cmd.CommandPath()+" --help", "%s wants a command", cmd.CommandPath())
	}}
	cmd.AddCommand(commands...)
	return cmd
}
