package device

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

const usage = `Usage: %[1]s [-f|--foreground] [OPTION...] INTERFACE-NAME
       %[1]s --cpu list
       %[1]s --version
`

const help = `
Creates a WireGuard interface and runs it in this program, in the background
unless -f is given. When the command returns, the interface and its control
socket exist; configure it with wg(8), then set the link up.

It ends on SIGTERM, SIGINT or SIGHUP, when the link is deleted, and when its control
socket %[1]s/INTERFACE-NAME.sock is removed.

How the work is done is chosen for this machine. To choose yourself:
  --cpu CHOICE       of the implementations that ` + "`--cpu list`" + ` shows: "generic",
                     or by job, as in "aead=avx2,checksum=generic"
  --lanes N          queues of the interface, and sockets per family: 1 to %[2]d
  --nice N           priority of the process, -20 (most urgent) to 19: packets
                     wait less for programs, and programs longer for packets
  --plan PLAN        inline: a lane does all of its work on one thread;
                     pipelined: handing over to the system has another
  --without LIST     do without offload (TUN super-packets), segment and coalesce
                     (UDP segmentation and its reverse), or steer (a socket of
                     its own for handshakes), to find out what is at fault

Environment:
  LOG_LEVEL=verbose|error|silent   how much to log, and to stdout also in the
                                   background; unset: errors, and in the
                                   background to the journal or syslog
  WG_PROCESS_FOREGROUND=1          same as -f
  WG_TUN_FD=N                      use the open TUN descriptor N
  WG_UAPI_FD=N                     use the listening unix socket N
`

// Main runs the command. Program is the name it was called by, args what
// follows it; the result is the exit code.
func Main(program string, args []string, version string) int {
	s, err := parse(args, os.Getenv)
	switch {
	case errors.Is(err, errHelp):
		fmt.Printf(usage, program)
		fmt.Printf(help, stateDir, maxLanes)
		return 0
	case errors.Is(err, errVersion):
		fmt.Print(versionText(version))
		return 0
	case errors.Is(err, errList):
		listImplementations(os.Stdout)
		return 0
	case errors.As(err, new(usageError)):
		fmt.Fprintf(os.Stderr, "%s: %v\n", program, err)
		fmt.Fprintf(os.Stderr, usage, program)
		return 1
	case err != nil:
		complain(os.Stderr, program, err)
		return 1
	}
	forgetEnvironment()
	if err := run(s, version); err != nil {
		// In the background stderr may be nobody's: the one who waits is told
		// through the pipe, and repeats it where the user is.
		if s.background() {
			tell(s.readyFD, err)
		}
		complain(os.Stderr, program, err)
		return 1
	}
	return 0
}

func versionText(version string) string {
	return fmt.Sprintf("warren %s\n\nA WireGuard implementation. Licence: MIT.\n"+
		"\"WireGuard\" is a registered trademark of Jason A. Donenfeld.\n", version)
}

// complain prints an error and, if there is one, the way out.
func complain(w io.Writer, program string, err error) {
	fmt.Fprintf(w, "%s: %v\n", program, err)
	if h := hint(err); h != "" {
		fmt.Fprintf(w, "hint: %s\n", h)
	}
}

// run opens the interface and the control socket, then serves them here or
// hands them to a child in the background.
func run(s *settings, version string) error {
	// A broken pipe on stdout is a lost log line, not the end of a tunnel.
	signal.Ignore(syscall.SIGPIPE)

	link, err := openLink(s)
	if err != nil {
		return err
	}
	name := link.Name()
	socket, err := openSocket(s, name)
	if err != nil {
		return errors.Join(err, link.Close())
	}
	if !s.foreground {
		return launch(s, link, socket)
	}
	if err := s.prioritise(s.background()); err != nil {
		return errors.Join(err, socket.Close(), link.Close())
	}
	log, place := newLog(s, name, os.Stdout)
	if s.background() && !s.keepOutput {
		defer catchCrash(name)()
	}
	ctx, stop := signal.NotifyContext(context.Background(), endings()...)
	defer stop()
	log.Info("starting", "version", version, "log", place)
	err = serve(ctx, &s.tuning, link, socket, log, func() error { return ready(s) })
	if err != nil {
		log.Error("ended", "error", err)
		return err
	}
	log.Info("ended")
	return nil
}

// endings are the signals that end a device. A terminal that closes is one,
// unless nohup keeps us from hearing of it.
func endings() []os.Signal {
	all := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) {
		all = append(all, syscall.SIGHUP)
	}
	return all
}

// ready tells whoever waits for it that the device works.
func ready(s *settings) error {
	notifySupervisor()
	if !s.background() {
		return nil
	}
	return tell(s.readyFD, nil)
}
