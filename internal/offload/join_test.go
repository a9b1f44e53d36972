package offload

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/warrenvpn/warren/packet"
)

// joined runs packets through a Joiner and returns what comes out, each in one
// piece. The packets are copied first: a Joiner writes into them.
func join(t testing.TB, j *Joiner, pkts ...[]byte) (out [][]byte, offloads []packet.Offload) {
	t.Helper()
	write := func(o packet.Offload, parts [][]byte) error {
		if len(parts) > 1024 {
			t.Fatalf("%d parts, more than writev takes", len(parts))
		}
		out = append(out, bytes.Join(parts, nil))
		offloads = append(offloads, o)
		return nil
	}
	for _, p := range pkts {
		if p = bytes.Clone(p); !j.Add(p) {
			if err := j.Flush(write); err != nil {
				t.Fatal(err)
			}
			if !j.Add(p) {
				t.Fatal("full after Flush")
			}
		}
	}
	if err := j.Flush(write); err != nil {
		t.Fatal(err)
	}
	return out, offloads
}

// cutAgain undoes a join, by the naive cutter and by ours.
func cutAgain(t testing.TB, pkt []byte, o packet.Offload) [][]byte {
	t.Helper()
	var list [][]byte
	var c Cutter
	if err := c.Reset(pkt, o, Layout{}); err != nil {
		t.Fatalf("%+v: %v", o, err)
	}
	dst := make([]byte, 1<<18)
	size, _, total := c.Next(dst)
	if !c.Done() {
		t.Fatal("does not fit")
	}
	for b := dst[:total]; len(b) > 0; b = b[min(size, len(b)):] {
		list = append(list, b[:min(size, len(b))])
	}
	want := naiveCut(pkt, int(o.CsumStart), o)
	if len(list) != len(want) {
		t.Fatalf("%d packets, want %d", len(list), len(want))
	}
	for i := range list {
		if !bytes.Equal(list[i], want[i]) {
			t.Fatalf("packet %d: ours and the naive cutter differ", i)
		}
	}
	return list
}

// train is n packets of one TCP flow in order.
func tcpTrain(s spec, n, payload int) [][]byte {
	var list [][]byte
	s.flags |= flagACK
	for i := range n {
		s.payload = bytes.Repeat([]byte{byte(i)}, payload)
		list = append(list, s.build())
		s.seq += uint32(payload)
		s.id++
	}
	return list
}

func udpTrain(s spec, n, payload int) [][]byte {
	s.udp = true
	return tcpTrain(s, n, payload)
}

func TestJoinOneFlow(t *testing.T) {
	for _, c := range []struct {
		name string
		pkts [][]byte
		kind packet.Kind
	}{
		{"tcp4", tcpTrain(spec{ttl: 64, df: true, seq: 0xffffff00, id: 0xfffe, options: make([]byte, 12)}, 30, 1368), packet.TCP4},
		{"tcp6", tcpTrain(spec{v6: true, ttl: 64, label: 99, options: make([]byte, 12)}, 30, 1348), packet.TCP6},
		{"udp4", udpTrain(spec{ttl: 64}, 30, 1300), packet.UDP},
		{"udp6", udpTrain(spec{v6: true, ttl: 64}, 30, 1300), packet.UDP},
	} {
		t.Run(c.name, func(t *testing.T) {
			j := NewJoiner()
			j.Allow(true, true, 0)
			out, o := join(t, j, c.pkts...)
			if len(out) != 1 || o[0].Kind != c.kind {
				t.Fatalf("%d packets, first %+v, want one of kind %d", len(out), o[0], c.kind)
			}
			equal(t, "cut again", cutAgain(t, out[0], o[0]), c.pkts)
		})
	}
}

