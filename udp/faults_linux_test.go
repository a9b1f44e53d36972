package udp

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"runtime"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/warrenvpn/warren/packet"
)

// faulty returns the kernel with a send that does what f says: how many of the
// messages it may send (all: a negative number), or an error.
func faulty(f func(msgs []message) (int, unix.Errno)) *calls {
	c := kernel
	c.send = func(fd int, msgs []message) (int, unix.Errno) {
		n, errno := f(msgs)
		if errno != 0 {
			return 0, errno
		}
		if n >= 0 {
			msgs = msgs[:min(n, len(msgs))]
		}
		return kernel.send(fd, msgs)
	}
	return &c
}

// isSegmented looks for the item that asks for segments.
func isSegmented(m *message) bool { return hasItem(m, unix.IPPROTO_UDP, unix.UDP_SEGMENT) }

func hasItem(m *message, level, kind int32) bool {
	found := false
	for _, i := range items(control(m)) {
		found = found || i.level == level && i.kind == kind
	}
	return found
}

func TestPartialSendsLoseAndRepeatNothing(t *testing.T) { // F12, B66
	const seed = 0xb66
	rng := rand.New(rand.NewPCG(seed, 0))
	a := openTest(t, Network{}, faulty(func(msgs []message) (int, unix.Errno) {
		switch rng.IntN(5) {
		case 0:
			return 0, unix.EINTR // F11, B68
		case 1:
			return 0, unix.EAGAIN
		default:
			return 1 + rng.IntN(len(msgs)), 0
		}
	}))
	b := openTest(t, Network{}, &kernel)
	for range 30 {
		var runs []packet.Run
		for i := range 70 {
			r := packet.Run{Buf: data(1, i, 100+i), Segment: 100 + i, To: b.at(home4)}
			if i%9 == 0 {
				r = dataRun(b.at(home4), 7, 200)
			}
			runs = append(runs, r)
		}
		if err := a.Send(runs); err != nil && !errors.Is(err, unix.EAGAIN) {
			t.Fatalf("seed %#x: %v", seed, err)
		} else if err != nil {
			t.Fatalf("seed %#x: ran out of patience: %v", seed, err)
		}
		for _, r := range runs {
			b.expectRun(t, r)
		}
	}
	b.expectNothing(t)
}

// Whatever a segmented send fails with, its messages leave at once (F14, F15,
// B14, B15, B16, E14), and the next ones to the same endpoint leave singly.
func TestSegmentedSendFailsWithAnyError(t *testing.T) {
	for errno := unix.Errno(1); errno < 134; errno++ {
		if errno == unix.EAGAIN || errno == unix.EINTR || errno == unix.ENOBUFS || errno == unix.ENOMEM {
			continue // below
		}
		var failed, bare atomic.Int32
		sys := faulty(func(msgs []message) (int, unix.Errno) {
			for i := range msgs {
				if !hasItem(&msgs[i], unix.IPPROTO_IP, unix.IP_TTL) && !hasItem(&msgs[i], unix.IPPROTO_IPV6, unix.IPV6_HOPLIMIT) {
					bare.Add(1)
				}
				if isSegmented(&msgs[i]) && i > 0 {
					return i, 0 // up to there
				}
				if isSegmented(&msgs[i]) {
					failed.Add(1)
					return 0, errno
				}
			}
			return -1, 0
		})
		a, b := openTest(t, Network{}, sys), openTest(t, Network{}, &kernel)
		to := b.at(home4)
		to.Local, to.Epoch = home4, a.sources.epoch.Load()
		for round := range 3 {
			runs := []packet.Run{dataRun(to, 1, 99), dataRun(to, 10, 1000), dataRun(b.at(home6), 5, 500), dataRun(to, 1, 98)}
			if round > 0 {
				runs[2] = dataRun(to, 1, 97)
			}
			for i := range runs {
				runs[i].TOS, runs[i].HopLimit = 0x8a, 9
			}
			if err := a.Send(runs); err != nil {
				t.Fatalf("%v: send: %v", errno, err)
			}
			var got []string
			for _, r := range runs {
				for range split(r.Buf, r.Segment) {
					a := b.take(t)
					got = append(got, a.msg)
					if a.tos != 0x8a {
						t.Fatalf("%v: traffic class %#x, want 0x8a", errno, a.tos)
					}
				}
			}
			checkAllOnce(t, got, runs)
		}
		b.expectNothing(t)
		if n := bare.Load(); n != 0 {
			t.Errorf("%v: %d datagrams without their hop limit", errno, n)
		}
		if n := failed.Load(); n > 4 {
			t.Errorf("%v: %d failing calls, want no more after the first round", errno, n)
		}
		if !a.plain.has(to.Remote, 1000) || !a.plain.has(b.at(home6).Remote, 1000) {
			t.Errorf("%v: not remembered", errno)
		}
	}
}

