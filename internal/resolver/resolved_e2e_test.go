//go:build linux && e2e

package resolver

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
)

// The links of newLinks.
const (
	ethernet = 2 // the way out
	vpn      = 3 // another tunnel, which claims all names
	office   = 4 // claims its own domain alone
	networkd = 5 // claims all names and may not be changed
)

var lan = []busServer{{familyIPv4, []byte{192, 0, 2, 1}}}

// newLinks is a host whose resolver is systemd-resolved, with links of others
// and those of three tunnels, 10 to 12.
func newLinks(t *testing.T) (*host, *service, Backend) {
	t.Helper()
	h := newHost(t)
	s := newService(t, h)
	s.links = map[int32]*serviceLink{
		ethernet: {servers: lan, domains: []domain{{"home", false}}},
		vpn:      {servers: lan, domains: []domain{{"corp", false}, allNames}},
		office:   {servers: lan, domains: []domain{{"office", true}}},
	}
	for n := range int32(3) {
		s.links[10+n] = &serviceLink{}
	}
	b, why, err := Choose(t.Context(), h.env)
	if err != nil || b.Name() != "systemd-resolved" || !strings.Contains(why, "in use") {
		t.Fatalf("chosen: %v, %q, %v; want systemd-resolved", b, why, err)
	}
	return h, s, b
}

// alone checks that of the links that can be changed the tunnel alone is asked
// for names that nobody claims.
func (s *service) alone(index int32) {
	s.t.Helper()
	s.mutex.Lock()
	defer s.mutex.Unlock()
	for i, l := range s.links {
		all := slices.Contains(l.domains, allNames)
		if l.managed {
			continue
		}
		if all != (i == index) || l.isDefault() != (i == index) {
			s.t.Errorf("with link %d in force, link %d claims all names: %v, default: %v", index, i, all, l.isDefault())
		}
	}
	want := busServer{familyIPv4, []byte{10, 0, 0, byte(index - 9)}}
	if got := s.links[index].servers; len(got) != 1 || string(got[0].Address) != string(want.Address) {
		s.t.Errorf("servers of link %d are %v, want %v", index, got, want)
	}
}

// Q28, compat 7 Q3.
func TestLinkClaimsAllNamesAlone(t *testing.T) {
	for _, order := range [][]int{{0, 1, 2}, {2, 1, 0}, {1, 0, 2}, {1, 2, 0}, {0, 2, 1}, {2, 0, 1}} {
		h, s, b := newLinks(t)
		before, files := s.print(), h.print()
		for n := range 3 {
			must(t, b.Set(t.Context(), wg(n)))
			s.alone(int32(10 + n))
		}
		up := []int{0, 1, 2}
		for _, n := range order {
			must(t, b.Unset(t.Context(), name(n)))
			if up = slices.DeleteFunc(up, func(m int) bool { return m == n }); len(up) > 0 {
				s.alone(int32(10 + up[len(up)-1]))
			}
		}
		if after := s.print(); after != before {
			t.Errorf("%v: after\n%s, want\n%s", order, after, before)
		}
		if after := h.print(); after != files || len(h.said) > 0 || s.flushed < 6 {
			t.Errorf("%v: after %d flushes\n%s and %q, want\n%s", order, s.flushed, after, h.said, files)
		}
	}
}

// U01: the process ends before any one step of a change.
func TestCrashWithLinksIsRepaired(t *testing.T) {
	set := func(n int) func(b Backend) error { return func(b Backend) error { return b.Set(t.Context(), wg(n)) } }
	unset := func(n int) func(b Backend) error {
		return func(b Backend) error { return b.Unset(t.Context(), name(n)) }
	}
	story := []func(Backend) error{set(0), set(1), unset(0), unset(1)}
	for at := range story {
		for _, retry := range []bool{true, false} {
			points := crashEverywhere(t, at, "links", func(step func(string) error) bool {
				h, s, _ := newLinks(t)
				before, files := s.print(), h.print()
				b := &resolved{env: h.env}
				for _, change := range story[:at] {
					must(t, change(b))
				}
				b.env.crash = step
				err := story[at](b)
				b.env.crash = nil
				rest := story[2:]
				if retry {
					rest = story[at:]
				}
				for _, change := range rest {
					must(t, change(b))
				}
				if after := s.print() + h.print(); after != before+files {
					t.Fatalf("after\n%s, want\n%s", after, before+files)
				}
				return errors.Is(err, errCrash)
			})
			if points < 6 {
				t.Errorf("change %d: only %d steps", at, points)
			}
		}
	}
}