// What must not be joined, or ends a train: the second packet differs in one
// thing. B21.
func TestJoinBreaks(t *testing.T) {
	tcp := func(f func(a, b *spec)) [2][]byte {
		a := spec{ttl: 64, df: true, id: 7, flags: flagACK, window: 9, options: []byte{1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2}, payload: make([]byte, 100)}
		b := a
		b.id, b.seq = 8, 100
		f(&a, &b)
		return [2][]byte{a.build(), b.build()}
	}
	tcp6 := func(f func(a, b *spec)) [2][]byte {
		return tcp(func(a, b *spec) { a.v6, b.v6 = true, true; f(a, b) })
	}
	udp := func(f func(a, b *spec)) [2][]byte {
		return tcp(func(a, b *spec) { a.udp, b.udp = true, true; f(a, b) })
	}
	raw := func(p [2][]byte, f func(b []byte)) [2][]byte { f(p[1]); return p }
	same := func(a, b *spec) {}
	cases := []struct {
		name   string
		pkts   [2][]byte
		joined bool
	}{
		{"nothing", tcp(same), true},
		{"nothing 6", tcp6(same), true},
		{"nothing udp", udp(same), true},
		{"source", tcp(func(a, b *spec) { b.host = 9 }), false},
		{"source 6", tcp6(func(a, b *spec) { b.host = 9 }), false},
		{"port", tcp(func(a, b *spec) { b.port = 9 }), false},
		{"port udp", udp(func(a, b *spec) { b.port = 9 }), false},
		{"protocol", tcp(func(a, b *spec) { b.udp = true }), false},
		{"family", tcp(func(a, b *spec) { b.v6 = true }), false},
		{"tos", tcp(func(a, b *spec) { b.tos = 1 }), false},
		{"ttl", tcp(func(a, b *spec) { b.ttl = 63 }), false},
		{"traffic class", tcp6(func(a, b *spec) { b.tos = 0x10 }), false},
		{"ecn 6", tcp6(func(a, b *spec) { b.tos = 1 }), false},
		{"hop limit", tcp6(func(a, b *spec) { b.ttl = 63 }), false},
		{"flow label", tcp6(func(a, b *spec) { b.label = 1 }), false},
		{"df", tcp(func(a, b *spec) { b.df = false }), false},
		{"id of df the same", tcp(func(a, b *spec) { b.id = 7 }), true},
		{"id jumps", tcp(func(a, b *spec) { b.id = 9 }), false},
		{"id goes back", tcp(func(a, b *spec) { b.id = 6 }), false},
		{"id without df the same", tcp(func(a, b *spec) { a.df, b.df, b.id = false, false, 7 }), false},
		{"id without df", tcp(func(a, b *spec) { a.df, b.df = false, false }), true},
		{"ip options", tcp(func(a, b *spec) { a.ipOptions, b.ipOptions = make([]byte, 4), make([]byte, 4) }), false},
		{"gap", tcp(func(a, b *spec) { b.seq = 101 }), false},
		{"overlap", tcp(func(a, b *spec) { b.seq = 99 }), false},
		{"ack", tcp(func(a, b *spec) { b.ack = 1 }), false},
		{"window", tcp(func(a, b *spec) { b.window = 1 }), false},
		{"urgent pointer", tcp(func(a, b *spec) { b.urgent = 1 }), false},
		{"timestamp", tcp(func(a, b *spec) { b.options = bytes.Repeat([]byte{1}, 12) }), false},
		{"options longer", tcp(func(a, b *spec) { b.options = make([]byte, 16) }), false},
		{"ns", tcp(func(a, b *spec) { b.ns = 1 }), false},
		{"ns both", tcp(func(a, b *spec) { a.ns, b.ns = 1, 1 }), true},
		{"ece", tcp(func(a, b *spec) { b.flags |= 0x40 }), false},
		{"ece both", tcp(func(a, b *spec) { a.flags |= 0x40; b.flags |= 0x40 }), true},
		{"cwr", tcp(func(a, b *spec) { b.flags |= flagCWR }), false},
		{"cwr both", tcp(func(a, b *spec) { a.flags |= flagCWR; b.flags |= flagCWR }), false},
		{"syn", tcp(func(a, b *spec) { b.flags |= flagSYN }), false},
		{"syn both", tcp(func(a, b *spec) { a.flags |= flagSYN; b.flags |= flagSYN }), false},
		{"rst", tcp(func(a, b *spec) { b.flags |= flagRST }), false},
		{"urg", tcp(func(a, b *spec) { a.flags |= flagURG; b.flags |= flagURG }), false},
		{"no ack", tcp(func(a, b *spec) { a.flags, b.flags = 0, 0 }), false},
		{"psh first", tcp(func(a, b *spec) { a.flags |= flagPSH }), false},
		{"psh last", tcp(func(a, b *spec) { b.flags |= flagPSH }), true},
		{"fin first", tcp(func(a, b *spec) { a.flags |= flagFIN }), false},
		{"fin last", tcp(func(a, b *spec) { b.flags |= flagFIN | flagPSH }), true},
		{"empty first", tcp(func(a, b *spec) { a.payload, b.seq = nil, 0 }), false},
		{"empty last", tcp(func(a, b *spec) { b.payload = nil }), false},
		{"shorter last", tcp(func(a, b *spec) { b.payload = b.payload[:1] }), true},
		{"longer last", tcp(func(a, b *spec) { a.payload, b.seq = a.payload[:99], 99 }), false},
		{"udp shorter last", udp(func(a, b *spec) { b.payload = b.payload[:1] }), true},
		{"udp longer last", udp(func(a, b *spec) { a.payload = a.payload[:99] }), false},
		{"udp empty", udp(func(a, b *spec) { b.payload = nil }), false},
		{"udp no checksum", udp(func(a, b *spec) { b.noCheck = true }), false},
		{"udp no checksums", udp(func(a, b *spec) { a.noCheck, b.noCheck = true, true }), false},
		{"udp length", raw(udp(same), func(b []byte) { b[25]-- }), false},
		{"fragment", raw(tcp(same), func(b []byte) { b[6] |= 0x20 }), false},
		{"later fragment", raw(tcp(same), func(b []byte) { b[7] = 1 }), false},
		{"reserved bit", raw(tcp(same), func(b []byte) { b[6] |= 0x80 }), false},
		{"extension header", raw(tcp6(same), func(b []byte) { b[6] = 60 }), false},
		{"total length", raw(tcp(same), func(b []byte) { b[3]-- }), false},
		{"payload length", raw(tcp6(same), func(b []byte) { b[5]-- }), false},
		{"tcp header too short", raw(tcp(same), func(b []byte) { b[32] = 0x40 }), false},
		{"tcp header too long", raw(tcp(func(a, b *spec) { a.payload, b.payload, b.seq = make([]byte, 1), make([]byte, 1), 1 }), func(b []byte) { b[32] = 0xf0 }), false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			j := NewJoiner()
			j.Allow(true, true, 0)
			out, o := join(t, j, c.pkts[0], c.pkts[1])
			if !c.joined {
				equal(t, "left alone", out, c.pkts[:])
				if o[0] != (packet.Offload{}) || o[1] != (packet.Offload{}) {
					t.Fatalf("offloads %+v, want none", o)
				}
				return
			}
			if len(out) != 1 {
				t.Fatalf("%d packets, want one", len(out))
			}
			list := cutAgain(t, out[0], o[0])
			if c.name == "id of df the same" {
				normalize(list[1])
				normalize(c.pkts[1])
			}
			equal(t, "cut again", list, c.pkts[:])
		})
	}
}

