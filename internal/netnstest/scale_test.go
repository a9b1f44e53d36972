//go:build linux && e2e

package netnstest

import (
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/warrenvpn/warren/key"
)

// Q11, and S06 in a small form: 100 000 peers with two allowed IPs each are
// configured through the control socket, read back exactly, and removed, while
// a ping every few milliseconds passes through another peer of the same device.
// None of it is lost.
//
//	ns1 wg1 (one real peer, 100 000 others) ──( ns0 )── wg2 ns2
func TestQ11HundredThousandPeers(t *testing.T) {
	const peers = 100_000
	w := newWorld(t)
	w.connect("127.0.0.1")
	w.ns1.pings("-c", "1", inner2)
	idle := w.wg1.memory()
	flood := w.ns1.steady(4*time.Millisecond, inner2)

	random := rand.NewChaCha8([32]byte{1})
	var set, remove strings.Builder
	want := make([]string, 0, 3*peers)
	set.WriteString("set=1\n")
	batches := make([]string, 0, 10)
	for i := range peers {
		var k [32]byte
		_, _ = random.Read(k[:])
		four := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		lines := []string{
			"public_key=" + hex.EncodeToString(k[:]),
			"allowed_ip=" + four.String() + "/32",
			fmt.Sprintf("allowed_ip=fd01:%x:%x::/64", i>>8+1, i&0xff+1),
		}
		want = append(want, lines...)
		set.WriteString(strings.Join(lines, "\n") + "\n")
		remove.WriteString(lines[0] + "\nremove=true\n")
		if i%10_000 == 9_999 {
			batches = append(batches, "set=1\n"+remove.String()+"\n")
			remove.Reset()
		}
	}
	set.WriteString("\n")

	control, err := w.ns0.dialUAPI("wg1")
	must(t, err)
	defer control.c.Close()
	step := func(what, request string) []string {
		t.Helper()
		begin := time.Now()
		lines, errno, err := control.ask(request)
		must(t, err)
		if errno != 0 {
			t.Fatalf("%s: errno %d", what, errno)
		}
		t.Logf("%s: %v, resident memory %d MiB (%d before)", what, time.Since(begin).Round(time.Millisecond), w.wg1.memory()>>20, idle>>20)
		return lines
	}
	began := time.Now()
	step("set of 100 000 peers", set.String())
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it took %v, want less than 10 s", took)
	}
	if used := w.wg1.memory() - idle; used > 600<<20 {
		t.Errorf("it took %d MiB of memory, want less than 600", used>>20)
	}
	began = time.Now()
	got := ofPeers(step("get", "get=1\n\n"), w.id2)
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("reading back took %v, want less than 3 s", took)
	}
	if len(got) != len(want) {
		t.Fatalf("%d lines read back, want %d", len(got), len(want))
	}
	for i := range got {
		if got[i] != want[i] {
			t.Fatalf("line %d read back is %q, want %q", i, got[i], want[i])
		}
	}
	for _, b := range batches {
		step("remove 10 000", b)
	}
	if left := ofPeers(step("get", "get=1\n\n"), w.id2); len(left) != 0 {
		t.Errorf("%d lines of removed peers are left", len(left))
	}

	sent, lost, slowest := flood.end()
	t.Logf("%d pings meanwhile, %d not answered, the slowest after %v", sent, lost, slowest)
	if lost > 0 {
		t.Errorf("%d of %d pings through another peer were lost", lost, sent)
	}
	w.ns1.flood(10, inner2)
}

// manyPeersFile is a configuration file: a beginning, then peers with two allowed
// IPs and an endpoint each. The peer number changed has another key and other
// addresses than elsewhere; it may be negative.
func manyPeersFile(beginning string, peers, changed int) []byte {
	random := rand.NewChaCha8([32]byte{1})
	b := []byte(beginning)
	for i := range peers {
		var k key.Public
		_, _ = random.Read(k[:])
		n := i
		if i == changed {
			k[0] ^= 1
			n = peers
		}
		four := netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)})
		b = fmt.Appendf(b, "[Peer]\nPublicKey = %v\nAllowedIPs = %v/32, fd01:%x:%x::/64\nEndpoint = 198.18.%d.%d:%d\n",
			k, four, n>>16, n&0xffff, byte(i>>8), byte(i), 1024+i%50_000)
	}
	return b
}

