package hostnet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// iptables is only spoken to where nftables is missing, and to remove what
// wg-quick left with it. There is no interface to it but its programs: which of
// its two implementations is in use is their secret.

// The programs' names begin with these.
const (
	iptables  = "iptables"
	ip6tables = "ip6tables"
)

// programTime is how long one of them may take, and lockWait, in seconds, how
// long of that it waits for others that change rules.
const (
	programTime = 30 * time.Second
	lockWait    = "10"
)

// systemDirs are where the programs are: not every PATH names them, that of
// cron does not.
var systemDirs = []string{"/usr/local/sbin", "/usr/sbin", "/sbin"}

// findProgram looks in PATH, and then where programs for root are.
func findProgram(name string) (string, error) {
	file, err := exec.LookPath(name)
	if err == nil {
		return file, nil
	}
	for _, dir := range systemDirs {
		if file, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return file, nil
		}
	}
	return "", err
}

// runProgram runs a program and returns what it prints to stdout. The error has
// what it prints to stderr.
func runProgram(input, name string, args ...string) (string, error) {
	file, err := findProgram(name)
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(context.Background(), programTime)
	defer cancel()
	c := exec.CommandContext(ctx, file, args...)
	c.Stdin = strings.NewReader(input)
	var out, problem bytes.Buffer
	c.Stdout, c.Stderr = &out, &problem
	c.WaitDelay = time.Second
	// It finds the modules' loader, and speaks English.
	c.Env = append(os.Environ(), "PATH="+os.Getenv("PATH")+":"+strings.Join(systemDirs, ":"), "LC_ALL=C")
	err = c.Run()
	switch {
	case err == nil:
		return out.String(), nil
	case ctx.Err() != nil:
		return "", fmt.Errorf("%s: no end after %v", name, programTime)
	}
	return "", fmt.Errorf("%s: %w: %s", name, err, strings.TrimSpace(problem.String()))
}

// addIPTables puts the rules in place of those the interface has.
func addIPTables(a AntiLeak) error {
	program := iptables
	if a.Family == 6 {
		program = ip6tables
	}
	saved, err := runProgram("", program+"-save")
	if err != nil {
		return err
	}
	return restore(program, iptablesDelete(saved, a.Interface)+iptablesAdd(a))
}

// removeIPTables deletes the rules that carry the comment of an interface.
// Where the programs are missing or find nothing in this kernel, there are none.
func removeIPTables(link string) error {
	var failed []error
	for _, program := range []string{iptables, ip6tables} {
		saved, err := runProgram("", program+"-save")
		if err != nil {
			continue
		}
		if rules := iptablesDelete(saved, link); rules != "" {
			failed = append(failed, restore(program, rules))
		}
	}
	return errors.Join(failed...)
}

// restore carries rules out beside those that are there. It waits for others
// that do the like; versions before 1.6.2 cannot.
func restore(program, rules string) error {
	_, err := runProgram(rules, program+"-restore", "-w", lockWait, "-n")
	if err != nil && strings.Contains(err.Error(), "invalid option") {
		_, err = runProgram(rules, program+"-restore", "-n")
	}
	return err
}
