//go:build !purego

package x25519

import (
	"math/big"
	"math/rand/v2"
	"testing"
)

var prime = new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 255), big.NewInt(19))

// value is the number in a lane of an element.
func value(e *element, lane int) *big.Int {
	v := new(big.Int)
	for i := limbs - 1; i >= 0; i-- {
		v.Lsh(v, limbBits).Add(v, new(big.Int).SetUint64(e[i][lane]))
	}
	return v
}

// mod returns the value of an expression modulo p.
func mod(v *big.Int) *big.Int    { return v.Mod(v, prime) }
func add(a, b *big.Int) *big.Int { return mod(new(big.Int).Add(a, b)) }
func sub(a, b *big.Int) *big.Int { return mod(new(big.Int).Sub(a, b)) }
func mul(a, b *big.Int) *big.Int { return mod(new(big.Int).Mul(a, b)) }

// extreme fills limbs with the values at the ends of what they may be, and others.
func extreme(r *rand.Rand, most uint64) uint64 {
	switch r.IntN(4) {
	case 0:
		return most
	case 1:
		return 0
	case 2:
		return r.Uint64N(2)<<limbBits | limbMask
	default:
		return r.Uint64N(most + 1)
	}
}

// The coordinates after a step have limbs up to these, which the comment in the
// generator derives.
const (
	mostSum        = 1<<60 + 1<<58
	mostDifference = 1<<59 - 1
)

// TestStepWithExtremeLimbs makes single steps from coordinates whose limbs are as
// large as they can be, which no scalar and point that anybody knows would reach,
// and compares with RFC 7748 in big numbers.
func TestStepWithExtremeLimbs(t *testing.T) {
	if !wideUsable {
		t.Log("this processor has no AVX-512 IFMA: there is nothing to test")
		return
	}
	const seed = 3
	r := rand.New(rand.NewPCG(seed, 0))
	for round := range rounds(20_000) {
		var m memory
		s := m.scratch()
		pairs := 1 + round%2
		for i := range pairs {
			fill(r, &s.pairs[i])
		}
		before := s.pairs
		if pairs == 2 {
			ladderTwo(&s.pairs[0], 1, 1)
		} else {
			ladderOne(&s.pairs[0], 1, 1)
		}
		for i := range pairs {
			for lane := 0; lane < 8; lane += 4 {
				if !sameStep(t, &before[i], &s.pairs[i], lane) {
					t.Fatalf("seed %d, round %d, pair %d, lane %d: wrong", seed, round, i, lane)
				}
			}
		}
	}
}

func fill(r *rand.Rand, p *pair) {
	for i := range limbs {
		for lane := range 8 {
			p.coordinates[i][lane] = extreme(r, mostSum)
			if lane%2 == 1 {
				p.coordinates[i][lane] = extreme(r, mostDifference)
			}
		}
		for lane := 0; lane < 8; lane += 4 {
			p.constants[i][lane+3] = extreme(r, limbMask)
		}
	}
	for lane := 0; lane < 8; lane += 4 {
		p.constants[0][lane+1] = 486662
		p.swaps(lane, 1, r.Uint64())
	}
}

func sameStep(t *testing.T, before, after *pair, lane int) bool {
	x1 := value(&before.constants, lane+3)
	x2, z2 := value(&before.coordinates, lane), value(&before.coordinates, lane+1)
	x3, z3 := value(&before.coordinates, lane+2), value(&before.coordinates, lane+3)
	if before.scalars[1][lane]>>63 == 1 {
		x2, z2, x3, z3 = x3, z3, x2, z2
	}
	a, b, c, d := add(x2, z2), sub(x2, z2), add(x3, z3), sub(x3, z3)
	aa, bb, da, cb := mul(a, a), mul(b, b), mul(d, a), mul(c, b)
	e := sub(aa, bb)
	four := big.NewInt(4)
	want := [4]*big.Int{
		mul(four, mul(aa, bb)),
		mul(four, mul(e, add(aa, mul(big.NewInt(121665), e)))),
		mul(add(da, cb), add(da, cb)),
		mul(x1, mul(sub(da, cb), sub(da, cb))),
	}
	for i, w := range want {
		if got := mod(value(&after.coordinates, lane+i)); got.Cmp(w) != 0 {
			t.Errorf("coordinate %d = %x, want %x", i, got, w)
			return false
		}
		for limb := range limbs {
			most := uint64(mostSum)
			if i%2 == 1 {
				most = mostDifference
			}
			if l := after.coordinates[limb][lane+i]; l > most {
				t.Errorf("coordinate %d has a limb of %#x, want no more than %#x", i, l, most)
				return false
			}
		}
	}
	return true
}

