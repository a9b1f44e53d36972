package wgctl

import (
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/mdlayher/netlink"

	"github.com/warrenvpn/warren/conf"
	"github.com/warrenvpn/warren/internal/wgnl"
	"github.com/warrenvpn/warren/key"
)

// kernel are the interfaces of the kernel's own WireGuard: compat 3.3.
type kernel struct {
	dial    Dial
	timeout time.Duration
}

func newKernel(dial Dial, timeout time.Duration) backend {
	if dial == nil {
		dial = netlink.Dial
	}
	return &kernel{dial, timeout}
}

// messageSize bounds a request, with its header: a page, but not a large one.
func messageSize() int { return min(os.Getpagesize(), 8192) }

// open returns a connection, which the caller closes.
func (k *kernel) open(protocol int) (*netlink.Conn, error) {
	c, err := k.dial(protocol, nil)
	if err != nil {
		return nil, err
	}
	if k.timeout > 0 {
		if err := c.SetDeadline(time.Now().Add(k.timeout)); err != nil {
			return nil, errors.Join(err, c.Close())
		}
	}
	return c, nil
}

// names lists links in the kernel's order. A dump that a change interrupted is
// taken as it is: compat 3.3.4.
func (k *kernel) names() ([]string, error) {
	links, err := k.links()
	if err != nil {
		return nil, err
	}
	var names []string
	for _, l := range links {
		if l.IsWireGuard() {
			names = append(names, l.Name)
		}
	}
	return names, nil
}

func (k *kernel) links() ([]wgnl.Link, error) {
	c, err := k.open(wgnl.ProtocolRoute)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	msgs, err := c.Execute(netlink.Message{
		Header: netlink.Header{Type: wgnl.TypeGetLink, Flags: netlink.Request | netlink.Dump},
		Data:   wgnl.LinksRequest(),
	})
	if err != nil {
		return nil, err
	}
	links := make([]wgnl.Link, 0, len(msgs))
	for _, m := range msgs {
		l, err := wgnl.ParseLink(m.Data)
		if err != nil {
			return nil, nonsense(err)
		}
		links = append(links, l)
	}
	return links, nil
}

// nonsense is what a kernel should not have answered.
func nonsense(err error) error { return fmt.Errorf("%w: %w", syscall.EPROTO, err) }

// has reports whether an interface is ours, and if not, why, in the words of a
// request to it. Nobody needs privileges to ask.
func (k *kernel) has(name string) (bool, error) {
	links, err := k.links()
	if err != nil {
		return false, err
	}
	i := slices.IndexFunc(links, func(l wgnl.Link) bool { return l.Name == name })
	if i >= 0 && links[i].IsWireGuard() {
		return true, nil
	}
	f, err := k.family()
	if err != nil {
		return false, err
	}
	if err := f.Close(); err != nil {
		return false, err
	}
	if i >= 0 {
		return false, syscall.EOPNOTSUPP
	}
	return false, syscall.ENODEV
}

func (k *kernel) device(name string) (conf.Device, error) {
	if !wgnl.NameFits(name) {
		return conf.Device{}, syscall.ENODEV
	}
	f, err := k.family()
	if err != nil {
		return conf.Device{}, err
	}
	defer f.Close()
	return f.device(name)
}

func (k *kernel) apply(name string, c *conf.Change, peers iter.Seq[*conf.PeerChange]) error {
	if !wgnl.NameFits(name) {
		return syscall.ENODEV
	}
	if peers != nil {
		c = collect(c, peers)
		defer clearPreshared(c)
	}
	change, err := k.numberZones(c)
	if err != nil {
		return err
	}
	f, err := k.family()
	if err != nil {
		return err
	}
	defer f.Close()
	if wgnl.Removes(change) {
		if change, err = f.removable(name, change); err != nil {
			return err
		}
	}
	requests, err := wgnl.SetRequests(name, change, messageSize())
	if err != nil {
		return fmt.Errorf("%w: %w", syscall.EINVAL, err)
	}
	for m := range requests {
		if err := f.set(m); err != nil {
			return err
		}
	}
	return nil
}

// collect returns the change with peers, which are many: the kernel's messages
// are made of all of them.
func collect(c *conf.Change, peers iter.Seq[*conf.PeerChange]) *conf.Change {
	var list conf.PeerList
	defer list.Clear()
	for p := range peers {
		list.Append(p)
	}
	out := *c
	out.Peers = list.Unpack()
	return &out
}

func clearPreshared(c *conf.Change) {
	for i := range c.Peers {
		if psk := c.Peers[i].PresharedKey; psk != nil {
			psk.Clear()
		}
	}
}

// numberZones returns the change with the zones of endpoints as the numbers of
// their links.
func (k *kernel) numberZones(c *conf.Change) (*conf.Change, error) {
	var links []wgnl.Link
	out := *c
	for i := range c.Peers {
		e := c.Peers[i].Endpoint
		if e == nil {
			continue
		}
		ap, _ := e.AddrPort()
		zone := ap.Addr().Zone()
		if zone == "" {
			continue
		}
		if links == nil {
			var err error
			if links, err = k.links(); err != nil {
				return nil, err
			}
			out.Peers = slices.Clone(c.Peers)
		}
		n, err := zoneNumber(links, zone)
		if err != nil {
			return nil, err
		}
		out.Peers[i].Endpoint = &conf.Endpoint{Host: ap.Addr().WithZone(n).String(), Port: e.Port}
	}
	return &out, nil
}