// Random changes, crashes, and links that vanish without being taken down.
func TestLinksInAnyOrderAreRestored(t *testing.T) {
	var seed uint64
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("seed %d", seed)
		}
	})
	h, s, _ := newLinks(t)
	before, files := s.print(), h.print()
	for seed = range 60 {
		random := rand.New(rand.NewPCG(seed, 28))
		h.links = map[string]bool{"wg0": true, "wg1": true, "wg2": true}
		for range 10 {
			b, n := &resolved{env: h.env}, random.IntN(3)
			if random.IntN(2) == 0 {
				left := random.IntN(12)
				b.env.crash = func(string) error {
					if left--; left < 0 {
						return errCrash
					}
					return nil
				}
			}
			switch random.IntN(5) {
			case 0, 1:
				if err := b.Set(t.Context(), wg(n)); err == nil {
					s.alone(int32(10 + n))
				} else if !errors.Is(err, errCrash) {
					t.Fatal(err)
				}
			case 2, 3:
				if err := b.Unset(t.Context(), name(n)); err != nil && !errors.Is(err, errCrash) {
					t.Fatal(err)
				}
			default:
				s.mutex.Lock()
				s.links[int32(10+n)] = &serviceLink{} // gone, and made again
				s.mutex.Unlock()
				h.links[name(n)] = false
				must(t, (&resolved{env: h.env}).Unset(t.Context(), "wg9"))
				h.links[name(n)] = true
			}
		}
		for n := range 3 {
			must(t, (&resolved{env: h.env}).Unset(t.Context(), name(n)))
		}
		if after := s.print() + h.print(); after != before+files {
			t.Fatalf("after\n%s, want\n%s", after, before+files)
		}
	}
}

func TestChangeOfALinkByAnotherHandStays(t *testing.T) {
	_, s, b := newLinks(t)
	must(t, b.Set(t.Context(), wg(0)))
	s.links[ethernet].domains = []domain{{"new.home", false}} // a new lease
	must(t, b.Unset(t.Context(), "wg0"))
	if l := s.links[ethernet]; !slices.Equal(l.domains, []domain{{"new.home", false}}) || !l.isDefault() {
		t.Errorf("the link has %v, default %v; want its new domain, and the default back", l.domains, l.isDefault())
	}
}

func TestWhatKeepsTheTunnelFromBeingAloneIsSaid(t *testing.T) {
	h, s, b := newLinks(t)
	s.links[networkd] = &serviceLink{servers: lan, domains: []domain{allNames}, managed: true}
	s.global = []domain{allNames}
	must(t, os.Remove(h.env.path(resolvConf)))
	must(t, os.Symlink(uplinkFile, h.env.path(resolvConf)))
	must(t, b.Set(t.Context(), wg(0)))
	s.alone(10)
	all := strings.Join(h.said, "\n")
	for _, want := range []string{"link 5 claims all names too", "configuration of systemd-resolved claims all names", "lists the servers of all links"} {
		if strings.Count(all, want) != 1 {
			t.Errorf("warned %q, want %q once", all, want)
		}
	}
	must(t, b.Unset(t.Context(), "wg0"))
}

