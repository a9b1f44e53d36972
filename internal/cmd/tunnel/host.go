package tunnel

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"syscall"
	"time"

	"github.com/warrenvpn/warren/conf"
	"github.com/warrenvpn/warren/internal/hostnet"
	"github.com/warrenvpn/warren/internal/quick"
)

// control is what this package asks of package wgctl.
type control interface {
	Names() ([]string, error)
	Device(name string) (conf.Device, error)
	Apply(name string, change conf.Change) error
	Resolve(e conf.Endpoint) (netip.AddrPort, error)
	ResolveChange(change *conf.Change) error
}

// host is this host: it performs plans. It is used by one goroutine.
type host struct {
	net *hostnet.Network
	wg  control
}

// Facts gathers what planning a stage needs.
func (h *host) Facts(_ context.Context, c *quick.Config, s quick.Stage) (quick.Facts, error) {
	switch s {
	case quick.Create:
		return h.beforehand(c.Name)
	case quick.Remove:
		return h.afterwards(c.Name)
	}
	d, err := h.wg.Device(c.Name)
	if err != nil {
		return quick.Facts{}, err
	}
	var f quick.Facts
	if s == quick.Open {
		if f, err = h.paths(endpoints(d)); err != nil {
			return f, err
		}
	}
	if s == quick.Route {
		if f.Routes, err = h.net.Routes(c.Name); err != nil {
			return f, err
		}
	}
	f.AllowedIPs = allowedIPs(d)
	f.HasPrivateKey = !d.PrivateKey.IsZero()
	return f, nil
}

// beforehand looks at a host on which nothing was done yet.
func (h *host) beforehand(name string) (quick.Facts, error) {
	f, err := h.present(name)
	f.Obstacle = h.net.Obstacle()
	return f, err
}

// afterwards looks at a host with a tunnel.
func (h *host) afterwards(name string) (quick.Facts, error) {
	f, err := h.present(name)
	f.Obstacle = h.net.Privileged()
	if err != nil || !f.SocketExists || f.Obstacle != nil {
		return f, err
	}
	// A device that does not answer can be removed nevertheless.
	if d, err := h.wg.Device(name); err == nil {
		f.FwMark = d.FwMark
		f.AllowedIPs = allowedIPs(d)
	}
	return f, nil
}

// present finds out what there is of this name.
func (h *host) present(name string) (f quick.Facts, err error) {
	if f.LinkExists, err = h.net.LinkExists(name); err != nil {
		return f, err
	}
	names, err := h.wg.Names()
	if err != nil {
		return f, fmt.Errorf("list WireGuard interfaces: %w", err)
	}
	f.SocketExists = slices.Contains(names, name)
	return f, nil
}

func (h *host) paths(to []netip.Addr) (f quick.Facts, err error) {
	if f.Paths, err = h.net.Paths(to); err != nil {
		return f, err
	}
	f.DefaultPath, err = h.net.DefaultPath()
	return f, err
}

// endpoints returns the addresses the device sends to, each once.
func endpoints(d conf.Device) []netip.Addr {
	var all []netip.Addr
	seen := make(map[netip.Addr]bool)
	for _, p := range d.Peers {
		a := p.Endpoint.Addr()
		if a.IsValid() && !seen[a] {
			seen[a] = true
			all = append(all, a)
		}
	}
	return all
}

func allowedIPs(d conf.Device) []netip.Prefix {
	var all []netip.Prefix
	for _, p := range d.Peers {
		all = append(all, p.AllowedIPs...)
	}
	return all
}

// Perform carries out one step.
func (h *host) Perform(ctx context.Context, c *quick.Config, s quick.Step) error {
	switch s.Kind {
	case quick.CreateLink:
		return h.create(ctx, c)
	case quick.RunHook:
		return runHook(ctx, c, s)
	case quick.Configure:
		return h.configure(c)
	case quick.DeleteLink:
		return h.remove(c.Name)
	case quick.SetUp:
		if err := h.portFree(c); err != nil {
			return err
		}
	}
	return h.net.Perform(c.Name, s)
}

// create makes the interface and sees that it can be used.
func (h *host) create(ctx context.Context, c *quick.Config) error {
	if err := makeLink(ctx, c.Name); err != nil {
		return err
	}
	if err := h.net.Adopt(c.Name); err != nil {
		return fmt.Errorf("%s reported success, but: %w", c.Program, err)
	}
	if _, err := h.wg.Device(c.Name); err != nil {
		return errors.Join(err, h.remove(c.Name))
	}
	return nil
}

// configure merges what the file says into the device. Names of endpoints are
// looked up now, while the host still resolves them as before.
func (h *host) configure(c *quick.Config) error {
	change := c.Device
	change.Peers = slices.Clone(change.Peers)
	if err := h.wg.ResolveChange(&change); err != nil {
		return unresolved(c, err)
	}
	return h.wg.Apply(c.Name, change)
}

// portFree sees that our daemon will be able to open its port: it does so when
// the link goes up, which succeeds all the same, as a TUN knows of no ports.
func (h *host) portFree(c *quick.Config) error {
	if os.Getenv(programEnv) != "" {
		return nil // which may have it open by now
	}
	if link, err := net.InterfaceByName(c.Name); err == nil && link.Flags&net.FlagUp != 0 {
		return nil // a hook set it up, so the daemon has it open
	}
	d, err := h.wg.Device(c.Name)
	if err != nil || d.ListenPort == 0 {
		return err
	}
	for _, family := range [...]string{"udp4", "udp6"} {
		socket, err := net.ListenUDP(family, &net.UDPAddr{Port: int(d.ListenPort)})
		if err == nil {
			_ = socket.Close()
			continue
		}
		if errors.Is(err, syscall.EADDRINUSE) {
			return &quick.Problem{
				Path: c.Path, Line: c.ListenPort.Line, Key: "ListenPort", Err: err,
				Text: fmt.Sprintf("UDP port %d is in use", d.ListenPort),
				Hint: fmt.Sprintf("`ss -lunp sport = %d` may show by whom; without ListenPort, a free one is taken", d.ListenPort),
			}
		}
	}
	return nil
}

// How long remove waits for the daemon to end, and how often it looks.
const (
	endTime = 3 * time.Second
	endStep = 5 * time.Millisecond
)

// remove deletes the interface and waits until its daemon has let go of the
// control socket, so that the tunnel can be brought up again at once.
func (h *host) remove(name string) error {
	if err := h.net.Perform(name, quick.Step{Kind: quick.DeleteLink}); err != nil {
		return err
	}
	for waited := time.Duration(0); waited < endTime; waited += endStep {
		names, err := h.wg.Names()
		if err != nil || !slices.Contains(names, name) {
			return err
		}
		time.Sleep(endStep)
	}
	return fmt.Errorf("the interface %s is gone, but its daemon still answers", name)
}
