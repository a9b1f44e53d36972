package hostnet

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/warrenvpn/warren/internal/quick"
)

// The functions of this file act in the network namespace of the calling thread.

const (
	// answerTime is how long the kernel may take to answer. It does so before
	// the request returns; but where it answers less often than the library
	// expects, that would wait for ever.
	answerTime = 10 * time.Second
	// socketBuffer has room for some thousand rules and their acknowledgements.
	socketBuffer = 8 << 20
	// maxRemovals limits how often tables are looked for again when somebody
	// else removes them at the same time.
	maxRemovals = 5
)

// nft returns a connection for one exchange.
func nft() (*nftables.Conn, error) {
	return nftables.New(nftables.WithSockOptions(func(c *netlink.Conn) error {
		_ = c.SetReadBuffer(socketBuffer) // the usual buffers do for a few hundred
		_ = c.SetWriteBuffer(socketBuffer)
		return c.SetDeadline(time.Now().Add(answerTime))
	}))
}

// AddAntiLeak sets the rules up, in place of those that the interface may have in
// this family, in one transaction. It speaks to nftables; in a kernel without it
// to iptables, where that is installed. The error is ErrNoFirewall if there is
// neither.
func AddAntiLeak(a AntiLeak) error {
	if err := a.check(); err != nil {
		return err
	}
	// The question comes first because a kernel without nf_tables answers a
	// transaction once, and the library waits for as many answers as requests.
	_, err := antiLeakTables(a.Interface)
	missing := noTables(err)
	if err == nil {
		err = addTable(a)
		missing = noParts(err)
	}
	if !missing {
		return wrap("anti-leak rules of "+a.Interface, err)
	}
	errIPTables := addIPTables(a)
	if errIPTables == nil {
		return nil
	}
	return &quick.Problem{
		Text: fmt.Sprintf("there is no packet filter here that could protect the addresses of %s (nftables: %v; iptables: %v)", a.Interface, err, errIPTables),
		Hint: "load the kernel modules nf_tables, nft_fib, nft_fib_ipv4, nft_fib_ipv6 and nft_ct; in a container, on its host",
		Err:  errors.Join(ErrNoFirewall, err, errIPTables),
	}
}

// wrap says what an error is about.
func wrap(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", what, err)
}

// noTables recognises the answer to a question for tables of a kernel without
// nf_tables: it has no such sockets, or, of those, not this subsystem.
func noTables(err error) bool {
	return errors.Is(err, unix.EPROTONOSUPPORT) || errors.Is(err, unix.EAFNOSUPPORT) || errors.Is(err, unix.EINVAL)
}

// noParts recognises the answer to a transaction of a kernel with nf_tables in
// which an address family, or a type of chain or expression, is not there.
func noParts(err error) bool {
	return errors.Is(err, unix.EAFNOSUPPORT) || errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOENT)
}

func addTable(a AntiLeak) error {
	c, err := nft()
	if err != nil {
		return err
	}
	t := &nftables.Table{Family: nftFamily(a.Family), Name: tableName(a.Interface)}
	c.AddTable(t) // so that there is one to delete
	c.DelTable(t)
	c.AddTable(t)
	chain := func(name string, hook *nftables.ChainHook, priority *nftables.ChainPriority) *nftables.Chain {
		return c.AddChain(&nftables.Chain{Table: t, Name: name, Type: nftables.ChainTypeFilter, Hooknum: hook, Priority: priority})
	}
	preraw := chain("preraw", nftables.ChainHookPrerouting, nftables.ChainPriorityRaw)
	premangle := chain("premangle", nftables.ChainHookPrerouting, nftables.ChainPriorityMangle)
	postmangle := chain("postmangle", nftables.ChainHookPostrouting, nftables.ChainPriorityMangle)
	for _, addr := range a.own() {
		c.AddRule(&nftables.Rule{Table: t, Chain: preraw, Exprs: dropPast(a.Interface, addr)})
	}
	c.AddRule(&nftables.Rule{Table: t, Chain: postmangle, Exprs: saveMark(a.Mark)})
	c.AddRule(&nftables.Rule{Table: t, Chain: premangle, Exprs: restoreMark()})
	return c.Flush()
}

func nftFamily(family int) nftables.TableFamily {
	if family == 4 {
		return nftables.TableFamilyIPv4
	}
	return nftables.TableFamilyIPv6
}

// The expressions are those that nft compiles the rules to, in its registers.

