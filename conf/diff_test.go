package conf

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/warrenvpn/warren/key"
)

func mustParse(t *testing.T, text string) *Config {
	t.Helper()
	c, err := parseText(text)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// running is a device as the tests find it.
func running() *Device {
	k, _ := key.ParsePrivate(keyA)
	a, _ := key.ParsePublic(keyA)
	b, _ := key.ParsePublic(keyB)
	return &Device{
		PrivateKey: k, PublicKey: k.Public(), ListenPort: 51820, FwMark: 7,
		Peers: []Peer{
			{
				PublicKey: a, PresharedKey: key.NewPreshared([32]byte{1}), Endpoint: netip.MustParseAddrPort("192.0.2.1:5"),
				PersistentKeepalive: 25, AllowedIPs: []netip.Prefix{netip.MustParsePrefix("10.0.0.1/32"), netip.MustParsePrefix("10.1.0.0/16")},
				LastHandshake: time.Unix(1, 0), RxBytes: 1,
			},
			{PublicKey: b, AllowedIPs: []netip.Prefix{netip.MustParsePrefix("10.0.0.2/32")}},
		},
	}
}

func briefChange(c *Change) string {
	cfg := Config{PrivateKey: c.PrivateKey, FwMark: c.FwMark, Peers: c.Peers}
	s := brief(&cfg)
	if c.ListenPort != nil {
		s = "port; " + s
	}
	if c.ReplacePeers {
		s = "replace; " + s
	}
	return strings.TrimSuffix(s, "; ")
}

// Compat 1.7.
func TestSetAddAndSync(t *testing.T) {
	peerA, peerB := "[Peer]\nPublicKey="+keyA+"\n", "[Peer]\nPublicKey="+keyB+"\n"
	const zero = "key AAAA; mark 0"
	for _, c := range []struct{ text, set, add, sync string }{
		{"", "replace; port; " + zero, "", "replace; port; " + zero},
		{"[Interface]\nFwMark=3\nListenPort=4\n", "replace; port; key AAAA; mark 3", "port; mark 3", "replace; port; key AAAA; mark 3"},
		{peerA, "replace; port; " + zero + "; peer QUFB =", "peer QUFB =", "port; " + zero + "; peer QkJC remove; peer QUFB psk AAAA every 0 ="},
		{
			peerA + "PersistentKeepalive=5\nPresharedKey=" + keyB + "\n" + peerB, "replace; port; " + zero + "; peer QUFB psk QkJC every 5 =; peer QkJC =",
			"peer QUFB psk QkJC every 5 =; peer QkJC =", "port; " + zero + "; peer QUFB psk QkJC every 5 =; peer QkJC =",
		},
	} {
		cfg := mustParse(t, c.text)
		set, err := cfg.Set(nil)
		if got := briefChange(&set); err != nil || got != c.set {
			t.Errorf("%q: set %q, %v, want %q", c.text, got, err, c.set)
		}
		add, err := cfg.Add(nil)
		if got := briefChange(&add); err != nil || got != c.add {
			t.Errorf("%q: add %q, %v, want %q", c.text, got, err, c.add)
		}
		sync, err := cfg.Sync(running(), nil)
		if got := briefChange(&sync); err != nil || got != c.sync {
			t.Errorf("%q: sync %q, %v, want %q", c.text, got, err, c.sync)
		}
	}
	empty, err := mustParse(t, peerA).Sync(&Device{}, nil)
	if got := briefChange(&empty); err != nil || !strings.HasPrefix(got, "replace") {
		t.Errorf("sync of a device without peers = %q, %v, want a set", got, err)
	}
}

func TestPortNamesNeedTheService(t *testing.T) {
	c := mustParse(t, "[Interface]\nListenPort=domain\n")
	if _, err := c.Set(nil); err == nil {
		t.Error("a name became a port by itself")
	}
	ch, err := c.Add(func(name string) (uint16, error) { return uint16(len(name)), nil })
	if err != nil || *ch.ListenPort != 6 {
		t.Errorf("port = %v, %v, want 6", ch.ListenPort, err)
	}
}

// Q04 at its root: of what stays, nothing is said.
func TestDiffIsMinimal(t *testing.T) {
	same := "[Peer]\nPublicKey=" + keyA + "\nPresharedKey=AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\nPersistentKeepalive=25\nEndpoint=192.0.2.1:5\nAllowedIPs=10.1.0.0/16,10.0.0.1\n"
	peerB := "[Peer]\nPublicKey=" + keyB + "\nAllowedIPs=10.0.0.2\n"
	for _, c := range []struct{ text, want string }{
		{same + peerB, ""},
		{"[Interface]\nPrivateKey=" + keyA + "\nListenPort=51820\nFwMark=7\n" + same + peerB, ""},
		{"[Interface]\nPrivateKey=" + keyB + "\nListenPort=1\nFwMark=8\n" + same + peerB, "port; key QEJC; mark 8"},
		{same, "peer QkJC remove"},
		{peerB, "peer QUFB remove"},
		{"", "peer QUFB remove; peer QkJC remove"},
		{strings.Replace(same, "10.0.0.1", "10.0.0.3", 1) + peerB, "peer QUFB -10.0.0.1/32 10.0.0.3/32"},
		// A prefix that moves is added where it goes, and removed nowhere.
		{strings.Replace(same, ",10.0.0.1", "", 1) + peerB + "AllowedIPs=10.0.0.1\n", "peer QkJC 10.0.0.1/32"},
		{same + peerB + "AllowedIPs=10.0.0.1\n", "peer QkJC 10.0.0.1/32"},
		{strings.Replace(same, "PersistentKeepalive=25\n", "", 1) + peerB, "peer QUFB every 0"},
		{strings.Replace(same, "PresharedKey=AQ", "PresharedKey=Ag", 1) + peerB, "peer QUFB psk AgAA"},
		{strings.Replace(same, "Endpoint=192.0.2.1:5\n", "", 1) + peerB, ""},
		{strings.Replace(same, "192.0.2.1:5", "[::ffff:192.0.2.1]:5", 1) + peerB, ""},
		{strings.Replace(same, "192.0.2.1:5", "example.org:5", 1) + peerB, "peer QUFB at example.org:5"},
		{same + peerB + "[Peer]\nPublicKey=" + keyB[:42] + "M=\n", "peer QkJC"},
	} {
		ch := Diff(running(), mustParse(t, c.text))
		if got := briefChange(&ch); got != c.want {
			t.Errorf("%q:\n got %q\nwant %q", c.text, got, c.want)
		}
	}
}

// Whatever the two states, the change leads from one to the other, and after it
// there is nothing left to change.
func TestDiffLeadsThere(t *testing.T) {
	const seed = 11
	r := rand.New(rand.NewPCG(seed, seed))
	for range 3000 {
		var have Device
		have.Apply(&Change{Peers: randomPeers(r)})
		want := &Config{Peers: randomPeers(r)}
		var goal Device
		goal.Apply(&Change{Peers: want.Peers})

		got := have
		ch := Diff(&have, want)
		got.Apply(&ch)
		if d := cmp.Diff(normal(got, want), normal(goal, want), sameSecrets); d != "" {
			t.Fatalf("seed %d: from %+v to %+v: %s", seed, have, want, d)
		}
		if again := Diff(&got, want); briefChange(&again) != "" {
			t.Fatalf("seed %d: a second change: %q", seed, briefChange(&again))
		}
	}
}

func randomPeers(r *rand.Rand) []PeerChange {
	var out []PeerChange
	for range r.IntN(5) {
		p := PeerChange{PublicKey: key.Public{byte(r.IntN(5)), 1}, ReplaceAllowedIPs: r.IntN(4) > 0}
		if r.IntN(3) == 0 {
			k := key.NewPreshared([32]byte{byte(r.IntN(3))})
			p.PresharedKey = &k
		}
		if r.IntN(3) == 0 {
			s := uint16(r.IntN(3))
			p.PersistentKeepalive = &s
		}
		if r.IntN(3) == 0 {
			p.Endpoint = &Endpoint{"192.0.2." + string(rune('1'+r.IntN(3))), "5"}
		}
		for range r.IntN(5) {
			p.AllowedIPs = append(p.AllowedIPs, AllowedIP{
				Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(r.IntN(6))}), 16), Remove: !p.ReplaceAllowedIPs && r.IntN(3) == 0,
			})
		}
		out = append(out, p)
	}
	return out
}

