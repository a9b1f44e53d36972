package wgnl

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/warrenvpn/warren/conf"
	"github.com/warrenvpn/warren/key"
)

// Z15: what a kernel sends, or somebody in its place.

func FuzzDump(f *testing.F) {
	psk := key.NewPreshared(repeated(3))
	c := conf.Change{Peers: []conf.PeerChange{{
		PublicKey: repeated(1), PresharedKey: &psk, Endpoint: &conf.Endpoint{Host: "fe80::1%7", Port: "443"},
		AllowedIPs: []conf.AllowedIP{{Prefix: netip.MustParsePrefix("10.0.0.0/8")}, {Prefix: netip.MustParsePrefix("fd00::/64")}},
	}}}
	requests, err := SetRequests("wg0", &c, 4096)
	if err != nil {
		f.Fatal(err)
	}
	for m := range requests {
		m = slices.Clone(m)
		m[0] = cmdGet
		f.Add(m, m)
	}
	f.Fuzz(func(t *testing.T, a, b []byte) {
		var d Dump
		if d.Add(a) != nil || d.Add(b) != nil {
			return
		}
		got, err := d.Device()
		if err != nil {
			t.Fatal(err)
		}
		for i, p := range got.Peers {
			if i > 0 && got.Peers[i-1].PublicKey == p.PublicKey {
				t.Errorf("peers %d and %d are one, and were not put together", i-1, i)
			}
			for _, ip := range p.AllowedIPs {
				if !ip.IsValid() {
					t.Errorf("peer %d has an invalid prefix", i)
				}
			}
		}
	})
}

func FuzzParseFamily(f *testing.F) {
	f.Add([]byte{1, 2, 0, 0, 6, 0, 1, 0, 29, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		if id, err := ParseFamily(b); (id == 0) == (err == nil) && err == nil {
			t.Errorf("no number and no error")
		}
	})
}

func FuzzParseLink(f *testing.F) {
	var w writer
	w.b = make([]byte, sizeofIfInfo)
	w.text(iflaIfName, "wg0")
	at := w.open(iflaLinkInfo)
	w.text(iflaInfoKind, familyName)
	w.close(at)
	f.Add(w.b)
	f.Fuzz(func(t *testing.T, b []byte) {
		if l, err := ParseLink(b); err == nil && len(l.Name)+len(l.Kind) > len(b) {
			t.Errorf("%+v of %d bytes", l, len(b))
		}
	})
}

// What is written is read back, cut into messages of any size.
func FuzzSetRequests(f *testing.F) {
	f.Add([]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}, uint16(600), uint8(2))
	f.Fuzz(func(t *testing.T, ips []byte, limit uint16, peers uint8) {
		var c conf.Change
		want := map[key.Public][]netip.Prefix{}
		for n := range int(peers) {
			p := conf.PeerChange{PublicKey: repeated(byte(n))}
			for i, b := range ips {
				prefix := netip.PrefixFrom(netip.AddrFrom4([4]byte{byte(n), b, byte(i)}), 24)
				if b%2 == 0 {
					prefix = netip.PrefixFrom(netip.AddrFrom16([16]byte{0xfd, b, byte(i)}), 24)
				}
				p.AllowedIPs = append(p.AllowedIPs, conf.AllowedIP{Prefix: prefix.Masked()})
				want[p.PublicKey] = append(want[p.PublicKey], prefix.Masked())
			}
			c.Peers = append(c.Peers, p)
		}
		size := max(int(limit), MinMessage)
		var d Dump
		requests, err := SetRequests("wg0", &c, size)
		if err != nil {
			t.Fatal(err)
		}
		for m := range requests {
			if len(m)+messageHeader > size {
				t.Errorf("a message of %d bytes, want at most %d", len(m)+messageHeader, size)
			}
			m[0] = cmdGet // the fields are the same
			if err := d.Add(m); err != nil {
				t.Fatal(err)
			}
		}
		got, err := d.Device()
		if err != nil || len(got.Peers) != int(peers) {
			t.Fatalf("%d peers, %v, want %d", len(got.Peers), err, peers)
		}
		for _, p := range got.Peers {
			if !slices.Equal(p.AllowedIPs, want[p.PublicKey]) {
				t.Errorf("peer %v has %v, want %v", p.PublicKey, p.AllowedIPs, want[p.PublicKey])
			}
		}
	})
}
