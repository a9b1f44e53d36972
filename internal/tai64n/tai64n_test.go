package tai64n

import (
	"bytes"
	"encoding/hex"
	"math/rand/v2"
	"testing"
	"time"
)

func TestKnownLabels(t *testing.T) {
	for _, c := range []struct {
		sec, nsec int64
		want      string
	}{
		{0, 0, "400000000000000a" + "00000000"},
		{1, 0, "400000000000000b" + "00000000"},
		{-10, 0, "4000000000000000" + "00000000"},
		{-11, 0, "3fffffffffffffff" + "00000000"},
		{1_700_000_000, 0, "400000006553f10a" + "00000000"},
		{1_700_000_000, 16_777_215, "400000006553f10a" + "00000000"},
		{1_700_000_000, 16_777_216, "400000006553f10a" + "01000000"},
		{1_700_000_000, 999_999_999, "400000006553f10a" + "3b000000"},
		{1_700_000_000, 1_000_000_000, "400000006553f10b" + "00000000"},
		{1_700_000_000, -1, "400000006553f109" + "3b000000"},
		{1_700_000_000, -1_000_000_000, "400000006553f109" + "00000000"},
		{1 << 40, 0, "400001000000000a" + "00000000"},
	} {
		if s := FromTime(c.sec, c.nsec); hex.EncodeToString(s[:]) != c.want {
			t.Errorf("FromTime(%d, %d) = %x, want %s", c.sec, c.nsec, s, c.want)
		}
	}
}

// [W] 5.4: a timestamp is twelve bytes, of which the first eight are the seconds
// and the last four the nanoseconds, all big-endian, so that bytes compare as time.
func TestPaper54TimestampComparesAsBytes(t *testing.T) {
	const seed = 1
	r := rand.New(rand.NewPCG(seed, 0))
	for range 10_000 {
		a, an := r.Int64N(1<<40)-1<<20, r.Int64N(second)
		b, bn := a+r.Int64N(3)-1, r.Int64N(second)
		x, y := FromTime(a, an), FromTime(b, bn)
		later := a > b || a == b && an/step > bn/step
		if x.After(y) != later || bytes.Compare(x[:], y[:]) > 0 != later {
			t.Fatalf("seed %d: %d.%09d after %d.%09d: %v, want %v", seed, a, an, b, bn, x.After(y), later)
		}
	}
}

// [W] 5.1: the responder remembers the greatest timestamp of each peer and drops
// messages whose timestamp is not greater. P15: equal is not greater.
func TestPaper51EqualIsNotAfter(t *testing.T) {
	s := FromTime(1_700_000_000, 500_000_000)
	if s.After(s) || FromTime(1_700_000_000, 0).After(s) || !s.Next().After(s) || !s.After(Stamp{}) {
		t.Error("After is not strictly greater")
	}
	// Every one of the twelve bytes counts.
	for i := range s {
		o := s
		o[i]++
		if !o.After(s) || s.After(o) {
			t.Errorf("byte %d does not count", i)
		}
	}
}

// The precision tells nobody the details of our clock, and is fine enough for one
// label in each interval in which an initiation is accepted.
func TestStampsAreWhitened(t *testing.T) {
	const seed = 2
	r := rand.New(rand.NewPCG(seed, 0))
	var p Stamper
	for range 10_000 {
		s := p.Next(time.Unix(r.Int64N(1<<33), r.Int64N(second)))
		if s[9]|s[10]|s[11] != 0 || s[8] > 0x3b {
			t.Fatalf("seed %d: label %x is too fine or has too many nanoseconds", seed, s)
		}
	}
	if step > second/50 || 2*step <= second/50 {
		t.Errorf("a step is %d ns, want the largest power of two within 20 ms", step)
	}
}

// T12, T14, R1: the clock stands, goes back by seconds and by years, and jumps
// ahead; labels only increase.
func TestStamperAlwaysIncreases(t *testing.T) {
	base := time.Unix(1_700_000_000, 0)
	var p Stamper
	last := Stamp{}
	next := func(wall time.Time, what string) Stamp {
		t.Helper()
		s := p.Next(wall)
		if !s.After(last) {
			t.Fatalf("%s: %x is not after %x", what, s, last)
		}
		last = s
		return s
	}
	next(base, "first")
	for range 1000 {
		next(base, "standing")
	}
	next(base.Add(-time.Second), "a second back")
	next(base.AddDate(-10, 0, 0), "ten years back")
	next(time.Unix(-1<<40, 0), "before everything")
	ahead := next(base.AddDate(10, 0, 0), "ten years ahead")
	if ahead != FromTime(base.AddDate(10, 0, 0).Unix(), 0) {
		t.Error("a clock that is ahead is not followed")
	}
	next(base, "corrected")
	next(base.Add(time.Hour), "an hour later")
}

