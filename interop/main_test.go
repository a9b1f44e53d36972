//go:build linux && e2e

package interop

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	wgconn "golang.zx2c4.com/wireguard/conn"
	wgdevice "golang.zx2c4.com/wireguard/device"
	wgipc "golang.zx2c4.com/wireguard/ipc"
	wgtun "golang.zx2c4.com/wireguard/tun"

	"golang.org/x/sys/unix"

	"github.com/warrenvpn/warren/device"
	"github.com/warrenvpn/warren/tun"
	"github.com/warrenvpn/warren/uapi"
	"github.com/warrenvpn/warren/udp"
)

// binaries are what is tested, built once per run.
var binaries struct {
	dir         string
	warren      string // this module's
	reference   string // wireguard-go
	replacement string // warren, called wireguard-go
}

// envPlain makes this test binary a daemon without offloads: neither
// implementation has a switch for that, as nobody needs one.
const envPlain = "INTEROP_PLAIN"

func TestMain(m *testing.M) {
	var err error
	switch os.Getenv(envPlain) {
	case "ours":
		err = plainOurs(os.Args[1])
	case "theirs":
		err = plainTheirs(os.Args[1])
	default:
		code := 1
		if err = build(); err == nil {
			code = m.Run()
		}
		os.RemoveAll(binaries.dir)
		if err == nil {
			os.Exit(code)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func build() (err error) {
	if binaries.dir, err = os.MkdirTemp("", "interop-*"); err != nil {
		return err
	}
	binaries.warren = filepath.Join(binaries.dir, "warren")
	binaries.reference = filepath.Join(binaries.dir, "reference")
	binaries.replacement = filepath.Join(binaries.dir, "wireguard-go")
	for _, b := range []struct{ dir, out, pkg string }{
		{"..", binaries.warren, "./cmd/warren"},
		{".", binaries.reference, "golang.zx2c4.com/wireguard"},
	} {
		cmd := exec.Command("go", "build", "-o", b.out, b.pkg)
		cmd.Dir, cmd.Env = b.dir, append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("build %s: %w\n%s", b.pkg, err, out)
		}
	}
	return os.Symlink("warren", binaries.replacement)
}

// plainOurs runs this module's device without any offload.
func plainOurs(name string) error {
	link, err := tun.Create(name, tun.Config{MTU: 1420, Queues: 1})
	if err != nil {
		return err
	}
	if c := link.Caps(); c.TCP || c.UDP || c.Checksum {
		return fmt.Errorf("the TUN has offloads: %+v", c)
	}
	dev, err := device.New(device.Config{TUN: link, Network: &udp.Network{NoSegment: true, NoCoalesce: true}})
	if err != nil {
		return err
	}
	socket, err := uapi.Listen(name)
	if err != nil {
		return err
	}
	go uapi.Serve(context.Background(), socket, dev)
	return dev.Run(context.Background())
}

// plainTheirs runs wireguard-go's device without any offload.
func plainTheirs(name string) error {
	file, err := openPlainTUN(name)
	if err != nil {
		return err
	}
	link, err := wgtun.CreateTUNFromFile(file, 1420)
	if err != nil {
		return err
	}
	dev := wgdevice.NewDevice(link, &plainBind{}, wgdevice.NewLogger(wgdevice.LogLevelError, name+": "))
	uapiFile, err := wgipc.UAPIOpen(name)
	if err != nil {
		return err
	}
	socket, err := wgipc.UAPIListen(name, uapiFile)
	if err != nil {
		return err
	}
	go func() {
		for {
			c, err := socket.Accept()
			if err != nil {
				return
			}
			go dev.IpcHandle(c)
		}
	}()
	<-dev.Wait()
	return nil
}

// openPlainTUN opens a TUN without virtio headers.
func openPlainTUN(name string) (*os.File, error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	req, err := unix.NewIfreq(name)
	if err != nil {
		return nil, err
	}
	req.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, req); err != nil {
		return nil, err
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), "/dev/net/tun"), nil
}

// plainBind is a conn.Bind of single datagrams.
type plainBind struct {
	mu    sync.Mutex
	conns []*net.UDPConn // IPv4, IPv6
}

func (b *plainBind) Open(port uint16) ([]wgconn.ReceiveFunc, uint16, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var fns []wgconn.ReceiveFunc
	for _, network := range []string{"udp4", "udp6"} {
		c, err := net.ListenUDP(network, &net.UDPAddr{Port: int(port)})
		if err != nil {
			return nil, 0, err
		}
		port = uint16(c.LocalAddr().(*net.UDPAddr).Port)
		b.conns = append(b.conns, c)
		fns = append(fns, func(packets [][]byte, sizes []int, eps []wgconn.Endpoint) (int, error) {
			n, from, err := c.ReadFromUDPAddrPort(packets[0])
			if err != nil {
				return 0, err
			}
			sizes[0] = n
			eps[0] = &wgconn.StdNetEndpoint{AddrPort: netip.AddrPortFrom(from.Addr().Unmap(), from.Port())}
			return 1, nil
		})
	}
	return fns, port, nil
}

func (b *plainBind) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range b.conns {
		c.Close()
	}
	b.conns = nil
	return nil
}

func (b *plainBind) SetMark(uint32) error { return nil }
func (b *plainBind) BatchSize() int       { return 1 }

func (b *plainBind) Send(bufs [][]byte, ep wgconn.Endpoint) error {
	to := ep.(*wgconn.StdNetEndpoint).AddrPort
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.conns) == 0 {
		return net.ErrClosed
	}
	c := b.conns[0]
	if to.Addr().Is6() {
		c = b.conns[1]
	}
	for _, p := range bufs {
		if _, err := c.WriteToUDPAddrPort(p, to); err != nil {
			return err
		}
	}
	return nil
}

func (b *plainBind) ParseEndpoint(s string) (wgconn.Endpoint, error) {
	a, err := netip.ParseAddrPort(s)
	return &wgconn.StdNetEndpoint{AddrPort: a}, err
}
