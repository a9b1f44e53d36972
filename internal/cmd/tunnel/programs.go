package tunnel

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/warrenvpn/warren/internal/quick"
)

// programEnv names a program that makes interfaces in the place of this one.
const programEnv = "WG_QUICK_USERSPACE_IMPLEMENTATION"

// makers are variables that would turn a device into something else than a new
// one in the background.
var makers = []string{"WG_PROCESS_FOREGROUND", "WG_TUN_FD", "WG_UAPI_FD"}

// grace is how long a program that makes an interface may go on after the user
// asked to stop: it is quick, and half an interface is worse than a late end.
const grace = 5 * time.Second

// maker returns the command that makes an interface, and what to call it.
func maker(name string) (argv []string, called string, err error) {
	if p := os.Getenv(programEnv); p != "" {
		return []string{p, name}, p, nil
	}
	self, err := os.Executable()
	if err != nil {
		return nil, "", fmt.Errorf("find this program: %w", err)
	}
	return []string{self, "device", "--", name}, "warren device", nil
}

// makeLink runs the program that makes an interface and goes on in the
// background. Ctrl-C is kept from it: an interface is made or is not.
func makeLink(ctx context.Context, name string) error {
	argv, called, err := maker(name)
	if err != nil {
		return err
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	cmd.Env = without(os.Environ(), makers)
	ownGroup(cmd)
	if err := cmd.Start(); err != nil {
		return &quick.Problem{Text: fmt.Sprintf("start %s: %v", called, err), Hint: hintForMaker(), Err: err}
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case err = <-ended:
	case <-ctx.Done():
		err = endWithin(grace, cmd, ended)
	}
	var exit *exec.ExitError
	switch {
	case err == nil:
		return nil
	case os.Getenv(programEnv) == "" && errors.As(err, &exit) && exit.ExitCode() == 1:
		return errSaid // this program says why it fails
	}
	return fmt.Errorf("%s: %w", called, err)
}

// errSaid is a failure that the user has been told of. It adds no line.
var errSaid = errors.New("")

func hintForMaker() string {
	if os.Getenv(programEnv) == "" {
		return ""
	}
	return programEnv + " names the program; without it, this one is used"
}

// endWithin waits for a program and kills it when that takes too long.
func endWithin(d time.Duration, cmd *exec.Cmd, ended <-chan error) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case err := <-ended:
		return err
	case <-timer.C:
		_ = cmd.Process.Kill()
		return <-ended
	}
}

// without returns an environment less some variables.
func without(environ, names []string) []string {
	var kept []string
	for _, kv := range environ {
		name, _, _ := strings.Cut(kv, "=")
		if !contains(names, name) {
			kept = append(kept, kv)
		}
	}
	return kept
}

func contains(all []string, s string) bool {
	for _, a := range all {
		if a == s {
			return true
		}
	}
	return false
}

// HookError is a hook that failed.
type HookError struct {
	Key    string // PostUp
	Status int    // what a shell would call its exit status
}

// Error says which hook failed and how.
func (e *HookError) Error() string {
	return fmt.Sprintf("the %s command failed with status %d", e.Key, e.Status)
}

// bashHook gives a hook what it has under wg-quick: it stops at the first
// failing command, may use extended patterns, and finds the functions cmd and
// die. Where no wg is installed, this program is.
const bashHook = `set -e -o pipefail
shopt -s extglob
cmd() { printf '[#] %s\n' "$*" >&2; "$@"; }
die() { printf 'warren: %s\n' "$*" >&2; exit 1; }
command -v wg >/dev/null || wg() { "$WARREN" wg "$@"; }
hook=$1
shift
eval "$hook"`

// shHook is the same for a host without bash.
const shHook = `set -e
hook=$1
shift
eval "$hook"`

// runHook runs one hook and waits for it. It is asked to end when ctx ends.
func runHook(ctx context.Context, c *quick.Config, s quick.Step) error {
	shell, script, err := findShell()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, shell, "-c", script, filepath.Base(shell), s.Text)
	// The user's own files: a hook may ask a question, and a program that it
	// leaves in the background does not keep us waiting.
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = grace
	cmd.Env = hookEnvironment(c)
	return hookResult(s.Key, cmd.Run())
}

// findShell prefers bash, which hooks are written for.
func findShell() (shell, script string, err error) {
	if shell, err = lookUp("bash"); err == nil {
		return shell, bashHook, nil
	}
	if shell, err = lookUp("sh"); err == nil {
		fmt.Fprintln(os.Stderr, "[!] There is no bash, which hooks are written for: sh runs them.")
		return shell, shHook, nil
	}
	return "", "", &quick.Problem{Text: "there is no shell to run hooks with", Hint: "install bash", Err: err}
}

// usualPath is where programs are looked for if the environment does not say.
const usualPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

func searchPath() string {
	if p := os.Getenv("PATH"); p != "" {
		return p
	}
	return usualPath
}

// lookUp finds a program, also where there is no PATH.
func lookUp(program string) (file string, err error) {
	for _, dir := range filepath.SplitList(searchPath()) {
		if file, err = exec.LookPath(filepath.Join(dir, program)); err == nil && filepath.IsAbs(file) {
			return file, nil
		}
	}
	return "", exec.ErrNotFound
}

func hookResult(key string, err error) error {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return err
	}
	status := exit.ExitCode()
	if ws, ok := exit.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		status = 128 + int(ws.Signal())
	}
	return &HookError{Key: key, Status: status}
}

// hookEnvironment is ours with what hooks rely on: messages of programs in
// English, programs beside this one found first, and what the tunnel is.
func hookEnvironment(c *quick.Config) []string {
	env := without(os.Environ(), []string{"PATH", "LC_ALL"})
	path := searchPath()
	if self, err := os.Executable(); err == nil {
		path = filepath.Dir(self) + string(os.PathListSeparator) + path
		env = append(env, "WARREN="+self)
	}
	file, err := filepath.Abs(c.Path)
	if err != nil {
		file = c.Path
	}
	return append(env, "PATH="+path, "LC_ALL=C", "INTERFACE="+c.Name, "WG_INTERFACE="+c.Name, "CONFIG_FILE="+file)
}
