package aead

import (
	"fmt"
	"testing"
)

var benchmarkShapes = []struct{ messages, size int }{
	{45, 1420}, {8, 1420}, {3, 1420}, {1, 1420}, {45, 80}, {8, 80}, {1, 80}, {1, 0},
}

// BenchmarkSealRun measures each kernel: the same messages are sealed again and
// again.
func BenchmarkSealRun(b *testing.B) {
	eachShape(b, func(b *testing.B, k *kernel, key *Key, r *Run) {
		for b.Loop() {
			k.seal(key, r)
		}
	})
}

// BenchmarkOpenRun opens authentic messages, which opening destroys: a sealed
// copy is copied in each time. BenchmarkCopyIn is what that costs.
func BenchmarkOpenRun(b *testing.B) {
	eachShape(b, func(b *testing.B, k *kernel, key *Key, r *Run) {
		k.seal(key, r)
		sealed := clone(r)
		for b.Loop() {
			copyIn(r, sealed)
			k.open(key, r)
		}
		for i, ok := range r.OK {
			if !ok {
				b.Fatalf("message %d is not authentic", i)
			}
		}
	})
}

func BenchmarkCopyIn(b *testing.B) {
	for _, shape := range benchmarkShapes {
		b.Run(fmt.Sprintf("%dx%d", shape.messages, shape.size), func(b *testing.B) {
			r := newRun(shape.messages, shape.size)
			sealed := clone(r)
			b.SetBytes(int64(shape.messages * shape.size))
			for b.Loop() {
				copyIn(r, sealed)
			}
		})
	}
}

// BenchmarkForgedRun opens messages none of which is authentic.
func BenchmarkForgedRun(b *testing.B) {
	eachShape(b, func(b *testing.B, k *kernel, key *Key, r *Run) {
		for b.Loop() {
			k.open(key, r)
		}
	})
}

func eachShape(b *testing.B, f func(*testing.B, *kernel, *Key, *Run)) {
	for _, shape := range benchmarkShapes {
		for _, k := range kernels.All() {
			b.Run(fmt.Sprintf("%dx%d/%s", shape.messages, shape.size, k.Name), func(b *testing.B) {
				b.SetBytes(int64(shape.messages * shape.size))
				f(b, &k.Value, New(&[32]byte{1}), newRun(shape.messages, shape.size))
			})
		}
	}
}

// newRun returns a run of zero messages that lie as in a datagram of segments.
func newRun(messages, size int) *Run {
	r := &Run{OK: make([]bool, messages)}
	const header = 16
	buf := make([]byte, messages*(header+size+Overhead))
	for i := range messages {
		r.Add(buf[i*(header+size+Overhead):][header:][:size+Overhead], uint64(i))
	}
	return r
}

func clone(r *Run) (messages [][]byte) {
	for _, m := range r.Messages {
		messages = append(messages, append([]byte(nil), m...))
	}
	return messages
}

func copyIn(r *Run, messages [][]byte) {
	for i, m := range messages {
		copy(r.Messages[i], m)
	}
}

// BenchmarkSealCold takes its messages from more memory than the caches of a
// core hold.
func BenchmarkSealCold(b *testing.B) {
	const runs, messages, size = 256, 45, 1420
	var cold [runs]*Run
	for i := range cold {
		cold[i] = newRun(messages, size)
	}
	key := New(&[32]byte{1})
	for _, k := range kernels.All() {
		b.Run(k.Name, func(b *testing.B) {
			b.SetBytes(messages * size)
			for i := 0; b.Loop(); i++ {
				k.Value.seal(key, cold[i%runs])
			}
		})
	}
}
