package tun

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/warrenvpn/warren/internal/offload"
	"github.com/warrenvpn/warren/packet"
)

// fakeQueue is a queue over a pair of sockets that keep packets apart as a TUN
// does; the other end is returned.
func fakeQueue(t testing.TB, vnet bool, takes uint32) (q *queue, far int) {
	t.Helper()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		t.Fatal(err)
	}
	d := &Device{wake: wake, vnet: vnet, closing: make(chan struct{}), stopped: make(chan struct{}), events: make(chan packet.LinkEvent, 1)}
	name := "fake"
	d.name.Store(&name)
	d.takes.Store(takes)
	q = newQueue(d, pair[0])
	d.queues = []*queue{q}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
		unix.Close(pair[1])
	})
	return q, pair[1]
}

// received returns the packets waiting at the other end.
func received(t *testing.T, far int) [][]byte {
	t.Helper()
	var list [][]byte
	for {
		b := make([]byte, 1<<17)
		n, err := unix.Read(far, b)
		if err == unix.EAGAIN {
			return list
		}
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, b[:n])
	}
}

// super is a UDP super-packet of n segments, in parts as a Joiner has them.
func super(n, segment int) (packet.Offload, [][]byte) {
	j := offload.NewJoiner()
	j.Allow(true, true, 0)
	for i := range n {
		b := make([]byte, 28+segment)
		b[0], b[8], b[9], b[26] = 0x45, 64, 17, 1
		binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
		binary.BigEndian.PutUint16(b[4:], uint16(i))
		binary.BigEndian.PutUint16(b[24:], uint16(len(b)-20))
		j.Add(b)
	}
	var off packet.Offload
	var parts [][]byte
	j.Flush(func(o packet.Offload, p [][]byte) error {
		off, parts = o, append(parts, p...)
		return nil
	})
	return off, parts
}

const all = 1<<packet.Plain | 1<<packet.TCP4 | 1<<packet.TCP6 | 1<<packet.UDP

func TestReadLeavesHeadroom(t *testing.T) {
	for _, vnet := range []bool{false, true} {
		q, far := fakeQueue(t, vnet, 0)
		batch := make([]packet.Super, 4)
		for i := range batch {
			batch[i].Buf = make([]byte, 2048)
		}
		want := []byte{0x45, 1, 2, 3}
		sent := want
		if vnet {
			sent = append([]byte{1, 0, 0, 0, 0, 0, 20, 0, 6, 0}, want...)
		}
		for range 3 {
			if _, err := unix.Write(far, sent); err != nil {
				t.Fatal(err)
			}
		}
		n, err := q.Read(batch)
		if n != 3 || err != nil {
			t.Fatalf("%d packets, %v, want 3", n, err)
		}
		for i := range n {
			s := &batch[i]
			if s.Off < 16 || !bytes.Equal(s.Bytes(), want) || s.Offload.NeedsCsum != vnet {
				t.Errorf("offset %d, %x, %+v", s.Off, s.Bytes(), s.Offload)
			}
		}
	}
}

func TestReadStopsAfterALargePacket(t *testing.T) {
	q, far := fakeQueue(t, false, 0)
	for range 2 {
		if _, err := unix.Write(far, make([]byte, 20000)); err != nil {
			t.Fatal(err)
		}
	}
	batch := []packet.Super{{Buf: make([]byte, 1<<16)}, {Buf: make([]byte, 1<<16)}}
	if n, err := q.Read(batch); n != 1 || err != nil {
		t.Errorf("%d packets, %v, want 1", n, err)
	}
}

func TestReadOfABadHeaderIsPassing(t *testing.T) {
	q, far := fakeQueue(t, true, 0)
	batch := []packet.Super{{Buf: make([]byte, 2048)}, {Buf: make([]byte, 2048)}}
	for _, b := range [][]byte{{1, 2, 3}, {0, 3, 0, 0, 9, 9, 0, 0, 0, 0, 0x45}, {1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0x45}} {
		if _, err := unix.Write(far, b); err != nil {
			t.Fatal(err)
		}
		if n, err := q.Read(batch); n != 0 || err == nil || errors.Is(err, os.ErrClosed) {
			t.Errorf("%x: %d, %v, want an error that passes", b, n, err)
		}
	}
}

