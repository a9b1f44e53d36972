package udp

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/warrenvpn/warren/device"
	"github.com/warrenvpn/warren/packet"
)

var _ device.Network = (*Network)(nil)

func TestRunsArriveWholeAndInOrder(t *testing.T) {
	families(t, func(t *testing.T, home netip.Addr) {
		for name, n := range map[string]Network{
			"all on":      {},
			"no segment":  {NoSegment: true},
			"no coalesce": {NoCoalesce: true},
			"no steer":    {NoSteer: true},
			"keep DF":     {KeepDF: true},
		} {
			a, b := openTest(t, n, &kernel), openTest(t, n, &kernel)
			for _, size := range []int{48, 49, 148, 1280, 1452, 9000, 40000} {
				for _, count := range []int{1, 2, 45, 64, 65, 130} {
					if size*count > 1<<20 {
						continue // keep well below the receive buffer
					}
					run := dataRun(b.at(home), count, size)
					if err := a.Send([]packet.Run{run}); err != nil {
						t.Fatalf("%s: send %d x %d: %v", name, count, size, err)
					}
					b.expectRun(t, run)
				}
			}
			b.expectNothing(t)
		}
	})
}

// A segmented send arrives as one datagram on loopback, so the tests of it are
// honest.
func TestLoopbackKeepsRunsTogether(t *testing.T) {
	families(t, func(t *testing.T, home netip.Addr) {
		a, b := openTest(t, Network{}, &kernel), openTest(t, Network{}, &kernel)
		run := dataRun(b.at(home), 40, 1452)
		if err := a.Send([]packet.Run{run}); err != nil {
			t.Fatal(err)
		}
		for i, got := range b.expectRun(t, run) {
			if got.together != 40 {
				t.Fatalf("message %d arrived with %d others, want 39", i, got.together-1)
			}
		}
	})
}

func TestManyRunsToBothFamilies(t *testing.T) {
	a := openTest(t, Network{}, &kernel)
	b4, b6 := openTest(t, Network{}, &kernel), openTest(t, Network{}, &kernel)
	var runs []packet.Run
	for i := range 150 {
		to := b4.at(home4)
		if i%3 == 0 {
			to = b6.at(home6)
		}
		runs = append(runs, packet.Run{Buf: data(1, i, 100), Segment: 100, To: to})
	}
	if err := a.Send(runs); err != nil {
		t.Fatal(err)
	}
	for i, r := range runs {
		from := b4
		if i%3 == 0 {
			from = b6
		}
		from.expectRun(t, r)
	}
}

func TestTrafficClassArrives(t *testing.T) {
	families(t, func(t *testing.T, home netip.Addr) {
		a, b := openTest(t, Network{}, &kernel), openTest(t, Network{}, &kernel)
		for _, tos := range []byte{0, 1, 2, 3, 0x88, 0xfc, 0} { // E10
			run := dataRun(b.at(home), 3, 200)
			run.TOS = tos
			if err := a.Send([]packet.Run{run}); err != nil {
				t.Fatal(err)
			}
			for _, got := range b.expectRun(t, run) {
				if got.tos != tos {
					t.Errorf("traffic class = %#x, want %#x", got.tos, tos)
				}
			}
		}
	})
}

func TestAnswersFromTheContactedAddress(t *testing.T) { // K26
	a, b := openTest(t, Network{}, &kernel), openTest(t, Network{}, &kernel)
	for _, contacted := range []string{"127.0.0.2", "127.9.9.9", "127.0.0.1"} {
		to := b.at(netip.MustParseAddr(contacted))
		run := dataRun(to, 2, 100)
		if err := a.Send([]packet.Run{run}); err != nil {
			t.Fatal(err)
		}
		got := b.expectRun(t, run)[0].from
		if got.Local != to.Remote.Addr() {
			t.Errorf("local address = %v, want %v", got.Local, contacted)
		}
		back := dataRun(got, 2, 100)
		if err := b.Send([]packet.Run{back}); err != nil {
			t.Fatal(err)
		}
		if from := a.expectRun(t, back)[0].from.Remote; from != to.Remote {
			t.Errorf("answer came from %v, want %v", from, to.Remote)
		}
	}
}

