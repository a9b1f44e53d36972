//go:build !purego

package aead

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"testing"
	"unsafe"

	"github.com/warrenvpn/warren/internal/impl"
)

// eachEngine runs f for the engines of this processor, which leave nothing to
// x/crypto.
func eachEngine(t *testing.T, f func(t *testing.T, e *engine)) {
	for _, tc := range []struct {
		of     impl.Implementation[kernel]
		engine *engine
	}{{avx512, engineAVX512}, {avx2, engineAVX2}} {
		if tc.of.Usable {
			e := *tc.engine
			e.leave = func([][]byte) int { return 0 }
			t.Run(tc.of.Name, func(t *testing.T) { f(t, &e) })
		}
	}
}

// Numbers of messages and lengths that would be left to x/crypto.
func TestEnginesEqualReference(t *testing.T) {
	rnd := seeded(t, 31)
	eachEngine(t, func(t *testing.T, e *engine) {
		k := &kernel{seal: e.seal, open: e.open}
		for n := 0; n <= 2200; n++ {
			check(t, k, rnd, newArena([]int{n}, n%61, 0))
			if n%5 == 0 || n < 300 {
				check(t, k, rnd, newArena([]int{n, n / 2}, n%59, 0), n%2)
				check(t, k, rnd, newArena([]int{n, n, 2200 - n, n, n + 1}, n%53, 1), n%5)
			}
		}
		check(t, k, rnd, newArena([]int{150_000}, 1, 1))
		check(t, k, rnd, newArena([]int{1, 50_000, 0, 100_000, 17}, 1, 1), 1)
	})
}

// Keys and texts that no counter leads to, with every number of messages that
// share the lanes in another way.
func TestEnginesPoly1305Extremes(t *testing.T) {
	eachEngine(t, func(t *testing.T, e *engine) {
		var s scratch
		v := s.prepare(e)
		extremes(t, func(name string, oneTime *[32]byte, byteAt func(int) byte) {
			for _, messages := range []int{1, 2, 3, 4, 5, 8} {
				for _, n := range []int{0, 15, 16, 17, 64, 511, 512, 700, 1420, 2048} {
					var all [][]byte
					for i := range messages {
						m := make([]byte, n-n*i/7/messages+Overhead)
						for j := range m {
							m[j] = byteAt(j)
						}
						all = append(all, m)
						for w := range 4 {
							v.wide.keys[0][w][i] = binary.LittleEndian.Uint64(oneTime[8*w:])
						}
					}
					e.authenticate(v, all, 0)
					for i, m := range all {
						low, high := v.wide.tag(i)
						got := binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, low), high)
						if want := authenticate(oneTime, m[:len(m)-Overhead]); !bytes.Equal(got, want[:]) {
							t.Fatalf("%s, message %d of %d, %d bytes: %x, want %x", name, i, messages, len(m)-Overhead, got, want)
						}
					}
				}
			}
		})
	})
}

// Accumulators around p in the end, with every number of messages that share the
// lanes in another way.
func TestEnginesPoly1305AroundThePrime(t *testing.T) {
	rnd := seeded(t, 32)
	eachEngine(t, func(t *testing.T, e *engine) {
		var s scratch
		v := s.prepare(e)
		for _, oneTime := range oneTimes(rnd) {
			for _, target := range targets() {
				for _, messages := range []int{1, 2, 3, 8} {
					all := make([][]byte, messages)
					for i := range all {
						all[i] = make([]byte, []int{32, 48, 64, 80, 96, 592, 608, 624}[rnd.Uint64()%8]+Overhead)
						aimed(rnd, &oneTime, all[i][:len(all[i])-Overhead], target)
						for w := range 4 {
							v.wide.keys[0][w][i] = binary.LittleEndian.Uint64(oneTime[8*w:])
						}
					}
					e.authenticate(v, all, 0)
					for i, m := range all {
						low, high := v.wide.tag(i)
						got := binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, low), high)
						if want := authenticate(&oneTime, m[:len(m)-Overhead]); !bytes.Equal(got, want[:]) {
							t.Fatalf("key %x, h = %x, message %d of %d, %d bytes: %x, want %x", oneTime, target, i, messages, len(m)-Overhead, got, want)
						}
					}
				}
			}
		}
	})
}

