//go:build linux && e2e

package kernel

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/warrenvpn/warren/interop/kernel/traffic"
	"github.com/warrenvpn/warren/key"
)

// side is an end of a tunnel: our device on the host, or the kernel's in the
// guest.
type side struct {
	name  string // ours or kernel
	link  string // of the tunnel
	cable string // the link below it
	key   key.Private
	port  int
	outer [2]netip.Addr // IPv4, IPv6
	inner [2]netip.Addr
	wg    func(t *testing.T, format string, args ...any) string
	ip    func(t *testing.T, format string, args ...any)
	// ping sends echo requests to the other side's inner address and returns an
	// error unless all are answered.
	ping func(to netip.Addr, count int, patience time.Duration) error
	// steady sends one every so often, for so long, and returns how many were
	// sent and not answered, and the longest time to an answer.
	steady func(to netip.Addr, gap, howLong time.Duration) (sent, lost int, slowest time.Duration, err error)
	// noticed waits until a side knows that its link was set up or down. Our daemon
	// hears of that from netlink, and opens or closes its sockets; the kernel does
	// so at once.
	noticed func(t *testing.T, up bool)
	// write puts a file where this side's wg can read it.
	write func(t *testing.T, path, text string)
}

func (s *side) String() string     { return s.name }
func (s *side) pub() string        { return s.key.Public().String() }
func (s *side) at(six bool) string { return s.outerPort(six).String() }

func (s *side) outerPort(six bool) netip.AddrPort {
	return netip.AddrPortFrom(s.outer[index(six)], uint16(s.port))
}

func index(six bool) int {
	if six {
		return 1
	}
	return 0
}

// pair is a tunnel between our device and the kernel's.
type pair struct{ ours, kernel *side }

// newPair makes tunnel number n over a cable: interfaces, addresses and keys, but
// no peers. It is gone with the test.
func newPair(t *testing.T, b *bed, n, cable int) pair {
	t.Helper()
	rnd := rand.NewChaCha8([32]byte{byte(n), 1})
	link := fmt.Sprintf("wg%d", n)
	p := pair{ours: b.ours(link), kernel: b.theKernels(link)}
	for i, s := range []*side{p.ours, p.kernel} {
		k, err := key.GeneratePrivate(rnd)
		if err != nil {
			t.Fatal(err)
		}
		s.cable = fmt.Sprintf([]string{"tap%d", "eth%d"}[i], cable)
		s.key, s.port = k, 51820+n
		s.outer = [2]netip.Addr{
			netip.MustParseAddr(fmt.Sprintf([]string{"192.0.2.%d", "198.51.100.%d"}[cable], i+1)),
			netip.MustParseAddr(fmt.Sprintf([]string{"2001:db8::%d", "2001:db8:1::%d"}[cable], i+1)),
		}
		s.inner = [2]netip.Addr{
			netip.MustParseAddr(fmt.Sprintf("10.%d.0.%d", n, i+1)), netip.MustParseAddr(fmt.Sprintf("fd00:%d::%d", n, i+1)),
		}
	}
	b.startOurs(t, link)
	b.guest(t, "ip", "link", "add", "dev", link, "type", "wireguard")
	t.Cleanup(func() { b.guest(t, "ip", "link", "del", "dev", link) })
	for _, s := range []*side{p.ours, p.kernel} {
		s.write(t, "/run/key", s.key.Reveal()+"\n")
		s.wg(t, "set %s private-key /run/key listen-port %d", link, s.port)
		s.ip(t, "address add %s/24 dev %s", s.inner[0], link)
		s.ip(t, "address add %s/64 dev %s nodad", s.inner[1], link)
		s.ip(t, "link set %s up", link)
		s.noticed(t, true)
	}
	return p
}

// startOurs starts our device; it ends with the test.
func (b *bed) startOurs(t *testing.T, link string) {
	t.Helper()
	b.host(t, "/run/ours/warren", "device", link)
	t.Cleanup(func() { b.host(t, "ip", "link", "del", "dev", link) })
}

