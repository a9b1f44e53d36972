//go:build linux && e2e

package netnstest

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"testing"

	"github.com/warrenvpn/warren/internal/hostnet"
	"github.com/warrenvpn/warren/internal/rtnl"
)

// fullTunnel is a host whose default routes lead into a tunnel, made of the
// steps that wg-quick takes, and the gateway of its network, which is hostile.
//
//	ns1 eth0 ──────────── eth0 gw eth1 ──────────── eth0 ns2
//	   10.0.0.1   10.0.0.254      10.1.0.1   10.1.0.2
//	   fd00:a::1  fd00:a::254   fd00:b::1    fd00:b::2
//	   wg1 :1                                   wg2 :2
type fullTunnel struct {
	*world
	gw *host
}

const (
	tunnelMark = 51820
	outer2     = "10.1.0.2:2"
	outer26    = "[fd00:b::2]:2"
)

// watch counts what arrives for the tunnel's addresses past the tunnel, and
// what of it is accepted.
const watch = `table inet watch {
	counter arrived4 { }
	counter arrived6 { }
	counter accepted4 { }
	counter accepted6 { }
	chain arrived {
		type filter hook prerouting priority -310;
		iifname eth0 ip daddr ` + inner1 + ` counter name arrived4
		iifname eth0 ip6 daddr ` + inner16 + ` counter name arrived6
	}
	chain accepted {
		type filter hook input priority 0;
		iifname eth0 ip daddr ` + inner1 + ` counter name accepted4
		iifname eth0 ip6 daddr ` + inner16 + ` counter name accepted6
	}
}
`

func newFullTunnel(t *testing.T) fullTunnel {
	t.Helper()
	l := newLab(t)
	w := fullTunnel{&world{lab: l, ns1: l.host("ns1"), ns2: l.host("ns2"), id1: newIdentity(t), id2: newIdentity(t)}, l.host("gw")}
	l.cable(w.ns1, "eth0 10.0.0.1/24 fd00:a::1/64", w.gw, "eth0 10.0.0.254/24 fd00:a::254/64")
	l.cable(w.gw, "eth1 10.1.0.1/24 fd00:b::1/64", w.ns2, "eth0 10.1.0.2/24 fd00:b::2/64")
	must(t, w.gw.Forward())
	w.ns1.ip("route add default via 10.0.0.254", "-6 route add default via fd00:a::254")
	w.ns2.ip("route add default via 10.1.0.1", "-6 route add default via fd00:b::1")
	w.wg1, w.wg2 = w.ns1.device("wg1"), w.ns2.device("wg2")
	w.ns1.ip("addr add "+inner1+"/32 dev wg1", "addr add "+inner16+"/128 dev wg1 nodad")
	w.ns2.ip("addr add "+inner2+"/24 dev wg2", "addr add "+inner26+"/112 dev wg2 nodad")
	w.ns1.wg(fmt.Sprintf("set wg1 listen-port 1 fwmark %d private-key", tunnelMark), w.ns1.privateKey(w.id1),
		"peer", w.id2.pub(), "allowed-ips 0.0.0.0/0,::/0 endpoint", outer2)
	w.ns2.wg("set wg2 listen-port 2 private-key", w.ns2.privateKey(w.id2), "peer", w.id1.pub(), "allowed-ips", bothInner1)
	w.ns2.up("wg2", w.ns2, 2)
	w.ns1.up("wg1", w.ns1, 1)
	w.ns1.reaches("10.1.0.2")
	w.ns1.reaches("fd00:b::2")
	must(t, w.ns1.Do(takeDefaultRoutes))
	w.ns1.nft(watch)
	// The gateway knows these addresses, and the far end's are its own too.
	w.gw.ip("route add "+inner1+" via 10.0.0.1", "-6 route add "+inner16+" via fd00:a::1",
		"addr add "+inner2+"/32 dev lo", "addr add "+inner26+"/128 dev lo nodad")
	return w
}

func takeDefaultRoutes() error {
	c, err := rtnl.Dial()
	if err != nil {
		return err
	}
	defer c.Close()
	link, err := c.Link("wg1")
	if err != nil {
		return err
	}
	for family, everything := range map[int]string{4: "0.0.0.0/0", 6: "::/0"} {
		empty, err := c.TableEmpty(family, tunnelMark)
		if err == nil && !empty {
			err = errors.New("the table of the tunnel is in use")
		}
		_, errTunnel := c.AddRule(rtnl.Rule{Family: family, Not: true, Mark: tunnelMark, Table: tunnelMark, SuppressPrefixLength: -1})
		_, errMain := c.AddRule(rtnl.Rule{Family: family, Table: rtnl.TableMain, SuppressPrefixLength: 0})
		errRoute := c.AddRoute(rtnl.Route{Destination: netip.MustParsePrefix(everything), Link: link.Index, Table: tunnelMark})
		if err := errors.Join(err, errTunnel, errMain, errRoute); err != nil {
			return err
		}
	}
	return hostnet.SetSysctl("net.ipv4.conf.all.src_valid_mark", "1")
}

