package device

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/warrenvpn/warren/internal/mono"
)

func TestDeadlinesEqualSortedList(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	var d deadlines
	peers := make([]*peer, 200)
	for i := range peers {
		peers[i] = new(peer)
	}
	for range 20_000 {
		p := peers[r.IntN(len(peers))]
		d.set(p, mono.Time(r.IntN(1000))*mono.Time(r.IntN(4))/2)
		var want []mono.Time
		for _, p := range peers {
			if p.deadline != 0 {
				want = append(want, p.deadline)
			}
		}
		if len(want) != len(d.heap) {
			t.Fatalf("%d entries, want %d", len(d.heap), len(want))
		}
		earliest := mono.Time(0)
		if len(want) > 0 {
			earliest = slices.Min(want)
		}
		if d.next() != earliest {
			t.Fatalf("next = %d, want %d", d.next(), earliest)
		}
		if p := d.due(earliest); earliest != 0 && (p == nil || p.deadline != earliest) {
			t.Fatalf("due(%d) = %v", earliest, p)
		}
	}
}
