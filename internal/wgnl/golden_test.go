package wgnl

import (
	"encoding/hex"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/warrenvpn/warren/conf"
	"github.com/warrenvpn/warren/key"
)

// The messages here were put together by hand from linux/wireguard.h and the
// layout of attributes: length, type, value, padding. Machines with the other
// order of bytes are none of those that tests run on.

// bytesOf reads hexadecimal digits with comments after them.
func bytesOf(t *testing.T, text string) []byte {
	t.Helper()
	var digits strings.Builder
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, ";")
		for _, word := range strings.Fields(line) {
			if n, v, ok := strings.Cut(word, "x"); ok { // 32x01: so often
				count := map[string]int{"32": 32, "14": 14, "12": 12, "8": 8}[n]
				word = strings.Repeat(v, count)
			}
			digits.WriteString(word)
		}
	}
	b, err := hex.DecodeString(digits.String())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func same(t *testing.T, what string, got, want []byte) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s:\n got %x\nwant %x", what, got, want)
	}
}

func collect(t *testing.T, name string, c *conf.Change, limit int) (all [][]byte) {
	t.Helper()
	requests, err := SetRequests(name, c, limit)
	if err != nil {
		t.Fatal(err)
	}
	for m := range requests {
		all = append(all, slices.Clone(m))
	}
	return all
}

func repeated(b byte) (k [32]byte) {
	for i := range k {
		k[i] = b
	}
	return k
}

func TestQuestions(t *testing.T) {
	same(t, "family", FamilyRequest(), bytesOf(t, `
		03 01 0000                                ; get family, version 1
		0e00 0200 776972656775617264 00 0000      ; its name, padded`))
	same(t, "get", GetRequest("wg0"), bytesOf(t, `
		00 01 0000
		0800 0200 77673000`))
	same(t, "get of the longest name", GetRequest("abcdefghijklmno"), bytesOf(t, `
		00 01 0000
		1400 0200 6162636465666768696a6b6c6d6e6f00`))
	same(t, "links", LinksRequest(), make([]byte, 16))
}

func TestSetOfEverything(t *testing.T) {
	private, psk := key.NewPrivate(repeated(0x48)), key.NewPreshared(repeated(3))
	port, mark, keepalive := uint16(51820), uint32(0xca6c), uint16(25)
	c := conf.Change{
		PrivateKey: &private, ListenPort: &port, FwMark: &mark, ReplacePeers: true,
		Peers: []conf.PeerChange{
			{
				PublicKey: repeated(1), PresharedKey: &psk, Endpoint: &conf.Endpoint{Host: "192.0.2.1", Port: "51820"},
				PersistentKeepalive: &keepalive, ReplaceAllowedIPs: true, UpdateOnly: true,
				AllowedIPs: []conf.AllowedIP{
					{Prefix: netip.MustParsePrefix("10.1.2.3/8")},
					{Prefix: netip.MustParsePrefix("fd00::/64"), Remove: true},
				},
			},
			{PublicKey: repeated(2), Remove: true, UpdateOnly: true, PresharedKey: &psk, AllowedIPs: []conf.AllowedIP{{}}},
			{PublicKey: repeated(4), Endpoint: &conf.Endpoint{Host: "fe80::1%7", Port: "443"}},
		},
	}
	all := collect(t, "wg0", &c, 4096)
	if len(all) != 1 {
		t.Fatalf("%d messages, want 1", len(all))
	}
	same(t, "set", all[0], bytesOf(t, `
		01 01 0000                                ; set, version 1
		0800 0200 77673000                        ; wg0
		0800 0500 01000000                        ; flags: replace peers
		2400 0300 32x48                           ; private key
		0600 0600 6cca 0000                       ; port 51820, padded
		0800 0700 6cca0000                        ; mark
		3c01 0880                                 ; peers, nested
		c000 0080                                 ;  peer
		2400 0100 32x01
		2400 0200 32x03
		0800 0300 06000000                        ;   flags: replace, update only
		1400 0400 0200 ca6c c0000201 8x00         ;   endpoint
		0600 0500 1900 0000                       ;   keepalive
		5000 0980                                 ;   allowed IPs
		1c00 0080                                 ;    10.0.0.0/8
		0600 0100 0200 0000
		0800 0200 0a000000
		0500 0300 08 000000
		3000 0080                                 ;    -fd00::/64, hence with flags
		0600 0100 0a00 0000
		1400 0200 fd00 14x00
		0500 0300 40 000000
		0800 0400 01000000
		3000 0080                                 ;  peer
		2400 0100 32x02
		0800 0300 01000000                        ;   flags: remove
		4800 0080                                 ;  peer
		2400 0100 32x04
		2000 0400 0a00 01bb 00000000              ;   endpoint: family, port, flow
		fe80000000000000 0000000000000001 07000000`))
}

