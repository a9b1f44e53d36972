//go:build unix

package device

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
)

// The starting process hears one of these first on the pipe; after the second
// follows the text of an error.
const (
	saysReady  = '+'
	saysFailed = '-'
)

// spawn starts this program again in the background with the queues of a TUN
// and the control socket, and returns when it has said that it works. The
// caller's own copies of the descriptors are its to close.
func spawn(s *settings, queues []*os.File, socket *os.File) error {
	exe, err := os.Executable()
	if err != nil {
		return fmt.Errorf("start in the background: %w", err)
	}
	hear, say, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("start in the background: %w", err)
	}
	defer hear.Close()
	cmd := &exec.Cmd{
		Path:        exe,
		Args:        os.Args,
		Env:         childEnvironment(os.Environ(), len(queues)),
		ExtraFiles:  append([]*os.File{queues[0], socket, say}, queues[1:]...),
		SysProcAttr: &syscall.SysProcAttr{Setsid: true},
	}
	if s.keepOutput {
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	}
	keepToOurselves()
	err = cmd.Start()
	_ = say.Close()
	if err != nil {
		return fmt.Errorf("start in the background: %w", err)
	}
	said, _ := io.ReadAll(hear)
	if len(said) > 0 && said[0] == saysReady {
		return cmd.Process.Release()
	}
	// It says why, or it died without a word.
	err = cmd.Wait()
	if text := strings.TrimPrefix(string(said), string(saysFailed)); text != "" {
		return errors.New(text)
	}
	if err == nil {
		err = errors.New("it ended")
	}
	return fmt.Errorf("the background process died before it was ready: %w", err)
}

// tell reports to the starting process: nil for ready, else what went wrong.
// Nobody hearing is an error, since then nobody wants the interface.
func tell(fd int, problem error) error {
	pipe := os.NewFile(uintptr(fd), "ready")
	if pipe == nil {
		return fmt.Errorf("%s=%d: not an open descriptor", envReady, fd)
	}
	defer pipe.Close()
	text := string(saysReady)
	if problem != nil {
		text = string(saysFailed) + problem.Error()
		if h := hint(problem); h != "" {
			text += "\nhint: " + h
		}
	}
	if _, err := pipe.WriteString(text); err != nil {
		return fmt.Errorf("report to the starting process: %w", err)
	}
	return nil
}
