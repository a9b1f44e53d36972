//go:build linux && e2e

package kernel

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/warrenvpn/warren/interop/kernel/vm"
)

// quickConfigs are configurations of wg-quick, by what they are about. Those that
// begin with "short" are in the short form too. One that is called nonsense is
// refused by ours before anything is done, where upstream's makes the interface
// first and takes it back: its traces are not compared.
var quickConfigs = []struct{ name, text string }{
	{"server", "[Interface]\nPrivateKey = PRIV1\nListenPort = 51820\nAddress = 10.44.0.1/24, fd44::1/64\nMTU = 1400\n" +
		"PostUp = echo up %i >>/run/hooks\nPostDown = echo down %i >>/run/hooks\n" +
		"[Peer]\nPublicKey = PUB2\nPresharedKey = PSK2\nAllowedIPs = 10.44.0.2/32, fd44::2/128, 10.45.0.0/16\n[Peer]\nPublicKey = PUB3\nAllowedIPs = 10.44.0.3/32\n"},
	{"short full tunnel", "[Interface]\nPrivateKey = PRIV1\nAddress = 10.44.0.2/32, fd44::2/128\n" +
		"[Peer]\nPublicKey = PUB2\nAllowedIPs = 0.0.0.0/0, ::/0\nEndpoint = 192.0.2.1:51820\nPersistentKeepalive = 25\n"},
	{"table", "[Interface]\nPrivateKey = PRIV1\nAddress = 10.44.0.2/32\nTable = 1234\nFwMark = 0x77\n" +
		"[Peer]\nPublicKey = PUB2\nAllowedIPs = 0.0.0.0/0, 10.45.0.0/16\n"},
	{"no routes", "[Interface]\nPrivateKey = PRIV1\nAddress = 10.44.0.2\nTable = off\n[Peer]\nPublicKey = PUB2\nAllowedIPs = 10.45.0.0/16, ::/0\n"},
	{"key by a hook", "[Interface]\nAddress = 10.44.0.2/24\nPreUp = wg set %i private-key /run/f/key1\n[Peer]\nPublicKey = PUB2\nAllowedIPs = 10.44.0.0/24\n"},
	{"short a hook that fails", "[Interface]\nPrivateKey = PRIV1\nAddress = 10.44.0.2/24\nPostUp = exit 7\n[Peer]\nPublicKey = PUB2\nAllowedIPs = 0.0.0.0/0\n"},
	{"a route that is taken", "[Interface]\nPrivateKey = PRIV1\nAddress = 10.44.0.2/32\n[Peer]\nPublicKey = PUB2\nAllowedIPs = 10.50.0.0/16, 192.0.2.0/24\n"},
	{"nonsense", "[Interface]\nPrivateKey = PRIV1\nNonsense = 1\n"},
	{"save", "[Interface]\nPrivateKey = PRIV1\nListenPort = 51821\nAddress = 10.44.0.1/24\nSaveConfig = true\n[Peer]\nPublicKey = PUB2\nAllowedIPs = 10.44.0.2/32\n"},
}

// systemState are the commands that show what wg-quick changes.
var systemState = [][]string{
	{"ip", "-d", "-o", "link", "show"},
	{"ip", "-o", "address", "show"},
	{"ip", "-4", "route", "show", "table", "all"},
	{"ip", "-6", "route", "show", "table", "all"},
	{"ip", "-4", "rule", "show"},
	{"ip", "-6", "rule", "show"},
	{"nft", "list", "ruleset"},
}

