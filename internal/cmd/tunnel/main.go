package tunnel

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/warrenvpn/warren/conf"
	"github.com/warrenvpn/warren/internal/hostnet"
	"github.com/warrenvpn/warren/internal/quick"
)

// Main runs the command. Program is the name it was called by ("warren up"),
// args begin with its last word; the result is the exit code.
func Main(program string, args []string, _ string) int {
	root := &cobra.Command{Use: "warren", SilenceErrors: true, SilenceUsage: true}
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetHelpCommand(&cobra.Command{Hidden: true})
	root.AddCommand(Commands()...)
	root.SetArgs(args)

	ctx, stop := untilSignal()
	defer stop()
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	complain(os.Stderr, program, err)
	return exitCode(err)
}

// Commands returns `up` and `down`, to be mounted under a root command whose
// context ends on a signal. Errors may have Hints and an exit code other than
// 1: Main shows how they are to be used.
func Commands() []*cobra.Command {
	return []*cobra.Command{upCommand(), downCommand()}
}

const fileHelp = `
FILE is the path of a file in the format of wg-quick(8), called as the
interface with .conf: ./wg0.conf. NAME stands for ` + configDir + `/NAME.conf.
`

const upHelp = `Makes the interface that a file describes, connects it to its peers and routes
their addresses to it. Either all of it is done, or nothing: when a step fails,
and on Ctrl-C, everything done before is undone.
` + fileHelp + `
Every step is printed as the command that would do it by hand. Hooks (PreUp,
PostUp) are run by bash, with %i replaced by the name of the interface.

Not supported yet, and said so when a file asks for it: DNS, SaveConfig, routes
in a Table of their own, and a default route (an AllowedIPs of length 0).

Environment:
  ` + programEnv + `
                        program that makes the interface, called with its
                        name; unset: this one, as ` + "`warren device NAME`" + `
  ` + retriesEnv + `
                        how often to look up the name of an endpoint again
                        when the name service does not answer, or infinity`

const downHelp = `Removes an interface that ` + "`warren up`" + ` or wg-quick made, with its addresses and
routes, and runs the hooks of its file (PreDown before, PostDown after).
` + fileHelp

// verb is what up and down differ in.
type verb struct {
	use, short, long string
	// plan returns the steps that act would take.
	plan func(*host, *quick.Config) ([]quick.Step, error)
	act  func(context.Context, *hostnet.Run) error
}

func upCommand() *cobra.Command {
	return verb{
		use: "up [--dry-run] FILE|NAME", short: "bring up a tunnel from its configuration file", long: upHelp,
		plan: planUp,
		act:  func(ctx context.Context, r *hostnet.Run) error { return r.Up(ctx) },
	}.command()
}

func downCommand() *cobra.Command {
	return verb{
		use: "down [--dry-run] FILE|NAME", short: "take down a tunnel", long: downHelp,
		plan: planDown,
		act:  func(ctx context.Context, r *hostnet.Run) error { return r.Down(ctx) },
	}.command()
}

func (v verb) command() *cobra.Command {
	var dryRun bool
	cmd := &cobra.Command{
		Use: v.use, Short: v.short, Long: v.long, Args: oneFile,
		DisableFlagsInUseLine: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			return onHost(cmd.Context(), args[0], func(h *host, c *quick.Config) error {
				if dryRun {
					return show(cmd.OutOrStdout(), v, h, c)
				}
				return v.act(cmd.Context(), &hostnet.Run{
					Config: c, Host: h,
					Announce: func(s quick.Step) { announce(os.Stderr, c, s) },
				})
			})
		},
	}
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return &quick.Problem{Text: err.Error(), Hint: "`" + cmd.CommandPath() + " --help` says what there is", Err: err}
	})
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "print the steps and change nothing")
	cmd.Flags().BoolP("help", "h", false, "print this text")
	return cmd
}

// show prints the steps.
func show(w io.Writer, v verb, h *host, c *quick.Config) error {
	steps, err := v.plan(h, c)
	for _, s := range steps {
		announce(w, c, s)
	}
	return err
}

func oneFile(cmd *cobra.Command, args []string) error {
	if len(args) == 1 {
		return nil
	}
	return &quick.Problem{
		Text: fmt.Sprintf("want one FILE or NAME, got %d", len(args)),
		Hint: fmt.Sprintf("`%s wg0` takes %s/wg0.conf, `%s ./wg0.conf` the file here", cmd.CommandPath(), configDir, cmd.CommandPath()),
	}
}

// onHost reads the file and acts on this host.
func onHost(ctx context.Context, arg string, act func(*host, *quick.Config) error) error {
	c, err := load(arg)
	if err != nil {
		return err
	}
	network, err := hostnet.New()
	if err != nil {
		return err
	}
	defer network.Close()
	client, err := newClient(ctx)
	if err != nil {
		return err
	}
	return act(&host{net: network, wg: client}, c)
}

// announce prints a step as wg-quick does.
func announce(w io.Writer, c *quick.Config, s quick.Step) {
	if s.Kind != quick.Warn {
		fmt.Fprintf(w, "[#] %s\n", s.Trace(c))
		return
	}
	fmt.Fprintf(w, "[!] %s\n", s.Text)
	if s.Hint != "" {
		fmt.Fprintf(w, "    hint: %s\n", s.Hint)
	}
}

// complain prints an error, and what can be done about it.
func complain(w io.Writer, program string, err error) {
	for _, line := range strings.Split(err.Error(), "\n") {
		if line != "" {
			fmt.Fprintf(w, "%s: %s\n", program, line)
		}
	}
	for _, h := range hints(err) {
		fmt.Fprintf(w, "hint: %s\n", h)
	}
}

func hints(err error) []string {
	var hinted interface{ Hints() []string }
	var mistake *conf.ParseError
	switch {
	case errors.As(err, &hinted):
		return hinted.Hints()
	case errors.As(err, &mistake) && mistake.Hint != "":
		return []string{mistake.Hint}
	}
	return nil
}

// exitCode is that of a hook that failed, what a shell says of a signal, and
// else 1.
func exitCode(err error) int {
	var hook *HookError
	var interrupted *signalError
	switch {
	case errors.As(err, &interrupted):
		return 128 + int(interrupted.signal)
	case errors.As(err, &hook) && hook.Status > 0 && hook.Status < 256:
		return hook.Status
	}
	return 1
}

// signalError says that the user, or the service manager, ended the command.
type signalError struct{ signal syscall.Signal }

func (e *signalError) Error() string { return e.signal.String() }

// untilSignal returns a context that ends on SIGINT, SIGTERM or SIGHUP. Further
// signals are caught too, until stop: undoing must not be cut short.
func untilSignal() (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) { // nohup
		signal.Notify(signals, syscall.SIGHUP)
	}
	go func() {
		for s := range signals {
			if n, ok := s.(syscall.Signal); ok {
				cancel(&signalError{n})
			}
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		close(signals)
		cancel(context.Canceled)
	}
}
