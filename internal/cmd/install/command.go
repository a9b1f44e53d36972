package install

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/warrenvpn/warren/internal/cli"
)

// Main runs `warren install` or `warren uninstall`: program is the name it was
// called by, args begin with its last word.
func Main(program string, args []string, version string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	root := &cobra.Command{Use: "warren", SilenceErrors: true, SilenceUsage: true}
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetHelpCommand(&cobra.Command{Hidden: true})
	root.AddCommand(Commands(version)...)
	root.SetArgs(args)
	if err := root.ExecuteContext(ctx); err != nil {
		cli.Fail(os.Stderr, program, err)
		return 1
	}
	return 0
}

const installHelp = `Installs this program, its manual pages, completion scripts and systemd unit
below a prefix, and makes /etc/wireguard. With --compat, also the names wg,
wg-quick and wireguard-go as links to it, with their pages, scripts and units.

What was installed is remembered: ` + "`warren uninstall`" + ` removes exactly that.
A file that belongs to something else is reported and nothing is done. With
--force it is moved away until ` + "`warren uninstall`" + `.`

const uninstallHelp = `Removes what ` + "`warren install`" + ` has put below a prefix, and puts back what it
moved away. Directories go if nothing else is in them; /etc/wireguard stays if
it has files.`

// options are the flags.
type options struct {
	prefix, destdir, zshDir   string
	compat, compatGiven       bool
	dryRun, force, noManifest bool
	version                   string
	out                       io.Writer
}

// Commands returns `install` and `uninstall`.
func Commands(version string) []*cobra.Command {
	o := &options{version: version}
	in := &cobra.Command{
		Use: "install", Short: "install this program and what belongs to it", Long: installHelp, Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			o.compatGiven, o.out = c.Flags().Changed("compat"), c.OutOrStdout()
			return o.install(c.Context())
		},
	}
	in.Flags().BoolVar(&o.compat, "compat", false, "install the names wg, wg-quick and wireguard-go as well")
	in.Flags().StringVar(&o.zshDir, "zshdir", DefaultZshDir, "`DIR` of zsh's completion scripts below the prefix")
	in.Flags().BoolVar(&o.noManifest, "no-manifest", false, "do not write the list that uninstall needs (for packages)")
	un := &cobra.Command{
		Use: "uninstall", Short: "remove what install has installed", Long: uninstallHelp, Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			o.out = c.OutOrStdout()
			return o.uninstall()
		},
	}
	for _, c := range []*cobra.Command{in, un} {
		c.Flags().StringVar(&o.prefix, "prefix", "/usr/local", "`DIR` to install below")
		c.Flags().StringVar(&o.destdir, "destdir", "", "`DIR` that stands for the root of the file system")
		c.Flags().BoolVar(&o.dryRun, "dry-run", false, "print what would be done, and change nothing")
		c.Flags().BoolP("help", "h", false, "print this text")
	}
	in.Flags().BoolVar(&o.force, "force", false, "move files of others away")
	un.Flags().BoolVar(&o.force, "force", false, "remove also what was changed since")
	return []*cobra.Command{in, un}
}

func noArgs(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return cli.WithHint(fmt.Errorf("there is no argument %q", args[0]), "`"+c.CommandPath()+" --help` says what there is")
}

func (o *options) site() (*site, error) {
	if runtime.GOOS == "windows" {
		return nil, errors.New("there is nothing to install on Windows: put warren.exe into a directory of %PATH%")
	}
	s := &site{force: o.force, owner: ownerOf}
	if o.destdir != "" {
		abs, err := filepath.Abs(o.destdir)
		if err != nil {
			return nil, err
		}
		// What packages of this host own says nothing about another root.
		s.destdir, s.owner = abs, func(string) owner { return owner{} }
	}
	return s, nil
}

