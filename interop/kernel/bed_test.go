//go:build linux && e2e

package kernel

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/warrenvpn/warren/internal/netlab"
	"github.com/warrenvpn/warren/interop/kernel/initramfs"
	"github.com/warrenvpn/warren/interop/kernel/vm"
)

// bed is a host with our device and a guest with the kernel's, which share two
// cables. Interfaces of tunnels come and go with each test.
//
//	near  tap0 192.0.2.1, 2001:db8::1 ----- 192.0.2.2, 2001:db8::2 eth0  guest
//	      tap1 198.51.100.1, ...:1::1 ----- 198.51.100.2, ...:1::2 eth1
type bed struct {
	lab    *netlab.Lab
	near   *netlab.Host
	vm     *vm.VM
	kernel kernelFiles
	theirs tool
	all    bool // the tests that are the same with any kernel too
}

// kernelFiles is one line of scripts/kernels.
type kernelFiles struct{ name, release, dir string }

// kernels fetches kernels where they are not there yet.
func kernels(t *testing.T) []kernelFiles {
	t.Helper()
	cmd := exec.Command("../../scripts/kernels")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("scripts/kernels: %v", err)
	}
	var all []kernelFiles
	for line := range strings.Lines(string(out)) {
		f := strings.Split(strings.TrimSpace(line), "\t")
		if len(f) != 3 {
			t.Fatalf("scripts/kernels: %q, want three fields", line)
		}
		all = append(all, kernelFiles{f[0], f[1], f[2]})
	}
	return all
}

// guestPrograms are those of this machine that the guest has too.
var guestPrograms = []string{"ip", "tc", "bash", "nft", "sysctl", "cat", "sort", "readlink", "stat", "sync", "mv", "rm", "ln", "id"}

// guestModules are there to be loaded; the first four at once.
var guestModules = []string{
	"virtio_pci", "virtio_console", "virtio_net", "virtio_rng",
	"wireguard", "tun", "dummy", "veth", "sch_netem",
	"crc32c_generic", "nf_tables", "nft_ct", "nft_fib", "nft_fib_ipv4", "nft_fib_ipv6", "nft_fib_inet",
}

// tool is a wg in the guest.
type tool struct {
	origin, version string
	files           map[string]string // of this machine, by where they are in the guest
	programs        []string          // of this machine, at the same place
	path            string            // what is started there
	argv            []string          // and its first arguments
	quick           string            // the wg-quick that goes with it
}

// newBed boots a kernel. The bed is gone with the test.
func newBed(t *testing.T, k kernelFiles) *bed {
	t.Helper()
	b := &bed{kernel: k, theirs: upstream(t)}
	archive := b.archive(t)
	var err error
	if b.lab, err = netlab.New(netlab.Options{Name: "kernel " + k.release}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.lab.Close() })
	if b.near, err = b.lab.Host("near"); err != nil {
		t.Fatal(err)
	}
	var links []*os.File
	for _, name := range []string{"tap0", "tap1"} {
		l, err := vm.NewTAP(b.near, name)
		if err != nil {
			t.Fatal(err)
		}
		links = append(links, l)
	}
	b.vm, err = vm.Start(context.Background(), vm.Config{
		Host: b.near, Kernel: filepath.Join(k.dir, "vmlinuz"), Archive: archive, Links: links,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.finish(t) })
	t.Logf("Linux %s, ready after %.1f s; compared with wireguard-tools %s (%s)", b.vm.Release, b.vm.Booted.Seconds(), b.theirs.version, b.theirs.origin)
	if b.vm.Release != k.release {
		t.Errorf("the guest runs Linux %s, want %s", b.vm.Release, k.release)
	}
	if err := b.near.WriteFile("/run/ours/warren", built.warren, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := b.near.Symlink("warren", "/run/ours/wg"); err != nil {
		t.Fatal(err)
	}
	b.network(t)
	return b
}