// Q11, Q04, S07: a file of very many peers is configured by `warren wg setconf`
// and leaves the daemon small; one of them is changed by `warren wg syncconf`
// while pings pass through another peer, none of which is lost.
func TestQ11FileOfManyPeers(t *testing.T) {
	peers, within, limit := 100_000, 10*time.Second, 200<<20
	if long {
		peers, within, limit = 1_000_000, 20*time.Second, 2<<30
	}
	w := newWorld(t)
	w.connect("127.0.0.1")
	w.ns1.pings("-c", "1", inner2)
	secret := func(path string) string { return strings.TrimSpace(w.ns0.run("cat", path)) }
	beginning := fmt.Sprintf("[Interface]\nPrivateKey = %s\nListenPort = 1\n[Peer]\nPublicKey = %s\nPresharedKey = %s\nAllowedIPs = %s\nEndpoint = 127.0.0.1:2\n",
		secret(w.ns0.privateKey(w.id1)), w.id2.pub(), secret(w.psk), bothInner2)
	must(t, w.ns0.WriteFile("/run/all.conf", manyPeersFile(beginning, peers, -1), 0o600))
	must(t, w.ns0.WriteFile("/run/changed.conf", manyPeersFile(beginning, peers, peers/2), 0o600))
	apply := func(how, file string) {
		t.Helper()
		begin := time.Now()
		w.ns0.run(warren, "wg", how, "wg1", file)
		took := time.Since(begin)
		t.Logf("%s of %d peers: %v, resident memory %d MiB, at most %d", how, peers, took.Round(time.Millisecond), w.wg1.memory()>>20, w.wg1.peak()>>20)
		if took > within {
			t.Errorf("%s took %v, want at most %v", how, took, within)
		}
		if w.wg1.peak() > limit {
			t.Errorf("%s took %d MiB of memory, want at most %d", how, w.wg1.peak()>>20, limit>>20)
		}
	}
	idle := w.wg1.memory()
	apply("setconf", "/run/all.conf")
	if each := (w.wg1.memory() - idle) / peers; each > 1536 {
		t.Errorf("each peer takes %d bytes of resident memory, want at most 1536", each)
	}
	waitFor(t, patience, "a session with the new peer", func() bool { _, err := w.ns1.ping("-c", "1", "-W", "1", inner2); return err == nil })

	before := strings.Fields(w.ns0.run(warren, "wg", "show", "wg1", "peers"))
	flood := w.ns1.steady(4*time.Millisecond, inner2)
	apply("syncconf", "/run/changed.conf")
	sent, lost, slowest := flood.end()
	t.Logf("%d pings meanwhile, %d not answered, the slowest after %v", sent, lost, slowest)
	if lost > 0 {
		t.Errorf("%d of %d pings through another peer were lost", lost, sent)
	}
	after := strings.Fields(w.ns0.run(warren, "wg", "show", "wg1", "peers"))
	if len(before) != peers+1 || len(after) != peers+1 {
		t.Fatalf("%d peers, then %d, want %d", len(before), len(after), peers+1)
	}
	gone := peers/2 + 1 // the real one is the first
	if want := slices.Delete(slices.Clone(before), gone, gone+1); !slices.Equal(after[:peers], want) || after[peers] == before[gone] {
		t.Error("the peers are not those before, less the changed one, and it again at the end")
	}
}

// ofPeers returns the keys and allowed IPs among the lines of a get, without
// those of one peer.
func ofPeers(lines []string, but identity) (keep []string) {
	skip := false
	for _, l := range lines {
		if k, ok := strings.CutPrefix(l, "public_key="); ok {
			skip = k == but.public.Hex()
		}
		if !skip && (strings.HasPrefix(l, "public_key=") || strings.HasPrefix(l, "allowed_ip=")) {
			keep = append(keep, l)
		}
	}
	return keep
}
