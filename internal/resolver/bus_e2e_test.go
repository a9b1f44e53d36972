//go:build linux && e2e

package resolver

import (
	"bufio"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/godbus/dbus/v5"
)

const busConfig = `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <listen>unix:path=%s</listen><auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/>
  </policy>
</busconfig>`

// newBus starts a dbus-daemon of the test's own and returns its address.
func newBus(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	config := filepath.Join(dir, "bus.conf")
	must(t, os.WriteFile(config, fmt.Appendf(nil, busConfig, filepath.Join(dir, "bus")), 0o644))
	cmd := exec.Command("dbus-daemon", "--config-file="+config, "--nofork", "--nopidfile", "--print-address=1")
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	address, err := bufio.NewReader(out).ReadString('\n')
	must(t, err)
	return strings.TrimSpace(address)
}

// serviceLink is a link as the service knows it.
type serviceLink struct {
	servers  []busServer
	domains  []domain
	explicit *bool // the default route that was set
	managed  bool  // by systemd-networkd
}

// isDefault is what the service makes of it.
func (l *serviceLink) isDefault() bool {
	if l.explicit != nil {
		return *l.explicit
	}
	return len(l.servers) > 0 && !slices.ContainsFunc(l.domains, func(d domain) bool { return d.Route })
}

// service is org.freedesktop.resolve1 with the methods and properties that are
// used, and the refusals that systemd-resolved has.
type service struct {
	t       *testing.T
	conn    *dbus.Conn
	mutex   sync.Mutex // links and global
	links   map[int32]*serviceLink
	global  []domain
	flushed int
}

// newService puts a service on the bus of h, and leads its resolv.conf to it.
func newService(t *testing.T, h *host) *service {
	t.Helper()
	h.env.Bus = newBus(t)
	conn, err := dbus.Connect(h.env.Bus)
	must(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	s := &service{t: t, conn: conn, links: map[int32]*serviceLink{}}
	must(t, conn.Export(s, resolvePath, resolveManager))
	must(t, conn.Export(properties{s, 0}, resolvePath, "org.freedesktop.DBus.Properties"))
	for i := range int32(20) {
		must(t, conn.Export(properties{s, i}, linkPath(i), "org.freedesktop.DBus.Properties"))
	}
	reply, err := conn.RequestName(resolveName, dbus.NameFlagDoNotQueue)
	if err != nil || reply != dbus.RequestNameReplyPrimaryOwner {
		t.Fatalf("own %s: %v, %v", resolveName, reply, err)
	}
	must(t, os.Symlink("../run/systemd/resolve/stub-resolv.conf", h.env.path(resolvConf)))
	return s
}

func linkPath(i int32) dbus.ObjectPath {
	return dbus.ObjectPath(fmt.Sprintf("%s/link/_%d", resolvePath, i))
}

// to finds a link that may be changed.
func (s *service) to(i int32) (*serviceLink, *dbus.Error) {
	l, ok := s.links[i]
	switch {
	case !ok:
		return nil, dbus.NewError(noSuchLink, []any{fmt.Sprintf("Link %d not known", i)})
	case l.managed:
		return nil, dbus.NewError(linkBusy, []any{fmt.Sprintf("Link %d is managed.", i)})
	}
	return l, nil
}

func (s *service) change(i int32, do func(l *serviceLink) *dbus.Error) *dbus.Error {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	l, err := s.to(i)
	if err != nil {
		return err
	}
	return do(l)
}

func (s *service) GetLink(i int32) (dbus.ObjectPath, *dbus.Error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if _, ok := s.links[i]; !ok {
		return "/", dbus.NewError(noSuchLink, []any{fmt.Sprintf("Link %d not known", i)})
	}
	return linkPath(i), nil
}

func (s *service) SetLinkDNS(i int32, servers []busServer) *dbus.Error {
	return s.change(i, func(l *serviceLink) *dbus.Error {
		for _, a := range servers {
			if a.Family == familyIPv4 && len(a.Address) != 4 || a.Family == familyIPv6 && len(a.Address) != 16 {
				return dbus.NewError("org.freedesktop.DBus.Error.InvalidArgs", []any{"Invalid address size"})
			}
		}
		l.servers = servers
		return nil
	})
}

func (s *service) SetLinkDomains(i int32, domains []domain) *dbus.Error {
	return s.change(i, func(l *serviceLink) *dbus.Error {
		if slices.Contains(domains, domain{".", false}) {
			return dbus.NewError("org.freedesktop.DBus.Error.InvalidArgs", []any{"Root domain is not suitable as search domain"})
		}
		l.domains = domains
		return nil
	})
}

func (s *service) SetLinkDefaultRoute(i int32, yes bool) *dbus.Error {
	return s.change(i, func(l *serviceLink) *dbus.Error {
		l.explicit = &yes
		return nil
	})
}

func (s *service) RevertLink(i int32) *dbus.Error {
	return s.change(i, func(l *serviceLink) *dbus.Error {
		*l = serviceLink{}
		return nil
	})
}

func (s *service) FlushCaches() *dbus.Error {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.flushed++
	return nil
}

// properties are those of a link, or of the manager.
type properties struct {
	s     *service
	index int32
}

func (p properties) Get(iface, name string) (dbus.Variant, *dbus.Error) {
	p.s.mutex.Lock()
	defer p.s.mutex.Unlock()
	if p.index == 0 {
		return p.s.all(name)
	}
	l, ok := p.s.links[p.index]
	switch {
	case !ok:
		return dbus.Variant{}, dbus.NewError("org.freedesktop.DBus.Error.UnknownObject", nil)
	case name == "DNS":
		return dbus.MakeVariant(append([]busServer{}, l.servers...)), nil
	case name == "Domains":
		return dbus.MakeVariant(append([]domain{}, l.domains...)), nil
	case name == "DefaultRoute":
		return dbus.MakeVariant(l.isDefault()), nil
	}
	return dbus.Variant{}, dbus.NewError(noSuchProperty, []any{iface + "." + name})
}

func (s *service) all(name string) (dbus.Variant, *dbus.Error) {
	type server struct {
		Index, Family int32
		Address       []byte
	}
	type claim struct {
		Index int32
		Name  string
		Route bool
	}
	servers, claims := []server{{0, familyIPv4, []byte{192, 0, 2, 53}}}, []claim{}
	for _, d := range s.global {
		claims = append(claims, claim{0, d.Name, d.Route})
	}
	for _, i := range slices.Sorted(maps.Keys(s.links)) {
		for _, a := range s.links[i].servers {
			servers = append(servers, server{i, a.Family, a.Address})
		}
		for _, d := range s.links[i].domains {
			claims = append(claims, claim{i, d.Name, d.Route})
		}
	}
	switch name {
	case "DNS":
		return dbus.MakeVariant(servers), nil
	case "Domains":
		return dbus.MakeVariant(claims), nil
	}
	return dbus.Variant{}, dbus.NewError(noSuchProperty, nil)
}

// print is all that can be seen of the links.
func (s *service) print() string {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	var b strings.Builder
	for _, i := range slices.Sorted(maps.Keys(s.links)) {
		l := s.links[i]
		fmt.Fprintf(&b, "link %d: servers %v, domains %v, default %v\n", i, l.servers, l.domains, l.isDefault())
	}
	return b.String()
}
