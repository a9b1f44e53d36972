//go:build unix && !linux

package tunnel

import (
	"os/exec"
	"syscall"
)

// ownGroup keeps the terminal's signals from a program.
func ownGroup(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }
