package tunnel

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"slices"
	"syscall"
	"time"

	"github.com/warrenvpn/warren/conf"
	"github.com/warrenvpn/warren/internal/hostnet"
	"github.com/warrenvpn/warren/internal/quick"
	"github.com/warrenvpn/warren/internal/resolver"
	"github.com/warrenvpn/warren/uapi"
	"github.com/warrenvpn/warren/wgctl"
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
	// tell is given warnings about steps that could only be done in part.
	tell func(quick.Step)
	dns  resolver.Backend // nil: not asked yet
}

// Facts gathers what planning a stage needs.
func (h *host) Facts(ctx context.Context, c *quick.Config, s quick.Stage) (quick.Facts, error) {
	switch s {
	case quick.Create:
		return h.beforehand(c)
	case quick.Remove:
		return h.afterwards(ctx, c)
	}
	d, err := h.wg.Device(c.Name)
	if err != nil {
		return quick.Facts{}, err
	}
	var f quick.Facts
	switch s {
	case quick.Prepare:
		_, f.InKernel, err = h.net.Index(c.Name)
	case quick.Open:
		if f, err = h.paths(endpoints(d)); err == nil {
			f.DNS, err = h.dnsFacts(ctx, c)
		}
	case quick.Route:
		f, err = h.routing(c)
		f.FwMark = d.FwMark
	}
	f.AllowedIPs = allowedIPs(d)
	f.HasPrivateKey = !d.PrivateKey.IsZero()
	return f, err
}

// beforehand looks at a host on which nothing was done yet.
func (h *host) beforehand(c *quick.Config) (quick.Facts, error) {
	f, err := h.present(c.Name)
	if err != nil {
		return f, err
	}
	f.NoKernel = !hostnet.KernelMayHave()
	f.Obstacle = h.net.Privileged()
	if c.Plane == quick.User || c.Plane == quick.Automatic && f.NoKernel {
		f.Obstacle = h.net.Obstacle()
	}
	f.IPv6Disabled, _ = hostnet.IPv6Disabled("")
	f.Default4, f.Default6 = h.net.HasDefault(false), h.net.HasDefault(true)
	f.TableNumber = tableNumber(c)
	f.Rules, err = h.net.Rules()
	return f, err
}

// routing looks at what the routes to a tunnel depend on.
func (h *host) routing(c *quick.Config) (f quick.Facts, err error) {
	if f.Routes, err = h.net.Routes(c.Name); err != nil {
		return f, err
	}
	if f.Rules, err = h.net.Rules(); err != nil {
		return f, err
	}
	if f.UsedTables, err = h.net.UsedTables(quick.FirstTable); err != nil {
		return f, err
	}
	f.SrcValidMark, err = hostnet.Sysctl(quick.SrcValidMark)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil // to be found out when it is needed
	}
	f.TableNumber = tableNumber(c)
	return f, err
}

// tableNumber is that of the file's Table; 0 if there is no such table, or none
// is named.
func tableNumber(c *quick.Config) uint32 {
	if c.Table.Value == "" {
		return 0
	}
	n, err := hostnet.TableNumber(c.Table.Value)
	if err != nil {
		return 0
	}
	return n
}

// afterwards looks at a host with a tunnel.
func (h *host) afterwards(ctx context.Context, c *quick.Config) (quick.Facts, error) {
	f, err := h.present(c.Name)
	f.Obstacle = h.net.Privileged()
	if err != nil || f.Obstacle != nil {
		return f, err
	}
	if f.WireGuard {
		// A device that does not answer can be removed nevertheless.
		if d, err := h.wg.Device(c.Name); err == nil {
			f.FwMark = d.FwMark
			f.AllowedIPs = allowedIPs(d)
		}
		if err := context.Cause(ctx); err != nil {
			return f, err // the user would not wait for its answer
		}
	}
	if f.Rules, err = h.net.Rules(); err != nil {
		return f, err
	}
	tables, err := hostnet.AntiLeaks(c.Name)
	f.Firewall = err == nil && len(tables) > 0
	f.DNS.Unset, err = h.dnsUnset(ctx, c)
	return f, err
}

// present finds out what there is of this name.
func (h *host) present(name string) (f quick.Facts, err error) {
	var inKernel bool
	if f.Index, inKernel, err = h.net.Index(name); err != nil {
		return f, err
	}
	f.LinkExists = f.Index != 0
	names, err := h.wg.Names()
	if err != nil {
		return f, fmt.Errorf("list WireGuard interfaces: %w", err)
	}
	f.WireGuard = slices.Contains(names, name)
	f.SocketExists = f.WireGuard && !inKernel
	if f.LinkExists {
		f.Configured, err = h.configured(name, f.WireGuard)
	}
	return f, err
}

// IsTunnel implements [hostnet.Performer].
func (h *host) IsTunnel(index int) (bool, error) { return h.net.IsTunnel(index) }

