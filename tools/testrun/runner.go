package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"
)

// shownLines and shownWidth are how much of one failure goes to the terminal.
const (
	shownLines = 60
	shownWidth = 300
)

// runner carries out the commands of one group and keeps its score.
type runner struct {
	ctx      context.Context
	log      io.Writer
	tally    tally
	failures []string // ready to print
	note     string   // shown at the end of the group's line
}

// command prepares a command whose children die with it when the run is
// interrupted: it gets SIGINT first, so that tests can clean up.
func (r *runner) command(env []string, dir, name string, args ...string) *exec.Cmd {
	fmt.Fprintf(r.log, "\n$ %s\n", narrow(strings.Join(slices.Concat(env, []string{name}, args), " ")))
	c := exec.CommandContext(r.ctx, name, args...)
	c.Dir = dir
	c.Env = append(os.Environ(), env...)
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.Cancel = func() error { return syscall.Kill(-c.Process.Pid, syscall.SIGINT) }
	c.WaitDelay = 15 * time.Second
	return c
}

// check runs one command that counts as one test: it passes when it exits 0
// and, with quiet, prints nothing.
func (r *runner) check(title string, quiet bool, env []string, name string, args ...string) bool {
	var out bytes.Buffer
	c := r.command(env, "", name, args...)
	c.Stdout, c.Stderr = &out, &out
	err := c.Run()
	_, _ = r.log.Write(out.Bytes())
	if err == nil && quiet && out.Len() > 0 {
		err = fmt.Errorf("it should print nothing")
	}
	if err != nil {
		r.fail(title, fmt.Sprintf("%s%v", out.String(), err))
		return false
	}
	r.tally.passed++
	return true
}

// fail counts one failed test and keeps its output for the terminal.
func (r *runner) fail(title, output string) {
	r.tally.failed++
	fmt.Fprintf(r.log, "FAILED %s\n", title)
	lines := strings.Split(strings.TrimRight(output, "\n"), "\n")
	if n := len(lines) - shownLines; n > 0 {
		lines = append([]string{fmt.Sprintf("(%d more lines above)", n)}, lines[n:]...)
	}
	for i, l := range lines {
		lines[i] = narrow(l)
	}
	r.failures = append(r.failures, fmt.Sprintf("  FAILED %s\n    | %s\n", title, strings.Join(lines, "\n    | ")))
}

// narrow cuts a line that is too long to read.
func narrow(l string) string {
	if len(l) <= shownWidth {
		return l
	}
	return fmt.Sprintf("%s... (%d more characters)", l[:shownWidth], len(l)-shownWidth)
}
