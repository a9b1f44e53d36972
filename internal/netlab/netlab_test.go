//go:build linux && e2e

package netlab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// These tests need root.

func newLab(t *testing.T) *Lab {
	t.Helper()
	lab, err := New(Options{Name: t.Name()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := lab.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return lab
}

func newHost(t *testing.T, lab *Lab, name string) *Host {
	t.Helper()
	h, err := lab.Host(name)
	must(t, err)
	return h
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func prefixes(text ...string) (all []netip.Prefix) {
	for _, s := range text {
		all = append(all, netip.MustParsePrefix(s))
	}
	return all
}

// pair returns two hosts with a cable between them.
//
//	a eth0 198.51.100.1, 3fff::1 --- 198.51.100.2, 3fff::2 eth0 b
func pair(t *testing.T) (lab *Lab, a, b *Host) {
	lab = newLab(t)
	a, b = newHost(t, lab, "a"), newHost(t, lab, "b")
	must(t, lab.Cable(
		Port{Host: a, Name: "eth0", Addresses: prefixes("198.51.100.1/24", "3fff::1/64")},
		Port{Host: b, Name: "eth0", Addresses: prefixes("198.51.100.2/24", "3fff::2/64")}))
	return lab, a, b
}

func TestCableCarriesBothFamiliesAtOnce(t *testing.T) {
	_, a, b := pair(t)
	for _, addr := range []string{"198.51.100.2:7", "[3fff::2]:7"} {
		from, err := exchange(a, b, "", addr)
		must(t, err)
		if !from.IsValid() {
			t.Errorf("%s: no datagram arrived", addr)
		}
	}
}

// exchange sends a datagram from a to b and one back, and returns the source b saw.
func exchange(a, b *Host, local, to string) (netip.AddrPort, error) {
	dst := netip.MustParseAddrPort(to)
	server, err := listen(b, fmt.Sprintf(":%d", dst.Port()))
	if err != nil {
		return netip.AddrPort{}, err
	}
	defer server.Close()
	client, err := listen(a, local)
	if err != nil {
		return netip.AddrPort{}, err
	}
	defer client.Close()
	if _, err := client.WriteToUDPAddrPort([]byte("ping"), dst); err != nil {
		return netip.AddrPort{}, err
	}
	return receive(server, 2*time.Second)
}

func listen(h *Host, local string) (conn *net.UDPConn, err error) {
	err = h.Do(func() error {
		addr, err := net.ResolveUDPAddr("udp", local)
		if err == nil {
			conn, err = net.ListenUDP("udp", addr)
		}
		return err
	})
	return conn, err
}

func receive(c *net.UDPConn, patience time.Duration) (netip.AddrPort, error) {
	c.SetReadDeadline(time.Now().Add(patience))
	_, from, err := c.ReadFromUDPAddrPort(make([]byte, 100))
	return netip.AddrPortFrom(from.Addr().Unmap(), from.Port()), err
}

func TestHostHasPrivateFiles(t *testing.T) {
	lab, a, b := pair(t)
	must(t, a.SetNames(map[string][]netip.Addr{"b.example": {netip.MustParseAddr("198.51.100.2")}}))
	must(t, a.WriteFile("/run/wireguard/wg0.sock", nil, 0o600))
	if err := a.WriteFile("/etc/wireguard/wg0.conf", nil, 0o600); err == nil {
		t.Error("a file of the machine was written")
	}
	out, err := a.Run(t.Context(), "sh", "-c", "cat /etc/hosts; uname -n; ls /run/wireguard; ls /sys/class/net; echo $$")
	must(t, err)
	for _, want := range []string{"198.51.100.2 b.example\n", "\na\n", "wg0.sock\n", "eth0\n"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("inside a: %q does not contain %q", out, want)
		}
	}
	if out, err := b.Run(t.Context(), "ls", "/run/wireguard"); err != nil || len(out) != 0 {
		t.Errorf("inside b: ls /run/wireguard = %q, %v; want nothing", out, err)
	}
	if _, err := os.Stat("/run/wireguard/wg0.sock"); err == nil {
		t.Error("the file is visible on the machine")
	}
	_ = lab
}

func TestRunReportsFailure(t *testing.T) {
	_, a, _ := pair(t)
	_, err := a.Run(t.Context(), "sh", "-c", "echo wrong >&2; exit 3")
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 3 || !strings.Contains(err.Error(), "wrong") {
		t.Errorf("err = %v, want exit status 3 with what was written", err)
	}
	if _, err := a.Run(t.Context(), "no-such-program"); !errors.Is(err, exec.ErrNotFound) {
		t.Errorf("err = %v, want %v", err, exec.ErrNotFound)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := a.Run(ctx, "sh", "-c", "sleep 1000 & wait"); err == nil {
		t.Error("a command outlived its context")
	}
}

// homes returns two hosts behind NATs of their own, and a public one.
//
//	public 198.51.100.2 ---------------------- internet
//	left 192.168.1.2 --- lnat 203.0.113.2 ------- |
//	right 192.168.2.2 --- rnat 198.18.0.2 ------- |
func homes(t *testing.T, l, r NAT) (public, left, right *Host) {
	lab := newLab(t)
	internet := newHost(t, lab, "internet")
	must(t, internet.Forward())
	connect := func(h *Host, port, v4, v6 string) {
		mask := func(p string) netip.Prefix { return netip.MustParsePrefix(p) }
		gw4, gw6 := mask(v4).Masked().Addr().Next(), mask(v6).Masked().Addr().Next()
		must(t, lab.Cable(
			Port{Host: internet, Name: port, Addresses: []netip.Prefix{netip.PrefixFrom(gw4, 24), netip.PrefixFrom(gw6, 64)}},
			Port{Host: h, Name: "wan", Addresses: prefixes(v4, v6)}))
		must(t, h.DefaultRoutes(gw4, gw6))
	}
	home := func(name, v4, v6, lan string, n NAT) *Host {
		router, h := newHost(t, lab, name+"-nat"), newHost(t, lab, name)
		connect(router, name, v4, v6)
		n.Outside = "wan"
		must(t, router.NAT(n))
		in, gw := netip.MustParsePrefix(lan), netip.MustParsePrefix(lan).Masked().Addr().Next()
		must(t, lab.Cable(Port{Host: router, Name: "lan", Addresses: []netip.Prefix{netip.PrefixFrom(gw, 24)}},
			Port{Host: h, Name: "eth0", Addresses: []netip.Prefix{in}}))
		must(t, h.DefaultRoutes(gw))
		return h
	}
	public = newHost(t, lab, "public")
	connect(public, "public", "198.51.100.2/24", "3fff:0:1::2/64")
	return public, home("left", "203.0.113.2/24", "3fff:0:2::2/64", "192.168.1.2/24", l),
		home("right", "198.18.0.2/24", "3fff:0:3::2/64", "192.168.2.2/24", r)
}

func TestNATKeepsPort(t *testing.T) {
	public, left, _ := homes(t, NAT{}, NAT{})
	from, err := exchange(left, public, ":12000", "198.51.100.2:7")
	must(t, err)
	if want := netip.MustParseAddrPort("203.0.113.2:12000"); from != want {
		t.Errorf("outer source = %v, want %v", from, want)
	}
}

func TestNATRandomisesPort(t *testing.T) {
	public, left, _ := homes(t, NAT{Ports: RandomPorts}, NAT{})
	seen := map[uint16]bool{}
	for port := range 4 {
		from, err := exchange(left, public, ":12000", fmt.Sprintf("198.51.100.2:%d", 7000+port))
		must(t, err)
		seen[from.Port()] = true
	}
	if len(seen) < 3 {
		t.Errorf("outer ports of one inner port to four destinations: %v, want different ones", seen)
	}
}

func TestNATForwards(t *testing.T) {
	public, left, _ := homes(t, NAT{Forwards: []Forward{{Port: 7000, To: netip.MustParseAddrPort("192.168.1.2:7")}}}, NAT{})
	server, err := listen(left, ":7")
	must(t, err)
	defer server.Close()
	client, err := listen(public, "")
	must(t, err)
	defer client.Close()
	client.WriteToUDPAddrPort([]byte("in"), netip.MustParseAddrPort("203.0.113.2:7000"))
	_, err = receive(server, 2*time.Second)
	must(t, err)
}

// Two hosts behind NATs reach each other when both NATs keep ports and both
// hosts send; not when one NAT chooses ports at random.
func TestCrossingTwoNATs(t *testing.T) {
	for _, tc := range []struct {
		name  string
		ports PortPolicy
		want  bool
	}{{"keep", KeepPorts, true}, {"random", RandomPorts, false}} {
		t.Run(tc.name, func(t *testing.T) {
			_, left, right := homes(t, NAT{}, NAT{Ports: tc.ports})
			l, err := listen(left, ":12000")
			must(t, err)
			defer l.Close()
			r, err := listen(right, ":12000")
			must(t, err)
			defer r.Close()
			// Whoever is heard first was let through by what the other sent
			// before; so both repeat, as WireGuard does.
			var errL, errR error
			for range 10 {
				l.WriteToUDPAddrPort([]byte("hello"), netip.MustParseAddrPort("198.18.0.2:12000"))
				r.WriteToUDPAddrPort([]byte("hello"), netip.MustParseAddrPort("203.0.113.2:12000"))
				_, errL = receive(l, 100*time.Millisecond)
				_, errR = receive(r, 100*time.Millisecond)
			}
			if got := errL == nil && errR == nil; got != tc.want {
				t.Errorf("both sides heard each other: %v (%v, %v), want %v", got, errL, errR, tc.want)
			}
		})
	}
}

func TestCloseEndsProcesses(t *testing.T) {
	lab, a, _ := pair(t)
	cmd := a.Command(t.Context(), "sleep", "1000")
	must(t, a.Start(cmd))
	// A daemon that nobody waits for: it is the init's child soon.
	_, err := a.Run(t.Context(), "setsid", "-f", "sleep", "1000")
	must(t, err)
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	must(t, lab.Close())
	if err := <-ended; err == nil {
		t.Error("the command was not ended")
	}
	if _, err := os.Stat(filepath.Join(stateDir, lab.ID())); !os.IsNotExist(err) {
		t.Errorf("state directory: %v, want it gone", err)
	}
	if _, err := lab.Host("late"); !errors.Is(err, os.ErrClosed) {
		t.Errorf("host in a closed lab: err = %v, want %v", err, os.ErrClosed)
	}
}

// A lab whose owner is killed: its hosts end by themselves, its state is
// removed by the next lab.
func TestKilledOwnerLeavesNothing(t *testing.T) {
	owner := helper(t, "owner")
	info := find(t, owner.Process.Pid)
	owner.Process.Kill()
	owner.Wait()
	for _, h := range info.Hosts {
		waitGone(t, h)
	}
	newLab(t)
	if _, err := os.Stat(filepath.Join(stateDir, info.ID)); !os.IsNotExist(err) {
		t.Errorf("state directory: %v, want it gone", err)
	}
}

func TestKeptLabLivesUntilRemoved(t *testing.T) {
	owner := helper(t, "keeper")
	info := find(t, owner.Process.Pid)
	owner.Stdin.(*os.File).Close()
	must(t, owner.Wait())
	newLab(t) // must not take it for a leftover
	for _, h := range info.Hosts {
		if !h.alive() {
			t.Errorf("%s ended with its owner", h.Name)
		}
		if err := Enter(h, nil, "true"); err != nil {
			t.Errorf("enter %s: %v", h.Name, err)
		}
	}
	must(t, Remove(info.ID))
	for _, h := range info.Hosts {
		waitGone(t, h)
	}
}

// helper starts this test binary as the owner of a lab.
func helper(t *testing.T, role string) *exec.Cmd {
	t.Helper()
	r, w, err := os.Pipe()
	must(t, err)
	cmd := exec.Command(os.Args[0], "-test.run=^TestHelper$")
	cmd.Env = append(os.Environ(), "NETLAB_HELPER="+role)
	stdin, stdinW, err := os.Pipe()
	must(t, err)
	cmd.Stdin, cmd.ExtraFiles, cmd.Stderr = stdin, []*os.File{w}, os.Stderr
	must(t, cmd.Start())
	w.Close()
	stdin.Close()
	cmd.Stdin = stdinW // kept open; its end is the signal to go on
	if _, err := r.Read(make([]byte, 1)); err != nil {
		t.Fatalf("helper did not get ready: %v", err)
	}
	r.Close()
	return cmd
}

// TestHelper is no test of its own: it is what helper starts.
func TestHelper(t *testing.T) {
	role := os.Getenv("NETLAB_HELPER")
	if role == "" {
		return
	}
	lab, err := New(Options{Name: role})
	must(t, err)
	newHost(t, lab, "one")
	newHost(t, lab, "two")
	os.NewFile(3, "ready").Write([]byte("r"))
	os.Stdin.Read(make([]byte, 1))
	must(t, lab.Keep())
}

func find(t *testing.T, owner int) Info {
	t.Helper()
	infos, err := List()
	must(t, err)
	for _, i := range infos {
		if strings.HasPrefix(i.ID, fmt.Sprintf("%d-", owner)) {
			if len(i.Hosts) != 2 || !i.Alive || i.Kept {
				t.Fatalf("list: %+v, want two hosts of a living owner", i)
			}
			return i
		}
	}
	t.Fatalf("list: %+v, want a lab of process %d", infos, owner)
	return Info{}
}

func waitGone(t *testing.T, h HostInfo) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); h.alive(); {
		if time.Now().After(deadline) {
			t.Fatalf("%s: process %d still runs", h.Name, h.PID)
		}
		time.Sleep(time.Millisecond)
	}
}