// zoneNumber prefers the name of a link to a number: names may be numbers.
func zoneNumber(links []wgnl.Link, zone string) (string, error) {
	for _, l := range links {
		if l.Name == zone {
			return strconv.Itoa(l.Index), nil
		}
	}
	if _, err := strconv.ParseUint(zone, 10, 32); err != nil {
		return "", fmt.Errorf("%w: zone %q is no interface", syscall.ENODEV, zone)
	}
	return zone, nil
}

// family is a connection to the kernel's WireGuard.
type family struct {
	*netlink.Conn
	id netlink.HeaderType
}

// family connects. Asking for the family also makes the kernel load the module.
func (k *kernel) family() (*family, error) {
	c, err := k.open(wgnl.ProtocolGeneric)
	if err != nil {
		return nil, err
	}
	id, err := lookUp(c)
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return &family{c, netlink.HeaderType(id)}, nil
}

func lookUp(c *netlink.Conn) (uint16, error) {
	msgs, err := c.Execute(netlink.Message{
		Header: netlink.Header{Type: wgnl.TypeControl, Flags: netlink.Request},
		Data:   wgnl.FamilyRequest(),
	})
	if errors.Is(err, fs.ErrNotExist) {
		return 0, syscall.EPROTONOSUPPORT // compat 1.12
	}
	if err != nil {
		return 0, err
	}
	if len(msgs) != 1 {
		return 0, nonsense(fmt.Errorf("%d answers to a question about one family", len(msgs)))
	}
	id, err := wgnl.ParseFamily(msgs[0].Data)
	if err != nil {
		return 0, nonsense(err)
	}
	return id, nil
}

// maxDumps is how often a state is asked for that changes while it is read. An
// interface that changes faster than it can be read so many times in a row is
// being changed in a loop.
const maxDumps = 100

func (f *family) device(name string) (conf.Device, error) {
	for try := 1; ; try++ {
		d, interrupted, err := f.dump(name)
		if err != nil {
			return conf.Device{}, err
		}
		if !interrupted {
			return d, nil
		}
		if try == maxDumps {
			return conf.Device{}, fmt.Errorf("%w: changed while it was read, %d times in a row", syscall.EINTR, try)
		}
	}
}

// dump reads a state once. An interrupted dump may lack peers and have some
// twice.
func (f *family) dump(name string) (d conf.Device, interrupted bool, err error) {
	msgs, err := f.Execute(netlink.Message{
		Header: netlink.Header{Type: f.id, Flags: netlink.Request | netlink.Acknowledge | netlink.Dump},
		Data:   wgnl.GetRequest(name),
	})
	if err != nil {
		return d, false, err
	}
	var dump wgnl.Dump
	for _, m := range msgs {
		interrupted = interrupted || m.Header.Flags&netlink.DumpInterrupted != 0
		if !interrupted {
			err = errors.Join(err, dump.Add(m.Data))
		}
		clear(m.Data) // it holds keys
	}
	if interrupted || err != nil {
		dump.Clear()
	}
	if err != nil && !interrupted {
		return d, false, nonsense(err)
	}
	if interrupted {
		return d, true, nil
	}
	if d, err = dump.Device(); err != nil {
		return d, false, nonsense(err)
	}
	return d, false, nil
}

// set sends one request and waits for its acknowledgement.
func (f *family) set(m []byte) error {
	_, err := f.Execute(netlink.Message{
		Header: netlink.Header{Type: f.id, Flags: netlink.Request | netlink.Acknowledge},
		Data:   m,
	})
	return err
}

// removable returns a change that takes single prefixes from peers in a form that
// the kernel understands, or ErrNoRemoval. Nothing is changed yet.
func (f *family) removable(name string, c *conf.Change) (*conf.Change, error) {
	var own key.Public
	if !c.ReplacePeers {
		// Any peer will do. Mostly those that lose a prefix exist, which saves
		// reading the whole state.
		for i := range c.Peers {
			if ok, err := f.canRemove(name, c.Peers[i].PublicKey); ok || err != nil {
				return c, err
			}
		}
		d, err := f.device(name)
		if err != nil {
			return nil, err
		}
		defer forget(&d)
		own = d.PublicKey
		for i := range d.Peers {
			if ok, err := f.canRemove(name, d.Peers[i].PublicKey); ok || err != nil {
				return c, err
			}
		}
	}
	plain := wgnl.WithoutRemovals(c, own)
	return &plain, nil
}

// canRemove asks the kernel by the two probes of package wgnl. It returns false
// and no error if there is no such peer and so no answer.
func (f *family) canRemove(name string, peer key.Public) (bool, error) {
	switch err := f.set(wgnl.ProbeFlags(name, peer)); {
	case err == nil:
		return false, nil
	case errors.Is(err, syscall.EINVAL):
		return false, ErrNoRemoval
	case !errors.Is(err, syscall.ERANGE):
		return false, err
	}
	switch err := f.set(wgnl.ProbeUnknown(name, peer)); {
	case err == nil:
		return false, nil
	case errors.Is(err, syscall.ERANGE):
		return false, ErrNoRemoval
	case !errors.Is(err, syscall.EINVAL):
		return false, err
	}
	return true, nil
}

// forget erases the keys of a state.
func forget(d *conf.Device) {
	d.PrivateKey.Clear()
	for i := range d.Peers {
		d.Peers[i].PresharedKey.Clear()
	}
}
