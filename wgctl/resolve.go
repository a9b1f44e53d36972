package wgctl

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/warrenvpn/warren/conf"
)

// Forever as Resolver.Retries: do not give up.
const Forever = -1

// DefaultRetries is how often wg(8) tries again: about 72 seconds.
const DefaultRetries = 15

// Resolver turns endpoints into addresses. A name that is known not to exist is
// an error at once; other failures are tried again with growing pauses. The
// zero value asks the system once.
type Resolver struct {
	// Retries is how often a failure that may pass is tried again, or Forever.
	Retries int
	// RetryUnknown treats a name that is said not to exist as such a failure: at
	// boot, before name service works, many exist that are not known yet. What
	// cannot be a name stays an error at once, and so does a look-up whose error
	// wraps context.Canceled.
	RetryUnknown bool
	// Lookup returns the addresses of a name, the best first. nil: the system.
	Lookup func(host string) ([]netip.Addr, error)
	// Service returns the UDP port of a service name. nil: the system.
	Service func(name string) (int, error)
	// Sleep waits. nil: time.Sleep.
	Sleep func(time.Duration)
	// Notify is called before each pause with the line that wg(8) prints. nil:
	// nothing is said.
	Notify func(line string)
}

// ResolveError is an endpoint that has no address. Reason is worded as the C
// library does.
type ResolveError struct {
	Reason   string
	Endpoint string
	Err      error
}

// Error implements error, in the words of wg(8).
func (e *ResolveError) Error() string { return e.Reason + ": `" + e.Endpoint + "'" }

// Unwrap returns the resolver's own error.
func (e *ResolveError) Unwrap() error { return e.Err }

// What the C library says of the failures a resolver here can tell apart.
const (
	reasonUnknown   = "Name or service not known"
	reasonTemporary = "Temporary failure in name resolution"
	reasonService   = "Servname not supported for ai_socktype"
)

// ParseRetries reads WG_ENDPOINT_RESOLUTION_RETRIES. Empty is the default.
func ParseRetries(s string) (int, error) {
	switch s {
	case "":
		return DefaultRetries, nil
	case "infinity":
		return Forever, nil
	}
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil || n > math.MaxInt32 {
		return 0, fmt.Errorf("%q is neither a number of retries nor infinity", s)
	}
	return int(n), nil
}

// The pauses between tries.
const (
	firstPause = time.Second
	longest    = 20 * time.Second
)

// Resolve returns the address of e. Numeric endpoints never reach a resolver.
func (r *Resolver) Resolve(e conf.Endpoint) (netip.AddrPort, error) {
	return r.ResolveAs(e.Text(), e)
}

// ResolveAs is Resolve for an endpoint that messages call by another text: the
// one it was given as.
func (r *Resolver) ResolveAs(text string, e conf.Endpoint) (netip.AddrPort, error) {
	port, err := r.port(e.Port)
	if err != nil {
		return netip.AddrPort{}, &ResolveError{Reason: reasonService, Endpoint: text, Err: err}
	}
	if a, ok := numericHost(e.Host); ok {
		if !zoneExists(a) {
			return netip.AddrPort{}, &ResolveError{Reason: reasonUnknown, Endpoint: text, Err: errZone}
		}
		return netip.AddrPortFrom(a, port), nil
	}
	pause := firstPause
	for tries := 0; ; tries++ {
		a, err := r.lookup(e.Host)
		if err == nil {
			return netip.AddrPortFrom(a, port), nil
		}
		failed := &ResolveError{Reason: reasonTemporary, Endpoint: text, Err: err}
		if unknown(err) {
			failed.Reason = reasonUnknown
		}
		if r.permanent(e.Host, err) {
			return netip.AddrPort{}, failed
		}
		if r.Retries != Forever && tries >= r.Retries {
			return netip.AddrPort{}, failed
		}
		if r.Notify != nil {
			r.Notify(fmt.Sprintf("%v. Trying again in %.2f seconds...", failed, pause.Seconds()))
		}
		r.sleep(pause)
		pause = min(pause*6/5, longest)
	}
}

var errZone = errors.New("no such zone")

