//go:build linux && e2e

package complete

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"

	"github.com/warrenvpn/warren/uapi"
)

// TestMain runs the tests again in a mount namespace with empty directories of
// control sockets and configuration files, so that what shells offer is ours.
func TestMain(m *testing.M) {
	const inside = "WARREN_TEST_ISOLATED"
	if os.Geteuid() == 0 && os.Getenv(inside) == "" {
		runtime.LockOSThread() // the thread whose death ends the child
		cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
		cmd.Args[0] = os.Args[0]
		cmd.Env = append(os.Environ(), inside+"=1")
		cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
		cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
		_ = cmd.Run()
		os.Exit(cmd.ProcessState.ExitCode())
	}
	if os.Geteuid() == 0 {
		if err := ownDirectories(); err != nil {
			fmt.Fprintln(os.Stderr, "directories of our own:", err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

func ownDirectories() error {
	if err := syscall.Mount("none", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return err
	}
	for _, dir := range []string{uapi.Dir, configDir} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "mode=755"); err != nil {
			return err
		}
	}
	return nil
}
