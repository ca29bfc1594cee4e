package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"uplevel/internal/api"
	"uplevel/internal/bundle"
	"uplevel/internal/digest"
	"uplevel/internal/durable"
	"uplevel/internal/fetch"
	"uplevel/internal/install"
	"uplevel/internal/offline"
	"uplevel/internal/problem"
	"uplevel/internal/release"
	"uplevel/internal/selfupdate"
	"uplevel/internal/statefile"
	"uplevel/internal/trust"
)

// creating are the options of create-update.
type creating struct {
	start, end, product, out, tool string
	states                         []string
}

// created is what create-update tells.
type created struct {
	Outcome      string         `json:"outcome"` // done, or nothing: all are at that level
	Product      string         `json:"product"`
	Version      string         `json:"version"`
	From         []string       `json:"from"` // levels that it begins at
	To           string         `json:"to"`
	Channel      string         `json:"channel"`
	Reached      []string       `json:"reached"`        // levels asked to begin at that are the wanted one already
	File         string         `json:"file,omitempty"` // the zip
	Bytes        int64          `json:"bytes,omitempty"`
	SHA256       *digest.Digest `json:"sha256,omitempty"`
	Contents     int            `json:"contents"`
	Tools        []string       `json:"tools"` // systems whose update tool travels along
	Organisation string         `json:"organisation,omitempty"`
	Messages     []api.Message  `json:"messages"`

	repairs bool // it begins at the wanted level, too
}

func (t *tool) createUpdateCommand() *cobra.Command {
	var o creating
	cmd := t.command("create-update", "Make an offline update, for products without network", cobra.NoArgs, func(ctx context.Context, _ []string) error {
		res, err := t.createUpdate(ctx, o)
		return t.show(res, err, func() { t.tellCreated(res) })
	})
	cmd.Long = "Make a zip that takes installations without a network to a level.\n\n" +
		"For one that is as the vendor ships it: --start-level and --end-level, 0 for the\n" +
		"latest. For many, at different levels, customised and hotfixed: --from-state with\n" +
		"what current-state --out FILE wrote there, once for each. No product is needed\n" +
		"here. In there: " + t.name() + " apply-update ZIP."
	f := cmd.Flags()
	f.StringVarP(&o.start, "start-level", "s", "", "level to begin at (default: that of the product found)")
	f.StringVarP(&o.end, "end-level", "e", "", "level to go to (default: 0, the latest)")
	f.StringArrayVar(&o.states, "from-state", nil, "what current-state --out told of an installation; may be repeated, and decides the levels to begin at")
	f.StringVar(&o.product, "product", "", "NAME-VERSION, where no product and no state file tells it")
	f.StringVarP(&o.out, "out", "o", "", "the zip, or the folder for it (default: the current folder)")
	f.StringVar(&o.tool, "tool", "auto", "carry the update tool: none, auto (for this system and those of the state files) or all")
	return cmd
}

func (t *tool) createUpdate(ctx context.Context, o creating) (created, error) {
	res := created{Outcome: "failed", From: []string{}, Reached: []string{}, Tools: []string{}, Messages: []api.Message{}}
	if err := t.notInACopy(); err != nil {
		return res, err
	}
	if err := t.outside(); err != nil {
		return res, err
	}
	opts, err := t.wanted(o)
	if err != nil {
		return res, err
	}
	m, err := t.maker()
	if err != nil {
		return res, err
	}
	draft, err := m.Make(ctx, opts)
	if err != nil {
		return res, err
	}
	res.Product, res.Version, res.Channel, res.To = opts.Line.Product, opts.Line.Version, opts.Line.Channel, opts.Line.LevelName(draft.To.Level)
	res.Organisation, res.Contents = draft.Index.Organisation, draft.Contents
	res.Messages, res.Reached = append(res.Messages, draft.Messages...), append(res.Reached, draft.Left...)
	if draft.Empty() {
		res.Outcome = "nothing"
		return res, nil
	}
	res.repairs = draft.Index.Repairs()
	for _, p := range draft.Index.From {
		res.From = append(res.From, opts.Line.LevelName(p.Level))
	}
	for _, tool := range draft.Index.Tools {
		res.Tools = append(res.Tools, tool.System)
	}
	if len(res.Tools) == 0 && t.options.given["tool"] && o.tool != "none" {
		res.Messages = append(res.Messages, api.Message{Code: "no-tool", Text: "No update tool travels along: none could be had."})
	}
	return res, t.writeUpdate(draft, o.out, &res)
}

// outside opens the product if there is one; commands that need none go on without.
func (t *tool) outside() error {
	executable, _ := os.Executable()
	if t.options.dir == "" {
		if _, err := install.Find("", executable); err != nil {
			return t.readVendor(executable)
		}
	}
	return t.open(reads)
}

