package device

import (
	"math/rand/v2"
	"testing"

	"github.com/warrenvpn/warren/key"
)

// The directory equals a map, also where hashes of keys collide all the time.
func TestDirectoryEqualsMap(t *testing.T) {
	hashes := map[string]func(key.Public) uint64{
		"real":      newDirectory().hash,
		"colliding": func(k key.Public) uint64 { return uint64(k[0] % 8) },
		"one":       func(key.Public) uint64 { return 7 },
	}
	for name, hash := range hashes {
		t.Run(name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, 2))
			d, want := newDirectory(), map[key.Public]*peer{}
			d.hash = hash
			for step := range 20_000 {
				k := key.Public{byte(r.IntN(64)), 5}
				switch p := want[k]; {
				case p == nil && r.IntN(2) == 0:
					p = &peer{public: k}
					want[k] = p
					d.add(p)
				case p != nil && r.IntN(2) == 0:
					delete(want, k)
					d.remove(p)
				}
				k = key.Public{byte(r.IntN(64)), 5}
				if got := d.get(k); got != want[k] || d.len() != len(want) {
					t.Fatalf("step %d: get = %p of %d, want %p of %d", step, got, d.len(), want[k], len(want))
				}
			}
		})
	}
}
