package device

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warrenvpn/warren/conf"
	"github.com/warrenvpn/warren/key"
	"github.com/warrenvpn/warren/tun/tuntest"
	"github.com/warrenvpn/warren/udp/udptest"
)

// idle returns a device that does not run with n peers, each with two allowed
// IPs and an endpoint.
func idle(tb testing.TB, n int) *Device {
	tb.Helper()
	tunEnd, _ := tuntest.New(tuntest.Config{})
	d, err := New(Config{TUN: tunEnd, Network: udptest.New().Host(netip.MustParseAddr("192.0.2.1"))})
	if err != nil {
		tb.Fatal(err)
	}
	const batch = 10_000
	for from := 0; from < n; from += batch {
		c := conf.Change{Peers: make([]conf.PeerChange, min(batch, n-from))}
		for i := range c.Peers {
			c.Peers[i] = numbered(from + i)
		}
		if err := d.apply(&c); err != nil {
			tb.Fatal(err)
		}
	}
	return d
}

// numbered is the peer number i.
func numbered(i int) conf.PeerChange {
	b := [4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}
	c := conf.PeerChange{
		ReplaceAllowedIPs: true,
		Endpoint:          &conf.Endpoint{Host: netip.AddrFrom4([4]byte{198, 18, b[2], b[3]}).String(), Port: "51820"},
		AllowedIPs: []conf.AllowedIP{
			{Prefix: netip.PrefixFrom(netip.AddrFrom4(b), 32)},
			{Prefix: netip.PrefixFrom(netip.AddrFrom16([16]byte{0: 0xfd, 4: b[1], 5: b[2], 6: b[3]}), 64)},
		},
	}
	binary.BigEndian.PutUint64(c.PublicKey[:], uint64(i)+1)
	return c
}

// heap returns the bytes in use after a collection.
func heap() int {
	runtime.GC()
	runtime.GC() // what had a finalizer or cleanup at the first
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// S07: an idle peer with two allowed IPs and an endpoint takes less than 0.8 KB.
func TestIdlePeersAreSmall(t *testing.T) {
	const n, limit = 20_000, 800
	before := heap()
	d := idle(t, n)
	each := (heap() - before) / n
	runtime.KeepAlive(d)
	t.Logf("%d bytes for each peer", each)
	if each > limit {
		t.Errorf("%d bytes for each peer, want at most %d", each, limit)
	}
}

// S06, T15: idle peers are memory and nothing else, be there ten or ten thousand:
// no goroutine, no deadline, no machine, no queue.
func TestIdlePeersRunNothing(t *testing.T) {
	goroutines := func(n int) int {
		d, host := alone(t)
		k := key.NewPrivate([32]byte{8: 1})
		if err := d.Apply(conf.Change{PrivateKey: &k, Peers: manyPeers(n, 0).Peers}); err != nil {
			t.Fatal(err)
		}
		host.SetUp(true)
		for up := false; !up; {
			d.call(func() { up = d.up })
		}
		if err := d.Apply(manyPeers(n, 0)); err != nil { // and once more while it is up
			t.Fatal(err)
		}
		d.call(func() {
			machines := 0
			for _, p := range d.order {
				if p.machine != nil {
					machines++
				}
			}
			if len(d.order) != n || machines != 0 || len(d.due.heap) != 0 || d.index.used != 0 || len(d.eager) != 0 {
				t.Errorf("%d peers have %d machines, %d deadlines, %d indices and %d keepalives, want none",
					len(d.order), machines, len(d.due.heap), d.index.used, len(d.eager))
			}
		})
		return runtime.NumGoroutine()
	}
	// The first device stays: what comes on top of it is the second.
	before := runtime.NumGoroutine()
	few := goroutines(10)
	many := goroutines(10_000)
	// The runtime may run one of its own at the moment.
	if (many-few)-(few-before) > 10 {
		t.Errorf("%d goroutines with 10 peers, %d with 10 000", few-before, many-few)
	}
}

// A peer that has its first input late is as one that had it at once: whatever
// was configured and happened to the device before counts.
func TestFirstInputComesLate(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		a, b := w.add(1), w.add(2)
		psk := key.NewPreshared([32]byte{3: 9})
		toB, toA := a.peerChange(b), b.peerChange(a)
		toB.PresharedKey, toA.PresharedKey = &psk, &psk
		for n, c := range map[*node]*conf.PeerChange{a: &toB, b: &toA} {
			n.must(conf.Change{Peers: []conf.PeerChange{*c}})
			n.host.SetUp(false)
			w.wait(0)
			n.must(conf.Change{PrivateKey: new(key.Private)})
			n.must(conf.Change{PrivateKey: &n.key})
			n.host.SetUp(true)
			w.wait(0)
			n.call(func() {
				if n.order[0].machine != nil {
					t.Error("a peer without traffic has a machine already")
				}
			})
			if got := n.Status().Peers[0].PresharedKey; !got.Equal(&psk) {
				t.Error("the preshared key is not what was configured")
			}
		}
		a.reaches(b)
		b.reaches(a)
		other := key.NewPreshared([32]byte{4: 1})
		a.must(conf.Change{Peers: []conf.PeerChange{{PublicKey: b.key.Public(), PresharedKey: &other}}})
		if got := a.Status().Peers[0].PresharedKey; !got.Equal(&other) {
			t.Error("the preshared key is not what it was changed to")
		}
		synctest.Wait()
		w.wait(time.Second)
	})
}

