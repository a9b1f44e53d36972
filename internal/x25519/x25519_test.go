package x25519

import (
	"bytes"
	"crypto/ecdh"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/warrenvpn/warren/internal/vectors"
	"github.com/warrenvpn/warren/internal/vectors/wycheproof"
)

// eachKernel runs a test with each implementation in use.
func eachKernel(t *testing.T, test func(t *testing.T)) {
	was := *kernels.Get()
	for _, k := range kernels.All() {
		t.Run(k.Name, func(t *testing.T) {
			if err := kernels.Use(k.Name); err != nil {
				t.Fatal(err)
			}
			test(t)
		})
	}
	for _, k := range kernels.All() {
		if k.Value == was {
			kernels.Use(k.Name)
			break
		}
	}
}

// rounds is how often a test repeats what is random: less in a short run, which is
// also what emulated processors get.
func rounds(n int) int {
	if testing.Short() {
		return n / 8
	}
	return n
}

// everyPlace makes a product at each place of calls of each size, among other
// products, and returns an error if it is not what it is alone.
func everyPlace(result, scalar, point *[Size]byte) error {
	first := true
	for n := 1; n <= MaxProducts; n++ {
		for place := range n {
			got, err := among(n, place, scalar, point)
			if err != nil {
				return err
			}
			if first {
				*result, first = got, false
			}
			if got != *result {
				return fmt.Errorf("as number %d of %d: %x, alone %x", place, n, got, *result)
			}
		}
	}
	return nil
}

func among(n, place int, scalar, point *[Size]byte) (result [Size]byte, err error) {
	var products []Product
	for i := range n {
		products = append(products, Product{
			Scalar: &[Size]byte{byte(i), 0x55, 31: byte(n)}, Point: &[Size]byte{9, byte(i)}, Result: new([Size]byte),
		})
	}
	products[place] = Product{Scalar: scalar, Point: point, Result: &result}
	err = Multiply(products...)
	return result, err
}

// P03
func TestRFC7748(t *testing.T) {
	eachKernel(t, func(t *testing.T) {
		for _, v := range vectors.X25519s() {
			var got [Size]byte
			if err := everyPlace(&got, (*[Size]byte)(v.Scalar), (*[Size]byte)(v.Point)); err != nil || !bytes.Equal(got[:], v.Want) {
				t.Errorf("%s: got %x, %v; want %x", v.Name, got, err, v.Want)
			}
		}
	})
}

// P03
func TestIterated(t *testing.T) { iterate(t, 1_000) }

// iterate makes n iterations of RFC 7748, section 5.2, and compares at every point
// for which the RFC gives a value.
func iterate(t *testing.T, n int) {
	eachKernel(t, func(t *testing.T) {
		want := vectors.X25519Iterated()
		k, u := basePoint, basePoint
		for i := 1; i <= n; i++ {
			var next [Size]byte
			if err := Multiply(Product{Scalar: &k, Point: &u, Result: &next}); err != nil {
				t.Fatal(err)
			}
			k, u = next, k
			if w, ok := want[i]; ok && !bytes.Equal(k[:], w) {
				t.Fatalf("after %d iterations: %x, want %x", i, k, w)
			}
		}
		if want[n] == nil {
			t.Fatalf("no known value after %d iterations", n)
		}
	})
}

// P03, P10
func TestWycheproof(t *testing.T) {
	tests := wycheproof.X25519s()
	if len(tests) < 500 {
		t.Fatalf("only %d tests found", len(tests))
	}
	eachKernel(t, func(t *testing.T) {
		for i, v := range tests {
			got, err := among(1+i%MaxProducts, i%(1+i%MaxProducts), v.Private.Array(), (*[Size]byte)(v.Public))
			if bytes.Equal(v.Shared, make([]byte, Size)) {
				if !errors.Is(err, ErrLowOrder) {
					t.Errorf("test %d (%s): an all-zero result gives %v, want ErrLowOrder", v.ID, v.Comment, err)
				}
				continue
			}
			if err != nil || !bytes.Equal(got[:], v.Shared) {
				t.Errorf("test %d (%s): got %x, %v; want %x", v.ID, v.Comment, got, err, v.Shared)
			}
		}
	})
}