func (o *options) install(ctx context.Context) error {
	s, err := o.site()
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	binary, err := os.ReadFile(self)
	if err != nil {
		return fmt.Errorf("read this program: %w", err)
	}
	var old *manifest
	where := ""
	if !o.noManifest {
		where = s.manifestPath(o.prefix)
		if old, err = readManifest(where); err != nil {
			return err
		}
	}
	if old != nil && !o.compatGiven {
		o.compat = old.Compat
	}
	l := &Layout{
		Prefix: o.prefix, ZshDir: o.zshDir, Compat: o.compat, Units: runtime.GOOS == "linux",
		Version: o.version, Binary: binary,
	}
	items, err := l.items()
	if err != nil {
		return err
	}
	if where != "" {
		items = append([]item{manifestDir(o.prefix)}, items...)
	}
	actions, err := s.plan(items, old)
	if err != nil {
		return asRoot(err)
	}
	if o.dryRun {
		o.preview(s, actions)
		return nil
	}
	if o.destdir != "" {
		if err := os.MkdirAll(s.destdir, 0o755); err != nil {
			return err
		}
	}
	if err := s.install(ctx, actions, &manifest{Version: o.version, Compat: o.compat}, where, o.say); err != nil {
		return asRoot(err)
	}
	o.advise(s, actions)
	return nil
}

func (o *options) say(format string, args ...any) { fmt.Fprintf(o.out, format+"\n", args...) }

// preview prints what a plan would do.
func (o *options) preview(s *site, actions []action) {
	for _, a := range actions {
		p := s.real(a.entry.Path)
		switch a.verb {
		case leave:
			o.say("leave %s, which is the same already", p)
			continue
		case keep:
			continue
		case remove:
			o.say("remove %s", p)
			continue
		case move:
			o.say("move %s to %s", p, s.real(a.entry.Moved))
		}
		switch a.item.kind {
		case dir:
			o.say("mkdir %s (%04o)", p, a.item.mode)
		case link:
			o.say("link %s -> %s", p, a.item.target)
		case file:
			o.say("install %s (%04o)", p, a.item.mode)
		}
	}
}

// advise makes systemd read the units, and says what else is to be known.
func (o *options) advise(s *site, actions []action) {
	changed := false
	for _, a := range actions {
		changed = changed || a.verb != keep && a.verb != leave
	}
	if !changed {
		o.say("everything is there already")
	}
	o.reload(s, changed)
	if s.destdir != "" || !o.compat {
		return
	}
	want := filepath.Join(o.prefix, "bin", "wg")
	if got, err := exec.LookPath("wg"); err == nil && got != want {
		o.say("note: %s comes before %s in PATH", got, want)
	}
}

// reload tells systemd, where it runs, that units have changed.
func (o *options) reload(s *site, changed bool) {
	if _, err := os.Stat("/run/systemd/system"); err != nil || s.destdir != "" || !changed {
		return
	}
	if out, err := exec.Command("systemctl", "daemon-reload").CombinedOutput(); err != nil {
		o.say("note: systemctl daemon-reload: %v %s", err, out)
	}
}

func (o *options) uninstall() error {
	s, err := o.site()
	if err != nil {
		return err
	}
	where := s.manifestPath(o.prefix)
	m, err := readManifest(where)
	if err != nil {
		return asRoot(err)
	}
	if m == nil {
		return cli.WithHint(fmt.Errorf("nothing is installed below %s: there is no %s", s.real(o.prefix), where),
			"say the --prefix and --destdir that `warren install` was given; a package is removed by its package manager")
	}
	if o.dryRun {
		for i := len(m.Entries) - 1; i >= 0; i-- {
			o.say("remove %s", s.real(m.Entries[i].Path))
		}
		return nil
	}
	left, err := s.uninstall(m, where, o.say)
	if err != nil {
		return asRoot(err)
	}
	o.reload(s, true)
	if len(left) > 0 {
		list := ""
		for _, p := range left {
			list += "\n" + p
		}
		return cli.WithHint(fmt.Errorf("these were changed after they were installed, and are left:%s", list), "--force removes them too")
	}
	return nil
}

// asRoot adds the hint that a lack of permission calls for.
func asRoot(err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return cli.WithHint(err, "installing for everybody takes root: try sudo, or --prefix with a directory of your own")
	}
	return err
}
