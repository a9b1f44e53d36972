//go:build linux && e2e

package resolver

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// install lays an unpacked resolvconf over the system.
func install(t *testing.T, folder string) {
	t.Helper()
	overlay(t, "/usr/sbin", folder+"/sbin")
	overlay(t, "/usr/lib", folder+"/lib")
	overlay(t, "/etc", folder+"/etc")
}

// Q28: the real programs. What they make of resolv.conf is theirs; that the
// tunnel's server is asked while it is up, and nothing of it is left, is ours.
func TestOpenresolv(t *testing.T) {
	dir := programs(t)
	if !isolated(t) {
		return
	}
	install(t, dir+"/openresolv")
	throughResolvconf(t, "wg0", "wg1")
}

func TestDebiansResolvconf(t *testing.T) {
	dir := programs(t)
	if !isolated(t) {
		return
	}
	install(t, dir+"/resolvconf")
	must(t, os.MkdirAll("/run/resolvconf/interface", 0o755))
	must(t, os.RemoveAll("/etc/resolvconf/run"))
	must(t, os.Symlink("/run/resolvconf", "/etc/resolvconf/run"))
	must(t, os.Symlink("/run/resolvconf/resolv.conf", resolvConf))
	must(t, os.WriteFile("/run/resolvconf/enable-updates", nil, 0o644))
	throughResolvconf(t, "tun.wg0", "tun.wg1")
}

func throughResolvconf(t *testing.T, records ...string) {
	t.Helper()
	h, _ := thisHost(t)
	h.env.Path = "/usr/sbin:/usr/bin"
	var stderr bytes.Buffer
	h.env.Stdout, h.env.Stderr = io.Discard, &stderr
	link := exec.Command("resolvconf", "-a", "eth0")
	link.Stdin = strings.NewReader("nameserver 192.0.2.1\nsearch home\n")
	out, err := link.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	before := h.read()
	if !strings.Contains(before, "nameserver 192.0.2.1\n") {
		t.Fatalf("without a tunnel resolv.conf is %q", before)
	}
	b, why, err := Choose(t.Context(), h.env)
	if err != nil || b.Name() != "resolvconf" {
		t.Fatalf("chosen: %v, %q, %v", b, why, err)
	}
	for n, record := range records {
		if got := b.Trace(wg(n)); !slices.Equal(got, []string{"resolvconf -a " + record + " -m 0 -x"}) {
			t.Errorf("trace %q", got)
		}
		must(t, b.Set(t.Context(), wg(n)))
		if !strings.Contains(h.read(), "nameserver "+wg(n).Servers[0].String()+"\n") {
			t.Errorf("with %s up resolv.conf is %q", name(n), h.read())
		}
		servers, domains, err := b.Servers(t.Context(), name(n))
		if err != nil || !slices.Equal(servers, wg(n).Servers) || !slices.Equal(domains, wg(n).Domains) {
			t.Errorf("set are %v, %q, %v", servers, domains, err)
		}
	}
	for n := range records {
		must(t, b.Unset(t.Context(), name(n)))
	}
	if after := h.read(); after != before || len(h.said) > 0 {
		t.Errorf("after %q, warned %q, standard error %q; want %q", after, h.said, &stderr, before)
	}
}

// compat 7, Q2: openresolv since 3.17 refuses a file that it did not write.
func TestNewOpenresolvRefuses(t *testing.T) {
	dir := programs(t)
	if !isolated(t) {
		return
	}
	folder := dir + "/openresolv-new"
	if _, err := os.Stat(folder + "/sbin"); err != nil { // the newer layout
		folder += "/usr"
	}
	overlay(t, "/usr/sbin", folder+"/sbin")
	overlay(t, "/usr/lib", folder+"/lib")
	overlay(t, "/etc", dir+"/openresolv-new/etc")
	h, _ := thisHost(t)
	h.env.Path = "/usr/sbin:/usr/bin"
	var stderr bytes.Buffer
	h.env.Stdout, h.env.Stderr = io.Discard, &stderr
	putFile(t, resolvConf)
	before := fingerprint(t)
	b, _, err := Choose(t.Context(), h.env)
	must(t, err)
	must(t, b.Set(t.Context(), wg(0)))
	h.inForce(0)
	if len(h.said) != 1 || !strings.Contains(h.said[0], "refuses") || !strings.Contains(stderr.String(), "signature mismatch") {
		t.Errorf("warned %q after %q, want the refusal and one warning", h.said, &stderr)
	}
	found, err := Find(t.Context(), h.env, "wg0")
	must(t, err)
	must(t, found.Unset(t.Context(), "wg0"))
	if after := fingerprint(t); after != before {
		t.Errorf("after\n%s, want\n%s", after, before)
	}
	if left := strings.TrimSpace(sh(t, "resolvconf -l wg0 2>/dev/null || :")); left != "" {
		t.Errorf("it remembers %q of the tunnel", left)
	}
}