func (w fullTunnel) protect() {
	w.t.Helper()
	must(w.t, w.ns1.Do(func() error {
		own := []netip.Addr{netip.MustParseAddr(inner1), netip.MustParseAddr(inner16)}
		return errors.Join(
			hostnet.AddAntiLeak(hostnet.AntiLeak{Interface: "wg1", Family: 4, Addresses: own, Mark: tunnelMark}),
			hostnet.AddAntiLeak(hostnet.AntiLeak{Interface: "wg1", Family: 6, Addresses: own, Mark: tunnelMark}))
	}))
}

func (w fullTunnel) unprotect() {
	w.t.Helper()
	must(w.t, w.ns1.Do(func() error { return hostnet.RemoveAntiLeak("wg1") }))
}

// reversePath sets how strictly ns1 filters by the way back.
func (w fullTunnel) reversePath(strictness int) {
	w.t.Helper()
	for _, link := range []string{"all", "eth0", "wg1"} {
		must(w.t, w.ns1.Sysctl("net/ipv4/conf/"+link+"/rp_filter", fmt.Sprint(strictness)))
	}
}

// injections is how many packets are sent from each address.
const injections = 20

// inject sends datagrams from the gateway to the tunnel's addresses, in its own
// name and in that of the far end, and returns how many were accepted.
func (w fullTunnel) inject() (accepted4, accepted6 int) {
	w.t.Helper()
	count := func(name string) int {
		n, _ := w.ns1.counter("inet", "watch", name)
		return n
	}
	arrived4, arrived6 := count("arrived4")+2*injections, count("arrived6")+2*injections
	accepted4, accepted6 = count("accepted4"), count("accepted6")
	for from, to := range map[string]string{
		"10.0.0.254": inner1, inner2: inner1,
		"fd00:a::254": inner16, inner26: inner16,
	} {
		must(w.t, w.gw.Do(func() error { return sendUDP(from, to, injections) }))
	}
	waitFor(w.t, patience, "all injected packets have arrived", func() bool {
		return count("arrived4") == arrived4 && count("arrived6") == arrived6
	})
	return count("accepted4") - accepted4, count("accepted6") - accepted6
}

func sendUDP(from, to string, n int) error {
	c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.ParseIP(from)})
	if err != nil {
		return err
	}
	defer c.Close()
	for range n {
		if _, err := c.WriteToUDP([]byte("let me in"), &net.UDPAddr{IP: net.ParseIP(to), Port: 9}); err != nil {
			return err
		}
	}
	return nil
}

// Q22: with the anti-leak rules the tunnel works under every reverse path
// filter, and nothing reaches its addresses but through it. Without them, the
// same packets do, and the strict filter drops the replies: the test can fail.
func TestQ22AntiLeak(t *testing.T) {
	for strictness := range 3 {
		for _, endpoint := range []string{outer2, outer26} {
			t.Run(fmt.Sprintf("rp_filter %d to %s", strictness, endpoint), func(t *testing.T) {
				w := newFullTunnel(t)
				w.reversePath(strictness)
				w.ns1.wg("set wg1 peer", w.id2.pub(), "endpoint", endpoint)
				w.protect()
				w.ns1.pings("-c", "1", inner2)
				w.ns1.pings("-c", "1", inner26)
				w.ns2.pings("-c", "1", inner1)
				w.ns1.pings("-c", "1", "10.0.0.254") // the own network stays in reach
				w.ns1.pings("-c", "1", inner1)       // and so do the own addresses
				w.ns1.pings("-c", "1", inner16)
				if got4, got6 := w.inject(); got4 != 0 || got6 != 0 {
					t.Errorf("%d and %d injected packets were accepted, want 0", got4, got6)
				}

				w.unprotect()
				// The far end's name is accepted where the way back is not looked at strictly.
				want4 := 2 * injections
				if strictness == 1 {
					want4 = injections
				}
				if got4, got6 := w.inject(); got4 != want4 || got6 != 2*injections {
					t.Errorf("without the rules %d and %d injected packets were accepted, want %d and %d", got4, got6, want4, 2*injections)
				}
				if strictness == 1 && endpoint == outer2 {
					w.ns1.pingFails("-c", "1", inner2)
				}
			})
		}
	}
}