// dropPast is: iifname != LINK ip daddr ADDR fib saddr type != local drop
func dropPast(link string, to netip.Addr) []expr.Any {
	name := make([]byte, unix.IFNAMSIZ) // padded: the whole name is compared
	copy(name, link)
	offset := uint32(16) // of the destination in the header, RFC 791
	if to.Is6() {
		offset = 24 // RFC 8200
	}
	address := to.AsSlice()
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyIIFNAME, Register: 1},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: name},
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: uint32(len(address))},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: address},
		&expr.Fib{Register: 1, FlagSADDR: true, ResultADDRTYPE: true},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: binaryutil.NativeEndian.PutUint32(unix.RTN_LOCAL)},
		&expr.Verdict{Kind: expr.VerdictDrop},
	}
}

func isUDP() []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{unix.IPPROTO_UDP}},
	}
}

// saveMark is: meta l4proto udp meta mark MARK ct mark set meta mark
func saveMark(mark uint32) []expr.Any {
	return append(isUDP(),
		&expr.Meta{Key: expr.MetaKeyMARK, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: binaryutil.NativeEndian.PutUint32(mark)},
		&expr.Meta{Key: expr.MetaKeyMARK, Register: 1},
		&expr.Ct{Key: expr.CtKeyMARK, Register: 1, SourceRegister: true})
}

// restoreMark is: meta l4proto udp meta mark set ct mark
func restoreMark() []expr.Any {
	return append(isUDP(),
		&expr.Ct{Key: expr.CtKeyMARK, Register: 1},
		&expr.Meta{Key: expr.MetaKeyMARK, Register: 1, SourceRegister: true})
}

// antiLeakTables lists the tables named after an interface, of every family.
func antiLeakTables(link string) ([]*nftables.Table, error) {
	c, err := nft()
	if err != nil {
		return nil, err
	}
	tables, err := c.ListTables()
	if err != nil {
		return nil, err
	}
	name := tableName(link)
	tables = slices.DeleteFunc(tables, func(t *nftables.Table) bool { return t.Name != name })
	slices.SortFunc(tables, func(a, b *nftables.Table) int { return cmp.Compare(a.Family, b.Family) })
	return tables, nil
}

// RemoveAntiLeak removes the rules of an interface: every nftables table with
// its name, of whatever family, and what wg-quick left with iptables where that
// is installed. It is no error if there is nothing, so it can be asked for
// to be sure.
func RemoveAntiLeak(link string) error {
	return wrap("remove the anti-leak rules of "+link, errors.Join(removeTables(link), removeIPTables(link)))
}

func removeTables(link string) error {
	for attempt := 1; ; attempt++ {
		tables, err := antiLeakTables(link)
		if noTables(err) {
			return nil // no nftables: nothing in it
		}
		if err != nil || len(tables) == 0 {
			return err
		}
		c, err := nft()
		if err != nil {
			return err
		}
		for _, t := range tables {
			c.DelTable(t)
		}
		err = c.Flush()
		if !errors.Is(err, unix.ENOENT) || attempt == maxRemovals {
			return err
		}
	}
}

// AntiLeaks lists the rules that an interface has in nftables, whether they
// were made here or by wg-quick, in the order of families. One with other rules
// than those may lack addresses or the mark.
func AntiLeaks(link string) ([]AntiLeak, error) {
	all, err := antiLeaks(link)
	if noTables(err) {
		return nil, nil
	}
	return all, wrap("anti-leak rules of "+link, err)
}

func antiLeaks(link string) ([]AntiLeak, error) {
	tables, err := antiLeakTables(link)
	if err != nil {
		return nil, err
	}
	var all []AntiLeak
	for _, t := range tables {
		a := AntiLeak{Interface: link}
		switch t.Family {
		case nftables.TableFamilyIPv4:
			a.Family = 4
		case nftables.TableFamilyIPv6:
			a.Family = 6
		default:
			continue
		}
		for _, chain := range []string{"preraw", "postmangle"} {
			c, err := nft()
			if err != nil {
				return nil, err
			}
			rules, err := c.GetRules(t, &nftables.Chain{Table: t, Name: chain})
			if err != nil {
				return nil, err
			}
			for _, r := range rules {
				a.read(r.Exprs)
			}
		}
		all = append(all, a)
	}
	return all, nil
}

// read finds the address or the mark that a rule compares with: what follows
// the loading of the one or the other.
func (a *AntiLeak) read(exprs []expr.Any) {
	for i, e := range exprs[:max(len(exprs)-1, 0)] {
		compared, ok := exprs[i+1].(*expr.Cmp)
		if !ok {
			continue
		}
		switch e := e.(type) {
		case *expr.Payload:
			if addr, ok := netip.AddrFromSlice(compared.Data); ok {
				a.Addresses = append(a.Addresses, addr)
			}
		case *expr.Meta:
			if e.Key == expr.MetaKeyMARK && len(compared.Data) == 4 {
				a.Mark = binaryutil.NativeEndian.Uint32(compared.Data)
			}
		}
	}
}