func TestSetOfNothingIsStillAQuestion(t *testing.T) {
	all := collect(t, "wg0", &conf.Change{}, MinMessage)
	if len(all) != 1 {
		t.Fatalf("%d messages, want 1: an interface that is not there is an error", len(all))
	}
	same(t, "set", all[0], bytesOf(t, "01 01 0000  0800 0200 77673000"))
}

func TestZerosClearFields(t *testing.T) {
	c := conf.Change{PrivateKey: &key.Private{}, ListenPort: new(uint16), FwMark: new(uint32), Peers: []conf.PeerChange{
		{PublicKey: repeated(1), PresharedKey: &key.Preshared{}, PersistentKeepalive: new(uint16), ReplaceAllowedIPs: true},
	}}
	same(t, "set", collect(t, "wg0", &c, 4096)[0], bytesOf(t, `
		01 01 0000  0800 0200 77673000
		2400 0300 32x00  0600 0600 0000 0000  0800 0700 00000000
		6000 0880 5c00 0080
		2400 0100 32x01  2400 0200 32x00  0800 0300 02000000  0600 0500 0000 0000`))
}

// Compat 3.3.3: what is in the first message and fragment is in no other.
func TestFragments(t *testing.T) {
	port, keepalive := uint16(1), uint16(2)
	psk := key.NewPreshared(repeated(9))
	c := conf.Change{ListenPort: &port, ReplacePeers: true, Peers: []conf.PeerChange{
		{PublicKey: repeated(1), PresharedKey: &psk, PersistentKeepalive: &keepalive, ReplaceAllowedIPs: true, UpdateOnly: true},
		{PublicKey: repeated(2)},
	}}
	const count = 40
	for i := range byte(count) {
		c.Peers[0].AllowedIPs = append(c.Peers[0].AllowedIPs, conf.AllowedIP{Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, i}), 16)})
	}
	all := collect(t, "wg0", &c, MinMessage)
	if len(all) != 3 {
		t.Fatalf("%d messages, want 3", len(all))
	}
	var ips int
	for n, m := range all {
		if len(m)+messageHeader > MinMessage {
			t.Errorf("message %d has %d bytes", n, len(m)+messageHeader)
		}
		device := fields(t, m[4:])
		if _, has := device[deviceListenPort]; has != (n == 0) {
			t.Errorf("message %d: a port: %v", n, has)
		}
		if _, has := device[deviceFlags]; has != (n == 0) {
			t.Errorf("message %d: flags: %v", n, has)
		}
		peer := 0
		_ = elements(device[devicePeers], func(_ uint16, v []byte) error {
			p := fields(t, v)
			first := n == 0 && peer == 0
			if _, has := p[peerPresharedKey]; has != first {
				t.Errorf("message %d, peer %d: a preshared key: %v", n, peer, has)
			}
			if _, has := p[peerKeepalive]; has != first {
				t.Errorf("message %d, peer %d: a keepalive: %v", n, peer, has)
			}
			want := []byte{peerUpdateOnly, 0, 0, 0}
			if first {
				want[0] |= peerReplaceAllowedIPs
			}
			if p[peerPublicKey][0] == 1 && !slices.Equal(p[peerFlags], want) {
				t.Errorf("message %d, peer %d: flags %x, want %x", n, peer, p[peerFlags], want)
			}
			_ = elements(p[peerAllowedIPs], func(uint16, []byte) error { ips++; return nil })
			peer++
			return nil
		})
	}
	if ips != count {
		t.Errorf("%d allowed IPs in all, want %d", ips, count)
	}
}

