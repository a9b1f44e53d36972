package tunnel

import (
	"os/exec"
	"syscall"
)

// ownGroup keeps the terminal's signals from a program, and ends it with the
// thread that starts it.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
