package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/warrenvpn/warren/internal/cli"
)

// options are the flags, and how large things are.
type options struct {
	runs                         int
	duration                     time.Duration
	streams, mtu, lanes          int
	only, ours, offered          string
	reference, limit, handshakes string
	with                         []string
	json                         string
	list                         bool

	self, version string
	pattern       *regexp.Regexp // of only
	// How many peers the experiments with many have: of ours, of the
	// reference, and when it shall be very many.
	crowd, fewer, multitude int
}

func newOptions(version string) *options {
	return &options{version: version, offered: "1400M", crowd: 100_000, fewer: 10_000, multitude: 1_000_000}
}

// Main runs the command; program is the name it was called by, args what
// follows it. The result is the exit code.
func Main(program string, args []string, version string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	// A second signal ends the program at once; the hosts end with it.
	context.AfterFunc(ctx, stop)

	c := Command(version)
	c.Annotations = map[string]string{cobra.CommandDisplayNameAnnotation: program}
	c.SetArgs(args)
	c.SilenceErrors, c.SilenceUsage = true, true
	err := c.ExecuteContext(ctx)
	switch {
	case err == nil:
		return 0
	case ctx.Err() != nil:
		fmt.Fprintf(os.Stderr, "%s: interrupted; everything was removed\n", program)
		return 130
	}
	cli.Fail(os.Stderr, program, err)
	return 1
}

const help = `Measures this program beside wireguard-go in network namespaces of this machine,
in turns, and prints a table of what was measured and what it should be. Nothing
on the machine changes. Takes less than ten minutes with the defaults, and root.

What to compare with is a wireguard-go in PATH unless --reference names one;
without any, this program is measured alone. ` + "`make bench`" + ` in the source tree
builds everything that can be compared with.`

// Command returns the command line of `warren bench`.
func Command(version string) *cobra.Command {
	o := newOptions(version)
	c := &cobra.Command{
		Use:   "bench",
		Short: "measure this program beside others on this machine (root)",
		Long:  help,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			return cli.WithHint(fmt.Errorf("there is no argument %q", args[0]), "`warren bench --help` says what there is")
		},
		RunE: func(c *cobra.Command, _ []string) error {
			return o.run(c.Context(), c.OutOrStdout(), c.ErrOrStderr())
		},
	}
	f := c.Flags()
	f.IntVarP(&o.runs, "runs", "n", 5, "`NUMBER` of runs of each measurement and contestant")
	f.DurationVarP(&o.duration, "duration", "t", 2*time.Second, "`TIME` that a run lasts, in whole seconds")
	f.StringVar(&o.only, "only", "", "measure the rows whose names match `REGEX`")
	f.IntVar(&o.streams, "streams", 4, "`NUMBER` of streams where there are several")
	f.StringVar(&o.offered, "offered", "1400M", "`RATE` of datagrams of 1,300 bytes in bits per second, with K, M or G; 0: all that can be sent")
	f.IntVar(&o.mtu, "mtu", 1420, "`BYTES` of the tunnel's largest packet")
	f.IntVar(&o.lanes, "lanes", 0, "`NUMBER` of lanes of this program's daemons; 0: what they choose")
	f.StringVar(&o.ours, "ours", "", "`OPTIONS` of `warren device` for this program's daemons")
	f.StringVar(&o.reference, "reference", "", "`PROGRAM` to compare with, called as wireguard-go is; options may follow")
	f.StringVar(&o.limit, "limit", "", "`PROGRAM` that is this one without a cipher")
	f.StringVar(&o.handshakes, "handshakes", "", "`PROGRAM` that counts handshakes")
	f.StringSliceVar(&o.with, "with", nil, "measure `NAMES` too: "+strings.Join(alternativeNames(), ", "))
	f.StringVar(&o.json, "json", "", "write everything to `FILE`, or to standard output if it is -")
	f.BoolVar(&o.list, "list", false, "print the rows and what they should reach")
	f.BoolP("help", "h", false, "print this text")
	c.MarkFlagsMutuallyExclusive("list", "json")
	o.complete(c)
	c.SetHelpCommand(&cobra.Command{Hidden: true})
	c.CompletionOptions.DisableDefaultCmd = true
	return c
}

// complete says which words flags take.
func (o *options) complete(c *cobra.Command) {
	var rows []string
	for _, r := range o.rows() {
		rows = append(rows, r.id+"\t"+r.what)
	}
	for flag, words := range map[string][]string{"only": rows, "with": alternativeNames()} {
		fixed := cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp)
		if err := c.RegisterFlagCompletionFunc(flag, fixed); err != nil {
			panic("bench: " + err.Error()) // there is no such flag
		}
	}
}

// run does what the flags say.
func (o *options) run(ctx context.Context, out, errs io.Writer) error {
	if err := o.check(); err != nil {
		return err
	}
	if o.list {
		o.printList(out)
		return nil
	}
	if err := o.prepare(); err != nil {
		return err
	}
	s := newSuite(o, errs)
	machine := describeMachine()
	var err error
	if s.contestants, err = o.enlist(); err != nil {
		return err
	}
	s.addAlternatives(ctx)
	if s.find(reference) == nil {
		s.sayf("no wireguard-go to compare with: measured is %s alone (--reference names one)", ours)
	}
	if err := s.run(ctx); err != nil {
		return err
	}
	machine.LoadAfter, machine.Generator = loadOfMachine(), generatorVersion()
	if err := o.write(s.result(machine), out, errs); err != nil {
		return err
	}
	return s.verdict()
}

