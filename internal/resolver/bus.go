package resolver

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"time"

	"github.com/godbus/dbus/v5"
)

// The names of systemd-resolved on the bus, org.freedesktop.resolve1(5).
const (
	resolveName    = "org.freedesktop.resolve1"
	resolvePath    = "/org/freedesktop/resolve1"
	resolveManager = resolveName + ".Manager"
	resolveLink    = resolveName + ".Link"
	noSuchLink     = resolveName + ".NoSuchLink"
	linkBusy       = resolveName + ".LinkBusy"
	noSuchProperty = "org.freedesktop.DBus.Error.UnknownProperty"
)

const (
	familyIPv4 = 2
	familyIPv6 = 10
	// busTimeout is for all calls of one change: a service that hangs must not
	// keep a tunnel from coming up.
	busTimeout = 10 * time.Second
)

// busServer is a server of a link as the bus has it.
type busServer struct {
	Family  int32
	Address []byte
}

// bus is a conversation with systemd-resolved.
type bus struct {
	ctx     context.Context
	cancel  context.CancelFunc
	conn    *dbus.Conn
	manager dbus.BusObject
	env     Environment
}

// dial connects to the bus that systemd-resolved is on. It is started by the
// bus if it may be.
func (e Environment) dial(ctx context.Context) (*bus, error) {
	address := e.Bus
	if address == "" && e.Root == "" {
		address = os.Getenv("DBUS_SYSTEM_BUS_ADDRESS")
	}
	if address == "" {
		address = "unix:path=" + e.path("/run/dbus/system_bus_socket")
	}
	ctx, cancel := context.WithTimeout(ctx, busTimeout)
	conn, err := dbus.Connect(address, dbus.WithContext(ctx))
	if err != nil {
		cancel()
		return nil, err
	}
	return &bus{ctx, cancel, conn, conn.Object(resolveName, resolvePath), e}, nil
}

func (b *bus) close() {
	_ = b.conn.Close()
	b.cancel()
}

// sameNamespace reports whether the service sees the links that we see: their
// numbers mean other links elsewhere.
func (b *bus) sameNamespace() (bool, error) {
	var pid uint32
	err := b.conn.BusObject().CallWithContext(b.ctx, "org.freedesktop.DBus.GetConnectionUnixProcessID", 0, resolveName).Store(&pid)
	if err != nil {
		return false, err
	}
	theirs, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/net", pid))
	if err != nil {
		return true, nil // not for us to know: another process namespace, or no right
	}
	return theirs == here().Namespace, nil
}

// links returns the links that have servers or domains, and whether the
// configuration of the service claims all names by itself.
func (b *bus) links() (links []link, global bool, err error) {
	var servers []struct {
		Index, Family int32
		Address       []byte
	}
	var domains []struct {
		Index int32
		Name  string
		Route bool
	}
	if err := get(b, b.manager, resolveManager, "DNS", &servers); err != nil {
		return nil, false, err
	}
	if err := get(b, b.manager, resolveManager, "Domains", &domains); err != nil {
		return nil, false, err
	}
	seen := map[int32]bool{0: true} // 0: of no link
	var order []int32
	for _, s := range servers {
		if !seen[s.Index] {
			seen[s.Index], order = true, append(order, s.Index)
		}
	}
	for _, d := range domains {
		global = global || d.Index == 0 && d.Name == "."
		if !seen[d.Index] {
			seen[d.Index], order = true, append(order, d.Index)
		}
	}
	for _, i := range order {
		l, err := b.link(int(i))
		if isNamed(err, noSuchLink) {
			continue // it went meanwhile
		}
		if err != nil {
			return nil, false, err
		}
		links = append(links, l)
	}
	return links, global, nil
}

func (b *bus) object(index int) (dbus.BusObject, error) {
	var path dbus.ObjectPath
	if err := b.manager.CallWithContext(b.ctx, resolveManager+".GetLink", 0, int32(index)).Store(&path); err != nil {
		return nil, err
	}
	return b.conn.Object(resolveName, path), nil
}

func (b *bus) link(index int) (link, error) {
	l := link{Index: index}
	o, err := b.object(index)
	if err != nil {
		return l, err
	}
	if err := get(b, o, resolveLink, "Domains", &l.Domains); err != nil {
		return l, err
	}
	err = get(b, o, resolveLink, "DefaultRoute", &l.Default)
	if isNamed(err, noSuchProperty) { // before version 240
		err = nil
	}
	return l, err
}

func (b *bus) servers(index int) ([]netip.Addr, error) {
	o, err := b.object(index)
	if err != nil {
		return nil, err
	}
	var list []busServer
	if err := get(b, o, resolveLink, "DNS", &list); err != nil {
		return nil, err
	}
	var servers []netip.Addr
	for _, s := range list {
		if a, ok := netip.AddrFromSlice(s.Address); ok {
			servers = append(servers, a)
		}
	}
	return servers, nil
}

func (b *bus) setServers(index int, servers []netip.Addr) error {
	list := []busServer{}
	for _, a := range servers {
		family := int32(familyIPv4)
		if a.Is6() {
			family = familyIPv6
		}
		list = append(list, busServer{family, a.AsSlice()}) // a zone: the link's own
	}
	return b.call("SetLinkDNS", int32(index), list)
}

func (b *bus) setDomains(index int, domains []domain) error {
	if domains == nil {
		domains = []domain{}
	}
	return b.call("SetLinkDomains", int32(index), domains)
}

func (b *bus) setDefault(index int, yes bool) error {
	return b.call("SetLinkDefaultRoute", int32(index), yes)
}

func (b *bus) revert(index int) error { return b.call("RevertLink", int32(index)) }
func (b *bus) flush() error           { return b.call("FlushCaches") }

// call calls a method that changes something.
func (b *bus) call(method string, args ...any) error {
	if err := b.env.step(method); err != nil {
		return err
	}
	if err := b.manager.CallWithContext(b.ctx, resolveManager+"."+method, 0, args...).Err; err != nil {
		return fmt.Errorf("DNS: systemd-resolved: %s: %w", method, err)
	}
	return nil
}

func get(b *bus, o dbus.BusObject, iface, property string, value any) error {
	var v dbus.Variant
	err := o.CallWithContext(b.ctx, "org.freedesktop.DBus.Properties.Get", 0, iface, property).Store(&v)
	if err == nil {
		err = v.Store(value)
	}
	if err != nil {
		return fmt.Errorf("DNS: systemd-resolved: read %s: %w", property, err)
	}
	return nil
}

// isNamed reports whether an error is the one of that name.
func isNamed(err error, name string) bool {
	var e dbus.Error
	return errors.As(err, &e) && e.Name == name
}