// normalize takes the identification out of a packet that may not be
// fragmented.
func normalize(b []byte) {
	if len(b) >= 20 && b[0]>>4 == 4 && b[6]&0x40 != 0 {
		b[4], b[5], b[10], b[11] = 0, 0, 0, 0
	}
}

func TestJoinOnlyWhatIsAllowed(t *testing.T) {
	tcp, udp := tcpTrain(spec{}, 5, 100), udpTrain(spec{}, 5, 100)
	j := NewJoiner()
	for _, c := range []struct{ tcp, udp bool }{{true, false}, {false, true}, {false, false}, {true, true}} {
		j.Allow(c.tcp, c.udp, 0)
		if out, _ := join(t, j, tcp...); (len(out) == 1) != c.tcp {
			t.Errorf("%+v: %d packets of TCP", c, len(out))
		}
		if out, _ := join(t, j, udp...); (len(out) == 1) != c.udp {
			t.Errorf("%+v: %d packets of UDP", c, len(out))
		}
	}
}

func TestJoinStaysBelowTheLimit(t *testing.T) {
	for _, limit := range []int{0, 65535, 40000, 1000} {
		for _, v6 := range []bool{false, true} {
			j := NewJoiner()
			j.Allow(true, true, limit)
			pkts := tcpTrain(spec{v6: v6, df: true}, 150, 1380)
			out, o := join(t, j, pkts...)
			var again [][]byte
			largest := 0
			for i := range out {
				largest = max(largest, len(out[i]))
				again = append(again, cutAgain(t, out[i], o[i])...)
			}
			equal(t, "cut again", again, pkts)
			want := limit
			if limit == 0 {
				want = 65535
			}
			if largest > max(want, len(pkts[0])) || limit != 1000 && largest < want-1500 {
				t.Errorf("limit %d: the largest packet has %d bytes", limit, largest)
			}
		}
	}
	j := NewJoiner()
	j.Allow(true, true, 0)
	if out, _ := join(t, j, tcpTrain(spec{}, 2560, 1)...); len(out) != 2560/maxParts {
		t.Errorf("%d packets of tiny segments, want %d", len(out), 2560/maxParts)
	}
	if out, _ := join(t, j, udpTrain(spec{}, 640, 1)...); len(out) != 640/maxUDP {
		t.Errorf("%d packets of tiny datagrams, want %d", len(out), 640/maxUDP)
	}
}