// Q28, compat 7 Q3: the real service.
func TestSystemdResolved(t *testing.T) {
	dir := programs(t)
	if !isolated(t) {
		return
	}
	startResolved(t, dir)
	sh(t, `ip link set lo up
		for l in eth0 vpn0 wg0 wg1; do ip link add $l type veth peer name $l-far; ip link set $l up; ip link set $l-far up; done
		ip address add 192.0.2.10/24 dev eth0; ip address add 198.51.100.10/24 dev vpn0
		ip address add 10.8.0.2/32 dev wg0; ip address add 10.8.0.3/32 dev wg1
		while ip link show | grep -q NO-CARRIER; do :; done`)
	must(t, os.Symlink("../run/systemd/resolve/stub-resolv.conf", resolvConf))
	h, _ := thisHost(t)
	h.env.LinkExists = nil
	h.env.Bus = "unix:path=/run/dbus/system_bus_socket"
	bus, err := h.env.dial(t.Context())
	must(t, err)
	defer bus.close()
	index := map[string]int{}
	for _, l := range []string{"eth0", "vpn0", "wg0", "wg1"} {
		i, err := net.InterfaceByName(l)
		must(t, err)
		index[l] = i.Index
	}
	must(t, bus.setServers(index["eth0"], addresses("192.0.2.1")))
	must(t, bus.setDomains(index["eth0"], []domain{{"home.example", false}}))
	must(t, bus.setServers(index["vpn0"], addresses("198.51.100.1")))
	must(t, bus.setDomains(index["vpn0"], []domain{{"corp.example", false}, allNames}))

	claims := func() (print string, all []int, defaults []int) {
		var b strings.Builder
		for _, l := range []string{"eth0", "vpn0", "wg0", "wg1"} {
			k, err := bus.link(index[l])
			must(t, err)
			servers, err := bus.servers(index[l])
			must(t, err)
			fmt.Fprintln(&b, l, k.Domains, k.Default, servers)
			if k.claimsAll() {
				all = append(all, index[l])
			}
			if k.Default {
				defaults = append(defaults, index[l])
			}
		}
		return b.String(), all, defaults
	}
	before, _, _ := claims()
	b, why, err := Choose(t.Context(), h.env)
	if err != nil || b.Name() != "systemd-resolved" {
		t.Fatalf("chosen: %v, %q, %v", b, why, err)
	}
	alone := func(l string) {
		t.Helper()
		print, all, defaults := claims()
		if !slices.Equal(all, []int{index[l]}) || !slices.Equal(defaults, []int{index[l]}) {
			t.Errorf("with %s in force the links are\n%s", l, print)
		}
	}
	for n := range 2 {
		s := wg(n)
		s.Index = index[name(n)]
		must(t, b.Set(t.Context(), s))
		alone(name(n))
		servers, domains, err := b.Servers(t.Context(), name(n))
		if err != nil || !slices.Equal(servers, s.Servers) || !slices.Equal(domains, s.Domains) {
			t.Errorf("set are %v, %q, %v; want %v", servers, domains, err, s)
		}
	}
	must(t, b.Unset(t.Context(), "wg0"))
	alone("wg1")
	must(t, b.Unset(t.Context(), "wg1"))
	if after, _, _ := claims(); after != before {
		t.Errorf("after\n%s, want\n%s", after, before)
	}
	if h.env.remembers(claimsName) || len(h.said) > 0 {
		t.Errorf("a record is left, or warned: %q", h.said)
	}
	t.Log(before)
}

// startResolved starts systemd-resolved on a bus of its own.
func startResolved(t *testing.T, dir string) {
	t.Helper()
	sh(t, `mkdir -p /run/dbus /run/systemd/resolve
		grep -q ^systemd-resolve: /etc/group || echo 'systemd-resolve:x:992:' >>/etc/group
		grep -q ^systemd-resolve: /etc/passwd || echo 'systemd-resolve:x:992:992::/:/usr/sbin/nologin' >>/etc/passwd
		chown systemd-resolve: /run/systemd/resolve`)
	config := "/run/dbus/bus.conf"
	must(t, os.WriteFile(config, []byte(strings.Replace(busConfig, "%s", "/run/dbus/system_bus_socket", 1)), 0o644))
	libraries, err := filepath.Glob(dir + "/libsystemd-shared/usr/lib/*/systemd")
	if err != nil || len(libraries) != 1 {
		t.Fatalf("libraries %q, %v", libraries, err)
	}
	for _, words := range [][]string{
		{"dbus-daemon", "--config-file=" + config, "--nofork", "--nopidfile"},
		{dir + "/systemd-resolved/lib/systemd/systemd-resolved"},
	} {
		cmd := exec.Command(words[0], words[1:]...)
		cmd.Env = append(os.Environ(), "LD_LIBRARY_PATH="+libraries[0])
		cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
		must(t, cmd.Start())
		t.Cleanup(func() {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		})
	}
	env := Environment{Bus: "unix:path=/run/dbus/system_bus_socket"}
	deadline := time.Now().Add(20 * time.Second)
	for {
		b, err := env.dial(t.Context())
		if err == nil {
			_, _, err = b.links()
			b.close()
		}
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("systemd-resolved does not answer: %v", err)
		}
	}
}
