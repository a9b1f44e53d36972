package allowedips

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
)

// naive is the oracle: a list searched from end to end.
type naive map[netip.Prefix]int

func (n naive) lookup(a netip.Addr) (int, bool) {
	best, v := -1, 0
	for p, w := range n {
		if p.Contains(a) && p.Bits() > best {
			best, v = p.Bits(), w
		}
	}
	return v, best >= 0
}

func randomPrefix(r *rand.Rand) netip.Prefix {
	if r.IntN(2) == 0 {
		var b [4]byte
		for i := range b {
			b[i] = byte(r.IntN(4) * 64)
		}
		p, _ := netip.AddrFrom4(b).Prefix(r.IntN(33))
		return p
	}
	var b [16]byte
	for i := range b {
		b[i] = byte(r.IntN(2) * 255)
	}
	p, _ := netip.AddrFrom16(b).Prefix(r.IntN(129))
	return p
}

func randomAddr(r *rand.Rand) netip.Addr {
	p := randomPrefix(r)
	a := p.Addr().AsSlice()
	for range r.IntN(3) {
		a[r.IntN(len(a))] ^= 1 << r.IntN(8)
	}
	out, _ := netip.AddrFromSlice(a)
	return out
}

// P23, P24, K40, Z10: random inserts, moves and removals against the naive
// table, through persistent edits and through cloned ones; empty at the end.
func TestTableEqualsNaiveTable(t *testing.T) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 1))
		want, tab := naive{}, New[int]()
		for range 60 {
			n := 1 + r.IntN(2*cloneFrom)
			before, beforeLen := tab, tab.Len()
			e := tab.Edit()
			if r.IntN(2) == 0 {
				e.Expect(n)
			}
			for range n {
				p, v := randomPrefix(r), r.IntN(50)
				if r.IntN(3) > 0 {
					e.Insert(p, v)
					want[p] = v
					continue
				}
				w, ok := want[p]
				if got := e.Remove(p, v); got != (ok && w == v) {
					t.Fatalf("seed %d: Remove(%v, %d) = %v", seed, p, v, got)
				} else if got {
					delete(want, p)
				}
			}
			tab = e.Table()
			if before.Len() != beforeLen {
				t.Fatalf("seed %d: an edit changed the snapshot it came from", seed)
			}
			if tab.Len() != len(want) {
				t.Fatalf("seed %d: %d prefixes, want %d", seed, tab.Len(), len(want))
			}
			for range 200 {
				a := randomAddr(r)
				got, gotOK := tab.Lookup(a)
				w, ok := want.lookup(a)
				if gotOK != ok || got != w {
					t.Fatalf("seed %d: Lookup(%v) = %d %v, want %d %v", seed, a, got, gotOK, w, ok)
				}
			}
		}
		e := tab.Edit()
		for p, v := range want {
			if !e.Remove(p, v) {
				t.Fatalf("seed %d: %v could not be removed from its owner", seed, p)
			}
		}
		if n := e.Table().Len(); n != 0 {
			t.Fatalf("seed %d: %d prefixes left in an emptied table", seed, n)
		}
	}
}

func TestLookupDoesNotAllocate(t *testing.T) {
	e := New[*int]().Edit()
	v := new(int)
	e.Insert(netip.MustParsePrefix("10.0.0.0/8"), v)
	tab, a := e.Table(), netip.MustParseAddr("10.1.2.3")
	if n := testing.AllocsPerRun(100, func() { tab.Lookup(a) }); n != 0 {
		t.Errorf("allocations = %v, want 0", n)
	}
}

// An edit that is small beside its table must not copy it.
func TestSmallEditsDoNotCopyTheTable(t *testing.T) {
	const routes = 200_000
	e := New[*int]().Edit()
	v := new(int)
	for i := range routes / 2 {
		four, six := peerPrefix(i)
		e.Insert(four, v)
		e.Insert(six, v)
	}
	tab := e.Table()
	for _, n := range []int{1, cloneFrom, routes / pathInRoute / 2} {
		e := tab.Edit()
		e.Expect(n)
		for i := range n {
			_, six := peerPrefix(i)
			e.Remove(six, v)
		}
		if e.owned {
			t.Errorf("%d changes of %d routes copied all of them", n, routes)
		}
		if got := e.Table().Len(); got != routes-n {
			t.Errorf("%d routes left, want %d", got, routes-n)
		}
	}
	e = tab.Edit()
	if e.Expect(routes); !e.owned {
		t.Errorf("a change of all %d routes copies a path for each", routes)
	}
}

// P23 (order of iteration): a list returns what was put in, in that order.
func TestListReturnsWhatWasAppended(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	for range 200 {
		var want []netip.Prefix
		var grown List
		for range r.IntN(40) {
			p := randomPrefix(r)
			want = append(want, p)
			grown.Append(p)
		}
		want = append(want, netip.MustParsePrefix("::ffff:10.0.0.0/104"), netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0"))
		for _, p := range want[len(want)-3:] {
			grown.Append(p)
		}
		made := NewList(want)
		for name, l := range map[string]*List{"grown": &grown, "made": &made} {
			if got := slices.Collect(l.All()); !slices.Equal(got, want) || l.Len() != len(want) {
				t.Fatalf("%s: %v, want %v", name, got, want)
			}
		}
	}
}

func BenchmarkLookup1000(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 1))
	e := New[int]().Edit()
	var addrs [1024]netip.Addr
	for i := range 1000 {
		a := netip.AddrFrom4([4]byte{10, byte(r.IntN(256)), byte(r.IntN(256)), 0})
		p, _ := a.Prefix(24)
		e.Insert(p, i)
	}
	for i := range addrs {
		addrs[i] = netip.AddrFrom4([4]byte{10, byte(r.IntN(256)), byte(r.IntN(256)), 7})
	}
	tab := e.Table()
	for i := range b.N {
		tab.Lookup(addrs[i&1023])
	}
}
