package bench

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/netip"

	"github.com/warrenvpn/warren/internal/netlab"
	"github.com/warrenvpn/warren/key"
)

// line is how the hosts of a rig are joined.
type line int

const (
	direct  line = iota // client 10.9.0.1 ---- server 10.9.0.2
	relayed             // client 10.9.0.1 ---- relay 10.9.0.3 ---- server 10.9.0.2
)

// rig is a line of hosts with a contestant's tunnel.
type rig struct {
	close          func() error
	client, server *netlab.Host
	target         netip.Addr // the server as the client reaches it
	tunnelled      bool       // there are daemons
}

// overhead is what an outer packet has more than the inner one: the headers of
// IPv6 and UDP and those of a message.
const overhead = 80

// newRig makes hosts, joins them, and starts the load generator's server.
func newRig(ctx context.Context, c *contestant, l line, mtu int) (_ *rig, err error) {
	lab, err := netlab.New(netlab.Options{Name: "bench"})
	if err != nil {
		return nil, err
	}
	r := &rig{close: lab.Close}
	defer func() {
		if err != nil {
			_ = r.close()
		}
	}()
	count := 2
	if l == relayed {
		count = 3
	}
	nodes, err := wire(lab, count, mtu+overhead)
	if err != nil {
		return nil, err
	}
	if l == relayed {
		if err := nodes[2].Forward(); err != nil {
			return nil, err
		}
	}
	r.client, r.server, r.target = nodes[0].Host, nodes[1].Host, nodes[1].outer
	if c.join != nil {
		r.target, r.tunnelled = nodes[1].inner, true
		if err := c.join(ctx, nodes); err != nil {
			return nil, err
		}
	}
	if err := r.serve(ctx); err != nil {
		for _, n := range nodes {
			if text := n.said.String(); text != "" {
				err = fmt.Errorf("%w\n%s says: %s", err, n.Name(), text)
			}
		}
		return nil, err
	}
	return r, nil
}

// newNode adds a host, the i-th of its lab.
func newNode(lab *netlab.Lab, i int) (*node, error) {
	h, err := lab.Host([]string{"client", "server", "relay"}[i])
	if err != nil {
		return nil, err
	}
	k, err := key.GeneratePrivate(rand.Reader)
	if err != nil {
		return nil, err
	}
	at := func(n byte) netip.Addr { return netip.AddrFrom4([4]byte{192, 0, 2, n}) }
	inner := network.Addr()
	for range i + 1 {
		inner = inner.Next()
	}
	return &node{Host: h, inner: inner, key: k, outer: at(byte(i + 1))}, nil
}

// wire makes hosts on one Ethernet segment: a cable for two, a switch for three.
func wire(lab *netlab.Lab, count, mtu int) (nodes []*node, err error) {
	for i := range count {
		n, err := newNode(lab, i)
		if err != nil {
			return nil, err
		}
		nodes = append(nodes, n)
	}
	port := func(n *node) netlab.Port {
		return netlab.Port{Host: n.Host, Name: "eth0", MTU: mtu, Addresses: []netip.Prefix{netip.PrefixFrom(n.outer, 24)}}
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
		out := netlab.Port{Host: ether, Name: n.Name(), Bridge: "br0", MTU: mtu}
		if err := lab.Cable(out, port(n)); err != nil {
			return nil, err
		}
	}
	return nodes, nil
}

// serve starts the load generator's server and waits until the client reaches
// it.
func (r *rig) serve(ctx context.Context) error {
	cmd := r.server.Command(context.WithoutCancel(ctx), generator, "-s", "-J")
	if err := r.server.Start(cmd); err != nil {
		return err
	}
	go func() { _ = cmd.Wait() }() // it ends with the rig
	err := retry(ctx, patience, func() error {
		_, err := r.iperf(ctx, 0, "-n", "1M")
		return err
	})
	if err != nil {
		return fmt.Errorf("no stream gets through: %w", err)
	}
	return nil
}
