package wgquick

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"

	"github.com/warrenvpn/warren/conf"
	"github.com/warrenvpn/warren/internal/cmd/tunnel"
	"github.com/warrenvpn/warren/internal/hostnet"
	"github.com/warrenvpn/warren/internal/quick"
	"github.com/warrenvpn/warren/internal/rtnl"
	"github.com/warrenvpn/warren/uapi"
	"github.com/warrenvpn/warren/wgctl"
)

// Main runs the command. Program is the name it was called by; the result is
// the exit code.
func Main(program string, args []string) int {
	// Messages begin with the last word of "warren wg-quick" too.
	program = program[strings.LastIndexByte(program, ' ')+1:]
	if len(args) == 1 && slices.Contains([]string{"help", "-h", "--help"}, args[0]) {
		usage(os.Stderr, program)
		return 0
	}
	if len(args) != 2 || !slices.Contains([]string{"up", "down", "save", "strip"}, args[0]) {
		usage(os.Stderr, program)
		return 1
	}
	if os.Geteuid() != 0 && args[0] != "strip" {
		return elevate(program)
	}
	// Programs that steps and hooks start speak English.
	_ = os.Setenv("LC_ALL", "C")
	ctx, stop := tunnel.UntilSignal()
	defer stop()
	err := act(ctx, program, args[0], args[1])
	if args[0] == "strip" && os.Geteuid() != 0 && errors.Is(err, fs.ErrPermission) {
		return elevate(program)
	}
	return report(os.Stderr, program, err)
}

func act(ctx context.Context, program, verb, arg string) error {
	front := tunnel.Front{Compat: true, Failed: func(err error) error {
		tell(os.Stderr, program, err)
		return &told{err}
	}}
	switch verb {
	case "up":
		return front.Up(ctx, arg)
	case "down":
		return front.Down(ctx, arg)
	case "save":
		return front.Save(ctx, arg)
	}
	text, err := front.Strip(arg)
	if err == nil {
		err = tunnel.Print(os.Stdout, text)
	}
	return err
}

// report prints an error as wg-quick, or the program that it would have run,
// words it, and returns the exit code.
func report(w io.Writer, program string, err error) int {
	if err == nil {
		return 0
	}
	tell(w, program, err)
	code := tunnel.ExitCode(err)
	switch {
	case code == 1 && errors.Is(err, hostnet.ErrNoTable):
		return 255
	case code == 1 && byNetlink(err):
		return 2
	}
	return code
}

// told is an error that was printed.
type told struct{ error }

func (t *told) Unwrap() error { return t.error }

// tell prints an error that was not printed before.
func tell(w io.Writer, program string, err error) {
	for _, one := range parts(err) {
		if text := words(program, one); text != "" {
			fmt.Fprintln(w, text)
		}
	}
}

// parts splits errors that were joined.
func parts(err error) []error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok && !strings.HasPrefix(fmt.Sprintf("%T", err), "*fmt.") {
		var all []error
		for _, e := range joined.Unwrap() {
			all = append(all, parts(e)...)
		}
		return all
	}
	return []error{err}
}

// words is what is printed about an error; nothing if that has happened.
func words(program string, err error) string {
	var hook *tunnel.HookError
	var status *tunnel.StatusError
	var mistake *conf.ParseError
	var unresolved *wgctl.ResolveError
	var device *wgctl.Error
	var failed *hostnet.StepError
	switch {
	case errors.As(err, new(*told)), errors.As(err, &hook), tunnel.Said(err):
		return ""
	case errors.Is(err, hostnet.ErrNoTable) && errors.As(err, &failed):
		return fmt.Sprintf("Error: argument %q is wrong: \"table\" value is invalid\n", failed.Step.TableName)
	case errors.As(err, &mistake) && mistake.Key == "SaveConfig":
		return program + ": " + mistake.Tool
	case errors.As(err, &mistake) && mistake.Tool != "":
		return mistake.Tool + "\nConfiguration parsing error"
	case errors.As(err, &unresolved):
		return unresolved.Error() + "\nConfiguration parsing error"
	case errors.As(err, &device):
		return deviceWords(device)
	case errors.As(err, &status):
		return program + ": " + err.Error()
	}
	if answer := kernelsAnswer(err); answer != "" {
		return answer
	}
	return program + ": " + err.Error()
}

// byNetlink reports whether err is the failure of a step for which wg-quick runs
// ip.
func byNetlink(err error) bool {
	var failed *hostnet.StepError
	var errno syscall.Errno
	if !errors.As(err, &failed) || !errors.As(err, &errno) {
		return false
	}
	switch failed.Step.Kind {
	case quick.CreateLink, quick.AddAddress, quick.SetUp, quick.AddRule, quick.AddRoute:
		return true
	}
	return false
}

// kernelsAnswer is what ip prints when the kernel refuses a step.
func kernelsAnswer(err error) string {
	var errno syscall.Errno
	var refusal *rtnl.Refusal
	switch {
	case !byNetlink(err) || !errors.As(err, &errno):
		return ""
	case errors.As(err, &refusal):
		return "Error: " + strings.TrimSuffix(refusal.Message, ".") + "."
	}
	return "RTNETLINK answers: " + uapi.Strerror(errno)
}

// deviceWords is how wg says that a device did not do what it was asked for.
func deviceWords(err *wgctl.Error) string {
	doing := map[string]string{"list": "list interfaces", "read": "access interface", "change": "modify interface"}[err.Op]
	return "Unable to " + doing + ": " + uapi.Strerror(err.Errno)
}

// usage is in wg-quick's words where scripts may look, and else in ours.
func usage(w io.Writer, program string) {
	fmt.Fprintf(w, `Usage: %[1]s [ up | down | save | strip ] [ CONFIG_FILE | INTERFACE ]

  CONFIG_FILE is the path of a file that is called as the interface, with .conf
  behind it. INTERFACE stands for the file /etc/wireguard/INTERFACE.conf. What
  %[1]s does not know in it is for wg(8). In [Interface] it knows:

  - Address: addresses of the interface, with or without a /length; repeatable.
  - DNS: name servers and search domains while the interface is up; repeatable.
  - MTU: of the interface. Without it, what the way to the peers allows.
  - Table: the routing table for the peers' addresses: a number, a name, auto
    (the usual one) or off (no routes).
  - PreUp, PostUp, PreDown, PostDown: commands for bash(1), in which %%i is the
    interface; repeatable.
  - SaveConfig: true writes the state of the interface to the file on down.

See wg-quick(8) for more.
`, program)
}

// elevate runs this command again as root, as wg-quick does.
func elevate(program string) int {
	argv := []string{"sudo", "-p", program + " must be run as root. Please enter the password for %u to continue: ", "--"}
	self, err := invoked()
	if err == nil {
		var sudo string
		if sudo, err = tunnel.LookUp("sudo"); err == nil {
			err = syscall.Exec(sudo, append(append(argv, self), os.Args[1:]...), os.Environ())
		}
	}
	fmt.Fprintf(os.Stderr, "%s must be run as root, and sudo cannot be run: %v\n", program, err)
	return 127
}