func (b *bed) ours(link string) *side {
	s := &side{
		name: "ours", link: link,
		wg: func(t *testing.T, format string, args ...any) string {
			t.Helper()
			return b.host(t, append([]string{"/run/ours/wg"}, words(format, args...).args...)...)
		},
		ip: func(t *testing.T, format string, args ...any) {
			t.Helper()
			b.host(t, append([]string{"ip"}, words(format, args...).args...)...)
		},
		ping: func(to netip.Addr, count int, patience time.Duration) error {
			return b.near.Do(func() error { return traffic.Flood(to, count, patience) })
		},
		steady: func(to netip.Addr, gap, howLong time.Duration) (sent, lost int, slowest time.Duration, err error) {
			err = b.near.Do(func() (err error) {
				sent, lost, slowest, err = traffic.Steady(to, gap, howLong)
				return err
			})
			return sent, lost, slowest, err
		},
		write: func(t *testing.T, path, text string) {
			t.Helper()
			if err := b.near.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		},
	}
	s.noticed = func(t *testing.T, up bool) {
		t.Helper()
		eventually(t, "our device has heard of its link", func() error {
			for _, f := range []string{"udp", "udp6"} {
				text, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/%s", b.near.PID(), f))
				if err != nil {
					return err
				}
				if open := strings.Contains(string(text), fmt.Sprintf(":%04X ", s.port)); open != up {
					return fmt.Errorf("port %d is in %s: %t, want %t", s.port, f, open, up)
				}
			}
			// The kernel adds the routes to IPv6 addresses some time after those.
			routes, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/ipv6_route", b.near.PID()))
			if local := fmt.Sprintf("%x 80 ", s.inner[1].AsSlice()); err == nil && up && !strings.Contains(string(routes), local) {
				err = fmt.Errorf("there is no route to %s yet", s.inner[1])
			}
			return err
		})
	}
	return s
}