func TestSourceThatIsNotOursIsForgotten(t *testing.T) {
	families(t, func(t *testing.T, home netip.Addr) {
		gone := map[bool]string{true: "192.0.2.77", false: "2001:db8::77"}[home.Is4()]
		for name, with := range map[string]bool{"netlink": true, "no netlink": false} {
			sys := kernel
			if !with {
				sys.openFlow = func() (int, error) { return -1, unix.EPERM }
			}
			a, b := openTest(t, Network{}, &sys), openTest(t, Network{}, &kernel)
			to := b.at(home)
			to.Local, to.Epoch = netip.MustParseAddr(gone), a.sources.epoch.Load()
			for range 3 {
				run := dataRun(to, 20, 1000)
				if err := a.Send([]packet.Run{run}); err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				b.expectRun(t, run)
			}
			if a.plain.has(to.Remote, 1000) {
				t.Errorf("%s: segmented sends were given up, though only the source was wrong", name)
			}
		}
	})
}

func TestMappedEndpointIsIPv4(t *testing.T) { // E24
	a, b := openTest(t, Network{}, &kernel), openTest(t, Network{}, &kernel)
	run := dataRun(b.at(netip.MustParseAddr("::ffff:127.0.0.1")), 3, 100)
	if err := a.Send([]packet.Run{run}); err != nil {
		t.Fatal(err)
	}
	if got := b.expectRun(t, run)[0].from.Remote.Addr(); got != home4 {
		t.Errorf("sender = %v, want %v", got, home4)
	}
}

func TestBadEndpointsAreErrors(t *testing.T) {
	a, b := openTest(t, Network{}, &kernel), openTest(t, Network{}, &kernel)
	good := dataRun(b.at(home4), 2, 100)
	runs := []packet.Run{
		{Buf: make([]byte, 40), Segment: 40},
		{Buf: make([]byte, 40), Segment: 40, To: packet.Endpoint{Remote: netip.MustParseAddrPort("[fe80::1%no-such]:9")}},
		good,
		{},
		{To: b.at(home4)},
	}
	if err := a.Send(runs); err == nil {
		t.Error("no error for endpoints that cannot be sent to")
	}
	b.expectRun(t, good) // B75: it costs the others nothing
}

func TestSteering(t *testing.T) { // joint 9
	families(t, func(t *testing.T, home netip.Addr) {
		a, b := openTest(t, Network{}, &kernel), openTest(t, Network{Lanes: 3}, &kernel)
		steered := func(msg []byte) arrival {
			t.Helper()
			if err := a.Send([]packet.Run{{Buf: msg, Segment: len(msg), To: b.at(home)}}); err != nil {
				t.Fatal(err)
			}
			return b.take(t)
		}
		lanes := make(map[int]int)
		for index := range uint32(6) {
			got := steered(data(index|0xabcdef00, 0, 64))
			if got.handshake {
				t.Errorf("data for index %d arrived on the handshake socket", index)
			}
			if lane, ok := lanes[int(index%3)]; ok && lane != got.receiver {
				t.Errorf("index %d arrived on lane %d, others of its residue on %d", index, got.receiver, lane)
			}
			lanes[int(index%3)] = got.receiver
		}
		if len(lanes) != 3 || lanes[0] == lanes[1] || lanes[1] == lanes[2] {
			t.Errorf("lanes by index: %v, want three different ones", lanes)
		}
		short := data(0, 0, 31)
		reserved := data(0, 0, 64)
		reserved[1] = 1
		for name, msg := range map[string][]byte{
			"initiation":    append([]byte{1, 0, 0, 0}, make([]byte, 144)...),
			"response":      append([]byte{2, 0, 0, 0}, make([]byte, 88)...),
			"cookie reply":  append([]byte{3, 0, 0, 0}, make([]byte, 60)...),
			"junk":          make([]byte, 1400),
			"one byte":      {4},
			"data cut off":  short,
			"reserved bits": reserved,
		} {
			if got := steered(msg); !got.handshake {
				t.Errorf("%s arrived on the data socket", name)
			}
		}
	})
}