func fields(t *testing.T, b []byte) map[uint16][]byte {
	t.Helper()
	all := map[uint16][]byte{}
	err := attributes(b, func(kind uint16, v []byte) error { all[kind] = v; return nil })
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestProbes(t *testing.T) {
	same(t, "flags", ProbeFlags("wg0", repeated(1)), bytesOf(t, `
		01 01 0000  0800 0200 77673000
		5c00 0880 5800 0080
		2400 0100 32x01
		0800 0300 04000000                        ; only if it exists
		2800 0980 2400 0080
		0800 0400 01000000                        ; the flags, before
		0600 0100 0200 0000
		0500 0200 00 000000                       ; an address of one byte
		0500 0300 20 000000`))
	if got := ProbeUnknown("wg0", repeated(1)); len(got) != len(ProbeFlags("wg0", repeated(1))) || got[4+8+4+4+36+8+4+4+2] != 0xff || got[4+8+4+4+36+8+4+4+3] != 0x3f {
		t.Errorf("the other probe is %x", got)
	}
}

func TestDump(t *testing.T) {
	var d Dump
	for _, m := range []string{`
		00 01 0000
		0600 0600 6cca 0000
		0800 0700 6cca0000
		0800 0100 07000000
		0800 0200 77673000
		2400 0300 32x48
		2400 0400 32x05
		2001 0880
		a400 0080
		2400 0100 32x01
		2400 0200 32x03
		1400 0600 d202964900000000 0500000000000000
		0600 0500 1900 0000
		0400 0000                                 ; padding before 64 bits
		0c00 0800 0700000000000000
		0400 0000
		0c00 0700 0800000000000000
		0800 0a00 01000000
		1400 0400 0200 ca6c c0000201 8x00
		7800 0080
		2400 0100 32x02
		2000 0400 0a00 01bb 00000000 fe80000000000000 0000000000000001 07000000
		3000 0980
		2c00 0080
		0500 0300 40 000000
		0600 0100 0a00 0000
		1400 0200 fd00 14x00
		0400 ff3f                                 ; of a kernel to come`, `
		00 01 0000
		0800 0200 77673000
		7400 0880
		4800 0080                                 ; more of the last peer
		2400 0100 32x02
		2000 0900                                 ; a flag that old kernels leave out
		1c00 0000
		0500 0300 08 000000
		0600 0100 0200 0000
		0800 0200 0a000000
		2800 0080                                 ; one more peer
		2400 0100 32x06`,
	} {
		if err := d.Add(bytesOf(t, m)); err != nil {
			t.Fatal(err)
		}
	}
	got, err := d.Device()
	if err != nil {
		t.Fatal(err)
	}
	private, psk := key.NewPrivate(repeated(0x48)), key.NewPreshared(repeated(3))
	if got.Name != "wg0" || !got.PrivateKey.Equal(&private) || got.PublicKey != repeated(5) || got.ListenPort != 51820 || got.FwMark != 0xca6c || len(got.Peers) != 3 {
		t.Fatalf("device = %+v", got)
	}
	one, two, three := got.Peers[0], got.Peers[1], got.Peers[2]
	if one.PublicKey != repeated(1) || !one.PresharedKey.Equal(&psk) || !one.LastHandshake.Equal(time.Unix(1234567890, 5)) ||
		one.PersistentKeepalive != 25 || one.TxBytes != 7 || one.RxBytes != 8 || one.Endpoint.String() != "192.0.2.1:51820" || len(one.AllowedIPs) != 0 {
		t.Errorf("first peer = %+v", one)
	}
	if two.PublicKey != repeated(2) || two.Endpoint.String() != "[fe80::1%7]:443" || !two.LastHandshake.IsZero() ||
		!slices.Equal(two.AllowedIPs, []netip.Prefix{netip.MustParsePrefix("fd00::/64"), netip.MustParsePrefix("10.0.0.0/8")}) {
		t.Errorf("second peer = %+v", two)
	}
	if three.PublicKey != repeated(6) || three.Endpoint.IsValid() {
		t.Errorf("third peer = %+v", three)
	}
}

func TestNeverIsNoTime(t *testing.T) {
	if at := timeOf(make([]byte, 16)); !at.IsZero() {
		t.Errorf("a time of zeros is %v, want none", at)
	}
	v := native.AppendUint64(native.AppendUint64(nil, 0), 5)
	if at := timeOf(v); !at.IsZero() {
		t.Errorf("half a time is %v, want none", at)
	}
}

func TestEndpointsOfOtherShapesAreNotKnown(t *testing.T) {
	for _, text := range []string{"", "0200", "0200 ca6c c0000201", "0a00 ca6c c0000201 8x00", "0200 01bb 8x00 8x00 8x00", "0100 0000 12x00"} {
		if ap, ok := endpointOf(bytesOf(t, text)); ok {
			t.Errorf("%s is read as %v", text, ap)
		}
	}
}

func TestAnswers(t *testing.T) {
	id, err := ParseFamily(bytesOf(t, `01 02 0000  0e00 0200 776972656775617264 00 0000  0600 0100 1d00 0000  0800 0300 01000000`))
	if id != 0x1d || err != nil {
		t.Errorf("family = %d, %v", id, err)
	}
	l, err := ParseLink(bytesOf(t, `
		00000000 03000000 00000000 00000000
		0800 0300 77673000
		1c00 1200 0e00 0100 776972656775617264 00 0000  0800 0200 00000000`))
	if l != (Link{Index: 3, Name: "wg0", Kind: "wireguard"}) || err != nil || !l.IsWireGuard() {
		t.Errorf("link = %+v, %v", l, err)
	}
}

func TestMalformedMessages(t *testing.T) {
	dump := func(s string) error { var d Dump; return d.Add(bytesOf(t, "00 01 0000 "+s)) }
	for what, err := range map[string]error{
		"nothing":              (&Dump{}).Add(nil),
		"another command":      (&Dump{}).Add([]byte{1, 1, 0, 0}),
		"no message":           second((&Dump{}).Device()),
		"half a header":        dump("0800"),
		"a short length":       dump("0300 0100"),
		"a long length":        dump("0900 0100 00000000"),
		"a short key":          dump("0800 0300 00000000"),
		"a long port":          dump("0800 0600 00000000"),
		"a short mark":         dump("0600 0700 0000"),
		"a peer without key":   dump("0800 0880 0400 0080"),
		"a short peer key":     dump("1000 0880 0c00 0080 0800 0100 00000000"),
		"an IP without fields": dump("3400 0880 3000 0080 2400 0100 32x01 0800 0980 0400 0080"),
		"an IP of the wrong family": dump("5000 0880 4c00 0080 2400 0100 32x01 2400 0980 2000 0080 " +
			"0500 0300 08 000000 0600 0100 0a00 0000 0800 0200 0a000000 0400 0000"),
		"an IP that is too long": dump("4c00 0880 4800 0080 2400 0100 32x01 2000 0980 1c00 0080 " +
			"0500 0300 21 000000 0600 0100 0200 0000 0800 0200 0a000000"),
		"no family":               second(ParseFamily(nil)),
		"a family without number": second(ParseFamily([]byte{1, 2, 0, 0})),
		"half a link":             second(ParseLink(make([]byte, 15))),
	} {
		if !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v, want ErrMalformed", what, err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

// What has no form here is refused before anything was sent.
func TestRequestsThatCannotBeMade(t *testing.T) {
	for what, tc := range map[string]struct {
		name string
		peer conf.PeerChange
	}{
		"a long name":       {"abcdefghijklmnop", conf.PeerChange{}},
		"a name with zeros": {"wg0\x00", conf.PeerChange{}},
		"a host":            {"wg0", conf.PeerChange{Endpoint: &conf.Endpoint{Host: "example.org", Port: "5"}}},
		"a zone":            {"wg0", conf.PeerChange{Endpoint: &conf.Endpoint{Host: "fe80::1%eth0", Port: "5"}}},
		"a huge zone":       {"wg0", conf.PeerChange{Endpoint: &conf.Endpoint{Host: "fe80::1%4294967296", Port: "5"}}},
		"no prefix":         {"wg0", conf.PeerChange{AllowedIPs: []conf.AllowedIP{{}}}},
	} {
		if _, err := SetRequests(tc.name, &conf.Change{Peers: []conf.PeerChange{tc.peer}}, 4096); err == nil {
			t.Errorf("%s: no error", what)
		}
	}
}

// A payload is of use until the next is asked for, and no key outlives it.
func TestPayloadsAreErased(t *testing.T) {
	private := key.NewPrivate(repeated(0x48))
	requests, err := SetRequests("wg0", &conf.Change{PrivateKey: &private}, 4096)
	if err != nil {
		t.Fatal(err)
	}
	var kept []byte
	for m := range requests {
		kept = m
	}
	if len(kept) == 0 || slices.ContainsFunc(kept, func(b byte) bool { return b != 0 }) {
		t.Errorf("what is left is %x", kept)
	}
}

func TestSendingStopsWhenTheCallerDoes(t *testing.T) {
	c := conf.Change{Peers: make([]conf.PeerChange, 1000)}
	requests, err := SetRequests("wg0", &c, MinMessage)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for range requests {
		if n++; n == 3 {
			break
		}
	}
	if n != 3 {
		t.Errorf("%d messages", n)
	}
}

// At any size: nothing is too long, nothing is lost, and what would fit is not
// put off.
func TestMessagesOfAnySize(t *testing.T) {
	psk := key.NewPreshared(repeated(9))
	keepalive := uint16(1)
	var c conf.Change
	for n := range byte(12) {
		p := conf.PeerChange{PublicKey: repeated(n + 1), PresharedKey: &psk, PersistentKeepalive: &keepalive, ReplaceAllowedIPs: true}
		for i := range []byte{0, 1, 7, 40}[n%4] {
			ip := conf.AllowedIP{Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{n, i}), 16), Remove: i%3 == 0}
			if i%2 == 0 {
				ip.Prefix = netip.PrefixFrom(netip.AddrFrom16([16]byte{0xfd, n, i}), 24)
			}
			p.AllowedIPs = append(p.AllowedIPs, ip)
		}
		c.Peers = append(c.Peers, p)
	}
	const longest = 4 + 8 + 20 + 8 + 8 + attrHeader // an allowed IP and its list
	const peer = 2*attrHeader + 3*36 + 16           // and a peer without
	for limit := MinMessage; limit < 3000; limit += 4 {
		total := map[byte]int{}
		all := collect(t, "wg0", &c, limit)
		for n, m := range all {
			size := messageHeader + len(m)
			if size > limit {
				t.Fatalf("limit %d: message %d has %d bytes", limit, n, size)
			}
			if n < len(all)-1 && limit-size > longest+peer {
				t.Errorf("limit %d: message %d has %d bytes left, enough for more", limit, n, limit-size)
			}
			_ = elements(fields(t, m[4:])[devicePeers], func(_ uint16, v []byte) error {
				p := fields(t, v)
				if list, has := p[peerAllowedIPs]; has && len(list) == 0 {
					t.Errorf("limit %d: message %d has a list of nothing", limit, n)
				}
				return elements(p[peerAllowedIPs], func(uint16, []byte) error { total[p[peerPublicKey][0]]++; return nil })
			})
		}
		for i := range c.Peers {
			if got := total[byte(i+1)]; got != len(c.Peers[i].AllowedIPs) {
				t.Fatalf("limit %d: peer %d has %d allowed IPs, want %d", limit, i, got, len(c.Peers[i].AllowedIPs))
			}
		}
	}
}