// P10, B34: one point of low order, wherever it is, and the whole call fails.
func TestLowOrderWritesNothing(t *testing.T) {
	eachKernel(t, func(t *testing.T) {
		for _, point := range vectors.LowOrder() {
			for n := 1; n <= MaxProducts; n++ {
				for bad := range n {
					var products []Product
					for i := range n {
						products = append(products, Product{Scalar: &[Size]byte{1, 2, 3}, Result: &[Size]byte{0xaa}})
						if i == bad {
							products[i].Point = &point
						}
					}
					if err := Multiply(products...); !errors.Is(err, ErrLowOrder) {
						t.Errorf("point %x as number %d of %d: err = %v, want ErrLowOrder", point, bad, n, err)
					}
					for i, p := range products {
						if *p.Result != ([Size]byte{0xaa}) {
							t.Errorf("point %x as number %d of %d: result %d was written", point, bad, n, i)
						}
					}
					ok := MultiplyEach(products...)
					for i, p := range products {
						if written := *p.Result != ([Size]byte{0xaa}); written != (i != bad) || ok[i] != written {
							t.Errorf("point %x as number %d of %d, each for itself: result %d written: %v, ok: %v", point, bad, n, i, written, ok[i])
						}
					}
				}
			}
		}
	})
}

// peculiar are the points and scalars of which an implementation may be wrong:
// around 0, 2^51 and other limbs, p and 2^255, with and without the highest bit.
func peculiar() [][Size]byte {
	all := vectors.LowOrder()
	for _, high := range []byte{0, 0x80} {
		for n := range byte(24) {
			all = append(all, [Size]byte{0: n, 31: high})
			top := [Size]byte(bytes.Repeat([]byte{0xff}, Size)) // 2^255 - 1 - n
			top[0] -= n
			top[31] = 0x7f | high
			all = append(all, top)
		}
		for bit := range 8 * Size {
			var power, below [Size]byte
			power[bit/8] = 1 << (bit % 8)
			for i := range bit {
				below[i/8] |= 1 << (i % 8)
			}
			power[31] |= high
			below[31] |= high
			all = append(all, power, below)
		}
	}
	return all
}

// sameAsLibrary compares products, made in one call, with what crypto/ecdh makes.
func sameAsLibrary(t *testing.T, scalars, points [][Size]byte) {
	t.Helper()
	var products []Product
	var wants [][]byte
	for i := range scalars {
		private, err := ecdh.X25519().NewPrivateKey(scalars[i][:])
		if err != nil {
			t.Fatal(err)
		}
		public, err := ecdh.X25519().NewPublicKey(points[i][:])
		if err != nil {
			t.Fatal(err)
		}
		want, err := private.ECDH(public)
		if err != nil { // of low order
			if err := Multiply(Product{&scalars[i], &points[i], new([Size]byte)}); !errors.Is(err, ErrLowOrder) {
				t.Errorf("scalar %x, point %x: %v, want ErrLowOrder", scalars[i], points[i], err)
			}
			continue
		}
		wants = append(wants, want)
		products = append(products, Product{Scalar: &scalars[i], Point: &points[i], Result: new([Size]byte)})
	}
	if err := Multiply(products...); err != nil {
		t.Error(err)
	}
	for i, p := range products {
		if !bytes.Equal(p.Result[:], wants[i]) {
			t.Errorf("number %d of %d, scalar %x, point %x: got %x, want %x", i, len(products), *p.Scalar, *p.Point, *p.Result, wants[i])
		}
	}
}

func TestPeculiarPointsAndScalars(t *testing.T) {
	all := peculiar()
	eachKernel(t, func(t *testing.T) {
		for i := range rounds(len(all)) {
			n := 1 + i%MaxProducts
			var scalars, points [][Size]byte
			for j := range n {
				scalars = append(scalars, all[(11*i+j)%len(all)])
				points = append(points, all[(5*i+j)%len(all)]) // 5 and 11 share no factor with their number
			}
			sameAsLibrary(t, scalars, points)
		}
	})
}

func TestRandomPointsAndScalars(t *testing.T) {
	const seed = 1
	eachKernel(t, func(t *testing.T) {
		r := rand.NewChaCha8([32]byte{seed})
		for i := range rounds(2_000) {
			n := 1 + i%MaxProducts
			scalars, points := make([][Size]byte, n), make([][Size]byte, n)
			for j := range n {
				r.Read(scalars[j][:])
				r.Read(points[j][:])
			}
			if sameAsLibrary(t, scalars, points); t.Failed() {
				t.Fatalf("seed %d, round %d", seed, i)
			}
		}
	})
}