func TestSteeringFallsBackToOneSocket(t *testing.T) {
	for name, sys := range map[string]func(*calls){
		"no program": func(c *calls) {
			c.steer = func(int, *unix.SockFprog) error { return unix.EPERM }
		},
		"no group": func(c *calls) {
			c.setInt = func(fd, level, option, value int) error {
				if option == unix.SO_REUSEPORT && value == 1 {
					return unix.ENOPROTOOPT
				}
				return kernel.setInt(fd, level, option, value)
			}
		},
		"no second socket": func(c *calls) {
			var opened [2]int
			c.socket = func(domain, kind, protocol int) (int, error) {
				i := 0
				if domain == unix.AF_INET6 {
					i = 1
				}
				if opened[i]++; opened[i] > 1 {
					return -1, unix.EMFILE
				}
				return kernel.socket(domain, kind, protocol)
			}
		},
	} {
		c := kernel
		sys(&c)
		before := openFiles(t)
		b := openTest(t, Network{}, &c)
		if got := openFiles(t) - before; got > 7 { // two sockets and what waits for each, eventfd, two of netlink
			t.Errorf("%s: %d descriptors, want 7", name, got)
		}
		for _, r := range b.receivers {
			if r.Handshake() {
				t.Errorf("%s: there is a handshake socket", name)
			}
		}
		a := openTest(t, Network{}, &kernel)
		for range 50 { // whatever was left in a group would swallow half of it
			for _, home := range []netip.Addr{home4, home6} {
				run := packet.Run{Buf: make([]byte, 148), Segment: 148, To: b.at(home)}
				if err := a.Send([]packet.Run{run}); err != nil {
					t.Fatal(err)
				}
				b.expectRun(t, run)
			}
		}
	}
}

func TestTakenPortIsAnError(t *testing.T) { // joint 10, F10
	a := openTest(t, Network{}, &kernel)
	if _, err := new(Network).Open(a.Number(), 0); !errors.Is(err, unix.EADDRINUSE) {
		t.Errorf("second device on port %d: error %v, want EADDRINUSE", a.Number(), err)
	}
	// Taken on IPv6 alone.
	other, err := net.ListenUDP("udp6", &net.UDPAddr{})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	taken := uint16(other.LocalAddr().(*net.UDPAddr).Port)
	if _, err := new(Network).Open(taken, 0); !errors.Is(err, unix.EADDRINUSE) {
		t.Errorf("port taken on IPv6: error %v, want EADDRINUSE", err)
	}
}

func TestPortIsFreeAfterClose(t *testing.T) {
	number := uint16(0)
	for range 50 {
		p, err := new(Network).Open(number, 0)
		if err != nil {
			t.Fatalf("open %d again: %v", number, err)
		}
		number = p.Number()
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
		if err := p.Close(); err != nil {
			t.Errorf("second close: %v", err)
		}
	}
}