// write prints tables and, if it was asked for, JSON.
func (o *options) write(r *Result, out, errs io.Writer) error {
	if o.json == "-" {
		r.writeTables(errs)
		return encode(out, r)
	}
	r.writeTables(out)
	if o.json == "" {
		return nil
	}
	f, err := os.Create(o.json)
	if err != nil {
		return err
	}
	return errors.Join(encode(f, r), f.Close())
}

func encode(w io.Writer, r *Result) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// maxLanes is the most that `warren device` takes.
const maxLanes = 8

var offeredRate = regexp.MustCompile(`^[0-9]+[KMG]?$`)

// check refuses flags that cannot be meant.
func (o *options) check() (err error) {
	if o.pattern, err = regexp.Compile(o.only); err != nil {
		return fmt.Errorf("--only: %w", err)
	}
	for _, limit := range []struct {
		flag          string
		value, lo, hi int
	}{
		{"runs", o.runs, 1, 1000}, {"streams", o.streams, 1, 128}, {"mtu", o.mtu, 1280, 65535 - overhead}, {"lanes", o.lanes, 0, maxLanes},
	} {
		if limit.value < limit.lo || limit.value > limit.hi {
			return fmt.Errorf("--%s %d: want %d to %d", limit.flag, limit.value, limit.lo, limit.hi)
		}
	}
	if !offeredRate.MatchString(o.offered) {
		return fmt.Errorf("--offered %s: want a number, perhaps with K, M or G", o.offered)
	}
	if o.duration < time.Second || o.duration > time.Minute || o.duration%time.Second != 0 {
		return fmt.Errorf("--duration %v: want whole seconds, 1s to 1m", o.duration)
	}
	return errors.Join(o.checkRows(), o.checkAlternatives())
}

// checkRows refuses a choice of rows of which none can be measured.
func (o *options) checkRows() error {
	var chosen []string
	for _, r := range o.rows() {
		if o.selected(r) {
			chosen = append(chosen, r.id)
		}
	}
	switch {
	case len(chosen) == 0:
		return cli.WithHint(fmt.Errorf("--only %s: no row matches", o.only), "`warren bench --list` prints them")
	case len(chosen) == 1 && chosen[0] == rowHandshakes && o.handshakes == "" && !o.list:
		return cli.WithHint(fmt.Errorf("--only %s: this row needs --handshakes", o.only), "`make bench` builds all it needs")
	}
	return nil
}

// selected reports whether a row was asked for.
func (o *options) selected(r row) bool { return o.pattern.MatchString(r.id) }

var (
	errNotRoot     = errors.New("making network namespaces needs root")
	errNoGenerator = errors.New("the program " + generator + ", which makes the load, is not there")
)

// prepare finds what is needed before anything is made.
func (o *options) prepare() (err error) {
	if o.self, err = os.Executable(); err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	if o.self, err = filepath.EvalSymlinks(o.self); err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	if runtime.GOOS != "linux" {
		return fmt.Errorf("network namespaces on %s: %w", runtime.GOOS, errors.ErrUnsupported)
	}
	if os.Geteuid() != 0 {
		return cli.WithHint(errNotRoot, "sudo warren bench")
	}
	if _, err := exec.LookPath(generator); err != nil {
		return cli.WithHint(errNoGenerator, "apt install iperf3, or dnf, apk, pacman")
	}
	if _, err := os.Stat("/dev/net/tun"); errors.Is(err, fs.ErrNotExist) {
		return cli.WithHint(err, "modprobe tun; a container needs --device /dev/net/tun and --privileged")
	}
	if o.handshakes != "" {
		o.handshakes, err = program("--handshakes", o.handshakes)
	}
	return errors.Join(err, o.checkOutput())
}

// checkOutput finds out whether the file of --json can be written before minutes
// are spent on what is to be in it. It makes none.
func (o *options) checkOutput() error {
	if o.json == "" || o.json == "-" {
		return nil
	}
	info, err := os.Stat(o.json)
	switch {
	case err == nil && info.IsDir():
		return fmt.Errorf("--json %s: %w", o.json, syscall.EISDIR)
	case err == nil:
		return nil
	}
	if info, err = os.Stat(filepath.Dir(o.json)); err != nil {
		return fmt.Errorf("--json: %w", err)
	}
	if !info.IsDir() {
		return fmt.Errorf("--json %s: %w", o.json, syscall.ENOTDIR)
	}
	return nil
}

func (o *options) printList(w io.Writer) {
	tableHead(w, "name", "what", "target", "stretch")
	for _, r := range o.rows() {
		if !o.selected(r) {
			continue
		}
		target, stretch := "", ""
		if r.of != untargeted {
			target, stretch = r.bound(r.target), r.bound(r.stretch)
		}
		tableLine(w, r.id, r.what, target, stretch)
	}
}

// generatorVersion returns the name and version of the load generator.
func generatorVersion() string {
	out, err := exec.Command(generator, "--version").Output()
	if err != nil {
		return ""
	}
	first, _, _ := strings.Cut(string(out), "\n")
	first, _, _ = strings.Cut(first, " (")
	return first
}
