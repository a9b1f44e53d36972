package tunnel

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
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
// background. Ctrl-C is kept from it: an interface is made or is not. But it
// ends with this process: then nobody is left who could want the interface.
func makeLink(ctx context.Context, c *quick.Config) error {
	argv, called, err := maker(c.Name)
	if err != nil {
		return err
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if c.Compat {
		cmd.Stdout = os.Stdout
	}
	cmd.Env = without(os.Environ(), makers)
	ownGroup(cmd)
	// The kernel takes the end of the thread that starts it for ours.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
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
	case !errors.As(err, &exit):
		return fmt.Errorf("%s: %w", called, err)
	case os.Getenv(programEnv) == "" && exit.ExitCode() == 1:
		return errSaid // this program says why it fails
	}
	return &StatusError{Status: statusOf(exit), Err: fmt.Errorf("%s: %w", called, err)}
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

// StatusError is a program that failed.
type StatusError struct {
	Status int // its exit status
	Err    error
}

// Error says what Err says.
func (e *StatusError) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *StatusError) Unwrap() error { return e.Err }

// bashHook gives a hook what it has under wg-quick: it stops at the first
// failing command, may use extended patterns, sees what the file says, and finds
// the functions cmd and die. Where no wg can be found, this program is.
const bashHook = `set -e -o pipefail
shopt -s extglob
cmd() { printf '[#] %s\n' "$*" >&2; "$@"; }
die() { printf '%s: %s\n' "$PROGRAM" "$*" >&2; exit 1; }
command -v wg >/dev/null || wg() { "$WARREN" wg "$@"; }
hook=$1
shift
eval "$hook"`

// shHook is the same for a host without bash.
const shHook = `set -e
hook=$1
shift
eval "$hook"`

// variables returns the lines of bash that tell hooks what the file says, as
// wg-quick's own variables.
func variables(c *quick.Config) string {
	var b strings.Builder
	value := func(name, s string) { fmt.Fprintf(&b, "%s=%s\n", name, quote(s)) }
	list := func(name string, all []string) {
		b.WriteString(name + "=(")
		for _, s := range all {
			b.WriteString(" " + quote(s))
		}
		b.WriteString(" )\n")
	}
	servers := make([]string, len(c.Servers))
	for i, s := range c.Servers {
		servers[i] = s.String()
	}
	mtu := ""
	if c.MTU.Value != 0 {
		mtu = strconv.Itoa(c.MTU.Value)
	}
	program := "warren"
	if c.Compat {
		program = "wg-quick"
	}
	value("PROGRAM", program)
	value("INTERFACE", c.Name)
	value("CONFIG_FILE", configFile(c))
	list("ADDRESSES", c.AddressTexts)
	value("MTU", mtu)
	list("DNS", servers)
	list("DNS_SEARCH", c.Search)
	value("TABLE", c.Table.Value)
	value("SAVE_CONFIG", map[bool]string{true: "1", false: "0"}[c.SaveConfig.Value])
	for _, key := range []struct{ name, key string }{
		{"PRE_UP", "PreUp"}, {"POST_UP", "PostUp"}, {"PRE_DOWN", "PreDown"}, {"POST_DOWN", "PostDown"},
	} {
		list(key.name, c.Commands(key.key))
	}
	return b.String()
}

func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// configFile is the path of the file for hooks: absolute and without links.
func configFile(c *quick.Config) string {
	if c.File != "" {
		return c.File
	}
	if file, err := filepath.Abs(c.Path); err == nil {
		return file
	}
	return c.Path
}

// runHook runs one hook and waits for it. It is asked to end when ctx ends.
func runHook(ctx context.Context, c *quick.Config, s quick.Step) error {
	shell, script, err := findShell()
	if err != nil {
		return err
	}
	if script == bashHook {
		script = variables(c) + script
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
	if shell, err = LookUp("bash"); err == nil {
		return shell, bashHook, nil
	}
	if shell, err = LookUp("sh"); err == nil {
		fmt.Fprintln(os.Stderr, "[!] There is no bash, which hooks are written for: sh runs them.")
		return shell, shHook, nil
	}
	return "", "", &quick.Problem{Text: "there is no shell to run hooks with", Hint: "install bash", Err: err}
}

// usualPath is where programs are looked for if the environment does not say.
const usualPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// searchDirs are the directories in which programs are looked for: this
// program's own comes first, as with wg-quick.
func searchDirs() []string {
	path := os.Getenv("PATH")
	if path == "" {
		path = usualPath
	}
	dirs := filepath.SplitList(path)
	if self, err := os.Executable(); err == nil {
		dirs = append([]string{filepath.Dir(self)}, dirs...)
	}
	return dirs
}

// LookUp finds a program, also where there is no PATH.
func LookUp(program string) (file string, err error) {
	for _, dir := range searchDirs() {
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
	return &HookError{Key: key, Status: statusOf(exit)}
}

// statusOf is what a shell calls the exit status.
func statusOf(exit *exec.ExitError) int {
	if ws, ok := exit.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return 128 + int(ws.Signal())
	}
	return exit.ExitCode()
}

// hookEnvironment is ours with what hooks rely on: messages of programs in
// English, programs beside this one found first, wg and wg-quick found in any
// case, and what the tunnel is.
func hookEnvironment(c *quick.Config) []string {
	env := without(os.Environ(), []string{"PATH", "LC_ALL", "INTERFACE", "WG_INTERFACE", "CONFIG_FILE"})
	dirs := searchDirs()
	if self, err := os.Executable(); err == nil {
		env = append(env, "WARREN="+self)
		if dir := tools(self); dir != "" {
			dirs = append(dirs, dir)
		}
	}
	return append(env, "PATH="+strings.Join(dirs, string(os.PathListSeparator)), "LC_ALL=C",
		"INTERFACE="+c.Name, "WG_INTERFACE="+c.Name, "CONFIG_FILE="+configFile(c))
}

// tools returns a directory in which hooks find wg and wg-quick, if the host
// has one of them nowhere else.
func tools(self string) string {
	dir := filepath.Join(stateDir, "bin")
	needed := false
	for _, name := range [...]string{"wg", "wg-quick"} {
		if _, err := LookUp(name); err == nil {
			continue
		}
		needed = true
		link := filepath.Join(dir, name)
		if to, err := os.Readlink(link); err == nil && to == self {
			continue
		}
		_ = os.MkdirAll(stateDir, 0o700)
		_ = os.Mkdir(dir, 0o755)
		_ = os.Remove(link)
		if err := os.Symlink(self, link); err != nil {
			return "" // hooks still have a function
		}
	}
	if !needed {
		return ""
	}
	return dir
}
