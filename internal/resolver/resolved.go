package resolver

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const (
	claimsName  = "resolver-links.json"
	runResolved = "/run/systemd/resolve/"
	uplinkFile  = runResolved + "resolv.conf"
)

// resolved has systemd-resolved ask the tunnel's servers for everything.
type resolved struct{ env Environment }

func (r *resolved) Name() string { return "systemd-resolved" }

// Trace implements [Backend].
func (r *resolved) Trace(s Settings) []string {
	c := claims{Tunnels: []tunnel{{Index: 1, Servers: s.Servers, Domains: s.Domains}}}
	l := c.want(link{Index: 1})
	dns, domains := "resolvectl dns "+s.Interface, "resolvectl domain "+s.Interface
	for _, a := range s.Servers {
		dns += " " + a.String()
	}
	for _, d := range l.Domains {
		if d.Route {
			d.Name = "~" + d.Name
		}
		domains += " " + d.Name
	}
	if !l.Default {
		return []string{domains}
	}
	return []string{dns, domains, "resolvectl default-route " + s.Interface + " true"}
}

// Untrace implements [Backend].
func (r *resolved) Untrace(iface string) []string { return []string{"resolvectl revert " + iface} }

// usable reports whether the host's programs are led to the service, and what
// keeps it from being used nevertheless.
func (r *resolved) usable(ctx context.Context) (bool, error) {
	if leads, _ := r.leads(); !leads {
		return false, nil
	}
	b, err := r.env.dial(ctx)
	if err != nil {
		return true, err
	}
	defer b.close()
	if _, _, err := b.links(); err != nil {
		return true, err
	}
	same, err := b.sameNamespace()
	if err == nil && !same {
		err = errors.New("it serves another network namespace")
	}
	return true, err
}

// leads reports whether resolv.conf leads to the service: by its address, or by
// being one of its files. Uplink is the one that lists the servers themselves.
func (r *resolved) leads() (leads, uplink bool) {
	name := r.env.path(resolvConf)
	if to, err := os.Readlink(name); err == nil {
		if !filepath.IsAbs(to) {
			to = filepath.Join(filepath.Dir(resolvConf), to)
		}
		to = filepath.Clean(to)
		if strings.HasPrefix(to, runResolved) {
			return true, to == uplinkFile
		}
	}
	text, err := os.ReadFile(name)
	c := parse(text)
	return err == nil && len(c.servers) > 0 && !slices.ContainsFunc(c.servers, func(s string) bool {
		return s != "127.0.0.53" && s != "127.0.0.54"
	}), false
}

// shift is one change of the links under the lock.
type shift struct {
	*records
	bus     *bus
	boot    string
	here    place
	claims  claims
	setting int // the link that must be there
}

func (r *resolved) begin(ctx context.Context) (*shift, error) {
	x := &shift{boot: bootID(), here: here()}
	var err error
	if x.records, err = r.env.open(ctx, claimsName); err != nil {
		return nil, err
	}
	if x.claims, err = r.load(); err == nil {
		x.bus, err = r.env.dial(ctx)
	}
	if err != nil {
		x.records.close()
		return nil, err
	}
	return x, nil
}

func (x *shift) close() {
	x.bus.close()
	x.records.close()
}

// load reads the record without what cannot be in force any more: all of an
// earlier boot, and tunnels whose interface or namespace is gone, which the service has
// forgotten with it.
func (r *resolved) load() (claims, error) {
	c, sameBoot, _, err := load[claims](filepath.Join(r.env.path(stateFolder), claimsName), bootID())
	if !sameBoot || err != nil {
		return claims{}, err
	}
	now := here()
	c.Tunnels = slices.DeleteFunc(c.Tunnels, func(t tunnel) bool { return r.env.gone(t, now) })
	return c, nil
}

func (r *resolved) find(iface string) (tunnel, bool) {
	c, sameBoot, _, err := load[claims](filepath.Join(r.env.path(stateFolder), claimsName), bootID())
	now := here()
	i := slices.IndexFunc(c.Tunnels, func(t tunnel) bool { return t.is(iface, now) })
	if err != nil || !sameBoot || i < 0 {
		return tunnel{}, false
	}
	return c.Tunnels[i], true
}

func (r *resolved) holds(iface string) bool {
	_, ok := r.find(iface)
	return ok
}

// Set implements [Backend].
func (r *resolved) Set(ctx context.Context, s Settings) error {
	if err := s.check(); err != nil {
		return err
	}
	x, err := r.begin(ctx)
	if err != nil {
		return &Error{fmt.Errorf("DNS: systemd-resolved cannot be told: %w", err), "is it running? systemctl status systemd-resolved"}
	}
	defer x.close()
	if len(s.Servers) == 0 {
		r.env.warn("add a server to DNS", "DNS: systemd-resolved searches the domains of a link that has servers: %s has none", s.Interface)
	}
	if _, uplink := r.leads(); uplink {
		r.env.warn("ln -sf ../run/systemd/resolve/stub-resolv.conf "+resolvConf,
			"DNS: %s lists the servers of all links: programs that read it themselves may ask others than the tunnel's", resolvConf)
	}
	x.claims.push(tunnel{Name: s.Interface, Index: s.Index, place: x.here, Servers: s.Servers, Domains: s.Domains})
	x.setting = s.Index
	if err = x.settle(); err == nil {
		return nil
	}
	x.claims.leave(s.Interface, x.here)
	return errors.Join(err, x.settle())
}

