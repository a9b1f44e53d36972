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

	ctx, stop := UntilSignal()
	defer stop()
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	complain(os.Stderr, program, err)
	return ExitCode(err)
}

// Commands returns `up`, `down`, `save` and `strip`, to be mounted under a root command whose
// context ends on a signal. Errors may have Hints and an exit code other than
// 1: Main shows how they are to be used.
func Commands() []*cobra.Command {
	return []*cobra.Command{upCommand(), downCommand(), saveCommand(), stripCommand()}
}

const fileHelp = `
FILE is the path of a file in the format of wg-quick(8), called as the
interface with .conf: ./wg0.conf. NAME stands for ` + configDir + `/NAME.conf.
`

const upHelp = `Makes the interface that a file describes, connects it to its peers and routes
their addresses to it. Either all of it is done, or nothing: when a step fails,
and on Ctrl-C, everything done before is undone. If this is killed, the next up
or down does that.
` + fileHelp + `
Every step is printed as the command that would do it by hand. Hooks (PreUp,
PostUp) are run by bash, with %i replaced by the name of the interface.

The interface is one of the kernel's if it has WireGuard, and else a daemon in
user space. --plane decides otherwise, and so does a comment in [Interface]:
# Warren.Plane = kernel

Environment:
  ` + programEnv + `
                        program that makes an interface in user space, called
                        with its name; unset: this one, as ` + "`warren device NAME`" + `
  ` + retriesEnv + `
                        how often to look up the name of an endpoint again
                        when the name service does not answer, or infinity`

const downHelp = `Removes an interface that ` + "`warren up`" + ` or wg-quick made, with everything that was
set for it, and runs the hooks of its file (PreDown before, PostDown after).
What an interrupted up or down has left is cleaned up. This also works when the
file is gone.
` + fileHelp

const saveHelp = `Writes the present state of an interface to its file: peers that were added or
removed, keys, allowed IPs and addresses. Comments, order and the names of hosts
stay as they are in the file.
` + fileHelp

const stripHelp = `Prints what a file says to wg(8), without the keys that are only for wg-quick:
warren wg syncconf wg0 <(warren strip wg0)
` + fileHelp

func upCommand() *cobra.Command {
	var f Front
	cmd := command("up [--dry-run] [--plane PLANE] [--no-ipv6] FILE|NAME", "bring up a tunnel from its configuration file", upHelp,
		func(cmd *cobra.Command, arg string) error { return f.Up(cmd.Context(), arg) })
	cmd.Flags().BoolVar(&f.DryRun, "dry-run", false, "print the steps and change nothing")
	cmd.Flags().StringVar(&f.Plane, "plane", "", "where the interface is to be: kernel, user or auto")
	cmd.Flags().BoolVar(&f.NoIPv6, "no-ipv6", false, "leave out addresses and routes of IPv6")
	return cmd
}

func downCommand() *cobra.Command {
	var f Front
	cmd := command("down [--dry-run] FILE|NAME", "take down a tunnel", downHelp,
		func(cmd *cobra.Command, arg string) error { return f.Down(cmd.Context(), arg) })
	cmd.Flags().BoolVar(&f.DryRun, "dry-run", false, "print the steps and change nothing")
	return cmd
}

func saveCommand() *cobra.Command {
	var f Front
	cmd := command("save [--dry-run] FILE|NAME", "write the state of a tunnel to its file", saveHelp,
		func(cmd *cobra.Command, arg string) error { return f.Save(cmd.Context(), arg) })
	cmd.Flags().BoolVar(&f.DryRun, "dry-run", false, "print what would be written and change nothing")
	return cmd
}

func stripCommand() *cobra.Command {
	return command("strip FILE|NAME", "print what a file says to wg", stripHelp, func(cmd *cobra.Command, arg string) error {
		text, err := Front{}.Strip(arg)
		if err == nil {
			err = Print(cmd.OutOrStdout(), text)
		}
		return err
	})
}

// command returns one that is given a FILE or NAME.
func command(use, short, long string, run func(cmd *cobra.Command, arg string) error) *cobra.Command {
	cmd := &cobra.Command{
		Use: use, Short: short, Long: long, Args: oneFile,
		DisableFlagsInUseLine: true,
		RunE:                  func(cmd *cobra.Command, args []string) error { return run(cmd, args[0]) },
	}
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return &quick.Problem{Text: err.Error(), Hint: "`" + cmd.CommandPath() + " --help` says what there is", Err: err}
	})
	cmd.Flags().BoolP("help", "h", false, "print this text")
	return cmd
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

// ExitCode is that of a hook or a program that failed, what a shell says of a
// signal, and else 1.
func ExitCode(err error) int {
	var hook *HookError
	var program *StatusError
	var interrupted *signalError
	switch {
	case errors.As(err, &interrupted):
		return 128 + int(interrupted.signal)
	case errors.As(err, &hook) && hook.Status > 0 && hook.Status < 256:
		return hook.Status
	case errors.As(err, &program) && program.Status > 0 && program.Status < 256:
		return program.Status
	}
	return 1
}

// Said reports whether the user was told of err by a program that it came from,
// or knows: it was the user who ended this one.
func Said(err error) bool {
	var interrupted *signalError
	return errors.Is(err, errSaid) || errors.As(err, &interrupted)
}

// Print writes what a command is for. When nobody reads that, it ends as a
// program does that SIGPIPE ends: with its status, and without a word.
func Print(w io.Writer, text string) error {
	_, err := io.WriteString(w, text)
	if errors.Is(err, syscall.EPIPE) {
		return &StatusError{Status: 128 + int(syscall.SIGPIPE), Err: errSaid}
	}
	return err
}

// signalError says that the user, or the service manager, ended the command.
type signalError struct{ signal syscall.Signal }

func (e *signalError) Error() string { return e.signal.String() }

// UntilSignal returns a context that ends on SIGINT, SIGTERM, SIGQUIT or SIGHUP.
// Further signals are caught too, until stop: undoing must not be cut short. Nor
// must anything end halfway because nobody reads what it says: SIGPIPE is caught
// and forgotten. It is not ignored, which hooks would inherit.
func UntilSignal() (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGQUIT)
	if !signal.Ignored(syscall.SIGHUP) { // nohup
		signal.Notify(signals, syscall.SIGHUP)
	}
	unread := make(chan os.Signal, 1)
	signal.Notify(unread, syscall.SIGPIPE)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for s := range signals {
			if n, ok := s.(syscall.Signal); ok {
				cancel(&signalError{n})
			}
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		signal.Stop(unread)
		close(signals)
		<-ended
		cancel(context.Canceled)
	}
}
