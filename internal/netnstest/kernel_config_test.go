//go:build linux && e2e

package netnstest

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/warrenvpn/warren/key"
)

// newSingle is one host with one device whose link is down.
func newSingle(t *testing.T) (*host, *daemon) {
	t.Helper()
	h := newLab(t).host("ns0")
	return h, h.device("wg0")
}

// K29: a persistent keepalive that is configured while the link is down goes
// out when it comes up, and not before.
func TestK29KeepaliveBeforeUp(t *testing.T) {
	h, _ := newSingle(t)
	own, peer := newIdentity(t), newIdentity(t)
	h.wg("set wg0 private-key", h.privateKey(own), "peer", peer.pub(),
		"endpoint 127.0.0.1:9 persistent-keepalive 1")
	if rx, tx := h.transfer("wg0", peer); rx != 0 || tx != 0 {
		t.Errorf("%d bytes received and %d sent while the link is down, want none", rx, tx)
	}
	h.ip("link set wg0 up")
	took := waitFor(t, patience, "bytes are sent", func() bool { _, tx := h.transfer("wg0", peer); return tx > 0 })
	if took > 100*time.Millisecond {
		t.Errorf("it took %v until something was sent, want it at once", took)
	}
}

// K30: the same with the private key as the last thing.
func TestK30KeepaliveBeforeThePrivateKey(t *testing.T) {
	h, _ := newSingle(t)
	own, peer := newIdentity(t), newIdentity(t)
	h.wg("set wg0 peer", peer.pub(), "endpoint 127.0.0.1:9 persistent-keepalive 1")
	h.ip("link set wg0 up")
	time.Sleep(time.Second) // the interval: nothing may be sent in it
	if _, tx := h.transfer("wg0", peer); tx != 0 {
		t.Errorf("%d bytes sent without a private key, want none", tx)
	}
	h.wg("set wg0 private-key", h.privateKey(own))
	took := waitFor(t, patience, "bytes are sent", func() bool { _, tx := h.transfer("wg0", peer); return tx > 0 })
	if took > 100*time.Millisecond {
		t.Errorf("it took %v until something was sent, want it at once", took)
	}
}

// K31: 130 560 allowed IPs on one peer, through wg(8), and back exactly.
func TestK31AllowedIPsWithoutEnd(t *testing.T) {
	h, _ := newSingle(t)
	own, peer := newIdentity(t), newIdentity(t)
	want := map[string]bool{}
	var conf strings.Builder
	fmt.Fprintf(&conf, "[Interface]\nPrivateKey = %s\n[Peer]\nPublicKey = %s\n", own.private.Reveal(), peer.pub())
	for i := range 255 {
		var four, six []string
		for j := range 256 {
			four = append(four, fmt.Sprintf("10.%d.%d.7/32", i, j))
			six = append(six, fmt.Sprintf("fd00:%x:%x::/64", i+1, j+1))
		}
		for _, list := range [][]string{four, six} {
			fmt.Fprintf(&conf, "AllowedIPs = %s\n", strings.Join(list, ", "))
			for _, a := range list {
				want[a] = true
			}
		}
	}
	begin := time.Now()
	h.setconf("wg0", conf.String())
	took := time.Since(begin)
	begin = time.Now()
	got := h.show("wg0", "allowed-ips", peer)
	t.Logf("%d allowed IPs: set in %v, shown in %v", len(got), took, time.Since(begin))
	if len(got) != len(want) || len(got) != 130_560 {
		t.Fatalf("%d allowed IPs read back, want %d", len(got), len(want))
	}
	for _, a := range got {
		if !want[a] {
			t.Fatalf("%s was read back, and is not one that was set", a)
		}
		delete(want, a)
	}
}

// K32: 40 peers with 52 allowed IPs each.
func TestK32PeersWithManyAllowedIPs(t *testing.T) {
	h, _ := newSingle(t)
	var conf strings.Builder
	var peers []identity
	for i := range 40 {
		peers = append(peers, newIdentity(t))
		fmt.Fprintf(&conf, "[Peer]\nPublicKey = %s\n", peers[i].pub())
		for j := range 26 {
			fmt.Fprintf(&conf, "AllowedIPs = 10.%d.%d.0/24, fd00:%x:%x::/64\n", i, j, i+1, j+1)
		}
	}
	h.setconf("wg0", conf.String())
	lines := strings.Split(strings.TrimSpace(h.run("wg", "show", "wg0", "allowed-ips")), "\n")
	if len(lines) != 40 {
		t.Fatalf("%d peers read back, want 40", len(lines))
	}
	for i, l := range lines {
		words := strings.Fields(l)
		if words[0] != peers[i].pub() {
			t.Errorf("line %d is of %s, want %s: the order of creation", i, words[0], peers[i].pub())
		}
		if len(words) != 53 {
			t.Errorf("line %d has %d allowed IPs, want 52", i, len(words)-1)
		}
	}
}