// Q4, and what is saved.
func TestServersOfALinkAreRead(t *testing.T) {
	h, s, b := newLinks(t)
	want := Settings{Interface: "wg0", Index: 10, Servers: addresses("10.0.0.1", "fd00::1", "fe80::1%wg0"), Domains: []string{"a", "~b"}}
	must(t, b.Set(t.Context(), want))
	if got := b.Trace(want); !slices.Equal(got, []string{"resolvectl dns wg0 10.0.0.1 fd00::1 fe80::1%wg0", "resolvectl domain wg0 a ~b ~.", "resolvectl default-route wg0 true"}) {
		t.Errorf("trace %q", got)
	}
	found, err := Find(t.Context(), h.env, "wg0")
	must(t, err)
	servers, domains, err := found.Servers(t.Context(), "wg0")
	if err != nil || !slices.Equal(servers, addresses("10.0.0.1", "fd00::1", "fe80::1")) || !slices.Equal(domains, want.Domains) {
		t.Errorf("servers %v, domains %q, %v", servers, domains, err)
	}
	must(t, b.Set(t.Context(), Settings{Interface: "wg1", Index: 11, Domains: []string{"c"}}))
	if got := s.links[11].domains; !slices.Equal(got, []domain{{"c", false}}) || !slices.Contains(s.links[10].domains, allNames) {
		t.Errorf("domains alone gave %v, and the tunnel below has %v", got, s.links[10].domains)
	}
	if len(h.said) != 1 || !strings.Contains(h.said[0], "wg1 has none") {
		t.Errorf("warned %q, want once about domains without servers", h.said)
	}
}

func TestFailingServiceLeavesNothingBehind(t *testing.T) {
	h, s, b := newLinks(t)
	before, files := s.print(), h.print()
	err := b.Set(t.Context(), Settings{Interface: "wg7", Index: 17, Servers: addresses("10.0.0.1")})
	if err == nil || !strings.Contains(err.Error(), "not known") {
		t.Errorf("error %v, want that the link is not known", err)
	}
	if after := s.print() + h.print(); after != before+files {
		t.Errorf("after\n%s, want\n%s", after, before+files)
	}
}

// The service is used if resolv.conf leads to it and it answers, not otherwise.
func TestServiceIsChosenOnlyIfInUse(t *testing.T) {
	for _, c := range []struct {
		name    string
		arrange func(h *host, s *service)
		want    string
	}{
		{"link to the stub", func(*host, *service) {}, "systemd-resolved"},
		{"absolute link", func(h *host, _ *service) { h.relink("/run/systemd/resolve/stub-resolv.conf") }, "systemd-resolved"},
		{"address of the stub", func(h *host, _ *service) { h.relink(""); h.write(resolvConf, "nameserver 127.0.0.53\noptions edns0\n") }, "systemd-resolved"},
		{"another server", func(h *host, _ *service) {
			h.relink("")
			h.write(resolvConf, "nameserver 127.0.0.53\nnameserver 192.0.2.1\n")
		}, "resolv.conf"},
		{"another link", func(h *host, _ *service) { h.relink("/run/NetworkManager/resolv.conf") }, "resolv.conf"},
		{"no file", func(h *host, _ *service) { h.relink("") }, "resolv.conf"},
		{"no service", func(_ *host, s *service) { _, _ = s.conn.ReleaseName(resolveName) }, "resolv.conf"},
		{"no bus", func(h *host, _ *service) { h.env.Bus = "unix:path=/nowhere" }, "resolv.conf"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h, s, _ := newLinks(t)
			c.arrange(h, s)
			b, why, err := Choose(t.Context(), h.env)
			if err != nil || b.Name() != c.want {
				t.Errorf("chosen: %v (%s), %v; want %s", b, why, err, c.want)
			}
			t.Log(fmt.Sprint(b.Name(), ": ", why))
		})
	}
}

// relink makes resolv.conf lead elsewhere, or removes it.
func (h *host) relink(to string) {
	must(h.t, os.Remove(h.env.path(resolvConf)))
	if to != "" {
		must(h.t, os.Symlink(to, h.env.path(resolvConf)))
	}
}