func (b *bed) theKernels(link string) *side {
	return &side{
		name: "kernel", link: link,
		noticed: func(*testing.T, bool) {},
		wg: func(t *testing.T, format string, args ...any) string {
			t.Helper()
			return b.must(t, b.theirs, format, args...)
		},
		ip: func(t *testing.T, format string, args ...any) {
			t.Helper()
			b.guest(t, append([]string{"ip"}, words(format, args...).args...)...)
		},
		ping: func(to netip.Addr, count int, patience time.Duration) error {
			ctx, cancel := context.WithTimeout(context.Background(), patience+5*time.Minute)
			defer cancel()
			_, err := b.vm.Run(ctx, "/init", "echo", to.String(), fmt.Sprint(count), patience.String())
			return err
		},
		steady: func(to netip.Addr, gap, howLong time.Duration) (sent, lost int, slowest time.Duration, err error) {
			ctx, cancel := context.WithTimeout(context.Background(), howLong+patience)
			defer cancel()
			out, err := b.vm.Run(ctx, "/init", "steady", to.String(), gap.String(), howLong.String())
			if err == nil {
				_, err = fmt.Sscan(out, &sent, &lost, &slowest)
			}
			return sent, lost, slowest, err
		},
		write: func(t *testing.T, path, text string) {
			t.Helper()
			if err := b.vm.WriteFile(context.Background(), path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		},
	}
}

// combination is one cell of the matrix.
type combination struct{ kernelInitiates, preshared, outer6, inner6 bool }

func (c combination) String() string {
	pick := func(b bool, yes, no string) string {
		if b {
			return yes
		}
		return no
	}
	return fmt.Sprintf("%s_initiates_%s_outer%s_inner%s", pick(c.kernelInitiates, "kernel", "ours"),
		pick(c.preshared, "psk", "plain"), pick(c.outer6, "6", "4"), pick(c.inner6, "6", "4"))
}

// connect makes the sides peers; only the initiator knows where the other is.
// What they knew of each other before is forgotten.
func (p pair) connect(t *testing.T, c combination) (initiator, responder *side) {
	t.Helper()
	initiator, responder = p.ours, p.kernel
	if c.kernelInitiates {
		initiator, responder = responder, initiator
	}
	psk := ""
	if c.preshared {
		k, err := key.GeneratePreshared(rand.NewChaCha8([32]byte{7}))
		if err != nil {
			t.Fatal(err)
		}
		psk = k.Reveal() + "\n"
	}
	for _, s := range []*side{responder, initiator} {
		o := p.other(s)
		s.write(t, "/run/psk", psk)
		s.wg(t, "set %s peer %s remove", s.link, o.pub())
		more := ""
		if s == initiator {
			more = "endpoint " + o.at(c.outer6)
		}
		s.wg(t, "set %s peer %s preshared-key /run/psk allowed-ips %s/32,%s/128 %s", s.link, o.pub(), o.inner[0], o.inner[1], more)
	}
	return initiator, responder
}

func (p pair) other(s *side) *side {
	if s == p.ours {
		return p.kernel
	}
	return p.ours
}

// handshake returns when a side last had one, in seconds of its own clock.
func (p pair) handshake(t *testing.T, s *side) int {
	t.Helper()
	f := strings.Fields(s.wg(t, "show %s latest-handshakes", s.link))
	if len(f) != 2 {
		t.Fatalf("%s: show latest-handshakes: %q, want one peer", s, f)
	}
	n, err := strconv.Atoi(f[1])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// endpoint returns where a side believes the other to be.
func (p pair) endpoint(t *testing.T, s *side) string {
	t.Helper()
	f := strings.Fields(s.wg(t, "show %s endpoints", s.link))
	if len(f) != 2 {
		t.Fatalf("%s: show endpoints: %q, want one peer", s, f)
	}
	return f[1]
}

func testTunnels(t *testing.T, b *bed) {
	p := newPair(t, b, 1, 0)
	b.run(t, "I03", func(t *testing.T, b *bed) { testMatrix(t, b, p) })
	b.run(t, "I07 roaming", func(t *testing.T, b *bed) { testRoaming(t, p) })
	if b.all {
		b.run(t, "live", func(t *testing.T, b *bed) { testLive(t, b, p) })
		b.run(t, "new sessions", func(t *testing.T, b *bed) { testNewSessions(t, p) })
		b.run(t, "I06 under load", func(t *testing.T, b *bed) { testLoad(t, b, p) })
	}
	if full {
		b.run(t, "rekey", func(t *testing.T, b *bed) { testRekey(t, p) })
	}
}

// I03: both roles, with and without a preshared key, both families outside and
// inside; every echo request is answered.
func testMatrix(t *testing.T, b *bed, p pair) {
	count := 200
	if full {
		count = 1000
	}
	for n := range 16 {
		if !b.all && n%5 != 0 {
			continue // 0000, 0101, 1010, 1111: each of either kind, with each of the others
		}
		c := combination{n&1 != 0, n&2 != 0, n&4 != 0, n&8 != 0}
		t.Run(c.String(), func(t *testing.T) {
			initiator, responder := p.connect(t, c)
			to := responder.inner[index(c.inner6)]
			// The first packet waits for the handshake that it starts.
			if err := initiator.ping(to, 1, patience); err != nil {
				t.Fatalf("from %s: %v", initiator, err)
			}
			if got, want := p.endpoint(t, responder), initiator.at(c.outer6); got != want {
				t.Errorf("%s believes its peer at %s, want %s", responder, got, want)
			}
			if err := p.ours.ping(p.kernel.inner[index(c.inner6)], count, patience); err != nil {
				t.Errorf("from ours: %v", err)
			}
		})
	}
}
