// Command uplevel-publish is the release engineer's tool: it holds the release keys and
// publishes builds as update levels. The parts are put together here and nowhere else;
// the rules are in the packages below.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"uplevel/internal/api"
	"uplevel/internal/plain"
	"uplevel/internal/problem"
)

// name is what the program calls itself.
const name = "uplevel-publish"

func main() { os.Exit(run()) }

// run is the whole program; it returns the exit code.
func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	p := &program{
		stdin: os.Stdin, stdout: plain.Writer(os.Stdout), stderr: plain.Writer(os.Stderr), now: time.Now, getenv: os.Getenv,
		executable: os.Executable, prompt: terminalPrompt,
	}
	return p.execute(ctx, os.Args[1:])
}

// program is what the commands share: the outside world, and the options that all take.
type program struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	now            func() time.Time
	getenv         func(string) string
	executable     func() (string, error)
	prompt         func(ctx context.Context, question string) (string, error)

	service, tokenFile, keys, caCert, passphraseFile, cache string
	quiet                                                   bool
	patience                                                time.Duration

	passphrase string // as asked for once
}

// execute runs one command line and speaks to the person: the one place that does.
func (p *program) execute(ctx context.Context, args []string) int {
	root := p.root() //nolint:contextcheck // cobra hands the context to the command that runs
	root.SetArgs(args)
	root.SetIn(p.stdin)
	root.SetOut(p.stdout)
	root.SetErr(p.stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	if ctx.Err() != nil {
		err = problem.New(problem.Interrupted, "Run the command again: it continues.", "Interrupted")
	}
	return p.tell(err)
}

func (p *program) tell(err error) int {
	said, ok := errors.AsType[*problem.Error](err)
	if !ok {
		said = &problem.Error{Kind: problem.Failed}
	}
	stands := said.Stands
	if stands == "" && said.Kind != problem.Usage {
		stands = "Nothing new is visible to customers."
	}
	fmt.Fprintf(p.stderr, "%s: %s\n", name, strings.TrimSuffix(err.Error(), "\n"))
	for _, line := range []string{stands, said.Next} {
		if line != "" {
			fmt.Fprintf(p.stderr, "  %s\n", line)
		}
	}
	return said.Kind.ExitCode()
}

func (p *program) root() *cobra.Command {
	root := group(name, "Publish builds as update levels",
		p.keysCommand(), p.productCommand(), p.levelCommand(), p.validateCommand(),
		p.packCommand(), p.toolsCommand(), p.promoteCommand(), p.withdrawCommand(), p.hotfixCommand())
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
	flags.StringVar(&p.service, "service", "", "address of the service, https://HOST[:PORT]")
	flags.StringVar(&p.tokenFile, "token-file", "", "file with the publisher's token")
	flags.StringVar(&p.keys, "keys", "keys", "folder of keys and signed documents")
	flags.StringVar(&p.caCert, "ca-cert", "", "file with the certificate authority of the service (PEM)")
	flags.StringVar(&p.passphraseFile, "passphrase-file", "", "file with the passphrase of the keys (or UPLEVEL_KEY_PASSPHRASE)")
	flags.StringVar(&p.cache, "cache", "", "folder for what can be had again (default: the user's cache folder)")
	flags.DurationVar(&p.patience, "patience", 0, "longest wait for a service that does not get on, such as 30s (default: what suits each step)")
	flags.BoolVarP(&p.quiet, "quiet", "q", false, "no progress on standard error")
	return root
}

// fromEnvironment gives every option that is not on the command line the value of its
// variable: --ca-cert is UPLEVEL_CA_CERT. Options that may be repeated take one value a
// line.
func (p *program) fromEnvironment(flags *pflag.FlagSet) error {
	var failed error
	flags.VisitAll(func(f *pflag.Flag) {
		variable := variableOf(f.Name)
		value := p.getenv(variable)
		if f.Changed || f.Name == "help" || value == "" || failed != nil {
			return
		}
		values := []string{value}
		if f.Value.Type() == "stringArray" {
			values = strings.Split(strings.TrimRight(value, "\n"), "\n")
		}
		for _, v := range values {
			if err := flags.Set(f.Name, v); err != nil {
				failed = problem.New(problem.Usage, "Correct the variable "+variable+".", "%s: %w", variable, err)
			}
		}
	})
	if failed == nil {
		failed = api.NoSecrets("--service", p.service)
	}
	return failed
}

func variableOf(flag string) string {
	return "UPLEVEL_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// missing is the refusal of a command line that lacks an option.
func missing(flag string) error {
	return problem.New(problem.Usage, "Give it, or set "+variableOf(flag)+".", "--%s is missing", flag)
}

// group is a command that only holds others.
func group(use, short string, commands ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use: use, Short: short,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return problem.New(problem.Usage, cmd.CommandPath()+" --help", "There is no command %q", args[0])
			}
			return problem.New(problem.Usage, cmd.CommandPath()+" --help", "No command given")
		},
		Args: cobra.ArbitraryArgs,
	}
	cmd.AddCommand(commands...)
	return cmd
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
		return problem.New(problem.Usage, cmd.CommandPath()+" --help", "%s wants %s", cmd.CommandPath(), wants)
	}
}

// say prints progress.
func (p *program) say(line string) {
	if !p.quiet {
		fmt.Fprintln(p.stderr, line)
	}
}