// K33: many peers without anything, then one with two allowed IPs.
func TestK33EmptyPeersThenOneWithAllowedIPs(t *testing.T) {
	h, _ := newSingle(t)
	for range 29 {
		h.wg("set wg0 peer", newIdentity(t).pub())
	}
	last := newIdentity(t)
	h.wg("set wg0 peer", last.pub(), "allowed-ips 255.2.3.4/32,abcd::255/128")
	conf := h.run("wg", "showconf", "wg0")
	if n := strings.Count(conf, "[Peer]"); n != 30 {
		t.Errorf("showconf has %d peers, want 30", n)
	}
	if !strings.Contains(conf, "AllowedIPs = 255.2.3.4/32, abcd::255/128") {
		t.Errorf("showconf does not have the allowed IPs of the last peer:\n%s", conf)
	}
}

// K34 and K35: two peers, the second with 197 IPv6 entries; then entries are
// taken away one by one with the minus syntax.
func TestK34K35ManyEntriesAndRemoval(t *testing.T) {
	h, _ := newSingle(t)
	first, second := newIdentity(t), newIdentity(t)
	h.wg("set wg0 peer", first.pub(), "peer", second.pub())
	var list, minus []string
	for i := 1; i <= 197; i++ {
		list = append(list, fmt.Sprintf("abcd::%x/128", i))
	}
	h.wg("set wg0 peer", second.pub(), "allowed-ips", strings.Join(list, ","))
	if got := h.show("wg0", "allowed-ips", first); len(got) != 1 || got[0] != "(none)" {
		t.Errorf("K34: the first peer shows %q, want (none)", got)
	}
	if got := h.show("wg0", "allowed-ips", second); len(got) != 197 {
		t.Errorf("K34: the second peer has %d allowed IPs, want 197", len(got))
	}

	for i := 1; i <= 197; i++ {
		list = append(list, fmt.Sprintf("10.0.0.%d/32", i))
	}
	h.wg("set wg0 peer", second.pub(), "allowed-ips", strings.Join(list, ","))
	for _, i := range []int{3, 100, 197} {
		minus = append(minus, fmt.Sprintf("-abcd::%x/128", i), fmt.Sprintf("-10.0.0.%d/32", i))
	}
	// The distribution's wg may be older than this syntax.
	h.run(warren, "wg", "set", "wg0", "peer", second.pub(), "allowed-ips", strings.Join(minus, ","))
	got := h.show("wg0", "allowed-ips", second)
	if len(got) != 388 {
		t.Errorf("K35: %d allowed IPs are left, want 388", len(got))
	}
	for _, m := range minus {
		for _, g := range got {
			if g == m[1:] {
				t.Errorf("K35: %s is still there", g)
			}
		}
	}
	h.run(warren, "wg", "set", "wg0", "peer", second.pub(), "allowed-ips", "+192.168.7.0/24,-192.168.9.0/24")
	if got := h.show("wg0", "allowed-ips", second); len(got) != 389 {
		t.Errorf("K35: %d allowed IPs after one was added and one removed that is not there, want 389", len(got))
	}
}

// K36: a device that does not exist.
func TestK36ShowOfAMissingDevice(t *testing.T) {
	h, _ := newSingle(t)
	if out, err := h.try("wg", "show", "doesnotexist"); err == nil {
		t.Errorf("wg show of a missing device succeeded: %s", out)
	}
}

// K37 to K39: keys are read back as they were set, cleared by an empty file,
// clamped, and a peer is never oneself.
func TestK37K38K39Keys(t *testing.T) {
	h, _ := newSingle(t)
	own, peer := newIdentity(t), newIdentity(t)
	show := func(field string) string { h.t.Helper(); return strings.TrimSpace(h.run("wg", "show", "wg0", field)) }
	if got := show("private-key"); got != "(none)" {
		t.Errorf("K37: private key %q before one was set, want (none)", got)
	}
	psk := base64.StdEncoding.EncodeToString([]byte("0123456789abcdef0123456789abcdef"))
	h.wg("set wg0 private-key", h.privateKey(own), "peer", peer.pub(), "preshared-key", h.keyFile("psk", psk))
	if show("private-key") != own.private.Reveal() || show("preshared-keys") != peer.pub()+"\t"+psk {
		t.Error("K37: keys read back differ from those that were set")
	}
	must(t, h.WriteFile("/run/empty", nil, 0o600))
	h.wg("set wg0 private-key /run/empty peer", peer.pub(), "preshared-key /run/empty")
	if got := show("private-key") + " " + show("preshared-keys"); got != "(none) "+peer.pub()+"\t(none)" {
		t.Errorf("K37: cleared keys read back as %q", got)
	}

	h.wg("set wg0 private-key", h.privateKey(own), "peer", peer.pub(), "remove")
	h.wg("set wg0 peer", own.pub(), "allowed-ips 10.0.0.0/8")
	if got := show("peers"); got != "" {
		t.Errorf("K38: own public key as a peer is listed: %q", got)
	}
	h.wg("set wg0 peer", peer.pub(), "allowed-ips 10.0.0.0/8")
	h.wg("set wg0 private-key", h.privateKey(peer))
	if got := show("peers"); got != "" {
		t.Errorf("K38: a peer equal to the new own key is still listed: %q", got)
	}

	unclamped := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("\xff", 32)))
	h.wg("set wg0 private-key", h.keyFile("unclamped", unclamped))
	var raw [key.Size]byte
	for i := range raw {
		raw[i] = 0xff
	}
	raw[0], raw[31] = 0xf8, 0x7f
	if got, want := show("private-key"), base64.StdEncoding.EncodeToString(raw[:]); got != want {
		t.Errorf("K39: private key %s, want %s", got, want)
	}
}

