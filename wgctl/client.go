package wgctl

import (
	"fmt"
	"net/netip"
	"slices"
	"syscall"
	"time"

	"github.com/warrenvpn/warren/conf"
	"github.com/warrenvpn/warren/uapi"
)

// Client reaches the interfaces of this machine. The zero value is ready.
type Client struct {
	// Dir is where control sockets are. Empty: uapi.Dir.
	Dir string
	// Timeout bounds one exchange with a device. 0: wait for ever, as wg(8).
	Timeout time.Duration
	// Resolver turns host names into addresses. nil: the system's.
	Resolver *Resolver
}

// Error is a failure to reach, read or change an interface.
type Error struct {
	Op        string // "list", "read" or "change"
	Interface string // empty for "list"
	Errno     syscall.Errno
}

// Error implements error.
func (e *Error) Error() string {
	if e.Interface == "" {
		return e.Op + " interfaces: " + uapi.Strerror(e.Errno)
	}
	return e.Op + " interface " + e.Interface + ": " + uapi.Strerror(e.Errno)
}

// Unwrap returns the number, so that errors.Is finds syscall.ENODEV and
// fs.ErrPermission.
func (e *Error) Unwrap() error { return e.Errno }

// backend is one kind of implementation of interfaces. Errors are
// syscall.Errno, or wrap one.
type backend interface {
	names() ([]string, error)
	// has reports whether name is one of its interfaces.
	has(name string) bool
	device(name string) (conf.Device, error)
	apply(name string, c *conf.Change) error
}

// backends returns what is asked, in order: the first that has an interface
// answers for it, so a control socket shadows an interface of the kernel.
func (c *Client) backends() (user, kernel backend) {
	dir := c.Dir
	if dir == "" {
		dir = uapi.Dir
	}
	return &sockets{dir: dir, timeout: c.Timeout}, noKernel{}
}

// Names returns the names of all interfaces: the kernel's in its order, then
// the other ones sorted.
func (c *Client) Names() ([]string, error) {
	user, kernel := c.backends()
	names, err := kernel.names()
	if err != nil {
		return nil, &Error{Op: "list", Errno: uapi.ErrnoOf(err)}
	}
	more, err := user.names()
	if err != nil {
		return nil, &Error{Op: "list", Errno: uapi.ErrnoOf(err)}
	}
	slices.Sort(more)
	for _, name := range more {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names, nil
}

// maxName is the longest name of an interface, in bytes.
const maxName = 15

// Device returns the state of an interface.
func (c *Client) Device(name string) (conf.Device, error) {
	if len(name) > maxName {
		return conf.Device{}, &Error{Op: "read", Interface: name, Errno: syscall.ENAMETOOLONG}
	}
	d, err := c.of(name).device(name)
	if err != nil {
		return conf.Device{}, &Error{Op: "read", Interface: name, Errno: uapi.ErrnoOf(err)}
	}
	d.Name = name
	return d, nil
}

// Apply changes an interface. The endpoints in ch must be numeric: see Resolve.
func (c *Client) Apply(name string, ch conf.Change) error {
	if len(name) > maxName {
		// Never cut it off: the rest may be the name of another interface.
		return &Error{Op: "change", Interface: name, Errno: syscall.ENAMETOOLONG}
	}
	for i := range ch.Peers {
		if e := ch.Peers[i].Endpoint; e != nil && !numeric(e) {
			return fmt.Errorf("change interface %s: endpoint %q is not numeric", name, e.Host+":"+e.Port)
		}
	}
	if err := c.of(name).apply(name, &ch); err != nil {
		return &Error{Op: "change", Interface: name, Errno: uapi.ErrnoOf(err)}
	}
	return nil
}

// of returns the backend that answers for an interface.
func (c *Client) of(name string) backend {
	user, kernel := c.backends()
	if user.has(name) {
		return user
	}
	return kernel
}

// Resolve returns the address of an endpoint, retrying as the resolver does.
func (c *Client) Resolve(e conf.Endpoint) (netip.AddrPort, error) {
	r := c.Resolver
	if r == nil {
		r = &Resolver{}
	}
	return r.Resolve(e)
}

// ResolveChange makes every endpoint of a change numeric.
func (c *Client) ResolveChange(ch *conf.Change) error {
	for i := range ch.Peers {
		e := ch.Peers[i].Endpoint
		if e == nil {
			continue
		}
		ap, err := c.Resolve(*e)
		if err != nil {
			return err
		}
		n := conf.NumericEndpoint(ap)
		ch.Peers[i].Endpoint = &n
	}
	return nil
}

func numeric(e *conf.Endpoint) bool {
	_, ok := e.AddrPort()
	return ok
}

// noKernel stands for a kernel without WireGuard. It answers what wg(8) does
// there: nothing is listed, and everything else is not supported.
type noKernel struct{}

func (noKernel) names() ([]string, error)           { return nil, nil }
func (noKernel) has(string) bool                    { return false }
func (noKernel) apply(string, *conf.Change) error   { return syscall.EPROTONOSUPPORT }
func (noKernel) device(string) (conf.Device, error) { return conf.Device{}, syscall.EPROTONOSUPPORT }