// Trains of several flows at a time, as long as there are not too many.
func TestJoinInterleavedFlows(t *testing.T) {
	for flows := 1; flows <= openTrains; flows++ {
		trains := make([][][]byte, flows)
		for i := range trains {
			trains[i] = tcpTrain(spec{host: byte(i), v6: i%2 == 0}, 20, 1000)
		}
		var mixed [][]byte
		for i := range 20 {
			for _, tr := range trains {
				mixed = append(mixed, tr[i])
			}
		}
		out, o := join(t, NewJoiner(), mixed...)
		if len(out) != flows {
			t.Fatalf("%d flows became %d packets", flows, len(out))
		}
		for i := range out {
			equal(t, "cut again", cutAgain(t, out[i], o[i]), trains[i])
		}
	}
}

func TestJoinKeepsOrderAroundAFragment(t *testing.T) {
	pkts := udpTrain(spec{}, 3, 100)
	fragment := bytes.Clone(pkts[1])
	fragment[6] = 0x20
	j := NewJoiner()
	j.Allow(true, true, 0)
	mixed := [][]byte{pkts[0], fragment, pkts[1]}
	out, _ := join(t, j, mixed...)
	equal(t, "around a fragment", out, mixed)
}

func TestJoinerFull(t *testing.T) {
	j := NewJoiner()
	p := spec{udp: true}.build()
	for i := range maxPackets {
		if !j.Add(p) {
			t.Fatalf("full with %d", i)
		}
	}
	if j.Add(p) || j.Len() != maxPackets {
		t.Errorf("takes more than %d", maxPackets)
	}
}

func TestFlushTriesAllAndReturnsTheFirstError(t *testing.T) {
	j := NewJoiner()
	for i := range 3 {
		j.Add(spec{udp: true, port: byte(i)}.build())
	}
	n := 0
	first := errors.New("first")
	err := j.Flush(func(packet.Offload, [][]byte) error {
		n++
		if n == 1 {
			return first
		}
		return errors.New("later")
	})
	if n != 3 || err != first || j.Len() != 0 {
		t.Errorf("%d writes, %v, %d left", n, err, j.Len())
	}
}

