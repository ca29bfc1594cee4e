// Demo is the main job from end to end on real releases of a real product: a vendor
// publishes levels through the service, an operator brings an installation to a level,
// meets a conflict, resolves it, goes back and forth. `make demo` runs it; everything
// lies in build/demo and build/demo-cache, nothing needs configuring.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/term"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "\ndemo: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) (err error) {
	began := time.Now()
	d, err := newDemo()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.stopService()) }()
	for _, act := range []func(context.Context) error{
		d.prepare, d.startService, d.publish, d.admit, d.customise, d.look, d.refusals,
		d.update, d.prove, d.goBack, d.chosenLevel, d.hotfix, d.tellJourney,
		d.unbreakable, d.lockedDown, d.repair, d.reports, d.takeOver, d.help,
	} {
		if err := act(ctx); err != nil {
			if ctx.Err() != nil {
				return errors.New("interrupted")
			}
			return fmt.Errorf("%w\n      everything so far lies in %s", err, d.dir)
		}
	}
	fmt.Printf("\n── Done in %.0f s.\n", time.Since(began).Seconds())
	return d.stay(ctx)
}

// stay keeps the service up until Enter at a terminal, or with KEEP=1 until a signal.
func (d *demo) stay(ctx context.Context) error {
	onTerminal := term.IsTerminal(int(os.Stdin.Fd()))
	keep := os.Getenv("KEEP") == "1"
	if !onTerminal && !keep {
		fmt.Printf("   Run with KEEP=1 to keep the service up afterwards.\n")
		return nil
	}
	fmt.Print(d.nextCommands())
	if keep {
		fmt.Println("The service stays up until this program is ended (Ctrl-C).")
		<-ctx.Done()
		return nil
	}
	fmt.Println("The service stays up until you press Enter.")
	enter := make(chan struct{})
	go func() {
		var one [1]byte
		_, _ = os.Stdin.Read(one[:])
		close(enter)
	}()
	select {
	case <-enter:
	case <-ctx.Done():
	}
	return nil
}

func (d *demo) nextCommands() string {
	envFile := d.path("demo.env")
	if wd, err := os.Getwd(); err == nil {
		if rel, err := filepath.Rel(wd, envFile); err == nil {
			envFile = rel
		}
	}
	return fmt.Sprintf(`
Now it is yours. In another terminal here:
  . %s            every command below then works with no flag

  cd $UPLEVEL_DEMO_HOME && uplevel check                       what is newer, and what it fixes
  uplevel revert --to 3 && uplevel plan --diff                 back a level; and what an update would do and merge
  uplevel history && uplevel verify                            what was done, and is every file right
  uplevel-publish product add mine 1.0 --dist DIR              publish a folder of your own as a product
  uplevel-publish level mine 1.0 --dist DIR --notes FILE       … and its next level (an example: demo/notes/1.yaml)
  upleveld check --deep                                        judge database, objects and metadata

`, envFile)
}
