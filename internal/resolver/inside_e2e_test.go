//go:build linux && e2e

package resolver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// insideEnv is set in the process that runs a test's body, killEnv in one that
// makes a change and kills itself before a step: "step set wg0" say.
const (
	insideEnv = "WARREN_TEST_INSIDE"
	killEnv   = "WARREN_TEST_KILL"
)

// TestMain is also the process that is killed.
func TestMain(m *testing.M) {
	if order := os.Getenv(killEnv); order != "" {
		changeAndDie(strings.Fields(order))
	}
	os.Exit(m.Run())
}

// changeAndDie makes a change of this host's file with the real environment. Its
// status is 0 if it came to the end.
func changeAndDie(order []string) {
	left, _ := strconv.Atoi(order[0])
	n := int(order[2][2] - '0')
	env := Environment{LinkExists: func(string) bool { return true }}
	env.crash = func(string) error {
		if left--; left < 0 {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
		return nil
	}
	var err error
	if b := (&file{env: env}); order[1] == "set" {
		err = b.Set(context.Background(), wg(n))
	} else {
		err = b.Unset(context.Background(), name(n))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// killed makes a change in a process that is killed before a step. It reports
// false if the change was over before.
func killed(t *testing.T, step int, change string) bool {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d %s", killEnv, step, change))
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return false
	case errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL:
		return true
	}
	t.Fatalf("%s: %v\n%s", change, err, out)
	return false
}

// isolated makes a test run in a process of its own, alone in new network, mount
// and process namespaces, with an empty /run and an /etc whose changes are seen
// nowhere else. It reports whether this is that process.
func isolated(t *testing.T) bool {
	t.Helper()
	if os.Getenv(insideEnv) == t.Name() {
		must(t, unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""))
		must(t, unix.Mount("proc", "/proc", "proc", 0, ""))
		must(t, unix.Mount("run", "/run", "tmpfs", 0, "mode=0755"))
		overlay(t, "/etc")
		must(t, os.RemoveAll(resolvConf))
		return true
	}
	cmd := exec.Command("/proc/self/exe", "-test.run=^"+regexp.QuoteMeta(t.Name())+"$", "-test.v=true", "-test.timeout=3m")
	cmd.Env = append(os.Environ(), insideEnv+"="+t.Name())
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET | unix.CLONE_NEWNS | unix.CLONE_NEWPID}
	out, err := cmd.CombinedOutput()
	switch {
	case err != nil:
		t.Errorf("%v\n%s", err, out)
	case !bytes.Contains(out, []byte("--- PASS: "+t.Name())):
		t.Errorf("the test did not run\n%s", out)
	default:
		t.Logf("%s", out)
	}
	return false
}

// overlay lays folders over one of the host, the last at the bottom. What is
// changed in it is kept in memory.
func overlay(t *testing.T, dir string, over ...string) {
	t.Helper()
	upper := filepath.Join("/run/overlay", dir)
	must(t, os.MkdirAll(upper+"/upper", 0o755))
	must(t, os.MkdirAll(upper+"/work", 0o755))
	lower := strings.Join(append(over, dir), ":")
	must(t, unix.Mount("overlay", dir, "overlay", 0, fmt.Sprintf("lowerdir=%s,upperdir=%s/upper,workdir=%s/work", lower, upper, upper)))
}

// programs returns the folder with the real programs, unpacked.
func programs(t *testing.T) string {
	t.Helper()
	cmd := exec.Command("../../scripts/resolver-programs")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	must(t, err)
	return strings.TrimSpace(string(out))
}

func sh(t *testing.T, script string) string {
	t.Helper()
	out, err := exec.Command("sh", "-e", "-c", script).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", script, err, out)
	}
	return string(out)
}