// checkAllOnce: both families go to sockets of their own, so that only the
// order within one is defined.
func checkAllOnce(t *testing.T, got []string, runs []packet.Run) {
	t.Helper()
	want := make(map[string]int)
	for _, r := range runs {
		for _, m := range split(r.Buf, r.Segment) {
			want[string(m)]++
		}
	}
	for _, m := range got {
		want[m]--
	}
	for m, n := range want {
		if n != 0 {
			t.Fatalf("message of %d bytes: %d missing or, if negative, too many", len(m), n)
		}
	}
}

func TestPlainTableIsBoundedAndExpires(t *testing.T) {
	var table plainTable
	to := netip.AddrPortFrom(home4, 1)
	table.learn(to, 1452)
	for span := leastSpan; ; span *= 2 {
		n := 0
		for table.has(to, 1452) {
			n++
		}
		if n != span {
			t.Fatalf("%d runs went singly, want %d", n, span)
		}
		if table.has(netip.AddrPortFrom(home4, 2), 1452) {
			t.Fatal("another endpoint pays too")
		}
		if span == mostSpan {
			break
		}
		table.learn(to, 1452)
		table.learn(to, 1452) // found out twice at the same time: one failure
	}
	table.learn(to, 1452)
	if table.has(to, 1451) {
		t.Error("smaller messages pay for larger ones")
	}
	table.learn(to, 1000)
	if !table.has(to, 1000) || !table.has(to, 1452) || table.has(to, 999) {
		t.Error("a smaller size that failed is not what counts now")
	}
	table.forget()
	table.learn(to, 1452)
	for span := leastSpan; span <= mostSpan; span *= 2 {
		for table.has(to, 1452) {
		}
		table.learn(to, 1452)
	}
	if n := (*table.entries.Load())[to].span; n != mostSpan {
		t.Errorf("span = %d, want at most %d", n, mostSpan)
	}
	for i := range 10 * maxPlain {
		table.learn(netip.AddrPortFrom(home6, uint16(i)), 1)
		if n := len(*table.entries.Load()); n > maxPlain {
			t.Fatalf("%d entries, want at most %d", n, maxPlain)
		}
	}
	table.forget()
	if table.has(netip.AddrPortFrom(home6, 10*maxPlain-1), 1) {
		t.Error("remembered after forget")
	}
}

// A full buffer is waited for; a queue that stays full costs a bounded wait and
// is reported, and sending goes on when it is over (F12, B74).
func TestFullBuffers(t *testing.T) {
	for _, errno := range []unix.Errno{unix.ENOBUFS, unix.EAGAIN, unix.ENOMEM} {
		var full atomic.Int32
		sys := faulty(func([]message) (int, unix.Errno) {
			if full.Add(-1) >= 0 {
				return 0, errno
			}
			return -1, 0
		})
		waits := 0
		realPoll := sys.poll
		sys.poll = func(fds []unix.PollFd, timeout *unix.Timespec) (int, unix.Errno) {
			if timeout == &moment {
				waits++
			}
			return realPoll(fds, timeout)
		}
		a, b := openTest(t, Network{}, sys), openTest(t, Network{}, &kernel)
		run := dataRun(b.at(home4), 9, 100)

		full.Store(patience)
		if err := a.Send([]packet.Run{run}); err != nil {
			t.Errorf("%v for a while: %v", errno, err)
		}
		b.expectRun(t, run)

		full.Store(1 << 20)
		waits = 0
		if err := a.Send([]packet.Run{run, run, run}); !errors.Is(err, errno) {
			t.Errorf("%v for ever: error %v", errno, err)
		}
		if waits > patience {
			t.Errorf("%v: waited %d times, want at most %d", errno, waits, patience)
		}

		full.Store(0)
		if err := a.Send([]packet.Run{run}); err != nil {
			t.Errorf("after %v: %v", errno, err)
		}
		b.expectRun(t, run)
		b.expectNothing(t)
		if a.plain.has(run.To.Remote, 1000) {
			t.Errorf("%v: taken for a failure of segmentation", errno)
		}
	}
}

