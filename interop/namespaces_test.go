//go:build linux && e2e

package interop

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/warrenvpn/warren/internal/netlab"
	"github.com/warrenvpn/warren/key"
)

// Each test here has two hosts:
//
//	a  wg0 10.9.0.1, fd09::1          10.9.0.2, fd09::2 wg0  b
//	   eth0 192.0.2.1, 2001:db8::1 --- 192.0.2.2, 2001:db8::2 eth0

// implementation is a daemon as it is started for an interface.
type implementation struct {
	name string
	ours bool
	argv []string // the interface's name follows
	env  []string
	// background: the command returns when the daemon runs.
	background bool
}

func warrenDaemon() implementation {
	return implementation{name: "warren", ours: true, argv: []string{binaries.warren, "device"}, background: true}
}

func referenceDaemon() implementation {
	return implementation{name: "wireguard-go", argv: []string{binaries.reference}, background: true}
}

// plain returns a daemon without offloads, of either implementation.
func plain(whose string) implementation {
	return implementation{
		name: whose + "-plain", ours: whose == "ours",
		argv: []string{os.Args[0]}, env: []string{envPlain + "=" + whose},
	}
}

// station is a host with a tunnel interface.
type station struct {
	*netlab.Host
	t     *testing.T
	key   key.Private
	inner []netip.Addr // IPv4, IPv6
	outer []netip.Addr
}