func TestQuotientOfExtremeLimbs(t *testing.T) {
	if !wideUsable {
		t.Log("this processor has no AVX-512 IFMA: there is nothing to test")
		return
	}
	const seed = 4
	r := rand.New(rand.NewPCG(seed, 0))
	for round := range rounds(2_000) {
		var m memory
		f := &m.scratch().fraction
		for i := range limbs {
			for lane := range 8 {
				f.numerator[i][lane] = extreme(r, mostSum)
				f.denominator[i][lane] = extreme(r, mostSum)
				if lane == round%8 {
					f.denominator[i][lane] = 0
				}
			}
		}
		before := *f
		quotient(f)
		for lane := range 8 {
			want := new(big.Int)
			if d := mod(value(&before.denominator, lane)); d.Sign() != 0 {
				want = mul(value(&before.numerator, lane), new(big.Int).ModInverse(d, prime))
			}
			var got [Size]byte
			f.numerator.bytes(lane, &got)
			if bigOf(&got).Cmp(want) != 0 {
				t.Fatalf("seed %d, round %d, lane %d: %x / %x = %x, want %x", seed, round, lane,
					value(&before.numerator, lane), value(&before.denominator, lane), bigOf(&got), want)
			}
		}
	}
}

// bytes writes the one number below p, for all limbs that are tight.
func TestBytesAreReduced(t *testing.T) {
	const seed = 5
	r := rand.New(rand.NewPCG(seed, 0))
	check := func(e *element) {
		t.Helper()
		var got [Size]byte
		e.bytes(3, &got)
		if want := mod(value(e, 3)); bigOf(&got).Cmp(want) != 0 {
			t.Fatalf("seed %d: %x gives %x, want %x", seed, value(e, 3), bigOf(&got), want)
		}
	}
	for range rounds(100_000) {
		var e element
		for i := range limbs {
			e[i][3] = extreme(r, 1<<limbBits+1<<18)
		}
		check(&e)
	}
	for n := range uint64(40) { // around p, and as large as tight limbs can be
		for _, top := range []uint64{limbMask, limbMask + 1<<18} {
			var e element
			for i := range limbs {
				e[i][3] = limbMask
			}
			e[0][3], e[4][3] = limbMask-n, top
			check(&e)
		}
	}
}

func bigOf(b *[Size]byte) *big.Int {
	v := new(big.Int)
	for i := Size - 1; i >= 0; i-- {
		v.Lsh(v, 8).Or(v, big.NewInt(int64(b[i])))
	}
	return v
}

// The memory that held scalars, coordinates and products is zero after a call.
func TestScratchIsWiped(t *testing.T) {
	if !wideUsable {
		t.Log("this processor has no AVX-512 IFMA: there is nothing to test")
		return
	}
	s, u := [Size]byte{1, 2, 3}, [Size]byte{9}
	for n := 1; n <= MaxProducts; n++ {
		var m memory
		var results [MaxProducts][Size]byte
		m.multiply(&results, []Product{{&s, &u, &u}, {&s, &u, &u}, {&s, &u, &u}, {&s, &u, &u}}[:n])
		if results[n-1] == ([Size]byte{}) {
			t.Fatal("no product")
		}
		if m != (memory{}) {
			t.Errorf("%d products: something is left in the memory of the call", n)
		}
	}
}
