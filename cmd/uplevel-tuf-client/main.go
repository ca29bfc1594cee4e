// Command uplevel-tuf-client is a developer program, not shipped: it lets the public
// TUF conformance suite judge the client that the update tool uses. It speaks that
// suite's command line:
//
//	uplevel-tuf-client --metadata-dir DIR init ROOT
//	uplevel-tuf-client --metadata-dir DIR --metadata-url URL refresh
//	uplevel-tuf-client --metadata-dir DIR --metadata-url URL --target-name NAME \
//	    --target-base-url URL --target-dir DIR download
//
// It exits with 0 or 1. Trusted metadata lie in the metadata folder under unversioned
// names, byte for byte. The time comes from `date +%s`, which the suite can fake.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"uplevel/internal/durable"
	"uplevel/internal/trust"
	"uplevel/internal/trust/refresh"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:], os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "uplevel-tuf-client:", err)
		os.Exit(1)
	}
}

// options are the flags of the suite's protocol.
type options struct {
	metadataDir, metadataURL, targetName, targetBaseURL, targetDir string
}

func run(ctx context.Context, args []string, stderr io.Writer) error {
	var o options
	flags := flag.NewFlagSet("uplevel-tuf-client", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.metadataDir, "metadata-dir", "", "`DIR` of the trusted metadata")
	flags.StringVar(&o.metadataURL, "metadata-url", "", "`URL` of the repository's metadata")
	flags.StringVar(&o.targetName, "target-name", "", "target `PATH` to download")
	flags.StringVar(&o.targetBaseURL, "target-base-url", "", "`URL` of the repository's targets")
	flags.StringVar(&o.targetDir, "target-dir", "", "`DIR` that downloads go to")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if o.metadataDir == "" {
		return errors.New("--metadata-dir is missing")
	}
	switch command := flags.Arg(0); {
	case command == "init" && flags.NArg() == 2:
		return initialise(o.metadataDir, flags.Arg(1))
	case command == "refresh" && flags.NArg() == 1:
		client, err := o.client(ctx)
		if err != nil {
			return err
		}
		_, err = client.Refresh(ctx)
		return err
	case command == "download" && flags.NArg() == 1:
		return o.download(ctx)
	}
	return fmt.Errorf("want init ROOT, refresh or download, got %q", flags.Args())
}

// initialise keeps a copy of the trusted root.
func initialise(dir, root string) error {
	f, err := os.Open(root)
	if err != nil {
		return err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, trust.MaxRoot+1))
	if err != nil {
		return err
	}
	if len(data) > trust.MaxRoot {
		return fmt.Errorf("%s is longer than %d bytes", root, trust.MaxRoot)
	}
	if err := durable.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return durable.WriteFile(filepath.Join(dir, trust.CacheName(trust.RoleRoot)), data, 0o644)
}

func (o options) client(ctx context.Context) (*refresh.Client, error) {
	if o.metadataURL == "" {
		return nil, errors.New("--metadata-url is missing")
	}
	now, err := systemTime(ctx)
	if err != nil {
		return nil, err
	}
	web := repository{metadata: o.metadataURL, targets: o.targetBaseURL, http: &http.Client{}}
	return refresh.New(refresh.Config{
		Dir: o.metadataDir, Remote: web, Targets: web, Now: func() time.Time { return now },
	})
}

// systemTime asks date, because the suite fakes the time of programs that use libc.
func systemTime(ctx context.Context) (time.Time, error) {
	out, err := exec.CommandContext(ctx, "date", "+%s").Output()
	if err != nil {
		return time.Time{}, fmt.Errorf("asking date for the time: %w", err)
	}
	seconds, err := strconv.ParseInt(strings.TrimSpace(string(out)), 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("asking date for the time: %w", err)
	}
	return time.Unix(seconds, 0).UTC(), nil
}

func (o options) download(ctx context.Context) error {
	if o.targetName == "" || o.targetBaseURL == "" || o.targetDir == "" {
		return errors.New("--target-name, --target-base-url or --target-dir is missing")
	}
	client, err := o.client(ctx)
	if err != nil {
		return err
	}
	target, err := client.Find(ctx, o.targetName)
	if err != nil {
		return err
	}
	name := filepath.Join(o.targetDir, "target-"+url.QueryEscape(o.targetName))
	if have(name, target) {
		return nil
	}
	if err := durable.MkdirAll(o.targetDir, 0o755); err != nil {
		return err
	}
	f, err := durable.Create(name, 0o644)
	if err != nil {
		return err
	}
	defer f.Discard()
	if err := client.Download(ctx, target, f); err != nil {
		return err
	}
	return f.Commit()
}

// have reports whether the target was downloaded before.
func have(name string, target refresh.Target) bool {
	f, err := os.Open(name)
	if err != nil {
		return false
	}
	defer f.Close()
	return target.Verify(f) == nil
}