// newPair returns two hosts with daemons, peers of each other; only a knows where
// b is, over the outer family given.
func newPair(t *testing.T, a, b implementation, mtu int, outer6 bool) (*station, *station) {
	t.Helper()
	lab, err := netlab.New(netlab.Options{Name: "interop"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { lab.Close() })
	var all [2]*station
	var ports [2]netlab.Port
	rnd := rand.NewChaCha8([32]byte{3})
	for i := range all {
		h, err := lab.Host(string(rune('a' + i)))
		if err != nil {
			t.Fatal(err)
		}
		n := i + 1
		s := &station{Host: h, t: t, key: newKey(t, rnd)}
		for _, text := range []string{"10.9.0.%d", "fd09::%d"} {
			s.inner = append(s.inner, netip.MustParseAddr(fmt.Sprintf(text, n)))
		}
		for _, text := range []string{"192.0.2.%d", "2001:db8::%d"} {
			s.outer = append(s.outer, netip.MustParseAddr(fmt.Sprintf(text, n)))
		}
		all[i] = s
		ports[i] = netlab.Port{Host: h, Name: "eth0", MTU: 9000, Addresses: subnets(s.outer)}
	}
	if err := lab.Cable(ports[0], ports[1]); err != nil {
		t.Fatal(err)
	}
	family := 0
	if outer6 {
		family = 1
	}
	all[0].start(a, mtu)
	all[1].start(b, mtu)
	psk, err := key.GeneratePreshared(rnd)
	if err != nil {
		t.Fatal(err)
	}
	all[1].configure(51820, all[0], psk, netip.AddrPort{})
	all[0].configure(0, all[1], psk, netip.AddrPortFrom(all[1].outer[family], 51820))
	return all[0], all[1]
}

func subnets(addrs []netip.Addr) []netip.Prefix {
	return []netip.Prefix{netip.PrefixFrom(addrs[0], 24), netip.PrefixFrom(addrs[1], 64)}
}

// start runs a daemon and sets its interface up.
func (s *station) start(i implementation, mtu int) {
	s.t.Helper()
	cmd := s.Command(context.Background(), append(i.argv, "wg0")...)
	cmd.Env = append(cmd.Env, i.env...)
	if i.background {
		if _, err := s.Output(cmd); err != nil {
			s.t.Fatal(err)
		}
	} else {
		cmd.Stderr = os.Stderr
		if err := s.Start(cmd); err != nil {
			s.t.Fatal(err)
		}
		go cmd.Wait() // it ends with the host
	}
	s.eventually("the daemon answers", func() error {
		_, err := s.Run(context.Background(), "wg", "show", "wg0")
		return err
	})
	for _, err := range []error{
		s.SetMTU("wg0", mtu),
		s.Address("wg0", subnets(s.inner)[0]), s.Address("wg0", subnets(s.inner)[1]),
		s.SetLink("wg0", true),
	} {
		if err != nil {
			s.t.Fatal(err)
		}
	}
}

// configure sets the interface's key and its one peer by the distribution's wg.
func (s *station) configure(port int, o *station, psk key.Preshared, endpoint netip.AddrPort) {
	s.t.Helper()
	text := fmt.Sprintf("[Interface]\nPrivateKey = %s\n", s.key.Reveal())
	if port != 0 {
		text += fmt.Sprintf("ListenPort = %d\n", port)
	}
	text += fmt.Sprintf("[Peer]\nPublicKey = %s\nPresharedKey = %s\nAllowedIPs = %s/32, %s/128\n",
		o.key.Public(), psk.Reveal(), o.inner[0], o.inner[1])
	if endpoint.IsValid() {
		text += fmt.Sprintf("Endpoint = %s\n", endpoint)
	}
	if err := s.WriteFile("/run/wg0.conf", []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	s.must("wg", "setconf", "wg0", "/run/wg0.conf")
}

func (s *station) must(argv ...string) string {
	s.t.Helper()
	out, err := s.Run(context.Background(), argv...)
	if err != nil {
		s.t.Fatal(err)
	}
	return string(out)
}

// eventually wants f to succeed within some seconds.
func (s *station) eventually(what string, f func() error) {
	s.t.Helper()
	var err error
	for range 250 {
		if err = f(); err == nil {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	s.t.Fatalf("%s: not yet: %v", what, err)
}

// amount is how many bytes a long transfer has. `make interop` sets
// INTEROP_ALL; then a gigabyte goes between two daemons of ours.
func amount(a, b implementation) int64 {
	switch {
	case os.Getenv("INTEROP_ALL") == "":
		return 32 << 20
	case a.ours && b.ours:
		return 1 << 30
	}
	return 256 << 20
}

// copyTo sends bytes to o over TCP and compares what arrives with what was sent.
func (s *station) copyTo(o *station, inner netip.Addr, bytes int64) error {
	in, out, err := s.dial(o, inner)
	if err != nil {
		return err
	}
	defer in.Close()
	limit := time.Now().Add(time.Minute + time.Duration(bytes>>20)*50*time.Millisecond)
	if err := errors.Join(in.SetDeadline(limit), out.SetDeadline(limit)); err != nil {
		return err
	}
	sent, failed := sha256.New(), make(chan error, 1)
	go func() {
		defer out.Close()
		_, err := io.CopyBuffer(out, io.TeeReader(io.LimitReader(rand.NewChaCha8([32]byte{9}), bytes), sent), make([]byte, 1<<18))
		failed <- err
	}()
	received := sha256.New()
	n, err := io.CopyBuffer(onlyWriter{received}, in, make([]byte, 1<<18))
	if err := errors.Join(err, <-failed); err != nil {
		return err
	}
	if got, want := sum(received), sum(sent); n != bytes || got != want {
		return fmt.Errorf("%d bytes with hash %s arrived, want %d with %s", n, got, bytes, want)
	}
	return nil
}

// onlyWriter keeps io.CopyBuffer to its buffer.
type onlyWriter struct{ io.Writer }

func sum(h hash.Hash) string { return fmt.Sprintf("%x", h.Sum(nil)[:8]) }

// dial opens a TCP connection from s to o.
func (s *station) dial(o *station, inner netip.Addr) (in, out net.Conn, err error) {
	var l net.Listener
	err = o.Do(func() (err error) {
		l, err = net.Listen("tcp", netip.AddrPortFrom(inner, 0).String())
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	defer l.Close()
	err = s.Do(func() (err error) {
		out, err = net.DialTimeout("tcp", l.Addr().String(), 10*time.Second)
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	in, err = l.Accept()
	return in, out, err
}

// I02: all pairings of implementations, with and without offloads, at three
// MTUs; a TCP stream in each direction arrives unchanged.
func TestStreams(t *testing.T) {
	for _, p := range []struct{ a, b implementation }{
		{warrenDaemon(), referenceDaemon()},
		{referenceDaemon(), warrenDaemon()},
		{warrenDaemon(), plain("theirs")},
		{plain("ours"), referenceDaemon()},
		{plain("theirs"), plain("ours")},
		{warrenDaemon(), warrenDaemon()},
		{plain("ours"), warrenDaemon()},
		{plain("ours"), plain("ours")},
	} {
		for i, mtu := range []int{1280, 1420, 8920} {
			t.Run(fmt.Sprintf("%s/%s/%d", p.a.name, p.b.name, mtu), func(t *testing.T) {
				a, b := newPair(t, p.a, p.b, mtu, i%2 == 1)
				if err := a.copyTo(b, b.inner[0], amount(p.a, p.b)); err != nil {
					t.Errorf("a to b, IPv4: %v", err)
				}
				if err := b.copyTo(a, a.inner[1], amount(p.a, p.b)/8); err != nil {
					t.Errorf("b to a, IPv6: %v", err)
				}
				if t.Failed() {
					t.Logf("a: %s\nb: %s", a.must("wg", "show"), b.must("wg", "show"))
				}
			})
		}
	}
}

// Ping of all sizes, each answered: nothing is lost at the borders of padding
// and MTU.
func TestPingsOfAllSizes(t *testing.T) {
	for _, p := range []struct{ a, b implementation }{
		{warrenDaemon(), referenceDaemon()}, {referenceDaemon(), warrenDaemon()}, {warrenDaemon(), warrenDaemon()},
	} {
		t.Run(p.a.name+"/"+p.b.name, func(t *testing.T) {
			a, b := newPair(t, p.a, p.b, 1420, false)
			a.eventually("b answers", func() error {
				_, err := a.Run(context.Background(), "ping", "-c1", "-W1", b.inner[0].String())
				return err
			})
			for _, inner := range b.inner {
				header := 28
				if inner.Is6() {
					header = 48
				}
				for _, size := range []int{0, 1, 15, 16, 17, 1300, 1404 - header, 1405 - header, 1419 - header, 1420 - header} {
					// One at a time: with several, ping gives the last one no
					// more than two round trips.
					for range 2 {
						a.must("ping", "-c1", "-W5", "-s", fmt.Sprint(size), inner.String())
					}
				}
			}
		})
	}
}
