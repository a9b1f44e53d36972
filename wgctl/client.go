package wgctl

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/netip"
	"os"
	"slices"
	"syscall"
	"time"

	"github.com/mdlayher/netlink"

	"github.com/warrenvpn/warren/conf"
	"github.com/warrenvpn/warren/uapi"
)

// Client reaches the interfaces of this machine. The zero value is ready.
type Client struct {
	// Dir is where control sockets are. Empty: uapi.Dir.
	Dir string
	// Timeout bounds one exchange with a device. 0: wait for ever, as wg(8).
	Timeout time.Duration
	// Dial opens a socket to the kernel. nil: netlink.Dial, in the network
	// namespace of the calling thread. One that sets Config.NetNS reaches the
	// kernel's interfaces in another namespace.
	Dial Dial
	// Resolver turns host names into addresses. nil: the system's.
	Resolver *Resolver

	ctx context.Context // nil: none
}

// WithContext returns a copy of the client that waits for no program once ctx
// has ended: an exchange with a control socket fails then with ETIMEDOUT. The
// kernel is not waited for long, and is asked to the end.
func (c *Client) WithContext(ctx context.Context) *Client {
	bound := *c
	bound.ctx = ctx
	return &bound
}

// Dial opens a netlink socket of a protocol, as netlink.Dial does.
type Dial func(protocol int, config *netlink.Config) (*netlink.Conn, error)

// Plane is who implements an interface.
type Plane uint8

// The two kinds of implementations.
const (
	Kernel    Plane = iota + 1 // the kernel's own
	UserSpace                  // a program with a control socket, as this one
)

// String returns the plane in words.
func (p Plane) String() string {
	switch p {
	case Kernel:
		return "kernel"
	case UserSpace:
		return "user space"
	}
	return "unknown"
}

// ErrNoRemoval is wrapped by the Error of a change that takes single allowed IPs
// from a peer of an interface whose kernel has no request for that. Nothing was
// changed then. Replacing the peer's list works everywhere.
var ErrNoRemoval = errors.New("this kernel cannot remove single allowed IPs, Linux 6.16 and later can")

// Error is a failure to reach, read or change an interface.
type Error struct {
	Op        string // "list", "read" or "change"
	Interface string // empty for "list"
	Errno     syscall.Errno
	Err       error // what is known beside the number, or nil
}

// Error implements error.
func (e *Error) Error() string {
	s := e.Op + " interfaces"
	if e.Interface != "" {
		s = e.Op + " interface " + e.Interface
	}
	s += ": " + uapi.Strerror(e.Errno)
	if errors.Is(e.Err, ErrNoRemoval) {
		s += ": " + ErrNoRemoval.Error()
	}
	return s
}

// Unwrap returns the number and the reason, so that errors.Is finds
// syscall.ENODEV, fs.ErrPermission and ErrNoRemoval.
func (e *Error) Unwrap() []error {
	if e.Err == nil {
		return []error{e.Errno}
	}
	return []error{e.Errno, e.Err}
}

// failed makes an Error.
func failed(op, name string, err error) error {
	e := &Error{Op: op, Interface: name, Errno: uapi.ErrnoOf(err), Err: err}
	switch {
	case errors.Is(err, ErrNoRemoval):
		e.Errno = syscall.EINVAL // as most of these kernels say themselves
	case errors.Is(err, os.ErrDeadlineExceeded):
		e.Errno = syscall.ETIMEDOUT
	}
	return e
}

// backend is one kind of implementation of interfaces. Errors are
// syscall.Errno, or wrap one.
type backend interface {
	names() ([]string, error)
	// has reports whether name is one of its interfaces, and may say why not.
	has(name string) (bool, error)
	device(name string) (conf.Device, error)
	// apply makes a change. Its peers are in c, or peers is not nil.
	apply(name string, c *conf.Change, peers iter.Seq[*conf.PeerChange]) error
}

// backends returns what is asked, in order: the first that has an interface
// answers for it, so a control socket shadows an interface of the kernel.
func (c *Client) backends() (user, kernel backend) {
	dir := c.Dir
	if dir == "" {
		dir = uapi.Dir
	}
	ctx := c.ctx
	if ctx == nil {
		ctx = context.Background()
	}
	return &sockets{ctx: ctx, dir: dir, timeout: c.Timeout}, newKernel(c.Dial, c.Timeout)
}

// Names returns the names of all interfaces: the kernel's in its order, then
// the other ones sorted.
func (c *Client) Names() ([]string, error) {
	user, kernel := c.backends()
	names, err := kernel.names()
	if err != nil {
		return nil, failed("list", "", err)
	}
	more, err := user.names()
	if err != nil {
		return nil, failed("list", "", err)
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
		return conf.Device{}, failed("read", name, syscall.ENAMETOOLONG)
	}
	d, err := c.of(name).device(name)
	if err != nil {
		return conf.Device{}, failed("read", name, err)
	}
	d.Name = name
	return d, nil
}

// Apply changes an interface. The endpoints in ch must be numeric: see Resolve.
// A device with a control socket of this module takes the change whole or not at
// all. The kernel takes it in order and stops at the first mistake; what came
// before stays.
func (c *Client) Apply(name string, ch conf.Change) error { return c.apply(name, &ch, nil) }

// ApplyOf is Apply with peers in place of ch.Peers, for more of them than are to
// be in memory at once: conf.PeerList. They are gone through more than once.
func (c *Client) ApplyOf(name string, ch conf.Change, peers iter.Seq[*conf.PeerChange]) error {
	return c.apply(name, &ch, peers)
}

func (c *Client) apply(name string, ch *conf.Change, peers iter.Seq[*conf.PeerChange]) error {
	if len(name) > maxName {
		// Never cut it off: the rest may be the name of another interface.
		return failed("change", name, syscall.ENAMETOOLONG)
	}
	all := peers
	if all == nil {
		all = ch.All()
	}
	for p := range all {
		if e := p.Endpoint; e != nil && !numeric(e) {
			return fmt.Errorf("change interface %s: endpoint %q is not numeric", name, e.Host+":"+e.Port)
		}
	}
	if err := c.of(name).apply(name, ch, peers); err != nil {
		return failed("change", name, err)
	}
	return nil
}

// of returns the backend that answers for an interface.
func (c *Client) of(name string) backend {
	user, kernel := c.backends()
	if ok, _ := user.has(name); ok {
		return user
	}
	return kernel
}

// Plane returns who implements an interface. Unlike the state of an interface,
// that is no secret: no privileges are needed.
func (c *Client) Plane(name string) (Plane, error) {
	if len(name) > maxName {
		return 0, failed("read", name, syscall.ENAMETOOLONG)
	}
	user, kernel := c.backends()
	if ok, _ := user.has(name); ok {
		return UserSpace, nil
	}
	if _, err := kernel.has(name); err != nil {
		return 0, failed("read", name, err)
	}
	return Kernel, nil
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