// archive returns the guest's file system.
func (b *bed) archive(t *testing.T) []byte {
	t.Helper()
	image, err := initramfs.New()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range guestPrograms {
		if err := image.Program(p); err != nil {
			t.Fatalf("the guest needs %s of this machine: %v", p, err)
		}
	}
	if _, err := image.Modules(filepath.Join(b.kernel.dir, "modules"), guestModules...); err != nil {
		t.Fatal(err)
	}
	steps := []error{
		image.File("/init", 0o755, built.guest),
		image.File("/ours/warren", 0o755, built.warren),
		image.Link("/ours/wg", "warren"),
		image.Link("/ours/wg-quick", "warren"),
		image.Link("/bin/sh", "bash"),
		image.File("/etc/passwd", 0o644, []byte("root:x:0:0:root:/root:/bin/bash\n")),
		image.File("/etc/group", 0o644, []byte("root:x:0:\n")),
		image.File("/etc/hosts", 0o644, []byte("127.0.0.1 localhost\n::1 localhost\n")),
		image.File("/etc/host.conf", 0o644, []byte("multi on\n")), // as Debian has it
		image.File("/etc/services", 0o644, []byte("domain 53/udp\n")),
		image.File("/etc/nsswitch.conf", 0o644, []byte("hosts: files\nservices: files\n")),
		image.Dir("/etc/wireguard"),
		image.Link("/var/run", "/run"),
	}
	steps = append(steps, b.theirs.add(image))
	for _, err := range steps {
		if err != nil {
			t.Fatal(err)
		}
	}
	return image.Bytes()
}

// network gives both ends of both cables their addresses.
func (b *bed) network(t *testing.T) {
	t.Helper()
	for i, addresses := range [][2]string{{"192.0.2.%d/24", "2001:db8::%d/64"}, {"198.51.100.%d/24", "2001:db8:1::%d/64"}} {
		tap, eth := fmt.Sprintf("tap%d", i), fmt.Sprintf("eth%d", i)
		if err := b.near.SetLink(tap, true); err != nil {
			t.Fatal(err)
		}
		b.guest(t, "ip", "link", "set", eth, "up")
		for _, a := range addresses {
			if err := b.near.Address(tap, netip.MustParsePrefix(fmt.Sprintf(a, 1))); err != nil {
				t.Fatal(err)
			}
			b.guest(t, "ip", "address", "add", fmt.Sprintf(a, 2), "dev", eth, "nodad")
		}
	}
	b.guest(t, "ip", "link", "set", "lo", "up")
	// So that the first address of a cable can go, and the second stay.
	b.guest(t, "sysctl", "-q", "net.ipv4.conf.all.promote_secondaries=1")
	if err := b.near.Sysctl("net/ipv4/conf/all/promote_secondaries", "1"); err != nil {
		t.Fatal(err)
	}
}

// finish ends the guest, and fails the test if the kernel complained.
func (b *bed) finish(t *testing.T) {
	if err := b.vm.PowerOff(); err != nil {
		t.Errorf("power off: %v", err)
	}
	t.Logf("QEMU used %.1f s of processor time", b.vm.CPU().Seconds())
	for line := range strings.Lines(b.vm.Console()) {
		for _, bad := range []string{"WARNING:", "BUG:", "Oops", "Call Trace", "UBSAN", "Unknown symbol"} {
			if strings.Contains(line, bad) {
				t.Errorf("the kernel complained; its console:\n%s", b.vm.Console())
				return
			}
		}
	}
}

// run is t.Run, and tells how much processor time the guest took.
func (b *bed) run(t *testing.T, name string, f func(t *testing.T, b *bed)) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		start, used := time.Now(), b.vm.CPU()
		f(t, b)
		t.Logf("%s: %.1f s, of which the guest computed %.1f s", name, time.Since(start).Seconds(), (b.vm.CPU() - used).Seconds())
	})
}

// patience bounds what takes no time on a machine with nothing else to do.
const patience = 30 * time.Second

// guest runs a command in the guest that must succeed.
func (b *bed) guest(t *testing.T, argv ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	out, err := b.vm.Run(ctx, argv...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// host runs a command beside our device that must succeed.
func (b *bed) host(t *testing.T, argv ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	out, err := b.near.Run(ctx, argv...)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// eventually wants f to succeed soon.
func eventually(t *testing.T, what string, f func() error) {
	t.Helper()
	var err error
	for start := time.Now(); time.Since(start) < patience; time.Sleep(20 * time.Millisecond) {
		if err = f(); err == nil {
			return
		}
	}
	t.Fatalf("%s: not within %v: %v", what, patience, err)
}

var compareWith struct {
	once sync.Once
	tool tool
	err  error
}

// upstream returns the wg to compare with: the newest that scripts/upstream-tools
// finds, with the loader and the library that it needs, else this machine's.
func upstream(t *testing.T) tool {
	t.Helper()
	compareWith.once.Do(func() { compareWith.tool, compareWith.err = findUpstream() })
	if compareWith.err != nil {
		t.Fatal(compareWith.err)
	}
	return compareWith.tool
}
