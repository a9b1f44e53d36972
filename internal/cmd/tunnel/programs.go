package tunnel

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
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

// endWithin waits for a program and kills it, with what it has started and not
// put into a session of its own, when that takes too long.
func endWithin(d time.Duration, cmd *exec.Cmd, ended <-chan error) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case err := <-ended:
		return err
	case <-timer.C:
		killGroup(cmd)
		return <-ended
	}
}

// without returns an environment less some variables.
func without(environ, names []string) []string {
	var kept []string
	for _, kv := range environ {
		name, _, _ := strings.Cut(kv, "=")
		if !slices.Contains(names, name) {
			kept = append(kept, kv)
		}
	}
	return kept
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

// statusOf is what a shell calls the exit status.
func statusOf(exit *exec.ExitError) int {
	if ws, ok := exit.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return 128 + int(ws.Signal())
	}
	return exit.ExitCode()
}