// The errors of one family cost the other nothing (F13, B75), and nothing is
// left of them when they are over.
func TestErrorsOfOneFamily(t *testing.T) {
	for _, errno := range []unix.Errno{
		unix.EPERM, unix.EACCES, unix.EPIPE, unix.ECONNREFUSED, unix.ECONNRESET, unix.ENETDOWN,
		unix.ENETUNREACH, unix.EHOSTUNREACH, unix.EADDRNOTAVAIL,
	} {
		var broken atomic.Bool
		broken.Store(true)
		is6 := func(m *message) bool { return m.Namelen == unix.SizeofSockaddrInet6 }
		sys := faulty(func(msgs []message) (int, unix.Errno) {
			if is6(&msgs[0]) && broken.Load() {
				return 0, errno
			}
			return -1, 0
		})
		a, b := openTest(t, Network{}, sys), openTest(t, Network{}, &kernel)
		for range 5 {
			good := dataRun(b.at(home4), 4, 100)
			err := a.Send([]packet.Run{dataRun(b.at(home6), 4, 100), good, dataRun(b.at(home6), 1, 100)})
			if !errors.Is(err, errno) {
				t.Errorf("error %v, want %v", err, errno)
			}
			b.expectRun(t, good)
		}
		if a.plain.has(b.at(home6).Remote, 1000) {
			t.Errorf("%v: segmentation was given up though single sends failed too", errno)
		}
		broken.Store(false)
		good := dataRun(b.at(home6), 4, 100)
		if err := a.Send([]packet.Run{good}); err != nil {
			t.Errorf("after %v: %v", errno, err)
		}
		b.expectRun(t, good)
		b.expectNothing(t)
	}
}