// configured reports whether an interface is not as it was made.
func (h *host) configured(name string, wireGuard bool) (bool, error) {
	configured, err := h.net.IsConfigured(name)
	if configured || err != nil || !wireGuard {
		return configured, err
	}
	d, err := h.wg.Device(name)
	if err != nil {
		return false, nil // one that does not answer can be removed nevertheless
	}
	return !d.PrivateKey.IsZero() || len(d.Peers) > 0, nil
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
func (h *host) Perform(ctx context.Context, c *quick.Config, s quick.Step) (quick.Step, error) {
	switch s.Kind {
	case quick.CreateLink, quick.CreateDevice:
		return h.create(ctx, c, s)
	case quick.RunHook:
		return s, runHook(ctx, c, s)
	case quick.Configure:
		return s, h.configure(c)
	case quick.SetMark:
		return s, h.wg.Apply(c.Name, conf.Change{FwMark: &s.Mark})
	case quick.SetDNS:
		return s, h.setDNS(ctx, c)
	case quick.UnsetDNS:
		return s, h.unsetDNS(ctx, c)
	case quick.Save:
		return s, h.save(ctx, c)
	case quick.RemoveFile:
		return s, removeTemporary(s.Name)
	case quick.DeleteLink:
		return s, h.remove(c.Name, s)
	case quick.SetSysctl, quick.HoldSysctl:
		return h.setSysctl(c, s)
	case quick.AddFirewall:
		return s, h.addFirewall(c, s)
	case quick.SetUp:
		if err := h.portFree(c); err != nil {
			return s, err
		}
	}
	return s, h.net.Perform(c.Name, s)
}

func removeFile(name string) error {
	if err := os.Remove(name); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// create makes the interface and sees that it can be used.
func (h *host) create(ctx context.Context, c *quick.Config, s quick.Step) (quick.Step, error) {
	var err error
	called := c.Program
	if s.Kind == quick.CreateLink {
		called = "the kernel"
		err = h.net.Perform(c.Name, s)
	} else if err = h.net.Obstacle(); err == nil {
		err = h.makeDevice(ctx, c)
	}
	if err != nil {
		return s, err
	}
	if err := h.net.Adopt(c.Name); err != nil {
		return s, fmt.Errorf("%s reported success, but: %w", called, err)
	}
	if s.Index, _, err = h.net.Index(c.Name); err == nil {
		_, err = h.wg.Device(c.Name)
	}
	if err != nil {
		return s, errors.Join(err, h.remove(c.Name, quick.Step{Kind: quick.DeleteLink, Index: s.Index}))
	}
	return s, nil
}

// makeDevice has a program make the interface. One that fails may have made it
// before: then it goes, since a step that failed is not undone.
func (h *host) makeDevice(ctx context.Context, c *quick.Config) error {
	before, _, err := h.net.Index(c.Name)
	if err != nil {
		return err
	}
	failed := makeLink(ctx, c)
	if failed == nil || before != 0 {
		return failed
	}
	index, _, err := h.net.Index(c.Name)
	if err == nil && index != 0 {
		err = h.remove(c.Name, quick.Step{Kind: quick.DeleteLink, Index: index})
	}
	if err != nil {
		err = fmt.Errorf("roll back: %w", err)
	}
	return errors.Join(failed, err)
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

// setSysctl sets what a full tunnel needs. Where that is not possible it may
// not be needed either: no interface checks where packets come from.
func (h *host) setSysctl(c *quick.Config, s quick.Step) (quick.Step, error) {
	err := h.net.Perform(c.Name, s)
	if err == nil || s.Name != quick.SrcValidMark || hostnet.StrictReversePath() {
		return s, err
	}
	h.tell(quick.Step{Kind: quick.Warn, Text: fmt.Sprintf("%v; no interface has a strict rp_filter, so it works without", err)})
	s.Value = s.Prior // there is nothing to be undone
	return s, nil
}

// addFirewall goes on where there is no packet filter: the tunnel works, but
// its addresses can be reached from outside.
func (h *host) addFirewall(c *quick.Config, s quick.Step) error {
	err := h.net.Perform(c.Name, s)
	if !errors.Is(err, hostnet.ErrNoFirewall) {
		return err
	}
	warning := quick.Step{Kind: quick.Warn, Text: err.Error()}
	var p *quick.Problem
	if errors.As(err, &p) {
		warning.Hint = p.Hint
	}
	h.tell(warning)
	return nil
}

// portFree sees that our daemon will be able to open its port: it does so when
// the link goes up, which succeeds all the same, as a TUN knows of no ports.
func (h *host) portFree(c *quick.Config) error {
	if _, inKernel, err := h.net.Index(c.Name); os.Getenv(programEnv) != "" || inKernel || err != nil {
		return err // which may have it open by now
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
func (h *host) remove(name string, s quick.Step) error {
	if err := h.net.Perform(name, s); err != nil {
		return err
	}
	if index, _, err := h.net.Index(name); err != nil || index != 0 {
		return err // another interface has the name
	}
	for waited := time.Duration(0); waited < endTime; waited += endStep {
		names, err := h.wg.Names()
		if err != nil || !slices.Contains(names, name) {
			return err
		}
		time.Sleep(endStep)
	}
	if _, err := (&wgctl.Client{Timeout: endTime}).Device(name); !errors.Is(err, syscall.ETIMEDOUT) {
		return fmt.Errorf("the interface %s is gone, but its daemon still answers", name)
	}
	// It is stopped, or stuck. Without its link, and its socket, it ends if it
	// ever goes on; and the name is free.
	h.tell(quick.Step{
		Kind: quick.Warn, Text: fmt.Sprintf("the interface %s is gone; its daemon does not answer and may still run", name),
		Hint: "`pgrep -af " + name + "` may find it",
	})
	path, ok := uapi.Path(uapi.Dir, name)
	if !ok {
		return nil
	}
	return removeFile(path)
}