// wanted reads what update is asked for: the product of the state files, else that of the
// home found, else the one named.
func (t *tool) wanted(o creating) (offline.Options, error) {
	opts := offline.Options{End: o.end, AskedFor: states(t.getenv), AcceptEULA: t.options.acceptEULA}
	var err error
	if opts.States, err = readStates(o.states); err != nil {
		return opts, err
	}
	switch {
	case len(opts.States) > 0:
		opts.Line = opts.States[0].Line()
	case o.product != "":
		if opts.Line, err = release.ParseProductVersion(o.product); err != nil {
			return opts, usage("Give --product NAME-VERSION, such as wso2is-7.1.0.", "--product: %w", err)
		}
	case t.home != nil:
		opts.Line, opts.Start = t.home.State().Line(), t.home.State().Level
	default:
		return opts, usage("Give --product NAME-VERSION and --start-level, or --from-state FILE.", "It is not known for which product: --product is missing")
	}
	opts.From = opts.Line
	if t.options.channel != "" {
		opts.Line.Channel = t.options.channel
		if o.product != "" {
			opts.From = opts.Line // nothing tells of another one
		}
	}
	if err := opts.Line.Check(); err != nil {
		return opts, usage("Name a channel such as full or security.", "Unusable channel: %w", err)
	}
	if opts.Systems, err = toolSystems(o.tool, opts.States); err != nil {
		return opts, err
	}
	return opts, startOf(o, t.home != nil && o.product == "", &opts)
}

func readStates(names []string) ([]statefile.State, error) {
	var all []statefile.State
	for _, name := range names {
		f, err := os.Open(name)
		if err != nil {
			return nil, usage("Name a file that current-state --out made.", "--from-state: %w", err)
		}
		s, err := statefile.Read(f)
		if err := errors.Join(err, f.Close()); err != nil {
			p, ok := errors.AsType[*problem.Error](err)
			if !ok {
				return nil, err
			}
			return nil, problem.New(p.Kind, p.Next, "%s: %w", name, err)
		}
		all = append(all, s)
	}
	return all, nil
}

// startOf reads the level to begin at, where no state files decide it.
func startOf(o creating, atHome bool, opts *offline.Options) error {
	switch {
	case len(opts.States) > 0 && o.start != "":
		return usage("Leave --start-level out.", "The state files decide the levels to begin at, not --start-level")
	case len(opts.States) > 0 || o.start == "" && atHome:
		return nil
	case o.start == "":
		return usage("Give --start-level, such as "+opts.Line.LevelName(0)+".", "The level to begin at is not known: --start-level is missing")
	}
	level, err := opts.From.ParseLevel(o.start)
	if err != nil {
		return problem.New(problem.Failed, "Name a level such as "+opts.Line.LevelName(8)+" with --start-level.", "%w", err)
	}
	opts.Start = level
	return nil
}

// toolSystems returns the systems whose update tool is to travel along.
func toolSystems(choice string, states []statefile.State) ([]string, error) {
	switch choice {
	case "none":
		return nil, nil
	case "auto", "":
		return offline.Systems(runtime.GOOS+"/"+runtime.GOARCH, states), nil
	case "all":
		return []string{"darwin/amd64", "darwin/arm64", "linux/amd64", "linux/arm64", "windows/amd64", "windows/arm64"}, nil
	}
	return nil, usage("Give --tool none, auto or all.", "--tool %.40q is unknown", choice)
}

// maker puts the parts together. A product that is there is not written to.
func (t *tool) maker() (*offline.Maker, error) {
	client, err := t.client(needed)
	if err != nil {
		return nil, err
	}
	trusted, err := t.trust(reads, client)
	if err != nil {
		return nil, err
	}
	carrier, ok := trusted.(offline.Trust)
	if !ok {
		return nil, problem.New(problem.Verification, "Name the vendor's root with --root, or use the tool as the vendor's pack or vendor.json has it.",
			"No trusted root is known, so that nothing can be verified")
	}
	dir, err := t.cache()
	if err != nil {
		return nil, err
	}
	f := &fetch.Fetcher{Source: client, Dir: dir, Stall: t.options.patience, Now: t.now}
	if p := t.newProgress(); p != nil {
		f.Progress = p
	}
	return &offline.Maker{Service: client, Trust: carrier, Fetch: f, Log: t.log, Tool: toolVersion(), Tools: t.travelling(client, f)}, nil
}

