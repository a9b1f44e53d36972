package ippkt

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// kernelNames returns the names of the kernels that can run here.
func kernelNames() (names []string) {
	for _, k := range kernels.All() {
		names = append(names, k.Name)
	}
	return names
}

// use switches over to a kernel until the test is done.
func use(tb testing.TB, name string) {
	tb.Helper()
	was := *kernels.Get()
	if err := kernels.Use(name); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		for _, k := range kernels.All() {
			if k.Value == was {
				_ = kernels.Use(k.Name)
			}
		}
	})
}

// eachKernel runs f with every kernel in use.
func eachKernel(t *testing.T, f func(t *testing.T)) {
	for _, name := range kernelNames() {
		t.Run(name, func(t *testing.T) {
			use(t, name)
			f(t)
		})
	}
}

// checkSums sums and copies src with the kernel in use, to a place at offset.
func checkSums(t *testing.T, src []byte, offset int) {
	t.Helper()
	want := naiveSum(src)
	if got := Sum(src).Fold(); got != want {
		t.Fatalf("sum of %d bytes = %#x, want %#x", len(src), got, want)
	}
	room := bytes.Repeat([]byte{0xdb}, offset+len(src)+64)
	if got := CopySum(room[offset:], src).Fold(); got != want {
		t.Fatalf("sum of %d bytes copied to offset %d = %#x, want %#x", len(src), offset, got, want)
	}
	if !bytes.Equal(room[offset:offset+len(src)], src) {
		t.Fatalf("copy of %d bytes to offset %d is wrong", len(src), offset)
	}
	clear(room[offset : offset+len(src)])
	if bytes.Count(room, []byte{0xdb}) != len(room)-len(src) {
		t.Fatalf("copy of %d bytes to offset %d wrote beside it", len(src), offset)
	}
}

// fillOften fills b with ones now and then, since these carry most.
func fillOften(r *rand.Rand, b []byte) {
	fill(r, b)
	if r.IntN(8) == 0 {
		for i := range b {
			b[i] = 0xff
		}
	}
}

func TestEveryLengthAndAlignment(t *testing.T) {
	eachKernel(t, func(t *testing.T) {
		r := random(t)
		memory := make([]byte, 2200+64)
		for n := range 2201 {
			for _, shift := range []int{0, 1, 2, 7, 8, 15, 31, 33, 62} {
				src := memory[shift : shift+n]
				fillOften(r, src)
				checkSums(t, src, r.IntN(64))
			}
		}
	})
}

// Whole super-packets, and what is too long for kernels.
func TestGreatLengths(t *testing.T) {
	eachKernel(t, func(t *testing.T) {
		r := random(t)
		memory := make([]byte, 2*kernelLimit)
		for _, n := range []int{65000, 65535, 65575, kernelLimit - 1, kernelLimit, kernelLimit + 1, 2 * kernelLimit} {
			for range 4 {
				fillOften(r, memory[:n])
				checkSums(t, memory[:n], r.IntN(64))
			}
		}
	})
}

// One byte alone shows at which offsets bytes count twice or not at all.
func TestEveryByteCountsOnce(t *testing.T) {
	eachKernel(t, func(t *testing.T) {
		for n := range 600 {
			src, dst := make([]byte, n), make([]byte, n)
			for i := range src {
				src[i] = 1
				want := uint16(0x0100)
				if i%2 == 1 {
					want = 1
				}
				if got := Sum(src).Fold(); got != want {
					t.Fatalf("byte %d of %d: sum = %#x, want %#x", i, n, got, want)
				}
				if got := CopySum(dst, src).Fold(); got != want {
					t.Fatalf("byte %d of %d: sum of the copy = %#x, want %#x", i, n, got, want)
				}
				src[i] = 0
			}
		}
	})
}

func TestKernelsDoNotAllocate(t *testing.T) {
	eachKernel(t, func(t *testing.T) {
		allocs := testing.AllocsPerRun(100, func() {
			var src, dst [1500]byte // on the stack as long as nothing lets them escape
			src[0] = byte(Sum(dst[:]))
			CopySum(dst[:], src[:])
		})
		if allocs != 0 {
			t.Errorf("%v allocations, want none", allocs)
		}
	})
}

func FuzzSum(f *testing.F) {
	f.Add([]byte{}, uint8(0))
	f.Add(bytes.Repeat([]byte{0xff}, 127), uint8(1))
	f.Add(bytes.Repeat([]byte{0xff}, 129), uint8(2))
	f.Add(bytes.Repeat([]byte{0, 0xff, 0x80}, 500), uint8(63))
	f.Fuzz(func(t *testing.T, b []byte, offset uint8) {
		// Repeated, small inputs reach the kernels too.
		b = bytes.Repeat(b, 1+int(offset>>6))
		for _, name := range kernelNames() {
			use(t, name)
			checkSums(t, b, int(offset&63))
		}
	})
}
