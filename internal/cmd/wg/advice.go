package wg

import (
	"fmt"
	"net/netip"

	"github.com/warrenvpn/warren/conf"
	"github.com/warrenvpn/warren/key"
)

// What is right but seldom meant. Only a person at a terminal is told: what
// scripts read from stderr is that of wg(8).

func (t *tool) advise(format string, args ...any) {
	t.say("hint: " + fmt.Sprintf(format, args...))
}

// adviseOnPrefixes tells of prefixes that one change gives to two peers: the
// last one has it.
func (t *tool) adviseOnPrefixes(c *conf.Change) {
	owner := map[netip.Prefix]key.Public{}
	for i := range c.Peers {
		p := &c.Peers[i]
		if p.Remove {
			continue
		}
		for _, ip := range p.AllowedIPs {
			if first, ok := owner[ip.Prefix]; ok && first != p.PublicKey && !ip.Remove {
				t.advise("allowed IP %v of peer %v goes to peer %v: a prefix has one peer", ip.Prefix, first, p.PublicKey)
			}
			if !ip.Remove {
				owner[ip.Prefix] = p.PublicKey
			}
		}
	}
}

// adviseOnEmptyLists tells of peers whose allowed IPs addconf takes away.
func (t *tool) adviseOnEmptyLists(c *conf.Config) {
	for i := range c.Peers {
		if p := &c.Peers[i]; p.ReplaceAllowedIPs && len(p.AllowedIPs) == 0 {
			t.advise("peer %v is left without allowed IPs, as the file gives none", p.PublicKey)
		}
	}
}

// adviseOnMissing tells what syncconf clears because the file does not give it.
func (t *tool) adviseOnMissing(have *conf.Device, c *conf.Config) {
	if c.PrivateKey == nil && !have.PrivateKey.IsZero() {
		t.advise("the file has no PrivateKey: the interface loses its key")
	}
	if c.ListenPort == "" && have.ListenPort != 0 {
		t.advise("the file has no ListenPort: the interface gets a new random port in place of %d", have.ListenPort)
	}
}