// Errors of a receive neither end the loop nor lose a packet (F11, F13, E15,
// A6, B68).
func TestReceiveErrors(t *testing.T) {
	const seed = 0xf11
	rng := rand.New(rand.NewPCG(seed, 0))
	// Not EAGAIN: that says that the socket is empty, and it is believed.
	errnos := []unix.Errno{unix.EINTR, unix.ECONNREFUSED, unix.EHOSTUNREACH, unix.ENOMEM, unix.EPERM}
	c := kernel
	c.receive = func(fd int, msgs []message) (int, unix.Errno) {
		if rng.IntN(2) == 0 {
			return 0, errnos[rng.IntN(len(errnos))]
		}
		return kernel.receive(fd, msgs)
	}
	c.poll = func(fds []unix.PollFd, timeout *unix.Timespec) (int, unix.Errno) {
		if rng.IntN(4) == 0 {
			return 0, unix.EINTR
		}
		return kernel.poll(fds, timeout)
	}
	c.openFlow = func() (int, error) { return -1, unix.EPERM } // its poll is not ours to break
	b, err := (&Network{NoSteer: true}).open(&c, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	a := openTest(t, Network{}, &kernel)
	batch := newBatch(4, packet.MaxSuper)
	for i := range 300 {
		run := dataRun(packet.Endpoint{Remote: netip.AddrPortFrom(home4, b.number)}, 1+i%5, 300)
		if err := a.Send([]packet.Run{run}); err != nil {
			t.Fatal(err)
		}
		for got := 0; got < len(run.Buf); {
			n, err := b.receivers[0].Receive(batch)
			if err != nil {
				t.Fatalf("seed %#x: passing errors were handed on: %v", seed, err)
			}
			for _, d := range batch[:n] {
				got += d.N
			}
		}
	}
}

func TestLastingReceiveErrorIsReportedSlowly(t *testing.T) { // E15
	c := kernel
	calls, pauses := 0, 0
	c.receive = func(int, []message) (int, unix.Errno) { calls++; return 0, unix.ENETDOWN }
	c.poll = func(fds []unix.PollFd, timeout *unix.Timespec) (int, unix.Errno) {
		pauses++
		return 0, 0 // the time is over
	}
	c.openFlow = func() (int, error) { return -1, unix.EPERM }
	p, err := (&Network{}).open(&c, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	for range 10 {
		if _, err := p.receivers[0].Receive(newBatch(1, 100)); !errors.Is(err, unix.ENETDOWN) {
			t.Errorf("error %v, want ENETDOWN", err)
		}
	}
	if calls > 161 || pauses < calls-20 {
		t.Errorf("%d calls with %d pauses for 10 reports: a busy loop", calls, pauses)
	}
	_ = p.Close()
	if _, err := p.receivers[0].Receive(newBatch(1, 100)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("after Close: %v, want net.ErrClosed", err)
	}
}

// Every option but two may be refused (F16, B17): the port works without.
func TestOptionsRefusedOneByOne(t *testing.T) {
	type opt struct{ level, name int }
	var used []opt
	seen := make(map[opt]bool)
	c := kernel
	c.setInt = func(fd, level, name, value int) error {
		if o := (opt{level, name}); !seen[o] {
			seen[o] = true
			used = append(used, o)
		}
		return kernel.setInt(fd, level, name, value)
	}
	openTest(t, Network{}, &c)
	if len(used) < 12 {
		t.Fatalf("only %d options are set", len(used))
	}
	for _, refused := range append(used, opt{-1, -1}) {
		c.setInt = func(fd, level, name, value int) error {
			if o := (opt{level, name}); o == refused || refused.level == -1 && o != (opt{unix.IPPROTO_IPV6, unix.IPV6_V6ONLY}) {
				return unix.ENOPROTOOPT
			}
			return kernel.setInt(fd, level, name, value)
		}
		p, err := (&Network{}).open(&c, 0, 0)
		if refused == (opt{unix.IPPROTO_IPV6, unix.IPV6_V6ONLY}) {
			if err == nil {
				t.Error("an IPv6 socket that takes IPv4 too was accepted")
				_ = p.Close()
			}
			continue
		}
		if err != nil {
			t.Errorf("option %v refused: %v", refused, err)
			continue
		}
		_ = p.Close()
		a, b := openTest(t, Network{}, &c), openTest(t, Network{}, &c)
		for _, home := range []netip.Addr{home4, home6} {
			run := dataRun(b.at(home), 10, 1000)
			if err := a.Send([]packet.Run{run}); err != nil {
				t.Errorf("option %v refused: %v", refused, err)
			}
			b.expectRun(t, run)
		}
	}
}

func TestRefusedMarkIsAnError(t *testing.T) {
	c := kernel
	c.setInt = func(fd, level, name, value int) error {
		if name == unix.SO_MARK && level == unix.SOL_SOCKET {
			return unix.EPERM
		}
		return kernel.setInt(fd, level, name, value)
	}
	before := openFiles(t)
	if _, err := (&Network{}).open(&c, 0, 7); !errors.Is(err, unix.EPERM) {
		t.Errorf("error %v, want EPERM", err)
	}
	if got := openFiles(t); got != before {
		t.Errorf("%d descriptors, %d before (S08)", got, before)
	}
}

func TestOpeningFailsCleanly(t *testing.T) { // S08, B26
	// Every system call that makes a descriptor fails in turn.
	before := openFiles(t)
	for failing := range 7 {
		for _, fatal := range []unix.Errno{unix.EMFILE, unix.EADDRINUSE} {
			c := kernel
			made := 0
			fail := func() bool { made++; return made-1 == failing }
			c.socket = func(domain, kind, protocol int) (int, error) {
				if fail() {
					return -1, fatal
				}
				return kernel.socket(domain, kind, protocol)
			}
			c.openFlow = func() (int, error) {
				if fail() {
					return -1, fatal
				}
				return kernel.openFlow()
			}
			p, err := (&Network{}).open(&c, 0, 0)
			if err == nil {
				_ = p.Close()
			}
			if got := openFiles(t); got != before {
				t.Fatalf("call %d failing with %v: %d descriptors, %d before", failing, fatal, got, before)
			}
		}
	}
}

func ExampleNetwork_Open() {
	port, err := new(Network).Open(0, 0)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer port.Close()
	self := packet.Endpoint{Remote: netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port.Number())}
	_ = port.Send([]packet.Run{{Buf: []byte("hello, hello, hello, hello, hello"), Segment: 7, To: self}})
	for _, r := range port.Receivers() {
		if !r.Handshake() {
			continue
		}
		batch := []packet.Datagram{{Buf: make([]byte, packet.MaxSuper)}}
		_, _ = r.Receive(batch)
		fmt.Printf("%d bytes in messages of %d\n", batch[0].N, batch[0].Segment)
		return
	}
	// Output: 33 bytes in messages of 7
}

// B27, F22: a flood of empty datagrams, of which none is handed over, does not
// keep a port from closing.
func TestEmptyDatagramsDoNotHoldThePort(t *testing.T) {
	endless := kernel
	var reads atomic.Int64
	endless.receive = func(_ int, msgs []message) (int, unix.Errno) {
		reads.Add(1)
		for i := range msgs {
			msgs[i].n, msgs[i].Flags = 0, 0
			msgs[i].SetControllen(0)
		}
		return len(msgs), 0
	}
	p, err := new(Network).open(&endless, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error)
	go func() {
		_, err := p.Receivers()[0].Receive([]packet.Datagram{{Buf: make([]byte, 100)}})
		ended <- err
	}()
	for reads.Load() < 100 {
		runtime.Gosched()
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; !errors.Is(err, net.ErrClosed) {
		t.Errorf("Receive = %v, want %v", err, net.ErrClosed)
	}
}
