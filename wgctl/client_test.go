package wgctl

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mdlayher/netlink"

	"github.com/warrenvpn/warren/conf"
	"github.com/warrenvpn/warren/internal/fakekernel"
	"github.com/warrenvpn/warren/key"
	"github.com/warrenvpn/warren/uapi"
)

// model is a device without packets. It is used by one request at a time.
type model struct {
	d    conf.Device
	fail error
}

func (m *model) Status() conf.Device { return m.d }

func (m *model) Apply(c conf.Change) error {
	if m.fail == nil {
		m.d.Apply(&c)
	}
	return m.fail
}

// shortDir is a temporary directory whose path fits into a socket address.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "wgctl")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// noWireGuard is a kernel without it: what these tests see does not depend on
// the machine they run on.
func noWireGuard(protocol int, c *netlink.Config) (*netlink.Conn, error) {
	k := fakekernel.New(fakekernel.Linux616)
	k.NoFamily = true
	return k.Dial(protocol, c)
}

func serve(t *testing.T, dir, name string, m uapi.Backend) {
	t.Helper()
	l, err := uapi.ListenIn(dir, name)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- uapi.Serve(ctx, l, m) }()
	t.Cleanup(func() { cancel(); <-done })
}

// stale leaves a socket nobody listens on.
func stale(t *testing.T, dir, name string) string {
	t.Helper()
	path := filepath.Join(dir, name+".sock")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	_ = l.Close()
	return path
}

// Compat 1.1, 1.13.
func TestNamesAreSortedAndStaleSocketsGo(t *testing.T) {
	dir := shortDir(t)
	for _, name := range []string{"wg2", "wg10", "wg0"} {
		serve(t, dir, name, &model{})
	}
	gone := stale(t, dir, "wg1")
	if err := os.WriteFile(filepath.Join(dir, "file.sock"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "wg3.log"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	c := Client{Dir: dir, Dial: noWireGuard}
	got, err := c.Names()
	if want := []string{"wg0", "wg10", "wg2"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("names = %q, %v, want %q", got, err, want)
	}
	if _, err := os.Lstat(gone); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the stale socket: %v, want it deleted", err)
	}
	none := Client{Dir: filepath.Join(dir, "nosuch"), Dial: noWireGuard}
	if got, err := none.Names(); err != nil || len(got) != 0 {
		t.Errorf("names of no directory = %q, %v, want none", got, err)
	}
}

func TestReadAndChange(t *testing.T) {
	dir := shortDir(t)
	k := key.NewPrivate([32]byte{1})
	m := &model{d: conf.Device{PrivateKey: k, PublicKey: k.Public(), ListenPort: 5}}
	serve(t, dir, "wg0", m)
	c := Client{Dir: dir, Dial: noWireGuard, Timeout: time.Minute}
	peer := key.Public{1}
	err := c.Apply("wg0", conf.Change{Peers: []conf.PeerChange{{
		PublicKey: peer, Endpoint: &conf.Endpoint{Host: "fe80::1%eth0", Port: "5"},
		AllowedIPs: []conf.AllowedIP{{Prefix: netip.MustParsePrefix("10.0.0.0/8")}},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	d, err := c.Device("wg0")
	if err != nil {
		t.Fatal(err)
	}
	if d.Name != "wg0" || d.PublicKey != k.Public() || d.ListenPort != 5 || len(d.Peers) != 1 ||
		d.Peers[0].Endpoint.String() != "[fe80::1%eth0]:5" || d.Peers[0].AllowedIPs[0].String() != "10.0.0.0/8" {
		t.Errorf("device = %+v", d)
	}
}

func TestErrorsHaveNumbersAndWords(t *testing.T) {
	dir := shortDir(t)
	serve(t, dir, "wg0", &model{fail: syscall.EADDRINUSE})
	silent, err := net.Listen("unix", filepath.Join(dir, "mute.sock"))
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	go func() {
		for {
			conn, err := silent.Accept()
			if err != nil {
				return
			}
			_ = conn.Close()
		}
	}()
	stale(t, dir, "dead")
	c := Client{Dir: dir, Dial: noWireGuard}
	_, errNone := c.Device("nosuch")
	_, errStale := c.Device("dead")
	_, errLong := c.Device("wg0wg0wg0wg0wg0x")
	_, errPath := c.Device("../wg0")
	_, errMute := c.Device("mute")
	for _, tc := range []struct {
		err   error
		errno syscall.Errno
		text  string
	}{
		{errNone, syscall.EPROTONOSUPPORT, "read interface nosuch: Protocol not supported"},
		{errStale, syscall.EPROTONOSUPPORT, "read interface dead: Protocol not supported"},
		{errPath, syscall.EPROTONOSUPPORT, "read interface ../wg0: Protocol not supported"},
		{errLong, syscall.ENAMETOOLONG, "read interface wg0wg0wg0wg0wg0x: File name too long"},
		{c.Apply("wg0wg0wg0wg0wg0x", conf.Change{}), syscall.ENAMETOOLONG, "change interface wg0wg0wg0wg0wg0x: File name too long"},
		{c.Apply("wg0", conf.Change{}), syscall.EADDRINUSE, "change interface wg0: Address already in use"},
	} {
		var e *Error
		if !errors.As(tc.err, &e) || e.Errno != tc.errno || e.Error() != tc.text {
			t.Errorf("error = %v, want %s", tc.err, tc.text)
		}
	}
	var e *Error
	if !errors.As(errMute, &e) || e.Errno != syscall.EPROTO && e.Errno != syscall.EPIPE && e.Errno != syscall.ECONNRESET {
		t.Errorf("a device that hangs up: %v", errMute)
	}
}

func TestNamesOfHostsAreNotSent(t *testing.T) {
	ch := conf.Change{Peers: []conf.PeerChange{{Endpoint: &conf.Endpoint{Host: "example.org", Port: "5"}}}}
	if err := (&Client{Dir: shortDir(t)}).Apply("wg0", ch); err == nil || !strings.Contains(err.Error(), `"example.org:5" is not numeric`) {
		t.Errorf("error = %v", err)
	}
}

// A device that does not answer holds up only a client without a timeout.
func TestTimeout(t *testing.T) {
	dir := shortDir(t)
	l, err := net.Listen("unix", filepath.Join(dir, "wg0.sock"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	// The time is up before the request is sent, or while the answer is awaited.
	for _, d := range []time.Duration{time.Nanosecond, 20 * time.Millisecond} {
		c := Client{Dir: dir, Timeout: d}
		if _, err := c.Device("wg0"); !errors.Is(err, syscall.ETIMEDOUT) {
			t.Errorf("no answer within %v: %v, want ETIMEDOUT", d, err)
		}
	}
}
