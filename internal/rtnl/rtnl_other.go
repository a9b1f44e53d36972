//go:build !linux

package rtnl

import (
	"errors"
	"fmt"
	"net/netip"
	"runtime"
)

// Conn would be a connection to the kernel.
type Conn struct{}

func unsupported() error {
	return fmt.Errorf("rtnetlink on %s: %w", runtime.GOOS, errors.ErrUnsupported)
}

// Dial fails: rtnetlink is Linux's.
func Dial() (*Conn, error) { return nil, unsupported() }

// Close does nothing.
func (*Conn) Close() error { return nil }

// Link fails: rtnetlink is Linux's.
func (*Conn) Link(string) (Link, error) { return Link{}, unsupported() }

// LinkByIndex fails: rtnetlink is Linux's.
func (*Conn) LinkByIndex(int) (Link, error) { return Link{}, unsupported() }

// DeleteLink fails: rtnetlink is Linux's.
func (*Conn) DeleteLink(int) error { return unsupported() }

// SetUp fails: rtnetlink is Linux's.
func (*Conn) SetUp(int, int) error { return unsupported() }

// NoLinkLocal fails: rtnetlink is Linux's.
func (*Conn) NoLinkLocal(int) error { return unsupported() }

// Addresses fails: rtnetlink is Linux's.
func (*Conn) Addresses(int) ([]Address, error) { return nil, unsupported() }

// AddAddress fails: rtnetlink is Linux's.
func (*Conn) AddAddress(int, netip.Prefix) error { return unsupported() }

// Routes fails: rtnetlink is Linux's.
func (*Conn) Routes(uint32, int) ([]Route, error) { return nil, unsupported() }

// RoutesTo fails: rtnetlink is Linux's.
func (*Conn) RoutesTo(netip.Prefix, uint32) ([]Route, error) { return nil, unsupported() }

// Path fails: rtnetlink is Linux's.
func (*Conn) Path(netip.Addr) (Route, error) { return Route{}, unsupported() }

// AddRoute fails: rtnetlink is Linux's.
func (*Conn) AddRoute(Route) error { return unsupported() }

// DeleteRoute fails: rtnetlink is Linux's.
func (*Conn) DeleteRoute(Route) error { return unsupported() }

// TableEmpty fails: rtnetlink is Linux's.
func (*Conn) TableEmpty(int, uint32) (bool, error) { return false, unsupported() }

// Rules fails: rtnetlink is Linux's.
func (*Conn) Rules(int) ([]Rule, error) { return nil, unsupported() }

// AddRule fails: rtnetlink is Linux's.
func (*Conn) AddRule(Rule) (uint32, error) { return 0, unsupported() }

// DeleteRule fails: rtnetlink is Linux's.
func (*Conn) DeleteRule(Rule) error { return unsupported() }

// AddLink fails: rtnetlink is Linux's.
func (*Conn) AddLink(string, string) error { return unsupported() }