// The label after a label is one step later, across the end of a second too.
func TestNextIsOneStep(t *testing.T) {
	s := FromTime(1_700_000_000, 0)
	for i := int64(1); i <= 59; i++ {
		if s = s.Next(); s != FromTime(1_700_000_000, i*step) {
			t.Fatalf("step %d: %x", i, s)
		}
	}
	if s = s.Next(); s != FromTime(1_700_000_001, 0) {
		t.Errorf("after the last step of a second: %x", s)
	}
	odd := Stamp{0x40, 11: 0x01} // finer than ours: rounded up
	if s := odd.Next(); !s.After(odd) || s[11] != 0 {
		t.Errorf("after %x: %x", odd, s)
	}
}

// U04: after a restart with a clock an hour behind and the saved floor, the first
// label is one that peers accept.
func TestFloorSurvivesRestart(t *testing.T) {
	var before, after Stamper
	wall := time.Unix(1_700_000_000, 123)
	last := before.Next(wall)
	if !after.SetFloor(before.Floor()) {
		t.Fatal("the floor is refused")
	}
	if s := after.Next(wall.Add(-time.Hour)); !s.After(last) {
		t.Errorf("%x is not after %x", s, last)
	}
}

func TestFloorOnlyRises(t *testing.T) {
	var p Stamper
	if !p.Floor().IsZero() || !p.SetFloor(Stamp{}) {
		t.Error("the zero value has a floor, or refuses zero")
	}
	high := FromTime(1_800_000_000, 0)
	p.SetFloor(high)
	p.SetFloor(FromTime(1_700_000_000, 0))
	if p.Floor() != high {
		t.Errorf("the floor went down to %x", p.Floor())
	}
}

// A damaged floor is refused, and cannot make labels wrap around.
func TestDamagedFloorIsRefused(t *testing.T) {
	for _, s := range []string{
		"ffffffffffffffff00000000", "800000000000000000000000", "600000000000000000000000",
		"400000006553f10a3b9aca00", "400000006553f10affffffff",
	} {
		var p Stamper
		b, _ := hex.DecodeString(s)
		if p.SetFloor(Stamp(b)) || !p.Floor().IsZero() {
			t.Errorf("floor %s is taken", s)
		}
	}
}

func TestTimeReversesFromTime(t *testing.T) {
	for _, sec := range []int64{-1 << 40, -1, 0, 1_700_000_000, 1 << 40} {
		if s, n := FromTime(sec, 2*step).Time(); s != sec || n != 2*step {
			t.Errorf("Time of label of %d = %d, %d", sec, s, n)
		}
	}
}

// T14 as a model: any floors and clocks, and every label is greater than all
// before it.
func FuzzStamper(f *testing.F) {
	f.Add(int64(1_700_000_000), int64(0), int64(-3600), []byte{0x40, 0, 0, 0, 0x65, 0x53, 0xf1, 0x0a, 0x3b, 0, 0, 0})
	f.Add(int64(0), int64(-1), int64(1<<40), make([]byte, Size))
	f.Fuzz(func(t *testing.T, sec, nsec, jump int64, floor []byte) {
		const year = 366 * 24 * 3600
		sec, jump = sec%(1_000_000*year), jump%(1_000_000*year)
		var p Stamper
		if len(floor) == Size {
			p.SetFloor(Stamp(floor))
		}
		last := p.Floor()
		for i := range int64(4) {
			s := p.Next(time.Unix(sec+jump*(i%2), nsec))
			if !s.After(last) {
				t.Fatalf("%x is not after %x", s, last)
			}
			last = s
		}
	})
}

func BenchmarkNext(b *testing.B) {
	var p Stamper
	wall := time.Unix(1_700_000_000, 0)
	b.ReportAllocs()
	for b.Loop() {
		p.Next(wall)
	}
}