func TestWriteHandsOverASuperPacket(t *testing.T) {
	q, far := fakeQueue(t, true, all)
	o, parts := super(10, 1000)
	if err := q.Write(o, parts); err != nil {
		t.Fatal(err)
	}
	got := received(t, far)
	if len(got) != 1 || !bytes.Equal(got[0][virtioSize:], bytes.Join(parts, nil)) || got[0][1] != virtioUDP {
		t.Fatalf("%d packets, the first is %x", len(got), got[0][:40])
	}
	// B22: nothing of it is left in the next header.
	if err := q.Write(packet.Offload{}, [][]byte{{0x45}}); err != nil {
		t.Fatal(err)
	}
	if got := received(t, far); len(got) != 1 || !bytes.Equal(got[0], append(make([]byte, virtioSize), 0x45)) {
		t.Errorf("%x, want ten zeros and the packet", got)
	}
}

func TestWriteCutsWhatIsNotTaken(t *testing.T) {
	for _, vnet := range []bool{false, true} {
		q, far := fakeQueue(t, vnet, 0)
		o, parts := super(10, 1000)
		if err := q.Write(o, parts); err != nil {
			t.Fatal(err)
		}
		checkSingles(t, received(t, far), vnet, 10, 1028)
	}
}

func checkSingles(t *testing.T, got [][]byte, vnet bool, n, size int) {
	t.Helper()
	if len(got) != n {
		t.Fatalf("%d packets, want %d", len(got), n)
	}
	for i, b := range got {
		if vnet {
			if !bytes.Equal(b[:virtioSize], make([]byte, virtioSize)) {
				t.Errorf("packet %d has virtio header %x", i, b[:virtioSize])
			}
			b = b[virtioSize:]
		}
		if len(b) != size || int(binary.BigEndian.Uint16(b[4:])) != i {
			t.Errorf("packet %d: %d bytes, id %d", i, len(b), binary.BigEndian.Uint16(b[4:]))
		}
	}
}

// F17, B18: a datagram socket refuses what is as large as a full super-packet
// with its header, as some kernels refuse what has an offload.
func TestWriteSwitchesOffWhatIsRefused(t *testing.T) {
	q, far := fakeQueue(t, true, all)
	udpPair(t, q.fd, far)
	o, parts := super(64, 1023)
	if err := q.Write(o, parts); err != nil {
		t.Fatal(err)
	}
	checkSingles(t, received(t, far), true, 64, 1051)
	if tcp, udp, _ := q.dev.Joins(); !tcp || udp {
		t.Errorf("joins TCP %v, UDP %v, want only UDP off", tcp, udp)
	}
	o, parts = super(64, 1023)
	if err := q.Write(o, parts); err != nil {
		t.Fatal(err)
	}
	checkSingles(t, received(t, far), true, 64, 1051)
}

// A packet that is not taken in pieces either says nothing about offloads: the
// link may be down.
func TestWriteKeepsOffloadsWhenSinglePacketsFail(t *testing.T) {
	q, far := fakeQueue(t, true, all)
	if err := unix.SetsockoptInt(q.fd, unix.SOL_SOCKET, unix.SO_SNDBUF, 4608); err != nil {
		t.Fatal(err)
	}
	o, parts := super(2, 30000)
	if err := q.Write(o, parts); !errors.Is(err, unix.EMSGSIZE) {
		t.Fatalf("%v, want EMSGSIZE", err)
	}
	if _, udp, _ := q.dev.Joins(); !udp {
		t.Error("the offload was switched off")
	}
	if n := len(received(t, far)); n != 0 {
		t.Errorf("%d packets", n)
	}
}

// udpPair makes two descriptors the ends of a UDP connection.
func udpPair(t *testing.T, near, far int) {
	t.Helper()
	loopback := &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}
	var ends [2]int
	for i := range ends {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(fd)
		if err := unix.Bind(fd, loopback); err != nil {
			t.Fatal(err)
		}
		ends[i] = fd
	}
	for i, fd := range ends {
		to, err := unix.Getsockname(ends[1-i])
		if err != nil {
			t.Fatal(err)
		}
		if err := unix.Connect(fd, to); err != nil {
			t.Fatal(err)
		}
		if err := unix.Dup3(fd, []int{near, far}[i], unix.O_CLOEXEC); err != nil {
			t.Fatal(err)
		}
	}
}

