package conf

import (
	"net/netip"
	"strconv"
	"strings"
)

// Text returns the endpoint as it is written: the host, in brackets if either
// part has a colon (the port of a hostile text may), a colon, and the port.
func (e Endpoint) Text() string {
	if strings.ContainsRune(e.Host+e.Port, ':') {
		return "[" + e.Host + "]:" + e.Port
	}
	return e.Host + ":" + e.Port
}

// AddrPort returns the address of a numeric endpoint. IPv4-mapped addresses are
// IPv4. ok is false if a resolver is needed.
func (e Endpoint) AddrPort() (ap netip.AddrPort, ok bool) {
	a, err := netip.ParseAddr(e.Host)
	if err != nil {
		return netip.AddrPort{}, false
	}
	port, err := strconv.ParseUint(e.Port, 10, 16)
	if err != nil {
		return netip.AddrPort{}, false
	}
	return netip.AddrPortFrom(a.Unmap(), uint16(port)), true
}

// NumericEndpoint returns the endpoint of an address.
func NumericEndpoint(ap netip.AddrPort) Endpoint {
	// Both parts in one string: there may be a million of them.
	var buf [64]byte
	text := ap.Addr().AppendTo(buf[:0])
	host := len(text)
	s := string(strconv.AppendUint(text, uint64(ap.Port()), 10))
	return Endpoint{Host: s[:host], Port: s[host:]}
}