// mix is a random sequence of packets of several flows, many of which can be
// joined and some of which are odd.
func mix(r *rand.Rand, n int) [][]byte {
	flows := make([]spec, 1+r.IntN(12))
	for i := range flows {
		flows[i] = spec{
			v6: r.IntN(2) == 0, udp: r.IntN(3) == 0, host: byte(r.IntN(3)), port: byte(i), ttl: 64, df: r.IntN(2) == 0,
			id: uint16(r.Uint32()), seq: r.Uint32(), ack: r.Uint32(), flags: flagACK, window: 100, options: make([]byte, 4*r.IntN(4)),
		}
	}
	sizes := []int{0, 1, 100, 1000, 1380, 1380, 1380}
	var list [][]byte
	current := 0
	for range n {
		if r.IntN(4) == 0 {
			current = r.IntN(len(flows))
		}
		f := &flows[current]
		f.payload = make([]byte, sizes[r.IntN(len(sizes))])
		fill(r, f.payload)
		s := *f
		switch r.IntN(40) {
		case 0:
			s.flags |= flagPSH
		case 1:
			s.flags = byte(r.Uint32())
		case 2:
			s.ack++
		case 3:
			s.seq++
		case 4:
			s.id += 5
		case 5:
			s.tos = byte(r.Uint32())
		case 6:
			s.ttl--
		case 7:
			s.noCheck = s.udp
		case 8:
			s.urgent = 1
		case 9:
			s.ipOptions = make([]byte, 4)
		}
		b := s.build()
		switch r.IntN(100) {
		case 0:
			if !s.v6 {
				b[6], b[7] = byte(r.Uint32()), byte(r.Uint32())
				finish(b, 20+len(s.ipOptions), s.noCheck)
			}
		case 1:
			b = b[:20+r.IntN(len(b)-19)]
		}
		list = append(list, b)
		f.seq += uint32(len(f.payload))
		f.id++
	}
	return list
}

// flowOf tells packets apart that must stay in order.
func flowOf(b []byte) string {
	if len(b) < 24 {
		return "short"
	}
	if b[0]>>4 == 6 {
		return string(b[6:7]) + string(b[8:min(44, len(b))])
	}
	return string(b[9:10]) + string(b[12:24])
}

// checkJoin joins pkts and verifies that cutting gives the same packets again,
// in the same order inside each flow. Checksums of what was joined are right
// afterwards, whatever they were.
func checkJoin(t *testing.T, j *Joiner, pkts [][]byte, repaired bool) (supers int) {
	t.Helper()
	out, o := join(t, j, pkts...)
	got, want := map[string][][]byte{}, map[string][][]byte{}
	n := 0
	for i := range out {
		list := [][]byte{out[i]}
		if o[i] != (packet.Offload{}) {
			list = cutAgain(t, out[i], o[i])
			supers++
		}
		for _, b := range list {
			b = bytes.Clone(b)
			if repaired {
				repair(b)
			}
			normalize(b)
			got[flowOf(b)] = append(got[flowOf(b)], b)
			n++
		}
	}
	for _, b := range pkts {
		b = bytes.Clone(b)
		if repaired {
			repair(b)
		}
		normalize(b)
		want[flowOf(b)] = append(want[flowOf(b)], b)
	}
	if n != len(pkts) {
		t.Fatalf("%d packets became %d", len(pkts), n)
	}
	for f := range want {
		equal(t, fmt.Sprintf("flow %x", f), got[f], want[f])
	}
	return supers
}

// repair makes the checksums right that a join would make right.
func repair(b []byte) {
	if f := (flow{}); f.classify(b) && f.joinable {
		finish(b, f.ip, false)
	}
}

// Z09, B21.
func TestJoinThenCutGivesTheSamePackets(t *testing.T) {
	r := random(t)
	supers := 0
	for range 150 {
		j := NewJoiner()
		j.Allow(true, r.IntN(2) == 0, []int{0, 65535, 20000, 3000}[r.IntN(4)])
		for range 3 { // the same Joiner again
			supers += checkJoin(t, j, mix(r, 1+r.IntN(200)), false)
		}
	}
	if supers < 300 {
		t.Errorf("%d super-packets in all", supers)
	}
}

