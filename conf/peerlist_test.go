package conf

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/warrenvpn/warren/key"
)

// anyPeer is a change of every form there is.
func anyPeer(r *rand.Rand) PeerChange {
	c := PeerChange{Remove: r.IntN(5) == 0, UpdateOnly: r.IntN(5) == 0, ReplaceAllowedIPs: r.IntN(2) == 0}
	for i := range c.PublicKey {
		c.PublicKey[i] = byte(r.IntN(256))
	}
	if r.IntN(2) == 0 {
		psk := key.NewPreshared([32]byte{byte(r.IntN(3)), 31: byte(r.IntN(256))})
		c.PresharedKey = &psk
	}
	if r.IntN(2) == 0 {
		hosts := []string{"", "192.0.2.1", "2001:db8::1", "fe80::1%eth0", "host.example", strings.Repeat("a", 300)}
		c.Endpoint = &Endpoint{Host: hosts[r.IntN(len(hosts))], Port: []string{"", "51820", "domain"}[r.IntN(3)]}
	}
	if r.IntN(2) == 0 {
		s := uint16(r.IntN(1 << 16))
		c.PersistentKeepalive = &s
	}
	n := r.IntN(4)
	if r.IntN(100) == 0 {
		n = 5_000
	}
	for range n {
		var four [4]byte
		var six [16]byte
		for i := range six {
			four[i%4], six[i] = byte(r.IntN(256)), byte(r.IntN(256))
		}
		a := [...]netip.Addr{netip.AddrFrom4(four), netip.AddrFrom16(six), netip.AddrFrom16(netip.AddrFrom4(four).As16())}[r.IntN(3)]
		p, _ := a.Prefix(r.IntN(a.BitLen() + 1))
		c.AllowedIPs = append(c.AllowedIPs, AllowedIP{Prefix: p, Remove: r.IntN(3) == 0})
	}
	return c
}

// What is packed comes out again, all at once and one after the other; nothing
// of it is left in memory after Clear.
func TestPeerListReturnsWhatWasAppended(t *testing.T) {
	for seed := range uint64(3) {
		r := rand.New(rand.NewPCG(seed, 8))
		var l PeerList
		want := make([]PeerChange, r.IntN(500))
		for i := range want {
			want[i] = anyPeer(r)
			l.Append(&want[i])
		}
		if l.Len() != len(want) {
			t.Errorf("seed %d: %d changes, want %d", seed, l.Len(), len(want))
		}
		if d := cmp.Diff(l.Unpack(), want, sameSecrets, cmpopts.EquateEmpty()); d != "" {
			t.Fatalf("seed %d: %s", seed, d)
		}
		i := 0
		for c := range l.All() {
			if d := cmp.Diff(*c, want[i], sameSecrets, cmpopts.EquateEmpty()); d != "" {
				t.Fatalf("seed %d, change %d: %s", seed, i, d)
			}
			if i++; i == 400 {
				break
			}
		}
		chunks := l.chunks
		l.Clear()
		for _, b := range chunks {
			if slices.ContainsFunc(b, func(c byte) bool { return c != 0 }) {
				t.Fatalf("seed %d: something is left after Clear", seed)
			}
		}
		if l.Len() != 0 || len(l.Unpack()) != 0 {
			t.Errorf("seed %d: the list is not empty after Clear", seed)
		}
	}
}

// A peer with two allowed IPs and an endpoint takes no more than is said.
func TestPackedPeersAreSmall(t *testing.T) {
	const n, limit = 10_000, 75
	var l PeerList
	for _, p := range manyPeers(rand.NewChaCha8([32]byte{2}), n).Peers {
		l.Append(&p)
	}
	size := 0
	for _, b := range l.chunks {
		size += cap(b)
	}
	if size > n*limit {
		t.Errorf("%d bytes for each peer, want at most %d", size/n, limit)
	}
}

// Peers that are passed on are those that Config.Peers would have.
func TestPeersArePassedOn(t *testing.T) {
	var text strings.Builder
	r := rand.New(rand.NewPCG(3, 8))
	for range 300 {
		text.WriteString("[Peer]\n")
		if r.IntN(4) == 0 {
			text.WriteString("PresharedKey = " + keyB + "\n")
		}
		text.WriteString("PublicKey = " + keyA + "\n")
		for range r.IntN(4) {
			text.WriteString([]string{
				"AllowedIPs = 10.0.0.0/8, ::/0\n", "AllowedIPs = +10.1.0.0/16\n", "AllowedIPs =\n",
				"Endpoint = 192.0.2.1:1\n", "Endpoint = [::1]:2\n", "PersistentKeepalive = 5\n", "[Interface]\n[Peer]\nPublicKey = " + keyB + "\n",
			}[r.IntN(7)])
		}
	}
	want, err := Parse(strings.NewReader(text.String()), "f", Options{})
	if err != nil {
		t.Fatal(err)
	}
	var l PeerList
	got, err := Parse(strings.NewReader(text.String()), "f", Options{Peer: l.Append})
	if err != nil || len(got.Peers) != 0 {
		t.Fatalf("%d peers in the configuration, %v, want none", len(got.Peers), err)
	}
	if d := cmp.Diff(l.Unpack(), want.Peers, sameSecrets, cmpopts.EquateEmpty()); d != "" {
		t.Error(d)
	}
	// One without a key is a mistake here too, wherever it is.
	for _, bad := range []string{"[Peer]\n", "[Peer]\n[Peer]\nPublicKey = " + keyA + "\n", "[Peer]\n[Interface]\n"} {
		if _, err := Parse(strings.NewReader(text.String()+bad), "f", Options{Peer: func(*PeerChange) {}}); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}