// zoneExists reports whether the zone of an address, if it has one, is a number
// or, where links have zones, the name of an interface.
func zoneExists(a netip.Addr) bool {
	zone := a.Zone()
	if zone == "" || strings.Trim(zone, "0123456789") == "" {
		return true
	}
	if !a.IsLinkLocalUnicast() && !a.IsLinkLocalMulticast() && !a.IsInterfaceLocalMulticast() {
		return false
	}
	_, err := net.InterfaceByName(zone)
	return err == nil
}

func (r *Resolver) sleep(d time.Duration) {
	if r.Sleep == nil {
		time.Sleep(d)
		return
	}
	r.Sleep(d)
}

// lookup returns the first address: no other is ever tried.
func (r *Resolver) lookup(host string) (netip.Addr, error) {
	f := r.Lookup
	if f == nil {
		f = systemLookup
	}
	addrs, err := f(host)
	if err != nil {
		return netip.Addr{}, err
	}
	if len(addrs) == 0 {
		return netip.Addr{}, &net.DNSError{Err: "no address", Name: host, IsNotFound: true}
	}
	return addrs[0].Unmap(), nil
}

func systemLookup(host string) ([]netip.Addr, error) {
	return net.DefaultResolver.LookupNetIP(context.Background(), "ip", host)
}

// ServicePort returns the number of a UDP port that is a number or the name of
// a service. Its errors are *ResolveError.
func (r *Resolver) ServicePort(s string) (uint16, error) {
	n, err := r.port(s)
	if err != nil {
		return 0, &ResolveError{Reason: reasonService, Endpoint: s, Err: err}
	}
	return n, nil
}

func (r *Resolver) port(s string) (uint16, error) {
	if n, err := strconv.ParseUint(s, 10, 16); err == nil {
		return uint16(n), nil
	}
	if strings.Trim(s, "0123456789") == "" {
		return 0, fmt.Errorf("port %q is not within 0-65535", s)
	}
	f := r.Service
	if f == nil {
		f = systemService
	}
	n, err := f(s)
	if err == nil && (n < 0 || n > math.MaxUint16) {
		err = fmt.Errorf("port %d of %q is not within 0-65535", n, s)
	}
	return uint16(n), err
}

func systemService(name string) (int, error) {
	return net.DefaultResolver.LookupPort(context.Background(), "udp", name)
}

// permanent reports whether trying again is of no use.
func (r *Resolver) permanent(host string, err error) bool {
	if errors.Is(err, context.Canceled) {
		return true
	}
	return unknown(err) && (!r.RetryUnknown || !couldExist(host))
}

// unknown reports whether a name is said not to exist.
func unknown(err error) bool {
	var dns *net.DNSError
	return errors.As(err, &dns) && dns.IsNotFound
}

// couldExist reports whether a text can be a host name at all. An address that
// is mistyped is none: no name ends in a number.
func couldExist(host string) bool {
	const longestName, longestLabel = 253, 63
	host = strings.TrimSuffix(host, ".")
	if len(host) > longestName || strings.ContainsFunc(host, func(c rune) bool { return c <= ' ' || c == 0x7f || strings.ContainsRune(":/@[]%", c) }) {
		return false
	}
	labels := strings.Split(host, ".")
	for _, l := range labels {
		if l == "" || len(l) > longestLabel {
			return false
		}
	}
	return strings.Trim(labels[len(labels)-1], "0123456789") != ""
}

// numericHost reads every form of a numeric address that the C resolver does:
// beside the usual ones the short, octal and hexadecimal forms of IPv4.
func numericHost(s string) (netip.Addr, bool) {
	if a, err := netip.ParseAddr(s); err == nil {
		return a, true
	}
	parts := strings.Split(s, ".")
	if len(parts) > 4 {
		return netip.Addr{}, false
	}
	var v uint32
	for i, p := range parts {
		if p == "" || p[0] < '0' || p[0] > '9' || strings.ContainsAny(p, "_oObB") && !strings.HasPrefix(strings.ToLower(p), "0x") {
			return netip.Addr{}, false
		}
		n, err := strconv.ParseUint(p, 0, 32)
		if err != nil {
			return netip.Addr{}, false
		}
		// The last part fills all bytes that are left.
		bits := 8
		if i == len(parts)-1 {
			bits = 8 * (4 - i)
		}
		if n >= 1<<bits {
			return netip.Addr{}, false
		}
		v = v<<bits | uint32(n)
	}
	return netip.AddrFrom4([4]byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)}), true
}
