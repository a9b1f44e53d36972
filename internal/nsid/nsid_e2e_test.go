//go:build linux && e2e

package nsid

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// A namespace is there as long as a process is in it or a file leads to it, and
// no longer: the next one that gets its number is another.
func TestNamespaceEnds(t *testing.T) {
	const inside = "WARREN_TEST_INSIDE"
	if os.Getenv(inside) == "" {
		cmd := exec.Command("/proc/self/exe", "-test.run=^TestNamespaceEnds$", "-test.v")
		cmd.Env = append(os.Environ(), inside+"=1")
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		t.Fatal(err)
	}
	child := exec.Command("cat")
	child.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET}
	in, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	path := fmt.Sprintf("/proc/%d/ns/net", child.Process.Pid)
	var id ID
	if id.Inode, err = Inode(path); err == nil {
		id.Cookie, err = cookieOf(path)
	}
	if here, _ := Current(); err != nil || id.Is(here) || here.Cookie == id.Cookie {
		t.Errorf("%+v, %v, want another than %+v", id, err, here)
	}
	want := func(want bool, why string) {
		t.Helper()
		if got := Exists(id); got != want {
			t.Errorf("%s: exists %v, want %v", why, got, want)
		}
	}
	want(true, "a process is in it")
	other := id
	other.Cookie++
	if Exists(other) {
		t.Error("one that had the same number before exists")
	}
	mounted := filepath.Join(t.TempDir(), "name space")
	if err := os.WriteFile(mounted, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount(path, mounted, "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	_ = in.Close()
	_ = child.Wait()
	want(true, "it is mounted")
	if err := unix.Unmount(mounted, 0); err != nil {
		t.Fatal(err)
	}
	want(false, "nothing has it")
}
