package tunnel

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"github.com/warrenvpn/warren/internal/quick"
)

// HookError is a hook that failed.
type HookError struct {
	Key    string // PostUp
	Status int    // what a shell would call its exit status
}

// Error says which hook failed and how.
func (e *HookError) Error() string {
	return fmt.Sprintf("the %s command failed with status %d", e.Key, e.Status)
}

// A hook's text may hold a secret, and any user may read the arguments of any
// process. So the shell is given its script, and the hook in it, through a
// descriptor, which it closes before the hook runs. It is not stdin: that is
// the user's.

// scriptFD is the descriptor, the first of exec.Cmd.ExtraFiles.
const scriptFD = "3"

// readScript is all that stands in the shell's arguments.
func readScript() string {
	dir := "/dev/fd/"
	if runtime.GOOS == "linux" {
		dir = "/proc/self/fd/" // where that only leads, if it is there
	}
	return ". " + dir + scriptFD
}

// bashHook gives a hook what it has under wg-quick: it stops at the first
// failing command, may use extended patterns, sees what the file says, and finds
// the functions cmd and die. Where no wg can be found, this program is.
const bashHook = `set -e -o pipefail
shopt -s extglob
cmd() { printf '[#] %s\n' "$*" >&2; "$@"; }
die() { printf '%s: %s\n' "$PROGRAM" "$*" >&2; exit 1; }
command -v wg >/dev/null || wg() { "$WARREN" wg "$@"; }
`

// shHook is the same for a host without bash.
const shHook = "set -e\n"

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

// scriptOf returns what the shell reads. The hook is evaluated last, and apart:
// what is wrong in it ends nothing else, and patterns are extended by then.
func scriptOf(c *quick.Config, bash bool, hook string) string {
	const closing, last = "exec " + scriptFD + "<&-\n", "\n"
	if bash {
		return closing + variables(c) + bashHook + "eval " + quote(hook) + last
	}
	return closing + shHook + "eval " + quote(hook) + last
}

// runHook runs one hook and waits for it. It is asked to end when ctx ends.
func runHook(ctx context.Context, c *quick.Config, s quick.Step) error {
	shell, bash, err := findShell()
	if err != nil {
		return err
	}
	script, write, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("%s: %w", s.Key, err)
	}
	cmd := exec.CommandContext(ctx, shell, "-c", readScript(), filepath.Base(shell))
	// The user's own files: a hook may ask a question, and a program that it
	// leaves in the background does not keep us waiting.
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.ExtraFiles = []*os.File{script}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = grace
	cmd.Env = hookEnvironment(c)
	err = cmd.Start()
	_ = script.Close() // so that a shell that dies early ends the writing
	if err != nil {
		return errors.Join(err, write.Close())
	}
	written := make(chan struct{})
	go func() {
		defer close(written)
		_, _ = io.WriteString(write, scriptOf(c, bash, s.Text)) // the shell's status says whether it came
		_ = write.Close()
	}()
	err = cmd.Wait()
	<-written
	return hookResult(s.Key, err)
}

// findShell prefers bash, which hooks are written for.
func findShell() (shell string, bash bool, err error) {
	if shell, err = LookUp("bash"); err == nil {
		return shell, true, nil
	}
	if shell, err = LookUp("sh"); err == nil {
		fmt.Fprintln(os.Stderr, "[!] There is no bash, which hooks are written for: sh runs them.")
		return shell, false, nil
	}
	return "", false, &quick.Problem{Text: "there is no shell to run hooks with", Hint: "install bash", Err: err}
}

func hookResult(key string, err error) error {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return err
	}
	return &HookError{Key: key, Status: statusOf(exit)}
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
