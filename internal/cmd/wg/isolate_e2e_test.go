//go:build linux && e2e

package wg

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"

	"github.com/warrenvpn/warren/uapi"
)

func init() { isolate = ownSockets }

// ownSockets runs the tests again in a mount namespace with an empty directory
// of control sockets: what `wg show` lists is then ours alone, and none of the
// machine's interfaces is touched.
func ownSockets() {
	const inside = "WARREN_TEST_ISOLATED"
	if os.Geteuid() != 0 {
		return // each test says that it needs root
	}
	if os.Getenv(inside) == "" {
		runtime.LockOSThread() // the thread whose death ends the child
		cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
		cmd.Args[0] = os.Args[0]
		cmd.Env = append(os.Environ(), inside+"=1")
		cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
		cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
		_ = cmd.Run()
		os.Exit(cmd.ProcessState.ExitCode())
	}
	for _, step := range []func() error{
		func() error { return syscall.Mount("none", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, "") },
		func() error { return os.MkdirAll(uapi.Dir, 0o755) },
		func() error { return syscall.Mount("tmpfs", uapi.Dir, "tmpfs", 0, "mode=755") },
	} {
		if err := step(); err != nil {
			fmt.Fprintln(os.Stderr, "control sockets of our own:", err)
			os.Exit(1)
		}
	}
}
