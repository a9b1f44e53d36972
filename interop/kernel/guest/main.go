// Command guest is the first process of a test kernel. It mounts what programs
// expect, and does what the test on the host orders (package order) until the
// host lets go of the port or orders the end.
//
// Called by another name or with arguments it is one of the small programs that
// tests need in there; see programs.go.
package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/warrenvpn/warren/interop/kernel/order"
)

func main() {
	if os.Getpid() != 1 {
		os.Exit(program(os.Args[1:]))
	}
	if err := serve(); err != nil {
		fmt.Println("guest:", err) // on the console, which the host shows
	}
	unix.Sync()
	_ = unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
	select {} // the first process must not return
}

// serve sets the system up and obeys until the end of the orders.
func serve() error {
	if err := setUp(); err != nil {
		return err
	}
	port, err := openPort()
	if err != nil {
		return err
	}
	defer port.Close()
	var release unix.Utsname
	if err := unix.Uname(&release); err != nil {
		return err
	}
	w := &worker{port: port, running: map[uint64]*process{}}
	w.answer(order.Answer{Stdout: []byte(unix.ByteSliceToString(release.Release[:]))})
	for {
		var o order.Order
		if err := order.Receive(port, &o); err != nil {
			return fmt.Errorf("the orders end: %w", err)
		}
		if o.Kind == order.PowerOff {
			return nil
		}
		if o.Kind == order.Cancel {
			w.cancel(o.Of)
			w.answer(order.Answer{ID: o.ID})
			continue
		}
		go func() { w.answer(w.obey(&o)) }()
	}
}

func setUp() error {
	os.Clearenv()
	for _, v := range []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LC_ALL=C", "TERM=dumb"} {
		name, value, _ := strings.Cut(v, "=")
		_ = os.Setenv(name, value)
	}
	for _, m := range []struct{ fs, at, options string }{
		{"proc", "/proc", ""}, {"sysfs", "/sys", ""}, {"devtmpfs", "/dev", ""}, {"tmpfs", "/run", "mode=0755"}, {"tmpfs", "/tmp", "mode=1777"},
	} {
		if err := os.MkdirAll(m.at, 0o755); err != nil {
			return err
		}
		if err := unix.Mount(m.fs, m.at, m.fs, 0, m.options); err != nil && !errors.Is(err, unix.EBUSY) {
			return fmt.Errorf("mount %s: %w", m.at, err)
		}
	}
	for name, target := range map[string]string{"/dev/fd": "/proc/self/fd", "/dev/stdin": "/proc/self/fd/0", "/dev/stdout": "/proc/self/fd/1", "/dev/stderr": "/proc/self/fd/2"} {
		if err := os.Symlink(target, name); err != nil && !errors.Is(err, os.ErrExist) {
			return err
		}
	}
	if err := unix.Sethostname([]byte("guest")); err != nil {
		return err
	}
	return load("virtio_pci", "virtio_console", "virtio_net", "virtio_rng")
}

// openPort waits for the serial port and opens it.
func openPort() (*port, error) {
	for range 1000 {
		names, _ := filepath.Glob("/sys/class/virtio-ports/*/name")
		for _, n := range names {
			if text, _ := os.ReadFile(n); strings.TrimSpace(string(text)) == order.Port {
				fd, err := unix.Open(filepath.Join("/dev", filepath.Base(filepath.Dir(n))), unix.O_RDWR|unix.O_CLOEXEC, 0)
				if err == nil {
					return &port{fd: fd}, nil
				}
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
	return nil, fmt.Errorf("there is no serial port called %s", order.Port)
}

// port is the serial port. Reads block a thread of their own: poll does not tell
// the end of the other side from silence.
type port struct {
	fd int
	mu sync.Mutex // guards writing
}

// Read implements io.Reader; at the end of the other side it returns EOF.
func (p *port) Read(b []byte) (int, error) {
	for {
		n, err := unix.Read(p.fd, b)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if n == 0 && err == nil {
			return 0, errors.New("the host is gone")
		}
		return max(n, 0), err
	}
}

// Write implements io.Writer.
func (p *port) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for done := 0; done < len(b); {
		n, err := unix.Write(p.fd, b[done:min(len(b), done+1<<15)])
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return done, err
		}
		done += n
	}
	return len(b), nil
}

// Close implements io.Closer.
func (p *port) Close() error { return unix.Close(p.fd) }