// K40: overlapping sets of every length, again and again replaced by shorter
// ones.
func TestK40OverlappingAllowedIPs(t *testing.T) {
	h, _ := newSingle(t)
	peer, other := newIdentity(t), newIdentity(t)
	var four, six []string
	for bits := 0; bits <= 32; bits++ {
		four = append(four, fmt.Sprintf("193.151.97.214/%d", bits))
	}
	for bits := 0; bits <= 128; bits++ {
		six = append(six, fmt.Sprintf("ff4f:9a2b:3c8d::d1/%d", bits))
	}
	for _, list := range [][]string{four, six} {
		h.wg("set wg0 peer", peer.pub(), "allowed-ips", strings.Join(list, ","))
		h.wg("set wg0 peer", other.pub(), "allowed-ips", strings.Join(list[1:], ","))
		if got := h.show("wg0", "allowed-ips", peer); len(got) != 1 {
			t.Errorf("%d allowed IPs are left to the first peer, want 1", len(got))
		}
		h.wg("set wg0 peer", peer.pub(), "allowed-ips 0.0.0.0/0")
		h.wg("set wg0 peer", peer.pub(), "allowed-ips ::/0")
		h.wg("set wg0 peer", other.pub(), "remove")
		if got := h.show("wg0", "allowed-ips", peer); len(got) != 1 || got[0] != "::/0" {
			t.Errorf("allowed IPs are %q, want ::/0", got)
		}
	}
}

// lowOrder are public keys of points of low order and their other encodings:
// 0, 1, two of order 8, p-1, p, p+1.
var lowOrder = []string{
	"0000000000000000000000000000000000000000000000000000000000000000",
	"0100000000000000000000000000000000000000000000000000000000000000",
	"e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
	"5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
	"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
}

// K41 and P10: peers with public keys of low order are accepted, and not one
// packet is ever sent to them.
//
//	ns0 wg0 ──( nft counts ports 2001 to 2007 )── lo
func TestK41LowOrderKeysCauseNoPacket(t *testing.T) {
	h, _ := newSingle(t)
	h.nft(`table inet count {
		counter sent { }
		chain output {
			type filter hook output priority 0
			udp dport 2001-2008 counter name sent
		}
	}`)
	h.wg("set wg0 private-key", h.privateKey(newIdentity(t)))
	h.ip("addr add 10.7.0.100/24 dev wg0", "link set wg0 up")
	for i, k := range lowOrder {
		b, err := hex.DecodeString(k)
		must(t, err)
		h.wg("set wg0 peer", base64.StdEncoding.EncodeToString(b), "persistent-keepalive 1",
			fmt.Sprintf("endpoint 127.0.0.1:%d allowed-ips 10.7.0.%d/32", 2001+i, 1+i))
	}
	if n := len(strings.Fields(h.run("wg", "show", "wg0", "peers"))); n != len(lowOrder) {
		t.Errorf("%d peers are listed, want %d", n, len(lowOrder))
	}
	for i := range lowOrder {
		h.sendUDP(fmt.Sprintf("10.7.0.%d:9", 1+i), "x")
	}
	time.Sleep(2 * time.Second) // in which nothing may be sent
	if n, _ := h.counter("inet", "count", "sent"); n != 0 {
		t.Errorf("%d packets were sent, want none", n)
	}
	// The counter counts.
	good := newIdentity(t)
	h.wg("set wg0 peer", good.pub(), "persistent-keepalive 1 endpoint 127.0.0.1:2008")
	waitFor(t, patience, "an ordinary peer gets packets", func() bool {
		n, _ := h.counter("inet", "count", "sent")
		return n > 0
	})
}
