//go:build linux && e2e

package diff

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/warrenvpn/warren/internal/netlab"
)

// A side is a tool in a namespace of its own, and a daemon for its interfaces.
type side struct {
	name string
	tool *toolset
	host *netlab.Host
	// reference: the daemon is wireguard-go.
	reference bool
	control   map[string]*control
}

// workDir is where files of tests are, on every side the same.
const workDir = "/run/t"

// newLab makes a lab that ends with the test.
func newLab(t *testing.T) *netlab.Lab {
	t.Helper()
	lab, err := netlab.New(netlab.Options{Name: "diff"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { lab.Close() })
	return lab
}

// newSide makes a host with files of its own: /etc, /tmp and /run.
func newSide(t *testing.T, lab *netlab.Lab, name string, tool *toolset) *side {
	t.Helper()
	h, err := lab.Host(name)
	if err != nil {
		t.Fatal(err)
	}
	s := &side{name: name, tool: tool, host: h, control: map[string]*control{}}
	if err := h.Do(ownFiles); err != nil {
		t.Fatalf("%s: files of its own: %v", name, err)
	}
	return s
}

// ownFiles runs inside a host.
func ownFiles() error {
	for _, dir := range []string{workDir, "/run/own/etc", "/run/own/work"} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	if err := unix.Mount("overlay", "/etc", "overlay", 0, "lowerdir=/etc,upperdir=/run/own/etc,workdir=/run/own/work"); err != nil {
		return fmt.Errorf("mount /etc: %w", err)
	}
	if err := unix.Mount("tmp", "/tmp", "tmpfs", 0, "mode=1777"); err != nil {
		return fmt.Errorf("mount /tmp: %w", err)
	}
	if err := os.RemoveAll("/etc/wireguard"); err != nil {
		return err
	}
	if err := os.Mkdir("/etc/wireguard", 0o700); err != nil {
		return err
	}
	for _, dir := range []string{"/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin"} {
		// Whether there is a resolvconf is for the test to say.
		if _, err := os.Stat(dir + "/resolvconf"); err == nil {
			if err := unix.Mount("/dev/null", dir+"/resolvconf", "", unix.MS_BIND, ""); err != nil {
				return err
			}
		}
	}
	for path, text := range map[string]string{
		"/etc/hosts":       "127.0.0.1 localhost\n::1 localhost\n",
		"/etc/resolv.conf": "# nobody answers here\nnameserver 127.0.0.1\noptions timeout:1 attempts:1\n",
	} {
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// environment is that of every command.
func (s *side) environment() []string {
	daemon := filepath.Join(tools.dir, "ours")
	if s.reference {
		daemon = filepath.Join(tools.dir, "theirs")
	}
	return []string{
		"PATH=" + workDir + "/bin:" + s.tool.dir + ":" + daemon + ":/usr/sbin:/usr/bin:/sbin:/bin",
		"HOME=/root", "LC_ALL=C", "LANG=C", "USER=root", "WG_ENDPOINT_RESOLUTION_RETRIES=0",
	}
}

// outcome is what a command was seen to do.
type outcome struct {
	code           int
	stdout, stderr string
}

// run runs a command. Its first word wg or wg-quick is the side's tool.
func (s *side) run(env []string, stdin string, argv ...string) (outcome, error) {
	cmd := s.host.Command(context.Background(), argv...)
	if argv[0] == "wg" || argv[0] == "wg-quick" {
		cmd.Path = s.tool.dir + "/" + argv[0]
	}
	cmd.Dir = workDir
	cmd.Env = append(s.environment(), env...)
	cmd.Stdin = strings.NewReader(stdin)
	var out, errs *os.File
	for _, f := range []**os.File{&out, &errs} {
		// A pipe would end only with the last daemon that inherited it.
		fd, err := unix.MemfdCreate("output", unix.MFD_CLOEXEC)
		if err != nil {
			return outcome{}, err
		}
		*f = os.NewFile(uintptr(fd), "output")
		defer (*f).Close()
	}
	cmd.Stdout, cmd.Stderr = out, errs
	if err := s.host.Start(cmd); err != nil {
		return outcome{}, err
	}
	err := cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) && cmd.ProcessState == nil {
		return outcome{}, err
	}
	return outcome{cmd.ProcessState.ExitCode(), contents(out), contents(errs)}, nil
}

func contents(f *os.File) string {
	b, _ := io.ReadAll(io.NewSectionReader(f, 0, math.MaxInt64))
	return string(b)
}

// must runs a command that has to succeed.
func (s *side) must(t *testing.T, argv ...string) string {
	t.Helper()
	o, err := s.run(nil, "", argv...)
	if err != nil || o.code != 0 {
		t.Fatalf("%s: %q: %v, exit %d\n%s%s", s.name, argv, err, o.code, o.stdout, o.stderr)
	}
	return o.stdout
}

// startDaemon starts the side's daemon for an interface.
func (s *side) startDaemon(t *testing.T, iface string) {
	t.Helper()
	argv := []string{tools.warren, "device", iface}
	if s.reference {
		argv = []string{tools.reference, iface}
	}
	s.must(t, argv...)
	c, err := s.open(iface)
	if err != nil {
		t.Fatalf("%s: %v", s.name, err)
	}
	s.control[iface] = c
	t.Cleanup(func() { c.conn.Close() })
}

// control is a connection to a daemon's control socket.
type control struct{ conn net.Conn }

func (s *side) open(iface string) (*control, error) {
	c := &control{}
	err := s.host.Do(func() (err error) {
		c.conn, err = net.Dial("unix", "/run/wireguard/"+iface+".sock")
		return err
	})
	return c, err
}

// do sends a request and returns the answer, without its errno.
func (c *control) do(request string) (string, error) {
	if _, err := io.WriteString(c.conn, request+"\n"); err != nil {
		return "", err
	}
	var answer []byte
	buf := make([]byte, 64<<10)
	for !bytes.HasSuffix(answer, []byte("\n\n")) {
		n, err := c.conn.Read(buf)
		answer = append(answer, buf[:n]...)
		if err != nil {
			return "", fmt.Errorf("answer to %q: %w after %q", request, err, answer)
		}
	}
	text, ok := strings.CutSuffix(string(answer), "errno=0\n\n")
	if !ok {
		return "", fmt.Errorf("answer to %q: %q", request, answer)
	}
	return text, nil
}
