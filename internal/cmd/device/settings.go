package device

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
)

// Environment variables. The first four are those of wireguard-go; the others
// pass between the starting process and the daemon alone.
const (
	envLogLevel   = "LOG_LEVEL"
	envForeground = "WG_PROCESS_FOREGROUND"
	envTUN        = "WG_TUN_FD"
	envUAPI       = "WG_UAPI_FD"
	envReady      = "WARREN_READY_FD"
	envQueues     = "WARREN_TUN_QUEUE_FDS"
)

// maxName is the longest name of an interface (IFNAMSIZ less its zero byte).
const maxName = 15

// settings is what the command line and the environment ask for.
type settings struct {
	name       string // of the interface; the kernel may expand a pattern such as wg%d
	foreground bool
	log        verbosity
	keepOutput bool  // the background process keeps stdout and stderr
	tunFDs     []int // queues of an open TUN; none: create one
	uapiFD     int   // listening socket; -1: create one
	readyFD    int   // where to report to the starting process; -1: nowhere
	tuning
}

// background reports whether this is the process that another one started and
// waits for.
func (s *settings) background() bool { return s.readyFD >= 0 }

// verbosity is what LOG_LEVEL asks for.
type verbosity int

const (
	errorsOnly verbosity = iota
	everything
	silent
)

var (
	errHelp    = errors.New("help")
	errVersion = errors.New("version")
)

// usageError is a command line that cannot be meant.
type usageError string

func (e usageError) Error() string { return string(e) }

// parse reads arguments and environment. errHelp and errVersion ask for a text;
// any other error says what is wrong.
func parse(args []string, getenv func(string) string) (*settings, error) {
	s := &settings{uapiFD: -1, readyFD: -1}
	var names []string
	for i := 0; i < len(args); i++ {
		a := args[i]
		option, value, attached := strings.Cut(a, "=")
		switch {
		case takesValue(option):
			if !attached {
				if i++; i == len(args) {
					return nil, usageError(fmt.Sprintf("%s wants a value", option))
				}
				value = args[i]
			}
			if err := s.set(option, value); err != nil {
				return nil, err
			}
		case a == "-f" || a == "--foreground":
			s.foreground = true
		case a == "-h" || a == "--help":
			return nil, errHelp
		case a == "--version":
			return nil, errVersion
		case a == "--":
			names = append(names, args[i+1:]...)
		case strings.HasPrefix(a, "-"):
			return nil, usageError(fmt.Sprintf("there is no option %q", a))
		default:
			names = append(names, a)
			continue
		}
		if a == "--" {
			break
		}
	}
	if len(names) != 1 {
		return nil, usageError(fmt.Sprintf("want one interface name, got %d", len(names)))
	}
	s.name = names[0]
	if err := checkName(s.name); err != nil {
		return nil, err
	}
	return s, s.readEnvironment(getenv)
}

func checkName(name string) error {
	switch {
	case name == "":
		return errors.New("the interface name is empty")
	case len(name) > maxName:
		return fmt.Errorf("the interface name %q has %d characters, and at most %d are possible", name, len(name), maxName)
	case name == "." || name == ".." || strings.ContainsAny(name, "/:") || strings.ContainsFunc(name, isSpaceOrControl):
		return fmt.Errorf("the interface name %q is not possible: it has a slash, colon or space, or is a dot or two", name)
	case runtime.GOOS == "linux" && (name == "all" || name == "default"):
		return fmt.Errorf("the interface name %q is not possible: the kernel has other uses for it", name)
	case strings.Contains(strings.Replace(name, "%d", "", 1), "%"):
		return fmt.Errorf("the interface name %q is not possible: %%d may stand for a number, once, and %% for nothing else", name)
	}
	return nil
}

func isSpaceOrControl(r rune) bool { return r <= ' ' || r == 0x7f }

func (s *settings) readEnvironment(getenv func(string) string) error {
	switch level := getenv(envLogLevel); level {
	case "verbose", "debug":
		s.log, s.keepOutput = everything, true
	case "silent":
		s.log = silent
	default:
		s.log, s.keepOutput = errorsOnly, level != ""
	}
	if getenv(envForeground) == "1" {
		s.foreground = true
	}
	var err error
	if v := getenv(envTUN); v != "" {
		s.tunFDs, err = descriptors(envTUN, v)
	}
	if v := getenv(envQueues); v != "" && err == nil {
		var more []int
		more, err = descriptors(envQueues, v)
		s.tunFDs = append(s.tunFDs, more...)
	}
	if v := getenv(envUAPI); v != "" && err == nil {
		s.uapiFD, err = descriptor(envUAPI, v)
	}
	if v := getenv(envReady); v != "" && err == nil {
		s.readyFD, err = descriptor(envReady, v)
	}
	return err
}

func descriptors(name, list string) ([]int, error) {
	var fds []int
	for _, v := range strings.Split(list, ",") {
		fd, err := descriptor(name, v)
		if err != nil {
			return nil, err
		}
		fds = append(fds, fd)
	}
	return fds, nil
}

func descriptor(name, v string) (int, error) {
	n, err := strconv.ParseUint(v, 10, 31)
	if err != nil {
		return 0, fmt.Errorf("%s=%s: want the number of an open descriptor", name, v)
	}
	return int(n), nil
}

// childEnvironment is ours with the variables for the background process.
func childEnvironment(environ []string, queues int) []string {
	own := map[string]bool{envForeground: true, envTUN: true, envUAPI: true, envReady: true, envQueues: true}
	var env []string
	for _, kv := range environ {
		if name, _, _ := strings.Cut(kv, "="); !own[name] {
			env = append(env, kv)
		}
	}
	env = append(env,
		envForeground+"=1",
		envTUN+"="+strconv.Itoa(childTUN),
		envUAPI+"="+strconv.Itoa(childUAPI),
		envReady+"="+strconv.Itoa(childReady))
	if queues > 1 {
		var fds []string
		for i := range queues - 1 {
			fds = append(fds, strconv.Itoa(childQueues+i))
		}
		env = append(env, envQueues+"="+strings.Join(fds, ","))
	}
	return env
}

// The descriptors of the background process.
const (
	childTUN    = 3
	childUAPI   = 4
	childReady  = 5
	childQueues = 6
)

// forgetEnvironment removes the variables that concern this process alone, so
// that no program started later inherits them.
func forgetEnvironment() {
	for _, name := range []string{envForeground, envTUN, envUAPI, envReady, envQueues} {
		_ = os.Unsetenv(name)
	}
}
