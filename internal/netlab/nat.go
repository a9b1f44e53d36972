//go:build linux

package netlab

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// tableName names our nftables table in a host.
const tableName = "warren-lab"

// statusDestinationNAT is conntrack's mark of a flow that a static map let in
// (IPS_DST_NAT, [K] nf_conntrack_common.h).
const statusDestinationNAT = 1 << 5

// NAT makes the host a masquerading router. It may be called once per host.
func (h *Host) NAT(n NAT) error {
	if err := h.Forward(); err != nil {
		return err
	}
	c, err := nftables.New(nftables.WithNetNSFd(int(h.netns.Fd())))
	if err != nil {
		return fmt.Errorf("%s: nftables: %w", h.name, err)
	}
	t := c.AddTable(&nftables.Table{Family: nftables.TableFamilyINet, Name: tableName})
	n.translate(c, t)
	n.filter(c, t)
	if err := c.Flush(); err != nil {
		return fmt.Errorf("%s: nftables: %w", h.name, err)
	}
	return h.udpTimeout(n.UDPTimeout)
}

// translate adds the address and port translation.
func (n NAT) translate(c *nftables.Conn, t *nftables.Table) {
	out := c.AddChain(&nftables.Chain{
		Table: t, Name: "postrouting", Type: nftables.ChainTypeNAT,
		Hooknum: nftables.ChainHookPostrouting, Priority: nftables.ChainPriorityNATSource,
	})
	masquerade := &expr.Masq{}
	if n.Ports == RandomPorts {
		masquerade = &expr.Masq{FullyRandom: true}
	}
	c.AddRule(&nftables.Rule{Table: t, Chain: out, Exprs: rule(leaving(n.Outside), masquerade)})

	in := c.AddChain(&nftables.Chain{
		Table: t, Name: "prerouting", Type: nftables.ChainTypeNAT,
		Hooknum: nftables.ChainHookPrerouting, Priority: nftables.ChainPriorityNATDest,
	})
	for _, f := range n.Forwards {
		c.AddRule(&nftables.Rule{Table: t, Chain: in, Exprs: rule(arriving(n.Outside, expr.CmpOpEq),
			networkProtocol(f.To.Addr()), udpPort(f.Port), destination(f.To))})
	}
}

// filter adds the rules of a home router. Dropping is more than politeness to
// real homes: an unexpected packet that were let in, or answered, would leave
// a conntrack entry that takes the port away from the host behind the NAT that
// is just about to send to the same address.
func (n NAT) filter(c *nftables.Conn, t *nftables.Table) {
	drop := nftables.ChainPolicyDrop
	for _, to := range []struct {
		name string
		hook *nftables.ChainHook
	}{{"input", nftables.ChainHookInput}, {"forward", nftables.ChainHookForward}} {
		chain := c.AddChain(&nftables.Chain{
			Table: t, Name: to.name, Type: nftables.ChainTypeFilter,
			Hooknum: to.hook, Priority: nftables.ChainPriorityFilter, Policy: &drop,
		})
		for _, accepted := range [][]expr.Any{
			arriving(n.Outside, expr.CmpOpNeq),
			conntrack(expr.CtKeySTATE, expr.CtStateBitESTABLISHED|expr.CtStateBitRELATED),
			conntrack(expr.CtKeySTATUS, statusDestinationNAT),
			protocol(unix.IPPROTO_ICMP),
			protocol(unix.IPPROTO_ICMPV6), // neighbours (RFC 4861) and echoes
		} {
			c.AddRule(&nftables.Rule{Table: t, Chain: chain, Exprs: rule(accepted, &expr.Verdict{Kind: expr.VerdictAccept})})
		}
	}
}

// The matches and actions below load into register 1 and compare there.

func rule(parts ...any) []expr.Any {
	var all []expr.Any
	for _, p := range parts {
		switch p := p.(type) {
		case []expr.Any:
			all = append(all, p...)
		case expr.Any:
			all = append(all, p)
		}
	}
	return all
}

func arriving(link string, op expr.CmpOp) []expr.Any {
	return []expr.Any{&expr.Meta{Key: expr.MetaKeyIIFNAME, Register: 1}, &expr.Cmp{Op: op, Register: 1, Data: linkName(link)}}
}

func leaving(link string) []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyOIFNAME, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: linkName(link)},
	}
}

// linkName returns a name as nftables compares it: padded with zeros.
func linkName(name string) []byte {
	b := make([]byte, unix.IFNAMSIZ)
	copy(b, name)
	return b
}

func protocol(number byte) []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{number}},
	}
}

func networkProtocol(a netip.Addr) []expr.Any {
	number := byte(unix.NFPROTO_IPV4)
	if a.Is6() {
		number = unix.NFPROTO_IPV6
	}
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyNFPROTO, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{number}},
	}
}

func udpPort(port uint16) []expr.Any {
	return slices.Concat(protocol(unix.IPPROTO_UDP), []expr.Any{
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: binaryutil.BigEndian.PutUint16(port)},
	})
}

// conntrack matches if any of bits is set in a property of the flow.
func conntrack(key expr.CtKey, bits uint32) []expr.Any {
	return []expr.Any{
		&expr.Ct{Key: key, Register: 1},
		&expr.Bitwise{
			SourceRegister: 1, DestRegister: 1, Len: 4,
			Mask: binaryutil.NativeEndian.PutUint32(bits), Xor: make([]byte, 4),
		},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: make([]byte, 4)},
	}
}

func destination(to netip.AddrPort) []expr.Any {
	fam := uint32(unix.NFPROTO_IPV4)
	if to.Addr().Is6() {
		fam = unix.NFPROTO_IPV6
	}
	return []expr.Any{
		&expr.Immediate{Register: 1, Data: to.Addr().AsSlice()},
		&expr.Immediate{Register: 2, Data: binaryutil.BigEndian.PutUint16(to.Port())},
		&expr.NAT{Type: expr.NATTypeDestNAT, Family: fam, RegAddrMin: 1, RegProtoMin: 2},
	}
}

// udpTimeout sets how long UDP mappings live. Conntrack's parameters exist once
// it is in use.
func (h *Host) udpTimeout(d time.Duration) error {
	if d == 0 {
		return nil
	}
	seconds := strconv.Itoa(int(d / time.Second))
	if err := h.Sysctl("net/netfilter/nf_conntrack_udp_timeout", seconds); err != nil {
		return err
	}
	return h.Sysctl("net/netfilter/nf_conntrack_udp_timeout_stream", seconds)
}