func FuzzMultiply(f *testing.F) {
	f.Add(bytes.Repeat([]byte{0xff}, 2*Size*MaxProducts))
	f.Add(make([]byte, 2*Size))
	f.Fuzz(func(t *testing.T, b []byte) {
		var scalars, points [][Size]byte
		for len(b) >= 2*Size && len(scalars) < MaxProducts {
			scalars = append(scalars, [Size]byte(b))
			points = append(points, [Size]byte(b[Size:]))
			b = b[2*Size:]
		}
		eachKernel(t, func(t *testing.T) { sameAsLibrary(t, scalars, points) })
	})
}

// The base point by its own way, as no point and as a point.
func TestBase(t *testing.T) {
	const seed = 2
	eachKernel(t, func(t *testing.T) {
		r := rand.NewChaCha8([32]byte{seed})
		scalars := peculiar()
		r2 := rand.New(r)
		r2.Shuffle(len(scalars), func(i, j int) { scalars[i], scalars[j] = scalars[j], scalars[i] })
		scalars = scalars[:rounds(len(scalars))]
		for range rounds(1_000) {
			var s [Size]byte
			r.Read(s[:])
			scalars = append(scalars, s)
		}
		for _, s := range scalars {
			private, err := ecdh.X25519().NewPrivateKey(s[:])
			if err != nil {
				t.Fatal(err)
			}
			want := [Size]byte(private.PublicKey().Bytes())
			var got, none, nine [Size]byte
			Base(&got, &s)
			if err := Multiply(Product{Scalar: &s, Result: &none}, Product{Scalar: &s, Point: &basePoint, Result: &nine}); err != nil {
				t.Fatal(err)
			}
			if got != want || none != want || nine != want {
				t.Fatalf("seed %d, scalar %x: %x, %x and %x, want %x", seed, s, got, none, nine, want)
			}
		}
	})
}

// Factors may be overwritten, be the same and hold results of others, and what
// is not a result is left alone.
func TestResultsOverFactors(t *testing.T) {
	eachKernel(t, func(t *testing.T) {
		s, u := [Size]byte{1, 2, 3}, [Size]byte{9}
		var alone, want2 [Size]byte
		if err := errors.Join(Multiply(Product{&s, &u, &alone}), Multiply(Product{&u, &s, &want2})); err != nil {
			t.Fatal(err)
		}
		a, b, same := s, u, s
		if err := Multiply(Product{&a, &b, &b}, Product{&b, &a, &a}, Product{&same, nil, &same}); err != nil {
			t.Fatal(err)
		}
		if b != alone || a != want2 || same != alone {
			t.Errorf("over their factors: %x, %x and %x; want %x, %x and %x", b, a, same, alone, want2, alone)
		}
		if Base(&s, &s); s != alone {
			t.Errorf("Base over its scalar: %x, want %x", s, alone)
		}
	})
}

func TestTooManyProductsPanic(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	MultiplyEach(make([]Product, MaxProducts+1)...)
}

func TestMultiplyDoesNotAllocate(t *testing.T) {
	eachKernel(t, func(t *testing.T) {
		if n := testing.AllocsPerRun(20, func() {
			var s, u, a, b, c [Size]byte
			s[0], u[0] = 8, 9
			if Multiply(Product{&s, &u, &a}, Product{&s, nil, &b}, Product{&s, &u, &c}) != nil || a != b || a != c {
				t.Error("wrong product")
			}
			Base(&a, &s)
		}); n != 0 {
			t.Errorf("allocations = %v, want 0", n)
		}
	})
}

// BenchmarkMultiply measures one product, as a responder makes for es, to four in
// a call, beside the library's with its keys kept.
func BenchmarkMultiply(b *testing.B) {
	var s, u [Size]byte
	s[0], u[0] = 8, 9
	for n := 1; n <= MaxProducts; n++ {
		for _, k := range kernels.All() {
			b.Run(fmt.Sprintf("%d/%s", n, k.Name), func(b *testing.B) {
				var results [MaxProducts][Size]byte
				products := make([]Product, n)
				for i := range products {
					products[i] = Product{&s, &u, new([Size]byte)}
				}
				for b.Loop() {
					k.Value.multiply(&results, products)
				}
			})
		}
		b.Run(fmt.Sprintf("%d/crypto_ecdh", n), func(b *testing.B) {
			private, _ := ecdh.X25519().NewPrivateKey(s[:])
			public, _ := ecdh.X25519().NewPublicKey(u[:])
			for b.Loop() {
				for range n {
					if _, err := private.ECDH(public); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}

func BenchmarkBase(b *testing.B) {
	for _, k := range kernels.All() {
		b.Run(k.Name, func(b *testing.B) {
			s := [Size]byte{8}
			for b.Loop() {
				k.Value.base(&s, &s)
			}
		})
	}
}