// normal sorts what has no order, and leaves out endpoints that want leaves
// alone.
func normal(d Device, want *Config) Device {
	given := map[key.Public]bool{}
	for _, p := range want.Peers {
		if p.Endpoint != nil {
			given[p.PublicKey] = true
		}
	}
	d.Peers = slices.Clone(d.Peers)
	for i := range d.Peers {
		p := &d.Peers[i]
		if !given[p.PublicKey] {
			p.Endpoint = netip.AddrPort{}
		}
		p.AllowedIPs = slices.SortedFunc(slices.Values(p.AllowedIPs), netip.Prefix.Compare)
		if len(p.AllowedIPs) == 0 {
			p.AllowedIPs = nil
		}
	}
	slices.SortFunc(d.Peers, func(a, b Peer) int { return slices.Compare(a.PublicKey[:], b.PublicKey[:]) })
	return d
}

// The model itself, where it is not obvious.
func TestApplyMovesAndKeepsOrder(t *testing.T) {
	d := running()
	ip := func(s string, remove bool) AllowedIP { return AllowedIP{netip.MustParsePrefix(s), remove} }
	b := d.Peers[1].PublicKey
	d.Apply(&Change{Peers: []PeerChange{{PublicKey: b, AllowedIPs: []AllowedIP{ip("10.0.0.1/32", false), ip("10.1.0.0/16", true), ip("10.0.0.2/32", true), ip("10.0.0.2/32", false)}}}})
	var got []string
	for _, p := range d.Peers {
		for _, ip := range p.AllowedIPs {
			got = append(got, p.PublicKey.String()[:2]+ip.String())
		}
	}
	if want := []string{"QU10.1.0.0/16", "Qk10.0.0.1/32", "Qk10.0.0.2/32"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	// A peer with our own key goes, and does not come back.
	k, _ := key.ParsePrivate(keyB)
	d.Apply(&Change{PrivateKey: &k, Peers: []PeerChange{{PublicKey: k.Public()}}})
	if len(d.Peers) != 2 || d.PublicKey != k.Public() {
		t.Errorf("%d peers, public key %v", len(d.Peers), d.PublicKey)
	}
	d.Apply(&Change{ReplacePeers: true, Peers: []PeerChange{{PublicKey: b, UpdateOnly: true}}})
	if len(d.Peers) != 0 {
		t.Errorf("%d peers, want none", len(d.Peers))
	}
}