func TestRandomPortIsFreeOnBothFamilies(t *testing.T) { // F10, B67
	c := kernel
	busy := 7
	c.bind = func(fd int, sa unix.Sockaddr) error {
		if a, ok := sa.(*unix.SockaddrInet6); ok && a.Port != 0 && busy > 0 {
			busy--
			return unix.EADDRINUSE
		}
		return kernel.bind(fd, sa)
	}
	before := openFiles(t)
	p, err := (&Network{}).open(&c, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	if p.families[0] == nil || p.families[1] == nil || busy != 0 {
		t.Errorf("families %v after %d refusals left, want both and none", p.families, busy)
	}
	_ = p.Close()
	busy = 1000
	if _, err := (&Network{}).open(&c, 0, 0); !errors.Is(err, unix.EADDRINUSE) {
		t.Errorf("no port free on both: error %v, want EADDRINUSE", err)
	}
	if got := openFiles(t); got != before {
		t.Errorf("%d descriptors, %d before (S08)", got, before)
	}
}

func TestHostWithoutOneFamily(t *testing.T) { // F10, B67
	for name, missing := range map[string]int{"ipv4": unix.AF_INET, "ipv6": unix.AF_INET6, "both": -1} {
		c := kernel
		c.socket = func(domain, kind, protocol int) (int, error) {
			if domain == missing || missing == -1 {
				return -1, unix.EAFNOSUPPORT
			}
			return kernel.socket(domain, kind, protocol)
		}
		before := openFiles(t)
		p, err := (&Network{}).open(&c, 0, 0)
		if missing == -1 {
			if !errors.Is(err, unix.EAFNOSUPPORT) || openFiles(t) != before {
				t.Errorf("no family at all: error %v, want EAFNOSUPPORT", err)
			}
			continue
		}
		if err != nil {
			t.Fatalf("without %s: %v", name, err)
		}
		home := home4
		if missing == unix.AF_INET {
			home = home6
		}
		self := packet.Endpoint{Remote: netip.AddrPortFrom(home, p.number)}
		if err := p.Send([]packet.Run{dataRun(self, 3, 100)}); err != nil {
			t.Errorf("without %s: %v", name, err)
		}
		other := packet.Endpoint{Remote: netip.AddrPortFrom(map[bool]netip.Addr{true: home6, false: home4}[home.Is4()], 9)}
		if err := p.Send([]packet.Run{dataRun(other, 1, 100)}); !errors.Is(err, unix.EAFNOSUPPORT) {
			t.Errorf("send over the missing family: error %v, want EAFNOSUPPORT", err)
		}
		_ = p.Close()
	}
}

func TestCloseWakesReceivers(t *testing.T) { // B27, F22, S08
	warm, err := new(Network).Open(0, 0)
	if err != nil {
		t.Fatal(err)
	}
	_ = warm.Close()
	before := openFiles(t)
	for range 1000 {
		p, err := new(Network).Open(0, 0)
		if err != nil {
			t.Fatal(err)
		}
		var blocked sync.WaitGroup
		for _, r := range p.Receivers() {
			blocked.Go(func() {
				batch := newBatch(1, 2048)
				for {
					if _, err := r.Receive(batch); errors.Is(err, net.ErrClosed) {
						return
					}
				}
			})
		}
		blocked.Go(func() {
			self := packet.Endpoint{Remote: netip.AddrPortFrom(home4, p.Number())}
			for !errors.Is(p.Send([]packet.Run{dataRun(self, 5, 100)}), net.ErrClosed) {
			}
		})
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
		blocked.Wait()
		if err := p.SetMark(0); !errors.Is(err, net.ErrClosed) {
			t.Fatalf("SetMark after Close: %v, want net.ErrClosed", err)
		}
	}
	if got := openFiles(t); got != before {
		t.Errorf("%d descriptors after 1000 ports, %d before", got, before)
	}
}

func TestOversizedDatagramsAreDroppedOrCut(t *testing.T) { // B48, A14
	p, err := (&Network{NoSteer: true}).open(&kernel, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	a := openTest(t, Network{}, &kernel)
	to := packet.Endpoint{Remote: netip.AddrPortFrom(home4, p.number)}
	sizes := []int{0, 1, 1999, 2000, 2001, 65507, 5}
	for _, n := range sizes {
		c, err := net.Dial("udp4", to.Remote.String())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write(make([]byte, n)); err != nil {
			t.Fatal(err)
		}
		c.Close()
	}
	// Coalesced: what is in front of the cut is whole.
	if err := a.Send([]packet.Run{dataRun(to, 9, 300)}); err != nil {
		t.Fatal(err)
	}
	batch := newBatch(5, 2000)
	seen := make(map[*byte]bool)
	for i := range batch {
		seen[&batch[i].Buf[0]] = true
	}
	var got []int
	r := p.receivers[0]
	for len(got) < 5 {
		n, err := r.Receive(batch)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range batch[:n] {
			got = append(got, d.N)
		}
	}
	for i, want := range []int{1, 1999, 2000, 5, 1800} {
		if got[i] != want {
			t.Fatalf("sizes received: %v, want [1 1999 2000 5 1800]", got)
		}
	}
	for i := range batch {
		delete(seen, &batch[i].Buf[0])
	}
	if len(seen) != 0 {
		t.Errorf("%d buffers of the batch were lost", len(seen))
	}
}

func TestHotPathDoesNotAllocate(t *testing.T) {
	for name, n := range map[string]Network{"segmented": {NoSteer: true}, "single": {NoSteer: true, NoSegment: true}} {
		a, err := n.open(&kernel, 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close()
		b, err := n.open(&kernel, 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		for i, home := range []netip.Addr{home4, home6} {
			to := packet.Endpoint{Remote: netip.AddrPortFrom(home, b.number), Local: home, Epoch: 1}
			runs := []packet.Run{dataRun(to, 20, 1000), dataRun(to, 1, 100)}
			runs[0].TOS = 2
			total := len(runs[0].Buf) + len(runs[1].Buf)
			batch := newBatch(16, packet.MaxSuper)
			allocs := testing.AllocsPerRun(100, func() {
				if err := a.Send(runs); err != nil {
					t.Fatal(err)
				}
				for got := 0; got < total; {
					n, err := b.receivers[i].Receive(batch)
					if err != nil {
						t.Fatal(err)
					}
					for _, d := range batch[:n] {
						got += d.N
					}
				}
			})
			if allocs != 0 {
				t.Errorf("%s, %v: %v allocations per round, want none", name, home, allocs)
			}
		}
	}
}

func TestMark(t *testing.T) {
	p, err := (&Network{}).open(&kernel, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if err := p.SetMark(0); err != nil {
		t.Errorf("the mark that is set already: %v", err)
	}
	before := p.sources.epoch.Load()
	// Without the privilege the error says so and nothing changes; the
	// privileged half is in the namespace tests.
	err = p.SetMark(0x1234)
	if err != nil && !errors.Is(err, unix.EPERM) {
		t.Errorf("set mark: %v", err)
	}
	if moved := p.sources.epoch.Load() != before; moved != (err == nil) {
		t.Errorf("learnt sources put to the test: %v, with error %v", moved, err)
	}
}

// What arrives belongs to the routing of its arrival, however long it was waited
// for: else the first answer after a change of routes has no source of its own.
func TestEpochIsThatOfTheArrival(t *testing.T) {
	for _, wait := range []string{"runtime", "poll"} {
		t.Run(wait, func(t *testing.T) {
			c, empty := kernel, make(chan struct{}, 1)
			c.receive = func(fd int, msgs []message) (int, unix.Errno) {
				n, errno := kernel.receive(fd, msgs)
				if errno == unix.EAGAIN {
					select {
					case empty <- struct{}{}:
					default:
					}
				}
				return n, errno
			}
			p, err := (&Network{NoSteer: true}).open(&c, 0, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			r := p.receivers[0].(*receiver)
			if wait == "poll" {
				if err := r.waiter.Close(); err != nil {
					t.Fatal(err)
				}
				r.waiter = nil
			}
			arrived := make(chan packet.Datagram, 1)
			go func() {
				batch := newBatch(1, 2048)
				if _, err := r.Receive(batch); err != nil {
					t.Errorf("receive: %v", err)
				}
				arrived <- batch[0]
			}()
			<-empty
			p.sources.advance()
			want := p.sources.epoch.Load()
			self := packet.Endpoint{Remote: netip.AddrPortFrom(home4, p.Number())}
			if err := p.Send([]packet.Run{dataRun(self, 1, 100)}); err != nil {
				t.Fatal(err)
			}
			if got := (<-arrived).From.Epoch; got != want {
				t.Errorf("epoch = %d, want %d, which began while it was waited for", got, want)
			}
		})
	}
}
