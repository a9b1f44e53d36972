//go:build unix

package tunnel

import (
	"os/exec"
	"syscall"
)

// killGroup ends a program and all of its group, which ownGroup made.
func killGroup(cmd *exec.Cmd) {
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	_ = cmd.Process.Kill()
}
