package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/warrenvpn/warren/internal/netlab"
)

var (
	errNotRoot     = errors.New("making network namespaces needs root")
	errAlreadyKept = errors.New("a network of an earlier run was kept")
	errNoneKept    = errors.New("no network was kept")
	errUsage       = errors.New("there is no argument")
)

// hints are what to do about an error.
var hints = []struct {
	err  error
	hint string
}{
	{errNotRoot, "sudo warren demo"},
	{errAlreadyKept, "`warren demo --clean` removes it"},
	{errNoneKept, "`warren demo --keep` makes one that stays"},
	{fs.ErrPermission, "it takes CAP_SYS_ADMIN and CAP_NET_ADMIN; a container has them with --privileged"},
	{errUsage, "`warren demo --help` says what there is"},
}

// Main runs the command; program is the name it was called by, args what
// follows it. The result is the exit code.
func Main(program string, args []string, _ string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	// A second signal ends the program at once; the hosts end with it.
	context.AfterFunc(ctx, stop)

	c := Command()
	c.Annotations = map[string]string{cobra.CommandDisplayNameAnnotation: program}
	c.SetArgs(args)
	c.SilenceErrors, c.SilenceUsage = true, true
	err := c.ExecuteContext(ctx)
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit) && errors.Is(err, errInside):
		return exit.ExitCode()
	case ctx.Err() != nil:
		fmt.Fprintf(os.Stderr, "%s: interrupted; everything was removed\n", program)
		return 130
	}
	fmt.Fprintf(os.Stderr, "%s: %v\n", program, err)
	for _, h := range hints {
		if errors.Is(err, h.err) {
			fmt.Fprintf(os.Stderr, "hint: %s\n", h.hint)
		}
	}
	return 1
}

// Command returns the command line of `warren demo`.
func Command() *cobra.Command {
	var keep, clean, asJSON bool
	c := &cobra.Command{
		Use:   "demo",
		Short: "make a network of five hosts on this machine and measure it (root)",
		Long: "Makes the network of examples/full on this machine, in network and mount\n" +
			"namespaces: a relay, a server, and three hosts behind NATs. Brings each host up\n" +
			"from its wg0.conf, measures all ordered pairs, shows which are direct and which\n" +
			"are relayed, and removes everything again. Takes less than a minute, and root.",
		Args: nothingMore,
		RunE: func(c *cobra.Command, _ []string) error {
			if clean {
				return removeKept()
			}
			return show(c.Context(), keep, asJSON)
		},
	}
	c.Flags().BoolVar(&keep, "keep", false, "leave the network running")
	c.Flags().BoolVar(&clean, "clean", false, "remove the network that was kept")
	c.Flags().BoolVar(&asJSON, "json", false, "print the results as JSON")
	c.MarkFlagsMutuallyExclusive("keep", "clean")
	c.MarkFlagsMutuallyExclusive("json", "clean")
	c.Flags().BoolP("help", "h", false, "print this text")
	c.AddCommand(enterCommand())
	c.SetHelpCommand(&cobra.Command{Hidden: true})
	c.CompletionOptions.DisableDefaultCmd = true
	return c
}

// nothingMore refuses words behind the command.
func nothingMore(_ *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return fmt.Errorf("%w %q", errUsage, args[0])
}

// show runs the demo and prints what it found.
func show(ctx context.Context, keep, asJSON bool) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	d := &demo{settings: defaults, tools: ownTools(self), progress: newProgress(os.Stderr), keep: keep}
	r, err := d.run(ctx)
	d.progress.done()
	if err != nil {
		return err
	}
	if asJSON {
		e := json.NewEncoder(os.Stdout)
		e.SetIndent("", "  ")
		return e.Encode(r)
	}
	report{os.Stdout, colourful(os.Stdout)}.result(r)
	if keep {
		howToEnter(r)
	} else {
		fmt.Printf("\nEverything was removed after %.0f s. `warren demo --keep` leaves it running.\n", r.Seconds)
	}
	return nil
}

// colourful reports whether f is a terminal of someone who wants colours.
func colourful(f *os.File) bool {
	return isTerminal(f) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}

func howToEnter(r *Result) {
	fmt.Printf("\nThe network keeps running. To enter a host:\n")
	for _, h := range r.Hosts {
		fmt.Printf("  warren demo enter %-16s or: nsenter -m -n -p -u -t %d\n", h.Name, h.PID)
	}
	fmt.Printf("To remove it: warren demo --clean\n")
}

// keptLab returns the network that an earlier run left, or nil.
func keptLab() (*netlab.Info, error) {
	labs, err := netlab.List()
	if err != nil {
		return nil, err
	}
	for _, l := range labs {
		if l.Name == labName && l.Kept {
			return &l, nil
		}
	}
	return nil, nil
}

func removeKept() error {
	if os.Geteuid() != 0 {
		return errNotRoot
	}
	lab, err := keptLab()
	if err != nil {
		return err
	}
	if lab == nil {
		return errNoneKept
	}
	if err := netlab.Remove(lab.ID); err != nil {
		return err
	}
	fmt.Printf("removed %d hosts\n", len(lab.Hosts))
	return nil
}

// errInside marks the failure of a program that ran inside a host: its exit
// code is ours.
var errInside = errors.New("inside the host")

func enterCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "enter HOST [COMMAND [ARGUMENT...]]",
		Short: "run a shell or a command on a host of the network that was kept",
		Long:  "Runs a shell or a command on a host of the network that `warren demo --keep` left\nrunning. The exit code is that of the command.",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return errors.New("want a HOST: public-server1, public-server2, home-server, laptop or phone")
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error { return enter(args[0], args[1:]) },
	}
	c.DisableFlagsInUseLine = true
	c.Flags().BoolP("help", "h", false, "print this text")
	c.Flags().SetInterspersed(false) // the rest belongs to COMMAND
	return c
}

func enter(name string, argv []string) error {
	if os.Geteuid() != 0 {
		return errNotRoot
	}
	lab, err := keptLab()
	if err != nil {
		return err
	}
	if lab == nil {
		return errNoneKept
	}
	if len(argv) == 0 {
		argv = []string{"sh"}
		if shell := os.Getenv("SHELL"); shell != "" {
			argv[0] = shell
		}
	}
	names := ""
	for _, h := range lab.Hosts {
		if h.Name != name {
			names += " " + h.Name
			continue
		}
		if err := netlab.Enter(h, []string{toolDir}, argv...); err != nil {
			return fmt.Errorf("%w %s: %w", errInside, name, err)
		}
		return nil
	}
	return fmt.Errorf("there is no host %s; the hosts are%s", name, names)
}