// B76: a queue that is full does not block for ever, and the error is told.
func TestWriteGivesUpOnAFullQueue(t *testing.T) {
	q, far := fakeQueue(t, false, 0)
	var err error
	for range 10000 {
		if err = q.Write(packet.Offload{}, [][]byte{make([]byte, 1000)}); err != nil {
			break
		}
	}
	if err != unix.EAGAIN {
		t.Fatalf("%v, want EAGAIN", err)
	}
	received(t, far)
	if err := q.Write(packet.Offload{}, [][]byte{make([]byte, 1000)}); err != nil {
		t.Errorf("%v after there is room again", err)
	}
}

func TestWriteOfNothing(t *testing.T) {
	for _, vnet := range []bool{false, true} {
		q, _ := fakeQueue(t, vnet, all)
		if err := q.Write(packet.Offload{}, nil); vnet != (err == nil) {
			t.Errorf("virtio %v: %v", vnet, err)
		}
	}
}

func TestCloseWakesReaders(t *testing.T) {
	q, _ := fakeQueue(t, true, 0)
	done := make(chan error)
	go func() {
		_, err := q.Read([]packet.Super{{Buf: make([]byte, 2048)}})
		done <- err
	}()
	if err := q.dev.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; !errors.Is(err, os.ErrClosed) {
		t.Errorf("Read: %v, want os.ErrClosed", err)
	}
	if err := q.Write(packet.Offload{}, [][]byte{{0x45}}); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Write: %v, want os.ErrClosed", err)
	}
	if _, err := q.dev.Files(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Files: %v, want os.ErrClosed", err)
	}
	if _, ok := <-q.dev.Events(); ok {
		t.Error("an event after Close")
	}
}

func TestReadAndWriteDoNotAllocate(t *testing.T) {
	q, far := fakeQueue(t, true, all)
	o, parts := super(30, 1000)
	batch := []packet.Super{{Buf: make([]byte, 1<<16)}}
	buf := make([]byte, 1<<16)
	allocs := testing.AllocsPerRun(100, func() {
		if err := q.Write(o, parts); err != nil {
			t.Fatal(err)
		}
		n, err := unix.Read(far, buf)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := unix.Write(far, buf[:n]); err != nil {
			t.Fatal(err)
		}
		if _, err := q.Read(batch); err != nil {
			t.Fatal(err)
		}
	})
	if allocs != 0 {
		t.Errorf("%v allocations, want none", allocs)
	}
}

func TestCheckName(t *testing.T) {
	for _, name := range []string{"", "wg0", "wg%d", "123456789012345", "-h", "a.b"} {
		if err := checkName(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, name := range []string{"1234567890123456", ".", "..", "a/b", "a b", "a\x00b", "a\n", "a:b"} {
		if err := checkName(name); err == nil {
			t.Errorf("%q is accepted", name)
		}
	}
}

func TestCreateSaysWhatIsWrong(t *testing.T) {
	_, err := Create("1234567890123456", Config{})
	if err == nil || !strings.Contains(err.Error(), "at most 15") {
		t.Errorf("%v, want the limit in it", err)
	}
	if _, err := Create("wg0", Config{Queues: 257}); err == nil || !strings.Contains(err.Error(), "at most 256") {
		t.Errorf("%v, want the limit in it", err)
	}
	if _, err := FromFDs(nil, Config{}); err == nil {
		t.Error("no descriptor is accepted")
	}
	for cause, want := range map[error]string{unix.ENOENT: "module", unix.EACCES: "CAP_NET_ADMIN"} {
		if err := explainOpen(cause); !errors.Is(err, cause) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q in it", err, want)
		}
	}
	if err := explainAttach(unix.EPERM); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("%v is not a permission error", err)
	}
}

// A descriptor that is no TUN stays its owner's.
func TestFromFDRefusesOthers(t *testing.T) {
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	if _, err := FromFD(p[0], Config{}); err == nil {
		t.Error("a pipe is accepted")
	}
	for _, fd := range p {
		if err := unix.Close(fd); err != nil {
			t.Errorf("descriptor %d was closed", fd)
		}
	}
}