// The kernel's own interface by either wg-quick: the same states while up and
// after down, the same exit statuses, the same traces. I12 has more of them in
// namespaces; here is the plane that those have not.
func testQuick(t *testing.T, b *bed) {
	b.guest(t, "ip", "route", "add", "default", "via", "192.0.2.1")
	t.Cleanup(func() { b.guest(t, "ip", "route", "del", "default") })
	before := b.systemState(t)
	for _, c := range quickConfigs {
		if !full && !strings.HasPrefix(c.name, "short ") {
			continue
		}
		t.Run(strings.TrimPrefix(c.name, "short "), func(t *testing.T) {
			ours := b.upAndDown(t, ourWG(), c.text, before)
			theirs := b.upAndDown(t, b.theirs, c.text, before)
			for i, name := range []string{"up", "the state while it is up", "down", "the file", "the hooks' words"} {
				a, b := ours[i], theirs[i]
				if c.name == "nonsense" {
					a, b = strings.TrimSpace(traces.ReplaceAllString(a, "")), strings.TrimSpace(traces.ReplaceAllString(b, ""))
				}
				if !strings.Contains(c.text, "ListenPort") {
					a, b = randomPort.ReplaceAllString(a, ""), randomPort.ReplaceAllString(b, "")
				}
				if a != b {
					t.Errorf("%s: - ours, + theirs\n%s", name, difference(a, b))
				}
			}
		})
	}
}

// upAndDown brings a tunnel up and down, and returns what was said and how the
// system was meanwhile. Afterwards it has to be as before.
func (b *bed) upAndDown(t *testing.T, w tool, text string, before string) (story [5]string) {
	t.Helper()
	b.files(t, map[string]string{"/etc/wireguard/wgq.conf": text, "/run/hooks": ""})
	up := b.quick(t, w, "up")
	story[0] = up
	story[1] = b.systemState(t)
	if strings.HasPrefix(up, "exit status 0") {
		story[1] += b.must(t, b.theirs, "showconf wgq")
		story[2] = b.quick(t, w, "down")
	}
	// Upstream leaves it at 1, ours puts it back.
	b.guest(t, "sysctl", "-q", "net.ipv4.conf.all.src_valid_mark=0")
	for i, path := range []string{"/etc/wireguard/wgq.conf", "/run/hooks"} {
		story[3+i] = b.guest(t, "cat", path)
	}
	if after := b.systemState(t); after != before {
		t.Errorf("%s: - before up, + after down\n%s", w.origin, difference(before, after))
	}
	return story
}

var (
	linkNumber = regexp.MustCompile(`(?m)^[0-9]+: `)
	counters   = regexp.MustCompile(`(?m) (proto kernel )?(valid_lft|expires) .*$`)
	randomPort = regexp.MustCompile(`ListenPort = [0-9]{5}\n`)
	traces     = regexp.MustCompile(`(?m)^  2 \[#\] .*\n?`)
	descriptor = regexp.MustCompile(`/dev/fd/[0-9]+`)
)

func (b *bed) systemState(t *testing.T) string {
	t.Helper()
	var s strings.Builder
	for _, argv := range systemState {
		s.WriteString("$ " + strings.Join(argv, " ") + "\n")
		s.WriteString(counters.ReplaceAllString(linkNumber.ReplaceAllString(b.guest(t, argv...), ""), ""))
	}
	return s.String()
}

// quick runs a wg-quick and returns what it said without what has to differ: the
// line of ours that says where the interface is, and numbers of descriptors.
func (b *bed) quick(t *testing.T, w tool, verb string) string {
	t.Helper()
	r, err := b.vm.Do(t.Context(), vm.Command{Path: w.quick, Argv: []string{"wg-quick", verb, "wgq"}})
	if err != nil {
		t.Fatal(err)
	}
	lines := slices.DeleteFunc(strings.Split(r.Stderr, "\n"), func(l string) bool { return strings.HasPrefix(l, "[+] wgq is in the kernel") })
	r.Stderr = descriptor.ReplaceAllString(strings.Join(lines, "\n"), "/dev/fd/N")
	return show(r)
}

// difference returns the lines that only one of two texts has; all of both if
// their order alone differs.
func difference(a, b string) string {
	count := map[string]int{}
	for _, l := range strings.Split(a, "\n") {
		count[l]++
	}
	for _, l := range strings.Split(b, "\n") {
		count[l]--
	}
	var s strings.Builder
	for _, side := range []struct {
		mark, text string
		sign       int
	}{{"- ", a, 1}, {"+ ", b, -1}} {
		for _, l := range strings.Split(side.text, "\n") {
			if count[l]*side.sign > 0 {
				s.WriteString(side.mark + l + "\n")
			}
		}
	}
	if s.Len() == 0 {
		return "the order of:\n" + a + "\nis:\n" + b
	}
	return s.String()
}
