//go:build linux && e2e

package kernel

import (
	"fmt"
	"testing"
)

// removesSince is the first kernel that can take single prefixes from a peer,
// the attribute WGALLOWEDIP_A_FLAGS.
const removesMajor, removesMinor = 6, 16

// Single prefixes are added and removed. A kernel that cannot remove says so to
// either tool, and then ours has changed nothing, where upstream's has done what
// came before in the same command: that is not compared.
func testIncremental(t *testing.T, b *bed) {
	var major, minor int
	if _, err := fmt.Sscanf(b.vm.Release, "%d.%d", &major, &minor); err != nil {
		t.Fatalf("release %q: %v", b.vm.Release, err)
	}
	removes := major > removesMajor || major == removesMajor && minor >= removesMinor
	lines := []string{
		"set wgt peer PUB2 allowed-ips 10.0.0.0/8,10.1.0.0/16,fd00::/8",
		"set wgt peer PUB2 allowed-ips +10.2.0.0/16,10.2.1.0/24", // without a sign: also added
		"show wgt allowed-ips",
		"set wgt peer PUB2 allowed-ips -10.1.0.0/16",
		"set wgt peer PUB2 allowed-ips -10.77.0.0/16,+10.3.0.0/16,-10.2.1.0/24",
		"set wgt peer PUB2 allowed-ips -fd00::/8",
		"show wgt allowed-ips",
	}
	if removes {
		lines = append(lines,
			"set wgt peer PUB3 allowed-ips -10.2.0.0/16", // PUB2's stays
			"show wgt allowed-ips",
			"set wgt peer PUB3 allowed-ips +10.2.0.0/16", // moves
			"set wgt peer PUB2 allowed-ips -10.2.0.0/16,-10.3.0.0/16,-10.0.0.0/8",
			"show wgt allowed-ips",
		)
	}
	ours := b.tell(t, ourWG(), lines)
	for i, l := range lines {
		want := 0
		if !removes && i >= 3 && i <= 5 {
			want = 1
			if ours[i].Stderr != "Unable to modify interface: Invalid argument\n" {
				t.Errorf("wg %s: %q", l, ours[i].Stderr)
			}
		}
		if ours[i].Status != want {
			t.Errorf("wg %s: want exit status %d, got\n%s", l, want, show(ours[i]))
		}
	}
	pub := cast.names.Replace("PUB2")
	state := pub + "\t10.0.0.0/8 10.1.0.0/16 fd00::/8 10.2.0.0/16 10.2.1.0/24\n"
	if removes {
		state = pub + "\t10.0.0.0/8 10.2.0.0/16 10.3.0.0/16\n"
	}
	if got := ours[6].Stdout; got != state {
		t.Errorf("allowed IPs\n%s, want\n%s", got, state)
	}
	theirs := b.tell(t, b.theirs, lines)
	for i, l := range lines {
		if !removes && i >= 4 {
			break // see above
		}
		if ours[i] != theirs[i] {
			t.Errorf("wg %s\nours:\n%s\ntheirs:\n%s", l, show(ours[i]), show(theirs[i]))
		}
	}
}
