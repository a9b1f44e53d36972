package slab

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// Lists of all lengths and single values stay as they were made, whatever is made
// and appended later.
func TestValuesStayApart(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	var s Slab[int]
	var lists, want [][]int
	var ones []*int
	for i := range 5_000 {
		switch r.IntN(4) {
		case 0:
			v := s.One()
			if *v != 0 {
				t.Fatalf("value %d is %d, want zero", i, *v)
			}
			*v = -i
			ones = append(ones, v)
		default:
			n := r.IntN(8)
			if r.IntN(50) == 0 {
				n = r.IntN(3 * piece)
			}
			list := s.Begin()
			for range n {
				list = append(list, i)
			}
			list = s.Keep(list)
			lists = append(lists, list)
			want = append(want, slices.Repeat([]int{i}, n))
			_ = append(list, 7)
		}
	}
	for i := range lists {
		if !slices.Equal(lists[i], want[i]) {
			t.Fatalf("list %d is %v, want %v", i, lists[i], want[i])
		}
	}
	for i := 1; i < len(ones); i++ {
		if *ones[i] >= *ones[i-1] {
			t.Fatalf("value %d is %d after %d, want less", i, *ones[i], *ones[i-1])
		}
	}
}

func TestAllocatesInPieces(t *testing.T) {
	var s Slab[[4]int]
	if n := testing.AllocsPerRun(10*piece, func() {
		_ = s.One()
		_ = s.Keep(append(s.Begin(), [4]int{1}, [4]int{2}))
	}); n > 0 { // rounded down: less than one for each
		t.Errorf("%v allocations for each value and list, want fewer than one", n)
	}
}
