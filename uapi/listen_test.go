package uapi

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// shortDir is a temporary directory whose path fits into a socket address.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "uapi")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func dial(t *testing.T, l *Listener) net.Conn {
	t.Helper()
	c, err := net.Dial("unix", l.path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestSocketIsForItsOwnerAlone(t *testing.T) {
	dir := filepath.Join(shortDir(t), "wireguard")
	l, err := ListenIn(dir, "wg0")
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]fs.FileMode{dir: 0o755, filepath.Join(dir, "wg0.sock"): 0o600} {
		info, err := os.Lstat(path)
		if err != nil {
			t.Fatal(err)
		}
		// The directory is made as the umask allows.
		if got := info.Mode().Perm(); got != want && got != want&^0o022 && path == dir || path != dir && got&0o077 != 0 {
			t.Errorf("%s has mode %v, want %v", path, got, want)
		}
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if err := l.Close(); err != nil {
		t.Errorf("second Close = %v, want nil", err)
	}
	if _, err := os.Lstat(filepath.Join(dir, "wg0.sock")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after Close the socket file is still there: %v", err)
	}
}

func TestSocketInUseIsAnError(t *testing.T) {
	dir := shortDir(t)
	l, err := ListenIn(dir, "wg0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, err := ListenIn(dir, "wg0"); !errors.Is(err, ErrInUse) {
		t.Errorf("second listener: %v, want ErrInUse", err)
	}
	if !l.present() {
		t.Error("the first listener's socket is gone")
	}
}

func TestStaleSocketIsReplaced(t *testing.T) {
	dir := shortDir(t)
	old, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(dir, "wg0.sock"), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	old.SetUnlinkOnClose(false)
	if err := old.Close(); err != nil {
		t.Fatal(err)
	}
	l, err := ListenIn(dir, "wg0")
	if err != nil {
		t.Fatal(err)
	}
	dial(t, l)
	_ = l.Close()
}

func TestFileThatIsNoSocketStays(t *testing.T) {
	dir := shortDir(t)
	path := filepath.Join(dir, "wg0.sock")
	if err := os.WriteFile(path, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if l, err := ListenIn(dir, "wg0"); err == nil {
		_ = l.Close()
		t.Error("took the place of a file that is no socket")
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != "mine" {
		t.Errorf("the file has %q, %v", text, err)
	}
}

// Compat 4.5: removing the socket file ends a user-space device.
func TestRemovalOfTheSocketEndsServe(t *testing.T) {
	for name, remove := range map[string]func(string) error{
		"removed":  os.Remove,
		"moved":    func(p string) error { return os.Rename(p, p+".old") },
		"replaced": func(p string) error { return errors.Join(os.Remove(p), os.WriteFile(p, nil, 0o600)) },
	} {
		t.Run(name, func(t *testing.T) {
			l, err := ListenIn(shortDir(t), "wg0")
			if err != nil {
				t.Fatal(err)
			}
			done := make(chan error)
			go func() { done <- Serve(context.Background(), l, &model{}) }()
			dial(t, l)
			if err := remove(l.path); err != nil {
				t.Fatal(err)
			}
			if err := <-done; !errors.Is(err, ErrRemoved) || !errors.Is(err, net.ErrClosed) {
				t.Errorf("Serve = %v, want ErrRemoved", err)
			}
			if _, err := os.Lstat(l.path); name == "replaced" && err != nil {
				t.Error("removed the file of somebody else")
			}
		})
	}
}

func TestDescriptorIsHandedOver(t *testing.T) {
	l, err := ListenIn(shortDir(t), "wg0")
	if err != nil {
		t.Fatal(err)
	}
	f, err := l.File()
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Detach(); err != nil {
		t.Fatal(err)
	}
	heir, err := FromFile(f)
	if err != nil {
		t.Fatal(err)
	}
	c := dial(t, l) // queues
	if _, err := c.Write([]byte("get=1\n\n")); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- Serve(ctx, heir, &model{d: sample()}) }()
	if d, err := ReadDevice(c); err != nil || d.ListenPort != 51820 {
		t.Errorf("device = port %d, %v", d.ListenPort, err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if heir.present() {
		t.Error("the heir left its socket file")
	}
}

func TestNamesThatAreNoFileNames(t *testing.T) {
	for _, name := range []string{"", ".", "..", "a/b", "../x", "/", "a\x00b"} {
		if p, ok := Path(Dir, name); ok {
			t.Errorf("Path(%q) = %s, want none", name, p)
		}
		if _, err := ListenIn(shortDir(t), name); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("ListenIn(%q) = %v, want fs.ErrInvalid", name, err)
		}
	}
	if p, ok := Path("/d", "wg0"); !ok || p != "/d/wg0.sock" {
		t.Errorf("Path = %q, %v", p, ok)
	}
	if _, err := ListenIn(shortDir(t), strings.Repeat("x", 200)); err == nil {
		t.Error("a path that does not fit was taken")
	}
}
