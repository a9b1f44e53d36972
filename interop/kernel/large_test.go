//go:build linux && e2e

package kernel

import (
	"fmt"
	"strings"
	"testing"

	"github.com/warrenvpn/warren/interop/kernel/vm"
	"github.com/warrenvpn/warren/key"
)

// Configurations that need many messages, in both directions: those of the
// kernel's own suite (compat 5.12, 13), many peers, and many prefixes of one.
func testLarge(t *testing.T, b *bed) {
	peers, prefixes := 300, 2000
	if full {
		peers, prefixes = 4000, 65280
	}
	for _, c := range []struct {
		name  string
		large string // by setconf
		more  string // by addconf, then
		less  string // by syncconf, at last
	}{
		{"one peer", config(1, func(int) int { return prefixes }), config(1, func(int) int { return 300 }), config(1, func(int) int { return 1100 })},
		{"many peers", config(peers, func(n int) int { return n % 4 }), config(peers+50, func(n int) int { return n % 3 }), config(peers/2, func(int) int { return 1 })},
		{"40 with 52", config(40, func(int) int { return 52 }), "", config(20, func(int) int { return 52 })},
		{"29 without and one", config(30, func(n int) int { return n / 29 * 300 }), config(3, func(int) int { return 0 }), ""},
		{"one without and one with 197", config(2, func(n int) int { return n * 197 }), config(2, func(n int) int { return (1 - n) * 197 }), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			var files = map[string]string{"/run/f/large.conf": c.large}
			lines := []string{"setconf wgt /run/f/large.conf", "show wgt dump", "showconf wgt"}
			if c.more != "" {
				files["/run/f/more.conf"] = c.more
				lines = append(lines, "addconf wgt /run/f/more.conf", "show wgt dump")
			}
			if c.less != "" {
				files["/run/f/less.conf"] = c.less
				lines = append(lines, "syncconf wgt /run/f/less.conf", "show wgt dump")
			}
			b.files(t, files)
			ours, theirs := b.tell(t, ourWG(), lines), b.tell(t, b.theirs, lines)
			for i := range lines {
				if ours[i] != theirs[i] {
					t.Errorf("wg %s: %s", lines[i], firstDifference(ours[i], theirs[i]))
				}
				if ours[i].Status != 0 {
					t.Errorf("wg %s\n%s", lines[i], show(ours[i]))
				}
			}
			if got, want := strings.Count(ours[1].Stdout, "/"), strings.Count(c.large, "/"); got < want {
				// Keys have slashes too: so at least as many.
				t.Errorf("%d prefixes are read back, want %d", got, want)
			}
		})
	}
}

// firstDifference tells where two long results differ.
func firstDifference(ours, theirs vm.Result) string {
	if ours.Status != theirs.Status || ours.Stderr != theirs.Stderr {
		return fmt.Sprintf("exit status %d, %q; theirs %d, %q", ours.Status, shorten(ours.Stderr), theirs.Status, shorten(theirs.Stderr))
	}
	a, b := strings.Split(ours.Stdout, "\n"), strings.Split(theirs.Stdout, "\n")
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return fmt.Sprintf("line %d of %d and %d\nours:   %s\ntheirs: %s", i+1, len(a), len(b), shorten(a[i]), shorten(b[i]))
		}
	}
	return fmt.Sprintf("%d lines; theirs %d", len(a), len(b))
}

// config returns a configuration with so many peers, and for each as many
// prefixes of both families as a function says.
func config(peers int, prefixes func(n int) int) string {
	var s strings.Builder
	s.WriteString("[Interface]\nListenPort = 51998\n")
	for n := range peers {
		fmt.Fprintf(&s, "[Peer]\nPublicKey = %s\n", key.Public{1, byte(n), byte(n >> 8), 5: 9})
		if n%3 == 0 {
			fmt.Fprintf(&s, "Endpoint = 192.0.2.%d:%d\n", n%250, n+1)
		}
		if n%5 == 0 {
			fmt.Fprintf(&s, "PersistentKeepalive = %d\n", n%100)
		}
		for i := range prefixes(n) {
			if i%64 == 0 {
				s.WriteString("AllowedIPs = ")
			} else {
				s.WriteString(",")
			}
			fmt.Fprintf(&s, "%d.%d.%d.%d/32,fd%02x:%x::%x/128", 10+n%100, n/100, i>>8, i&255, n%100, n/100, i)
			if i%64 == 63 || i == prefixes(n)-1 {
				s.WriteString("\n")
			}
		}
	}
	return s.String()
}
