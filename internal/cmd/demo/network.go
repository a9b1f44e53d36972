package demo

import (
	"context"
	"fmt"
	"net/netip"
	"path"

	"github.com/warrenvpn/warren/examples"
	"github.com/warrenvpn/warren/internal/netlab"
)

// member is a host of a tunnel network.
type member struct {
	site
	tunnel []netip.Addr // its addresses in the tunnel, IPv4 first
	host   *netlab.Host
}

func tunnelAddresses(n int) []netip.Addr {
	return []netip.Addr{
		netip.MustParseAddr(fmt.Sprintf("192.0.2.%d", n)),
		netip.MustParseAddr(fmt.Sprintf("2001:db8::%d", n)),
	}
}

// fullNetwork returns the hosts of examples/full; the first is the relay.
//
//	public-server1 198.51.100.10, 3fff:0:1::10 ---------------- internet
//	public-server2 203.0.113.10,  3fff:0:2::10 -------------------|
//	home-server 192.168.1.10 --- NAT 198.18.1.10 -----------------|
//	laptop      192.168.2.10 --- NAT 198.18.2.10 -----------------|
//	phone          fd00:5::10 --- NAT 3fff:0:5::10 ---------------|
func fullNetwork() []*member {
	sites := []site{
		{name: "public-server1", wan: prefixes("198.51.100.10/24", "3fff:0:1::10/64")},
		{name: "public-server2", wan: prefixes("203.0.113.10/24", "3fff:0:2::10/64")},
		{name: "home-server", wan: prefixes("198.18.1.10/24"), lan: prefixes("192.168.1.10/24")},
		{name: "laptop", wan: prefixes("198.18.2.10/24"), lan: prefixes("192.168.2.10/24")},
		{name: "phone", wan: prefixes("3fff:0:5::10/64"), lan: prefixes("fd00:5::10/64")},
	}
	var all []*member
	for i, s := range sites {
		all = append(all, &member{site: s, tunnel: tunnelAddresses(i + 1)})
	}
	return all
}

// crossingNetwork returns the hosts of examples/nat-to-nat; the first is the
// relay. The second NAT chooses ports as told.
func crossingNetwork(second netlab.PortPolicy) []*member {
	return []*member{
		{tunnel: tunnelAddresses(1), site: site{name: "relay", wan: prefixes("198.51.100.10/24", "3fff:0:1::10/64")}},
		{tunnel: tunnelAddresses(11), site: site{name: "peer1", wan: prefixes("198.18.1.10/24"), lan: prefixes("192.168.1.10/24")}},
		{tunnel: tunnelAddresses(12), site: site{
			name: "peer2", wan: prefixes("198.18.2.10/24"), lan: prefixes("192.168.2.10/24"), ports: second,
		}},
	}
}

// build makes the hosts of a network, without tunnels.
func build(lab *netlab.Lab, members []*member) error {
	var sites []site
	for _, m := range members {
		sites = append(sites, m.site)
	}
	hosts, err := connect(lab, sites)
	if err != nil {
		return err
	}
	for i, m := range members {
		m.host = hosts[i]
	}
	return nil
}

// Where things are inside a host; all of it is private to the host.
const (
	toolDir    = "/run/warren-demo/bin"
	exampleDir = "/run/warren-demo/examples"
	tunnelLink = "wg0"
)

// tools are the programs that hosts use.
type tools struct {
	// self is this program. Inside a host it is called warren and wg, so that
	// hooks of configuration files find wg.
	self string
	// up brings a tunnel up from ./wg0.conf in the working directory.
	up []string
	// env is added to the environment of up.
	env []string
}

// ownTools uses this program for everything.
func ownTools(self string) tools {
	return tools{self: self, up: []string{"warren", "up", "./" + tunnelLink + ".conf"}}
}

// bringUp puts the example's file and the tools into the host, and brings its
// tunnel up.
func (t tools) bringUp(ctx context.Context, m *member, example string) error {
	if t.self != "" {
		for _, name := range []string{"warren", "wg"} {
			if err := m.host.Symlink(t.self, path.Join(toolDir, name)); err != nil {
				return err
			}
		}
	}
	file := path.Join(example, m.name, tunnelLink+".conf")
	text, err := examples.Files.ReadFile(file)
	if err != nil {
		return err
	}
	file = path.Join(exampleDir, file)
	if err := m.host.WriteFile(file, text, 0o600); err != nil {
		return err
	}
	cmd := m.host.Command(ctx, t.up...)
	cmd.Dir = path.Dir(file)
	cmd.Env = append(cmd.Env, t.env...)
	_, err = m.host.Output(cmd)
	return err
}
