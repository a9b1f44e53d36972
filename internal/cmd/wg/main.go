package wg

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
	"time"

	"github.com/warrenvpn/warren/conf"
	"github.com/warrenvpn/warren/internal/cli"
	"github.com/warrenvpn/warren/uapi"
	"github.com/warrenvpn/warren/wgctl"
)

// Version is what --version prints. The binary sets it.
var Version = "devel"

// Main runs wg with args, of which the first is the name it was called by, and
// returns the exit code.
func Main(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	t := &tool{
		stdin: stdin, stdout: stdout, stderr: stderr,
		lookupEnv: os.LookupEnv, now: time.Now, client: &wgctl.Client{},
		hints: cli.IsTerminal(stderr),
	}
	return t.run(args)
}

// tool is one run of the command.
type tool struct {
	program        string
	stdin          io.Reader
	stdout, stderr io.Writer
	out            *bufio.Writer // over stdout
	lookupEnv      func(string) (string, bool)
	now            func() time.Time
	client         *wgctl.Client
	resolver       *wgctl.Resolver // made by the first endpoint
	hints          bool            // a person reads stderr
}

// subcommand is one word of the command line. args are those after it.
type subcommand struct {
	name, about, usage string
	run                func(t *tool, args []string) int
}

const (
	fieldList = "public-key | private-key | listen-port | fwmark | peers | preshared-keys | endpoints | " +
		"allowed-ips | latest-handshakes | transfer | persistent-keepalive | dump"
	setUsage = "<interface> [listen-port <port>] [fwmark <mark>] [private-key <file path>] " +
		"[peer <base64 public key> [remove] [preshared-key <file path>] [endpoint <ip>:<port>] " +
		"[persistent-keepalive <interval seconds>] [allowed-ips [+|-]<ip1>/<cidr1>[,[+|-]<ip2>/<cidr2>]...] ]..."
	fileUsage = "<interface> <configuration filename>"
)

// subcommands returns all of them in the order of the usage. (A function: the
// usage of one refers to the list.)
func subcommands() []subcommand {
	return []subcommand{
		{
			"show", "Shows the current configuration and device information",
			"{ <interface> | all | interfaces } [" + fieldList + "]", (*tool).show,
		},
		{
			"showconf", "Shows the current configuration of a given WireGuard interface, for use with `setconf'",
			"<interface>", (*tool).showconf,
		},
		{"set", "Change the current configuration, add peers, remove peers, or change peers", setUsage, (*tool).set},
		{"setconf", "Applies a configuration file to a WireGuard interface", fileUsage, (*tool).setconf},
		{"addconf", "Appends a configuration file to a WireGuard interface", fileUsage, (*tool).addconf},
		{"syncconf", "Synchronizes a configuration file to a WireGuard interface", fileUsage, (*tool).syncconf},
		{"genkey", "Generates a new private key and writes it to stdout", "", (*tool).genkey},
		{"genpsk", "Generates a new preshared key and writes it to stdout", "", (*tool).genpsk},
		{"pubkey", "Reads a private key from stdin and writes a public key to stdout", "", (*tool).pubkey},
	}
}

// run picks the subcommand. The exit code is 0 or 1, nothing else.
func (t *tool) run(args []string) int {
	t.program = "wg"
	if len(args) > 0 {
		t.program, args = args[0], args[1:]
	}
	t.out = bufio.NewWriter(t.stdout)
	code := t.dispatch(args)
	if err := t.out.Flush(); err != nil {
		t.say("write: " + reason(err))
		return 1
	}
	return code
}

func (t *tool) dispatch(args []string) int {
	if len(args) == 0 {
		return t.show(nil)
	}
	if len(args) == 1 {
		switch args[0] {
		case "-h", "--help", "help":
			t.overview(t.out)
			return 0
		case "-v", "--version", "version":
			fmt.Fprintf(t.out, "warren v%s - https://github.com/warrenvpn/warren\n", Version)
			return 0
		}
	}
	for _, c := range subcommands() {
		if c.name != args[0] {
			continue
		}
		if len(args) == 2 && (args[1] == "--help" || args[1] == "-h") {
			t.usage(c.name)
			return 0
		}
		return c.run(t, args[1:])
	}
	t.say("Invalid subcommand: `" + args[0] + "'")
	t.overview(t.stderr)
	return 1
}

func (t *tool) overview(w io.Writer) {
	fmt.Fprintf(w, "Usage: %s <cmd> [<args>]\n\nAvailable subcommands:\n", t.program)
	for _, c := range subcommands() {
		fmt.Fprintf(w, "  %s: %s\n", c.name, c.about)
	}
	fmt.Fprintln(w, "You may pass `--help' to any of these subcommands to view usage.")
}

// usage prints the usage of a subcommand and returns the exit code for a wrong
// number of arguments.
func (t *tool) usage(name string) int {
	for _, c := range subcommands() {
		if c.name == name && c.usage != "" {
			t.say("Usage: " + t.program + " " + name + " " + c.usage)
		} else if c.name == name {
			t.say("Usage: " + t.program + " " + name)
		}
	}
	return 1
}

// getenv returns a variable of the environment, empty if it is not there.
func (t *tool) getenv(name string) string {
	v, _ := t.lookupEnv(name)
	return v
}

// say prints a line to stderr, after what was printed to stdout so far.
func (t *tool) say(line string) {
	fmt.Fprintln(t.stderr, line)
}

// fail prints what went wrong as wg(8) words it, hints for a person, and
// returns the exit code.
func (t *tool) fail(err error) int {
	var p *conf.ParseError
	if errors.As(err, &p) {
		t.say(p.Tool)
	} else {
		t.say(err.Error())
	}
	if t.hints {
		if p != nil && p.Line > 0 {
			t.say("hint: " + p.Error())
		}
		cli.PrintHints(t.stderr, err)
	}
	return 1
}

// failWith prints a failed operation and the system's reason.
func (t *tool) failWith(doing string, err error) int {
	t.say(doing + ": " + reason(err))
	if t.hints {
		for _, h := range adviceFor(err) {
			t.say("hint: " + h)
		}
	}
	return 1
}

// reason returns the text of an error as the C library words it.
func reason(err error) string {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return uapi.Strerror(errno)
	}
	return err.Error()
}

// adviceFor tells a person what an errno from an interface mostly means.
func adviceFor(err error) []string {
	switch {
	case errors.Is(err, wgctl.ErrNoRemoval):
		return []string{wgctl.ErrNoRemoval.Error() + "; give the whole list without + and -"}
	case errors.Is(err, syscall.EOPNOTSUPP):
		return []string{"the interface is not a WireGuard one; `wg show interfaces` lists those"}
	case errors.Is(err, syscall.EPROTONOSUPPORT), errors.Is(err, syscall.ENODEV):
		return []string{"there is no such interface; `wg show interfaces` lists them"}
	case errors.Is(err, fs.ErrPermission):
		return []string{"interfaces belong to root: try sudo"}
	case errors.Is(err, syscall.EADDRINUSE):
		return []string{"another program has the UDP port; choose another listen-port"}
	case errors.Is(err, syscall.ENAMETOOLONG):
		return []string{"the name of an interface has up to 15 bytes"}
	}
	return nil
}