// Nothing secret and no message stays in the memory of a run.
func TestEnginesEraseTheirMemory(t *testing.T) {
	k := New(&[32]byte{3})
	eachEngine(t, func(t *testing.T, e *engine) {
		for _, shape := range [][2]int{{1, 0}, {1, 700}, {1, 3000}, {2, 0}, {3, 80}, {9, 1420}, {45, 80}, {70, 200}, {130, 40}} {
			r := newRun(shape[0], shape[1])
			for _, call := range []func(*Key, *Run){e.seal, e.open, e.open} { // the second time all are forged
				call(k, r)
				v := r.scratch.packer
				w := *v.wide
				if v.n != 0 || v.lanes != 0 {
					t.Fatalf("%v: %d segments with %d lanes are left", shape, v.n, v.lanes)
				}
				for _, row := range []int{rowOffset, rowLength, rowEnds, rowStride} {
					w.poly[row] = [8]uint64{} // lengths are no secret
				}
				if w != (wide{}) {
					t.Errorf("%v: secrets are left", shape)
				}
				if v.segments != [laneCount]segment{} || v.texts != [groupSize]*byte{} {
					t.Errorf("%v: pointers to messages are left", shape)
				}
			}
		}
	})
}

// What a call was about when it panicked is not gone on with by the next.
func TestEnginesForgetACallThatPanicked(t *testing.T) {
	key := [32]byte{13}
	k := New(&key)
	eachEngine(t, func(t *testing.T, e *engine) {
		r := newRun(5, 100)
		all := r.Counters
		r.Counters = all[:3]
		if !panics(func() { e.seal(k, r) }) {
			t.Fatal("no panic without a counter")
		}
		r.Counters = all
		var want [][]byte
		for i, m := range r.Messages {
			want = append(want, reference(t, &key, r.Counters[i], m[:len(m)-Overhead]))
		}
		if e.seal(k, r); !slices.EqualFunc(r.Messages, want, bytes.Equal) {
			t.Errorf("sealed to %x, want %x", r.Messages, want)
		}
	})
}

// The generators have the layout of segments and of the memory in numbers.
func TestLayoutIsTheGenerators(t *testing.T) {
	segments := map[string]uintptr{
		"SegmentCounter": unsafe.Offsetof(segment{}.counter),
		"SegmentBlock":   unsafe.Offsetof(segment{}.block),
		"SegmentLanes":   unsafe.Offsetof(segment{}.lanes),
		"SegmentText":    unsafe.Offsetof(segment{}.text),
		"SegmentLength":  unsafe.Offsetof(segment{}.length),
		"SegmentOneTime": unsafe.Offsetof(segment{}.oneTime),
		"SegmentSize":    unsafe.Sizeof(segment{}),
	}
	for name, constants := range map[string]map[string]uintptr{
		"layout": segments,
		"avx512": {
			"rowOffset": rowOffset, "rowLength": rowLength, "rowEnds": rowEnds, "rowStride": rowStride,
			"rowTag": rowTag, "rowLast": rowLast, "rows": polyRows,
		},
		"avx2": {"narrowHigh": narrowHigh, "narrowH": narrowH, "narrowRows": narrowRows},
	} {
		source := generator(t, name)
		for constant, want := range constants {
			checkConstant(t, source, constant, want)
		}
	}
}

// generator returns the source of a generator.
func generator(t *testing.T, name string) (source []byte) {
	files, err := filepath.Glob(filepath.Join("_asm", name, "*.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no generator of %s: %v", name, err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		source = append(source, b...)
	}
	return source
}

// checkConstant compares a constant of a generator.
func checkConstant(t *testing.T, source []byte, name string, want uintptr) {
	t.Helper()
	m := regexp.MustCompile(`(?m)^\t` + name + ` += (\d+)\b`).FindSubmatch(source)
	if m == nil {
		t.Errorf("the generator has no constant %s", name)
		return
	}
	if got, _ := strconv.Atoi(string(m[1])); got != int(want) {
		t.Errorf("%s = %d in the generator, want %d", name, got, want)
	}
}
