package rtnl

import (
	"errors"
	"fmt"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// A rule request has a fib_rule_hdr and attributes, see rtnetlink(7) and
// linux/fib_rules.h. What is absent matches everything.

const (
	sizeofFibRuleHdr = 12
	frActToTable     = 1
	fibRuleInvert    = 0x2
	wholeMark        = 0xffffffff
	noSuppression    = 0xffffffff
)

// ruleHeader returns a fib_rule_hdr: the lengths of the two prefixes stay zero.
func ruleHeader(family byte, table uint32, action byte, flags uint32) []byte {
	b := make([]byte, sizeofFibRuleHdr)
	b[0] = family
	if table < 256 { // larger ones are an attribute alone
		b[4] = byte(table)
	}
	b[7] = action
	native.PutUint32(b[8:], flags)
	return b
}

func (r Rule) header() []byte {
	var flags uint32
	if r.Not {
		flags = fibRuleInvert
	}
	return ruleHeader(addressFamily(r.Family), r.Table, frActToTable, flags)
}

// encode writes what ip(8) would, but for the priority.
func (r Rule) encode(ae *netlink.AttributeEncoder) {
	if r.Mark != 0 {
		ae.Uint32(unix.FRA_FWMARK, r.Mark)
	}
	if r.Table >= 256 {
		ae.Uint32(unix.FRA_TABLE, r.Table)
	}
	if r.SuppressPrefixLength >= 0 {
		ae.Uint32(unix.FRA_SUPPRESS_PREFIXLEN, uint32(r.SuppressPrefixLength))
	}
}

// Rules lists the policy rules of a family (4 or 6) in the order in which the
// kernel tries them. A kernel without the family has none.
func (c *Conn) Rules(family int) ([]Rule, error) {
	msgs, err := c.dump(unix.RTM_GETRULE, ruleHeader(addressFamily(family), 0, 0, 0), nil)
	if errors.Is(err, unix.EAFNOSUPPORT) || errors.Is(err, unix.EOPNOTSUPP) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var all []Rule
	for _, m := range msgs {
		r, err := parseRule(m)
		if err != nil {
			return nil, err
		}
		if r.Family == family {
			all = append(all, r)
		}
	}
	return all, nil
}

func parseRule(m netlink.Message) (Rule, error) {
	r := Rule{SuppressPrefixLength: -1}
	var mask uint32
	err := decode(m, sizeofFibRuleHdr, func(ad *netlink.AttributeDecoder) {
		switch ad.Type() {
		case unix.FRA_PRIORITY:
			r.Priority = ad.Uint32()
		case unix.FRA_FWMARK:
			r.Mark = ad.Uint32()
		case unix.FRA_FWMASK:
			mask = ad.Uint32()
		case unix.FRA_TABLE:
			r.Table = ad.Uint32()
		case unix.FRA_SUPPRESS_PREFIXLEN:
			r.SuppressPrefixLength = int(int32(ad.Uint32()))
		case unix.FRA_SUPPRESS_IFGROUP:
			r.Other = r.Other || ad.Uint32() != noSuppression
		case unix.FRA_L3MDEV:
			r.Other = r.Other || ad.Uint8() != 0
		case unix.FRA_PROTOCOL, unix.FRA_PAD: // who made it
		default:
			r.Other = true
		}
	})
	if err != nil {
		return Rule{}, err
	}
	h := m.Data
	if r.Table == 0 {
		r.Table = uint32(h[4])
	}
	switch h[0] {
	case unix.AF_INET:
		r.Family = 4
	case unix.AF_INET6:
		r.Family = 6
	}
	flags := native.Uint32(h[8:])
	r.Not = flags&fibRuleInvert != 0
	// Prefixes, type of service, another action than a look-up.
	if h[1] != 0 || h[2] != 0 || h[3] != 0 || h[7] != frActToTable {
		r.Other = true
	}
	// Part of a mark, or no mark as the condition.
	if (r.Mark != 0 && mask != wholeMark) || (r.Mark == 0 && mask != 0) {
		r.Other = true
	}
	return r, nil
}

// AddRule adds a policy rule, as `ip rule add` does, and returns its priority.
// With none given the kernel chooses: one before the second rule of the list,
// so that every rule added in this way is tried before the earlier ones. The
// error is ErrExists if there is the same rule with the same priority.
func (c *Conn) AddRule(r Rule) (priority uint32, err error) {
	if err := r.check(); err != nil {
		return 0, err
	}
	// The kernel echoes the rule as it was made. It does not acknowledge it
	// too, so there is one answer in either case.
	msgs, err := c.execute(unix.RTM_NEWRULE, netlink.Create|netlink.Excl|netlink.Echo, r.header(), func(ae *netlink.AttributeEncoder) {
		if r.Priority != 0 {
			ae.Uint32(unix.FRA_PRIORITY, r.Priority)
		}
		r.encode(ae)
	})
	if err != nil {
		return 0, exists(err)
	}
	if len(msgs) != 1 {
		return 0, fmt.Errorf("rtnetlink: %d answers to one new rule", len(msgs))
	}
	made, err := parseRule(msgs[0])
	return made.Priority, err
}

// DeleteRule removes exactly this rule: one that differs in anything, or that
// has further conditions, stays. The error is ErrNoRule if there is none (any
// more), which who only wants it gone may take for success.
//
// [K] fib_rules.c: to delete, the kernel compares only what the request has,
// takes no notice of "not", and stops at the first rule that fits. So we look
// first whether that would be ours.
func (c *Conn) DeleteRule(r Rule) error {
	if err := r.check(); err != nil {
		return err
	}
	rules, err := c.Rules(r.Family)
	if err != nil {
		return err
	}
	for _, other := range rules {
		if other == r {
			err := c.change(unix.RTM_DELRULE, 0, r.header(), func(ae *netlink.AttributeEncoder) {
				ae.Uint32(unix.FRA_PRIORITY, r.Priority) // 0 too: without it any priority would do
				r.encode(ae)
			})
			if errors.Is(err, unix.ENOENT) {
				return fmt.Errorf("%w: %w", ErrNoRule, err)
			}
			return err
		}
		if r.covers(other) {
			return fmt.Errorf("delete rule of priority %d for table %d: another rule of this priority for this table is before it", r.Priority, r.Table)
		}
	}
	return ErrNoRule
}

// covers reports whether the kernel would take other for r when it is to
// delete r.
func (r Rule) covers(other Rule) bool {
	return r.Priority == other.Priority && r.Table == other.Table &&
		(r.Mark == 0 || r.Mark == other.Mark) &&
		(r.SuppressPrefixLength < 0 || r.SuppressPrefixLength == other.SuppressPrefixLength)
}

func (r Rule) check() error {
	if r.Family != 4 && r.Family != 6 {
		return fmt.Errorf("rule of family %d, want 4 or 6", r.Family)
	}
	if r.Other {
		return errors.New("rule with conditions that cannot be said here")
	}
	return nil
}

func addressFamily(family int) byte {
	if family == 4 {
		return unix.AF_INET
	}
	return unix.AF_INET6
}

// TableEmpty reports whether a routing table of a family (4 or 6) has no
// routes, that is whether `ip route show table` prints nothing.
func (c *Conn) TableEmpty(family int, table uint32) (bool, error) {
	routes, err := c.routes(addressFamily(family), table, 0, func(Route) bool { return true })
	return len(routes) == 0, err
}
