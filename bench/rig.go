//go:build linux

package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/warrenvpn/warren/internal/netlab"
	"github.com/warrenvpn/warren/key"
)

// contestant is an implementation and how its daemon is started.
type contestant struct {
	name string
	argv []string // the interface's name follows
}

// rig is a line of hosts: two joined directly, or three of which the middle one
// relays. All have one tunnel interface; the ends know only their neighbour.
//
//	client 10.9.0.1 ---- server 10.9.0.2
//	client 10.9.0.1 ---- relay 10.9.0.3 ---- server 10.9.0.2
type rig struct {
	lab            *netlab.Lab
	client, server *netlab.Host
	target         netip.Addr // the server as the client reaches it
}

const (
	link     = "wg0"
	mtu      = 1420
	outerMTU = 1500
)

var (
	clientInner = netip.MustParseAddr("10.9.0.1")
	serverInner = netip.MustParseAddr("10.9.0.2")
	relayInner  = netip.MustParseAddr("10.9.0.3")
)

// node is a host that is being set up.
type node struct {
	*netlab.Host
	inner, outer netip.Addr
	key          key.Private
}

// newRig makes a rig without tunnel if c is nil.
func newRig(ctx context.Context, c *contestant, relayed bool) (_ *rig, err error) {
	lab, err := netlab.New(netlab.Options{Name: "bench"})
	if err != nil {
		return nil, err
	}
	r := &rig{lab: lab}
	defer func() {
		if err != nil {
			r.close()
		}
	}()
	inners := []netip.Addr{clientInner, serverInner}
	if relayed {
		inners = append(inners, relayInner)
	}
	nodes, err := wire(lab, inners)
	if err != nil {
		return nil, err
	}
	r.client, r.server, r.target = nodes[0].Host, nodes[1].Host, nodes[1].outer
	if c != nil {
		r.target = serverInner
		if err := tunnel(ctx, *c, nodes); err != nil {
			return nil, err
		}
	}
	return r, r.serve(ctx)
}

func (r *rig) close() { r.lab.Close() }

// wire makes hosts on one Ethernet segment: a cable for two, a switch for three.
func wire(lab *netlab.Lab, inners []netip.Addr) ([]*node, error) {
	var nodes []*node
	for i, inner := range inners {
		h, err := lab.Host([]string{"client", "server", "relay"}[i])
		if err != nil {
			return nil, err
		}
		k, err := key.GeneratePrivate(rand.Reader)
		if err != nil {
			return nil, err
		}
		nodes = append(nodes, &node{Host: h, inner: inner, key: k, outer: netip.AddrFrom4([4]byte{192, 0, 2, byte(i + 1)})})
	}
	port := func(n *node) netlab.Port {
		return netlab.Port{Host: n.Host, Name: "eth0", MTU: outerMTU, Addresses: []netip.Prefix{netip.PrefixFrom(n.outer, 24)}}
	}
	if len(nodes) == 2 {
		return nodes, lab.Cable(port(nodes[0]), port(nodes[1]))
	}
	ether, err := lab.Host("switch")
	if err != nil {
		return nil, err
	}
	if err := ether.Bridge("br0"); err != nil {
		return nil, err
	}
	for _, n := range nodes {
		out := netlab.Port{Host: ether, Name: n.Name(), Bridge: "br0", MTU: outerMTU}
		if err := lab.Cable(out, port(n)); err != nil {
			return nil, err
		}
	}
	return nodes, nil
}

// tunnel starts the daemons and joins them: client and server to each other, or
// both to the relay.
func tunnel(ctx context.Context, c contestant, nodes []*node) error {
	for _, n := range nodes {
		if err := n.start(ctx, c); err != nil {
			return err
		}
	}
	client, server := nodes[0], nodes[1]
	if len(nodes) == 2 {
		return errors.Join(client.configure(ctx, "10.9.0.0/24", server), server.configure(ctx, "10.9.0.0/24", client))
	}
	relay := nodes[2]
	return errors.Join(relay.Forward(), relay.configure(ctx, "", client, server),
		client.configure(ctx, "10.9.0.0/24", relay), server.configure(ctx, "10.9.0.0/24", relay))
}

// start runs the daemon and sets its interface up.
func (n *node) start(ctx context.Context, c contestant) error {
	if _, err := n.Run(ctx, append(c.argv, link)...); err != nil {
		return err
	}
	// The reference's command returns before its socket answers.
	for start := time.Now(); ; time.Sleep(5 * time.Millisecond) {
		_, err := n.Run(ctx, "wg", "show", link)
		if err == nil {
			break
		}
		if time.Since(start) > 5*time.Second {
			return err
		}
	}
	return errors.Join(n.SetMTU(link, mtu), n.Address(link, netip.PrefixFrom(n.inner, 24)), n.SetLink(link, true))
}

// configure sets the key and the peers. One peer gets the prefix given; several
// get their own addresses.
func (n *node) configure(ctx context.Context, prefix string, peers ...*node) error {
	var b strings.Builder
	fmt.Fprintf(&b, "[Interface]\nPrivateKey = %s\nListenPort = 51820\n", n.key.Reveal())
	for _, p := range peers {
		allowed := prefix
		if allowed == "" {
			allowed = p.inner.String()
		}
		fmt.Fprintf(&b, "[Peer]\nPublicKey = %s\nAllowedIPs = %s\nEndpoint = %s:51820\n", p.key.Public(), allowed, p.outer)
	}
	const file = "/run/wg0.conf"
	if err := n.WriteFile(file, []byte(b.String()), 0o600); err != nil {
		return err
	}
	_, err := n.Run(ctx, "wg", "setconf", link, file)
	return err
}

// serve starts the load generator's server and waits until the client reaches
// it.
func (r *rig) serve(ctx context.Context) error {
	cmd := r.server.Command(ctx, "iperf3", "-s", "-J")
	if err := r.server.Start(cmd); err != nil {
		return err
	}
	go cmd.Wait() // it ends with the rig
	var err error
	for start := time.Now(); time.Since(start) < 10*time.Second; {
		if _, err = r.iperf(ctx, "-n", "1M"); err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		time.Sleep(50 * time.Millisecond)
	}
	return err
}

// resident returns the largest resident size of the server's daemon so far, in
// bytes.
func (r *rig) resident() (float64, error) { return status(r.server, "VmHWM") }

// status returns a size from the status of the one tunnel daemon of a host.
func status(h *netlab.Host, name string) (size float64, err error) {
	err = h.Do(func() error {
		dirs, err := os.ReadDir("/proc")
		if err != nil {
			return err
		}
		for _, d := range dirs {
			if _, err := strconv.Atoi(d.Name()); err != nil || d.Name() == "1" {
				continue
			}
			command, _ := os.ReadFile("/proc/" + d.Name() + "/cmdline")
			if !strings.HasSuffix(string(command), "\x00"+link+"\x00") {
				continue
			}
			text, err := os.ReadFile("/proc/" + d.Name() + "/status")
			if err != nil {
				return err
			}
			for line := range strings.Lines(string(text)) {
				var kilobytes float64
				if _, err := fmt.Sscanf(line, name+": %f kB", &kilobytes); err == nil {
					size = kilobytes * 1024
					return nil
				}
			}
		}
		return exec.ErrNotFound
	})
	return size, err
}