// X1, K35, P23, Q04: whatever is changed, repeated or moved, a device has what the
// model has, and its routes are the lists of its peers.
func TestChangesEqualModel(t *testing.T) {
	for seed := range uint64(30) {
		r := rand.New(rand.NewPCG(seed, 4))
		d, model := idle(t, 0), conf.Device{}
		var last conf.Change
		for step := range 60 {
			c := last // as it is, from time to time
			if r.IntN(3) > 0 {
				c = randomChange(r)
			}
			last = c
			if err := d.apply(&c); err != nil {
				t.Fatalf("seed %d, step %d: %v", seed, step, err)
			}
			model.Apply(&c)
			got := d.status()
			got.Name, got.ListenPort = "", model.ListenPort
			if len(got.Peers)+len(model.Peers) > 0 && !reflect.DeepEqual(got.Peers, model.Peers) {
				t.Fatalf("seed %d, step %d: after %+v\n%+v, want\n%+v", seed, step, c, got.Peers, model.Peers)
			}
			routes := 0
			for _, p := range d.order {
				if p == nil {
					continue
				}
				for _, prefix := range p.appendOwned(nil, d.routes.Load()) {
					if owner, _ := d.routes.Load().Get(prefix); owner != p {
						t.Fatalf("seed %d, step %d: the route %v is another peer's", seed, step, prefix)
					}
					routes++
				}
			}
			if n := d.routes.Load().Len(); n != routes {
				t.Fatalf("seed %d, step %d: %d routes, want %d", seed, step, n, routes)
			}
		}
	}
}

// randomChange is about few peers and prefixes, so that they meet.
func randomChange(r *rand.Rand) conf.Change {
	c := conf.Change{ReplacePeers: r.IntN(12) == 0}
	for range r.IntN(6) {
		p := conf.PeerChange{
			PublicKey: key.Public{byte(1 + r.IntN(5))}, Remove: r.IntN(10) == 0,
			UpdateOnly: r.IntN(10) == 0, ReplaceAllowedIPs: r.IntN(2) == 0,
		}
		for range r.IntN(5) {
			a, _ := netip.AddrFrom4([4]byte{10, byte(r.IntN(6)), 0, 0}).Prefix(16)
			p.AllowedIPs = append(p.AllowedIPs, conf.AllowedIP{Prefix: a, Remove: r.IntN(6) == 0})
		}
		if r.IntN(3) == 0 {
			p.PersistentKeepalive = ptr(uint16(r.IntN(3)))
		}
		if r.IntN(3) == 0 {
			psk := key.NewPreshared([32]byte{byte(r.IntN(3))})
			p.PresharedKey = &psk
		}
		if r.IntN(3) == 0 {
			p.Endpoint = &conf.Endpoint{Host: "192.0.2.9", Port: fmt.Sprint(1 + r.IntN(3))}
		}
		c.Peers = append(c.Peers, p)
	}
	return c
}

// Q04, S06: a configuration that is given again, with one peer changed, costs no
// memory for those that stay, and no new routes.
func TestSameConfigurationAgainIsFree(t *testing.T) {
	const n, limit = 20_000, 100
	d := idle(t, n)
	var c conf.Change
	for i := range n {
		c.Peers = append(c.Peers, numbered(i))
	}
	c.Peers[n/2].AllowedIPs = numbered(n).AllowedIPs
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if err := d.apply(&c); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if each := (after.TotalAlloc - before.TotalAlloc) / n; each > limit {
		t.Errorf("%d bytes allocated for each peer, want at most %d", each, limit)
	}
	if p, _ := d.routes.Load().Lookup(netip.AddrFrom4([4]byte{10, 0, n >> 8, n & 255})); p == nil || p.public != c.Peers[n/2].PublicKey {
		t.Error("the changed peer has not got its new address")
	}
}

// S05, S06: what one peer costs to be added and removed does not depend on how
// many there are. (Some 100 KB of nodes with up to 256 places each are copied,
// where a table of 100 000 peers has megabytes.)
func TestOnePeerCostsTheSameAmongMany(t *testing.T) {
	const n, limit = 100_000, 256 << 10
	d := idle(t, n)
	var before, after runtime.MemStats
	for _, c := range []conf.PeerChange{numbered(n), {PublicKey: numbered(n).PublicKey, Remove: true}, {PublicKey: numbered(n / 2).PublicKey, Remove: true}, numbered(n / 2)} {
		runtime.ReadMemStats(&before)
		if err := d.apply(&conf.Change{Peers: []conf.PeerChange{c}}); err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		if got := after.TotalAlloc - before.TotalAlloc; got > limit {
			t.Errorf("a change of one peer (remove %v) of %d allocated %d bytes, want at most %d", c.Remove, n, got, limit)
		}
	}
}

// BenchmarkOnePeer adds a peer to many and removes it again.
func BenchmarkOnePeer(b *testing.B) {
	for _, n := range []int{1_000, 100_000, 1_000_000} {
		d := idle(b, n)
		b.Run(fmt.Sprintf("peers=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c := numbered(n)
				for _, remove := range []bool{false, true} {
					c.Remove = remove
					if err := d.apply(&conf.Change{Peers: []conf.PeerChange{c}}); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}

// BenchmarkAllPeers configures a device anew, and reads it back.
func BenchmarkAllPeers(b *testing.B) {
	const n = 100_000
	c := conf.Change{ReplacePeers: true}
	for i := range n {
		c.Peers = append(c.Peers, numbered(i))
	}
	b.Run("set", func(b *testing.B) {
		d := idle(b, 0)
		b.ReportAllocs()
		for b.Loop() {
			if err := d.apply(&c); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("sync", func(b *testing.B) {
		d := idle(b, n)
		again := conf.Change{Peers: c.Peers}
		b.ReportAllocs()
		for b.Loop() {
			if err := d.apply(&again); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("get", func(b *testing.B) {
		d := idle(b, n)
		b.ReportAllocs()
		for b.Loop() {
			d.status()
		}
	})
}