// B22: a wrong checksum neither spoils its neighbours nor leaves a trace.
func TestJoinRepairsChecksums(t *testing.T) {
	r := random(t)
	for range 100 {
		pkts := mix(r, 100)
		for _, b := range pkts {
			if f := (flow{}); f.classify(b) && f.joinable && r.IntN(4) == 0 {
				at := f.ip + tcpCheck
				if f.proto == 17 {
					at = f.ip + udpCheck
				}
				b[at] ^= 0x10
			}
		}
		j := NewJoiner()
		j.Allow(true, true, 0)
		checkJoin(t, j, pkts, true)
	}
}

func TestJoinDoesNotAllocate(t *testing.T) {
	pkts := append(tcpTrain(spec{}, 40, 1300), udpTrain(spec{v6: true}, 40, 1300)...)
	backup := make([][]byte, len(pkts))
	for i := range pkts {
		backup[i] = bytes.Clone(pkts[i])
	}
	j := NewJoiner()
	j.Allow(true, true, 0)
	discard := func(packet.Offload, [][]byte) error { return nil }
	allocs := testing.AllocsPerRun(100, func() {
		for i, p := range pkts {
			copy(p, backup[i][:60])
			j.Add(p)
		}
		j.Flush(discard)
	})
	if allocs != 0 {
		t.Errorf("%v allocations, want none", allocs)
	}
}

// Z09: packets of a fuzzer's making, several of them out of one string.
func FuzzJoin(f *testing.F) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 20 {
		var b []byte
		for _, p := range mix(r, 6) {
			p = p[:min(len(p), 100)]
			b = append(binary.BigEndian.AppendUint16(b, uint16(len(p))), p...)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var pkts [][]byte
		for len(b) >= 2 {
			n := min(int(binary.BigEndian.Uint16(b)), len(b)-2)
			p := bytes.Clone(b[2 : 2+n])
			b = b[2+n:]
			if len(p) < 20 {
				continue
			}
			if p[0]>>4 == 4 { // sums are never looked at: make those right that count
				binary.BigEndian.PutUint16(p[2:], uint16(len(p)))
			} else if len(p) >= 40 {
				binary.BigEndian.PutUint16(p[4:], uint16(len(p)-40))
			}
			repair(p)
			pkts = append(pkts, p)
		}
		j := NewJoiner()
		j.Allow(true, true, 0)
		checkJoin(t, j, pkts, false)
	})
}

func BenchmarkJoin(b *testing.B) {
	for _, c := range []struct {
		name  string
		flows int
		v6    bool
		udp   bool
		size  int
		n     int
	}{{"tcp4", 1, false, false, 1368, 45}, {"tcp6", 1, true, false, 1348, 45}, {"udp4", 1, false, true, 1300, 45}, {"tcp4/4flows", 4, false, false, 1368, 45}, {"tcp4/16flows", 16, false, false, 1368, 4}} {
		b.Run(c.name, func(b *testing.B) {
			var pkts, backup [][]byte
			trains := make([][][]byte, c.flows)
			for i := range trains {
				trains[i] = tcpTrain(spec{host: byte(i), v6: c.v6, udp: c.udp, df: true, options: make([]byte, 12)}, c.n, c.size)
			}
			for i := range c.n {
				for _, tr := range trains {
					pkts = append(pkts, tr[i])
					backup = append(backup, bytes.Clone(tr[i][:60]))
				}
			}
			j := NewJoiner()
			j.Allow(true, true, 0)
			discard := func(packet.Offload, [][]byte) error { return nil }
			b.SetBytes(int64(len(pkts) * len(pkts[0])))
			b.ReportMetric(float64(len(pkts)), "packets/op")
			for b.Loop() {
				for i, p := range pkts {
					copy(p, backup[i])
					j.Add(p)
				}
				j.Flush(discard)
			}
		})
	}
	b.Run("plain", func(b *testing.B) {
		p := spec{udp: true, payload: make([]byte, 64)}.build()
		j := NewJoiner()
		discard := func(packet.Offload, [][]byte) error { return nil }
		for b.Loop() {
			for range 64 {
				j.Add(p)
			}
			j.Flush(discard)
		}
	})
}