// travelling gets the newest signed update tools for the systems that an offline update is
// for. A system that the vendor has none for goes without.
func (t *tool) travelling(client *api.Client, f *fetch.Fetcher) func(context.Context, *trust.View, []string) ([]bundle.Tool, error) {
	return func(ctx context.Context, view *trust.View, systems []string) ([]bundle.Tool, error) {
		var tools []bundle.Tool
		for _, system := range systems {
			newest := selfupdate.Judge(selfupdate.Facts{System: system, Tools: view.Tools()}).Newer
			if newest == nil {
				t.log.Info("no update tool travels along", "system", system, "error", view.ToolsUnknown())
				continue
			}
			if err := f.Tool(ctx, client, *newest); err != nil {
				return nil, err
			}
			tools = append(tools, bundle.Tool{System: system, Version: newest.Version, Ref: newest.Program})
		}
		return tools, nil
	}
}

// writeUpdate writes the zip; it has its name only when it is whole.
func (t *tool) writeUpdate(draft *offline.Draft, out string, res *created) error {
	name, err := updateFile(draft.Index, out)
	if err != nil {
		return err
	}
	f, err := durable.Create(name, 0o644)
	if err != nil {
		return notWritten(name, err)
	}
	defer f.Discard()
	hash := sha256.New()
	if res.Bytes, err = draft.Write(io.MultiWriter(f, hash)); err != nil {
		if _, told := errors.AsType[*problem.Error](err); told {
			return err
		}
		return notWritten(name, err)
	}
	if _, err := bundle.OpenOffline(f, res.Bytes); err != nil {
		return err
	}
	if err := f.Commit(); err != nil {
		return notWritten(name, err)
	}
	sum := digest.Digest(hash.Sum(nil))
	res.Outcome, res.File, res.SHA256 = "done", name, &sum
	return nil
}

func notWritten(name string, err error) error {
	return problem.New(problem.Refused, "Make room, or name another folder with --out.", "%s cannot be written: %w", name, err)
}

// updateFile returns where the zip goes: the file or the folder named, never inside a
// product, which it would be a foreign file of.
func updateFile(x bundle.Index, out string) (string, error) {
	name, err := filepath.Abs(out)
	if err != nil {
		return "", notWritten(out, err)
	}
	info, err := os.Stat(name)
	switch {
	case err == nil && info.IsDir():
		name = filepath.Join(name, x.FileName())
	case err == nil && !info.Mode().IsRegular(), err != nil && !errors.Is(err, fs.ErrNotExist):
		return "", notWritten(name, errors.Join(err, errors.New("it is no file")))
	}
	folder, err := filepath.EvalSymlinks(filepath.Dir(name))
	if err != nil {
		return "", notWritten(name, err)
	}
	for dir := folder; ; dir = filepath.Dir(dir) {
		_, err := os.Stat(filepath.Join(dir, "updates", "product.txt"))
		if err == nil {
			return "", problem.New(problem.Refused, "Name a folder elsewhere with --out.", "%s would lie inside the product directory %s", name, dir)
		}
		if dir == filepath.Dir(dir) {
			return name, nil
		}
	}
}

// use says what the zip is used with: a line to type where it is carried to.
func (t *tool) use(r created) string {
	file := filepath.Base(r.File)
	apply, repair := t.name()+" apply-update "+file, t.name()+" verify --repair --from "+file
	switch {
	case r.repairs && len(r.From) == 1:
		return repair
	case r.repairs:
		return apply + ", or at level " + r.To + " " + repair
	}
	return apply
}

func (t *tool) tellCreated(r created) {
	line := release.Line{Product: r.Product, Version: r.Version, Channel: r.Channel}
	if r.Outcome == "nothing" {
		t.sayf("Nothing to make: level %s of %s is reached already.\n", r.To, line)
	} else {
		t.sayf("%s\n", t.green(r.File))
		if r.repairs && len(r.From) == 1 {
			t.sayf("It holds what differs from level %s of %s: %s, %d contents.\n", r.To, line, size(r.Bytes), r.Contents)
		} else {
			t.sayf("It takes %s from level %s to %s: %s, %d contents.\n", line, strings.Join(r.From, ", "), r.To, size(r.Bytes), r.Contents)
		}
		t.sayf("SHA-256: %s\n", r.SHA256)
		if len(r.Tools) > 0 {
			t.sayf("With the update tool for %s.\n", strings.Join(r.Tools, ", "))
		}
		if len(r.Reached) > 0 {
			t.sayf("Level %s is reached already where a state file comes from.\n", strings.Join(r.Reached, ", "))
		}
		t.sayf("Carry it in: %s\nNeither network nor credentials are needed there.\n", t.use(r))
	}
	t.tellMessages(r.Messages)
}
