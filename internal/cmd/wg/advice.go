package wg

import (
	"fmt"
	"iter"
	"net/netip"

	"github.com/warrenvpn/warren/conf"
	"github.com/warrenvpn/warren/key"
)

// What is right but seldom meant. Only a person at a terminal is told: what
// scripts read from stderr is that of wg(8).

func (t *tool) advise(format string, args ...any) {
	t.say("hint: " + fmt.Sprintf(format, args...))
}

// tooMany is the number of prefixes after which nobody is told of more: that
// would take much memory, and no person wrote them.
const tooMany = 100_000

// adviseOnPrefixes tells of prefixes that one change gives to two peers: the
// last one has it.
func (t *tool) adviseOnPrefixes(peers iter.Seq[*conf.PeerChange]) {
	owner := map[netip.Prefix]key.Public{}
	for p := range peers {
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
		if len(owner) > tooMany {
			return
		}
	}
}

// adviseOnEmptyLists tells of peers whose allowed IPs addconf takes away.
func (t *tool) adviseOnEmptyLists(peers iter.Seq[*conf.PeerChange]) {
	for p := range peers {
		if p.ReplaceAllowedIPs && len(p.AllowedIPs) == 0 {
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