// Unset implements [Backend].
func (r *resolved) Unset(ctx context.Context, iface string) error {
	if !r.env.remembers(claimsName) {
		return nil // also where nothing could be written, and no service is
	}
	x, err := r.begin(ctx)
	if err != nil {
		return &Error{fmt.Errorf("DNS: systemd-resolved cannot be told: %w", err), "resolvectl revert LINK, for each link that resolvectl shows without its domains"}
	}
	defer x.close()
	x.claims.leave(iface, x.here)
	return x.settle()
}

// Servers implements [Backend].
func (r *resolved) Servers(ctx context.Context, iface string) ([]netip.Addr, []string, error) {
	t, ok := r.find(iface)
	if !ok {
		return nil, nil, nil
	}
	b, err := r.env.dial(ctx)
	if err != nil {
		return nil, nil, err
	}
	defer b.close()
	servers, err := b.servers(t.Index)
	if err != nil {
		return nil, nil, err
	}
	l, err := b.link(t.Index)
	var domains []string
	for _, d := range l.Domains {
		switch {
		case d == allNames && !slices.Contains(t.Domains, "~."): // ours
		case d.Route:
			domains = append(domains, "~"+d.Name)
		default:
			domains = append(domains, d.Name)
		}
	}
	return servers, domains, err
}

// settle brings the links to what the claims say, wherever a crash has left
// them, and forgets what is done.
func (x *shift) settle() error {
	links, global, err := x.bus.links()
	if err != nil {
		return err
	}
	x.claims.note(links)
	if err := x.save(); err != nil {
		return err
	}
	for _, t := range x.claims.Tunnels {
		if !t.Leaving {
			continue
		}
		if err := x.bus.revert(t.Index); err != nil && !isNamed(err, noSuchLink) {
			return err
		}
	}
	x.claims.Tunnels = slices.DeleteFunc(x.claims.Tunnels, func(t tunnel) bool { return t.Leaving })
	for _, t := range slices.Backward(x.claims.Tunnels) { // the one in force first
		err := x.settleServers(t)
		if err == nil {
			err = x.settleLink(link{Index: t.Index})
		}
		if err != nil && !(isNamed(err, noSuchLink) && t.Index != x.setting) {
			return err
		}
	}
	for _, a := range x.claims.Aside {
		err := x.settleLink(a)
		switch {
		case isNamed(err, noSuchLink):
		case isNamed(err, linkBusy):
			x.busy(a)
		case err != nil:
			return err
		}
	}
	if global && x.claims.top() != 0 {
		x.env.warn("remove ~. from Domains= in /etc/systemd/resolved.conf",
			"DNS: the configuration of systemd-resolved claims all names too: they are asked of its servers and of the tunnel's")
	}
	if err := x.bus.flush(); err != nil {
		return err
	}
	x.claims.left()
	if len(x.claims.Tunnels) == 0 {
		return x.drop()
	}
	return x.save()
}

func (x *shift) save() error { return save(x.records, x.boot, x.claims) }

func (x *shift) settleServers(t tunnel) error {
	now, err := x.bus.servers(t.Index)
	if err != nil {
		return err
	}
	want := make([]netip.Addr, len(t.Servers))
	for i, a := range t.Servers {
		want[i] = a.Unmap().WithZone("")
	}
	if slices.Equal(now, want) {
		return nil
	}
	return x.bus.setServers(t.Index, want)
}

// settleLink sets what of a link's claims is not as it should be. The default
// goes before the domains and comes back after them: where nobody has said what
// it is, the service concludes it from the domains, and what a crash leaves must
// not look as if another hand had made the link the default.
func (x *shift) settleLink(l link) error {
	now, err := x.bus.link(l.Index)
	if err != nil {
		return err
	}
	want := x.claims.want(now)
	if now.equal(want) {
		return nil
	}
	if !want.Default {
		if err := x.bus.setDefault(l.Index, false); err != nil {
			return err
		}
	}
	if !slices.Equal(now.Domains, want.Domains) {
		if err := x.bus.setDomains(l.Index, want.Domains); err != nil {
			return err
		}
		if now, err = x.bus.link(l.Index); err != nil {
			return err
		}
	}
	if want.Default && !now.Default {
		return x.bus.setDefault(l.Index, true)
	}
	return nil
}

// busy tells of a link that only its manager may change. To be asked for names
// that nobody claims is no harm, since the tunnel claims all.
func (x *shift) busy(l link) {
	if x.claims.top() != 0 && l.claimsAll() {
		x.env.warn("remove ~. from Domains= in its .network file",
			"DNS: link %d claims all names too, and systemd-networkd keeps it from being changed: its servers are asked as well", l.Index)
	}
}
