package udp

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/warrenvpn/warren/packet"
)

var (
	home4 = netip.MustParseAddr("127.0.0.1")
	home6 = netip.MustParseAddr("::1")
)

// testPort is a port whose receivers are drained into one channel.
type testPort struct {
	*port
	arrived chan arrival
	readers sync.WaitGroup
}

// arrival is one message, and what came with it.
type arrival struct {
	msg       string
	from      packet.Endpoint
	tos       byte
	handshake bool
	receiver  int
	together  int // messages in its datagram
}

func openTest(t testing.TB, n Network, sys *calls) *testPort {
	t.Helper()
	p, err := n.open(sys, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	tp := &testPort{port: p, arrived: make(chan arrival, 1<<16)}
	for i, r := range p.receivers {
		tp.readers.Go(func() { tp.read(t, i, r) })
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		tp.readers.Wait()
	})
	return tp
}

func (tp *testPort) read(t testing.TB, index int, r packet.Receiver) {
	batch := newBatch(8, packet.MaxSuper)
	for {
		n, err := r.Receive(batch)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			t.Logf("receive: %v", err)
			continue
		}
		for i := range batch[:n] {
			d := &batch[i]
			msgs := split(d.Buf[:d.N], d.Segment)
			for _, m := range msgs {
				tp.arrived <- arrival{string(m), d.From, d.TOS, r.Handshake(), index, len(msgs)}
			}
		}
	}
}

func newBatch(n, size int) []packet.Datagram {
	b := make([]packet.Datagram, n)
	for i := range b {
		b[i].Buf = make([]byte, size)
	}
	return b
}

func split(b []byte, size int) [][]byte {
	var all [][]byte
	for len(b) > 0 {
		n := min(size, len(b))
		all = append(all, b[:n])
		b = b[n:]
	}
	return all
}

func (tp *testPort) at(a netip.Addr) packet.Endpoint {
	return packet.Endpoint{Remote: netip.AddrPortFrom(a, tp.number)}
}

// data returns a message that is steered as transport data: size bytes, for the
// receiver index, with a number inside.
func data(index uint32, number, size int) []byte {
	b := bytes.Repeat([]byte{byte(number)}, size)
	copy(b, []byte{4, 0, 0, 0, byte(index), byte(index >> 8), byte(index >> 16), byte(index >> 24)})
	copy(b[8:], fmt.Sprintf("%08d", number))
	return b
}

// dataRun returns a run of n such messages, the last one shorter.
func dataRun(to packet.Endpoint, n, size int) packet.Run {
	r := packet.Run{Segment: size, To: to}
	for i := range n {
		m := data(0, i, size)
		if i == n-1 && n > 1 {
			m = m[:size-7]
		}
		r.Buf = append(r.Buf, m...)
	}
	return r
}

// take waits for the next message: lost ones fail the test instead of hanging it.
func (tp *testPort) take(t testing.TB) arrival {
	t.Helper()
	select {
	case a := <-tp.arrived:
		return a
	case <-time.After(20 * time.Second):
		t.Fatal("a message did not arrive")
		return arrival{}
	}
}

// expectRun takes the messages of r from the port, in order and each once.
func (tp *testPort) expectRun(t testing.TB, r packet.Run) []arrival {
	t.Helper()
	var all []arrival
	for i, want := range split(r.Buf, r.Segment) {
		got := tp.take(t)
		if got.msg != string(want) {
			t.Fatalf("message %d: got %d bytes beginning % x, want %d beginning % x",
				i, len(got.msg), got.msg[:min(16, len(got.msg))], len(want), want[:min(16, len(want))])
		}
		all = append(all, got)
	}
	return all
}

// expectNothing checks that all that was sent has been taken.
func (tp *testPort) expectNothing(t testing.TB) {
	t.Helper()
	select {
	case a := <-tp.arrived:
		t.Errorf("%d more bytes arrived, want nothing", len(a.msg))
	default:
	}
}

// families runs f for each family.
func families(t *testing.T, f func(t *testing.T, home netip.Addr)) {
	t.Run("ipv4", func(t *testing.T) { f(t, home4) })
	t.Run("ipv6", func(t *testing.T) { f(t, home6) })
}

func openFiles(t testing.TB) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}
