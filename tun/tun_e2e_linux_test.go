//go:build linux && e2e

package tun

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/warrenvpn/warren/packet"
)

// patience is how long a test waits for what must come; how long it may take is
// checked apart.
const patience = 5 * time.Second

// expect waits for one event and returns how long it took.
func expect(t testing.TB, d *Device, want packet.LinkEvent) time.Duration {
	t.Helper()
	start := time.Now()
	select {
	case ev, ok := <-d.Events():
		if !ok || ev != want {
			t.Fatalf("event %+v, %v, want %+v", ev, ok, want)
		}
	case <-time.After(patience):
		t.Fatalf("no event, want %+v", want)
	}
	return time.Since(start)
}

var (
	up   = packet.LinkEvent{Kind: packet.LinkUp}
	down = packet.LinkEvent{Kind: packet.LinkDown}
	gone = packet.LinkEvent{Kind: packet.LinkGone}
)

func mtuEvent(n int) packet.LinkEvent { return packet.LinkEvent{Kind: packet.MTUChanged, MTU: n} }

func TestNamesAndRename(t *testing.T) {
	ns := newNetns(t)
	a, b, c := ns.create("wg%d", Config{}), ns.create("wg%d", Config{MTU: 1280}), ns.create("", Config{})
	if a.Name() != "wg0" || b.Name() != "wg1" || c.Name() != "tun0" {
		t.Errorf("names %s, %s, %s, want wg0, wg1, tun0", a.Name(), b.Name(), c.Name())
	}
	if a.MTU() != 1500 || b.MTU() != 1280 {
		t.Errorf("MTU %d and %d, want 1500 and 1280", a.MTU(), b.MTU())
	}
	expect(t, a, down)
	ns.ip("link", "set", "wg0", "name", "other")
	ns.ip("link", "set", "other", "up")
	expect(t, a, up)
	if a.Name() != "other" {
		t.Errorf("name %s, want other", a.Name())
	}
}

func TestUpWithin50ms(t *testing.T) {
	ns := newNetns(t)
	for _, blind := range []bool{false, true} {
		d := ns.create("wg0", Config{MTU: 1420, Offload: true})
		d.blind = blind
		expect(t, d, down)
		for range 5 {
			ns.ip("link", "set", "wg0", "up")
			if took := expect(t, d, up); took > 50*time.Millisecond {
				t.Errorf("blind %v: the link is up, reported after %v", blind, took)
			}
			ns.ip("link", "set", "wg0", "down")
			limit := 50 * time.Millisecond
			if blind {
				limit = 1500 * time.Millisecond
			}
			if took := expect(t, d, down); took > limit {
				t.Errorf("blind %v: the link is down, reported after %v", blind, took)
			}
			if blind {
				break
			}
		}
		d.Close()
	}
}

// F21: moved to another namespace, at once and back, up at once in the next.
func TestMovedToAnotherNamespace(t *testing.T) {
	for _, blind := range []bool{false, true} {
		home, other := newNetns(t), newNetns(t)
		d := home.create("wg0", Config{MTU: 1420})
		d.blind = blind
		expect(t, d, down)
		for range 3 {
			home.ip("link", "set", "wg0", "netns", other.path())
			other.ip("link", "set", "wg0", "up")
			if took := expect(t, d, up); took > 50*time.Millisecond {
				t.Errorf("up in the other namespace, reported after %v", took)
			}
			if !blind {
				other.ip("link", "set", "wg0", "mtu", "1300")
				expect(t, d, mtuEvent(1300))
				other.ip("link", "set", "wg0", "mtu", "1420")
				expect(t, d, mtuEvent(1420))
				if out := other.ip("-6", "addr", "show", "dev", "wg0"); strings.Contains(out, "fe80") {
					t.Errorf("an address that nobody asked for: %s", out)
				}
			}
			other.ip("link", "set", "wg0", "netns", home.path()) // goes down
			expect(t, d, down)
			if blind {
				break
			}
		}
		// Moved before anybody watches.
		e := home.create("wg5", Config{})
		e.blind = blind
		home.ip("link", "set", "wg5", "netns", other.path())
		other.ip("link", "set", "wg5", "up")
		expect(t, e, up)
		other.ip("link", "del", "wg5")
		if !blind {
			expect(t, e, down)
		}
		expect(t, e, gone)
	}
}

func TestMTUChange(t *testing.T) {
	ns := newNetns(t)
	d := ns.create("wg0", Config{MTU: 1420})
	expect(t, d, down)
	ns.ip("link", "set", "wg0", "mtu", "9000")
	expect(t, d, mtuEvent(9000))
	if d.MTU() != 9000 {
		t.Errorf("MTU %d, want 9000", d.MTU())
	}
	// Other links do not matter.
	ns.create("wg1", Config{MTU: 1300})
	ns.ip("link", "set", "wg1", "up")
	ns.ip("link", "set", "wg0", "up")
	expect(t, d, up)
}

// F21, B25: deleted, by ip link del or with its namespace.
func TestDeleted(t *testing.T) {
	ns := newNetns(t)
	for _, blind := range []bool{false, true} {
		d := ns.create("wg0", Config{Queues: 2, Offload: true})
		d.blind = blind
		ns.ip("link", "set", "wg0", "up")
		expect(t, d, up)
		errs := make(chan error)
		for _, q := range d.Queues() {
			go func() {
				batch := []packet.Super{{Buf: make([]byte, 1<<16)}}
				for {
					if _, err := q.Read(batch); err != nil {
						errs <- err
						return
					}
				}
			}()
		}
		ns.ip("link", "del", "wg0")
		for range d.Queues() {
			select {
			case err := <-errs:
				if !errors.Is(err, os.ErrClosed) {
					t.Errorf("Read: %v, want os.ErrClosed", err)
				}
			case <-time.After(patience):
				t.Fatal("Read goes on after the link was deleted")
			}
		}
		if err := d.Queues()[0].Write(packet.Offload{}, [][]byte{{0x45}}); !errors.Is(err, os.ErrClosed) {
			t.Errorf("Write: %v, want os.ErrClosed", err)
		}
		if ev := <-d.Events(); ev != gone {
			if ev != down {
				t.Errorf("event %+v, want down or gone", ev)
			}
			expect(t, d, gone)
		}
		if _, ok := <-d.Events(); ok {
			t.Error("an event after the last one")
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}
}

// Q16, E19: no address of the kernel's own, no redirects.
func TestQuiet(t *testing.T) {
	ns := newNetns(t)
	ns.write("/proc/sys/net/ipv4/conf/all/send_redirects", "1")
	d := ns.create("wg0", Config{MTU: 1420, TxQueueLen: 77})
	ns.ip("link", "set", "wg0", "up")
	expect(t, d, up)
	if out := ns.ip("addr", "show", "dev", "wg0"); strings.Contains(out, "inet") {
		t.Errorf("an address that nobody asked for: %s", out)
	}
	for _, file := range []string{"wg0", "all"} {
		if got := ns.read("/proc/sys/net/ipv4/conf/" + file + "/send_redirects"); got != "0" {
			t.Errorf("send_redirects of %s is %s", file, got)
		}
	}
	if out := ns.ip("link", "show", "dev", "wg0"); !strings.Contains(out, "qlen 77") {
		t.Errorf("queue length is not 77: %s", out)
	}
}

func gsoSize(ns *netns) string {
	out := ns.ip("-d", "link", "show", "dev", "wg0")
	_, size, _ := strings.Cut(out, "gso_max_size ")
	size, _, _ = strings.Cut(size, " ")
	return size
}

func TestGSOSizeFollowsForwarding(t *testing.T) {
	ns := newNetns(t)
	d := ns.create("wg0", Config{Offload: true})
	if got := gsoSize(ns); got != fmt.Sprint(GSOSizeHost) {
		t.Errorf("gso_max_size %s, want %d", got, GSOSizeHost)
	}
	expect(t, d, down)
	for _, c := range []struct {
		file, value string
		want        int
	}{
		{"/proc/sys/net/ipv4/ip_forward", "1", GSOSizeGateway},
		{"/proc/sys/net/ipv4/ip_forward", "0", GSOSizeHost},
		{"/proc/sys/net/ipv6/conf/all/forwarding", "1", GSOSizeGateway},
	} {
		ns.write(c.file, c.value)
		deadline := time.Now().Add(patience)
		for gsoSize(ns) != fmt.Sprint(c.want) {
			if time.Now().After(deadline) {
				t.Fatalf("%s = %s: gso_max_size is %s, want %d", c.file, c.value, gsoSize(ns), c.want)
			}
		}
	}
	d.Close()
	e := ns.create("wg0", Config{Offload: true, GSOMaxSize: 50000})
	if got := gsoSize(ns); got != "50000" {
		t.Errorf("gso_max_size %s, want 50000", got)
	}
	if _, _, limit := e.Joins(); limit != 49999 {
		t.Errorf("joins up to %d, want 49999", limit)
	}
}

func TestCaps(t *testing.T) {
	ns := newNetns(t)
	d := ns.create("wg0", Config{Offload: true, Queues: 3})
	if c := d.Caps(); !c.Checksum || !c.TCP || c.Queues != 3 {
		t.Errorf("%+v, want TCP and checksums on three queues", c)
	}
	e := ns.create("wg1", Config{})
	if c := e.Caps(); c.Checksum || c.TCP || c.UDP || c.Queues != 1 {
		t.Errorf("%+v, want nothing on one queue", c)
	}
}

// F22, B27, B35: descriptors are reused by others all the time. Most rounds
// adopt one more queue of a link that stays, which is quicker to make.
func TestCloseDuringReadWithDescriptorChurn(t *testing.T) {
	ns := newNetns(t)
	stop := make(chan struct{})
	foreign := make(chan error, 1)
	go churn(stop, foreign)
	ns.create("wg1", Config{Offload: true, Queues: 2})
	for i := range 1000 {
		var d *Device
		ns.do(func() (err error) {
			if i%20 == 0 {
				d, err = Create("wg0", Config{Offload: i%40 == 0, Queues: 1 + i%3})
				return err
			}
			fd, _, err := openQueue("wg1", unix.IFF_TUN|unix.IFF_NO_PI|unix.IFF_VNET_HDR|unix.IFF_MULTI_QUEUE)
			if err != nil {
				return err
			}
			d, err = FromFD(fd, Config{Offload: true})
			return err
		})
		if i%4 == 0 {
			d.Events()
		}
		closeWhileReading(t, d)
	}
	close(stop)
	if err := <-foreign; err != nil {
		t.Error(err)
	}
}

// closeWhileReading closes a device of which all queues are read and written.
func closeWhileReading(t *testing.T, d *Device) {
	t.Helper()
	errs := make(chan error)
	pkt := []byte{0x45, 0, 0, 20, 0, 0, 0, 0, 1, 59, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2}
	for _, q := range d.Queues() {
		go func() {
			batch := []packet.Super{{Buf: make([]byte, 1<<16)}}
			for {
				q.Write(packet.Offload{}, [][]byte{pkt})
				if _, err := q.Read(batch); err != nil {
					errs <- err
					return
				}
			}
		}()
	}
	start := time.Now()
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	for range d.Queues() {
		if err := <-errs; !errors.Is(err, os.ErrClosed) {
			t.Fatalf("Read: %v, want os.ErrClosed", err)
		}
	}
	if took := time.Since(start); took > time.Second {
		t.Fatalf("Close took %v", took)
	}
}

// churn opens and closes pipes, and looks whether anybody else touches them.
func churn(stop chan struct{}, result chan error) {
	for {
		select {
		case <-stop:
			result <- nil
			return
		default:
		}
		var pipes [8][2]int
		for i := range pipes {
			if err := unix.Pipe2(pipes[i][:], unix.O_NONBLOCK|unix.O_CLOEXEC); err != nil {
				result <- err
				return
			}
		}
		for _, p := range pipes {
			var b [1]byte
			if _, err := unix.Read(p[0], b[:]); err != unix.EAGAIN {
				result <- fmt.Errorf("somebody wrote to a foreign descriptor: %v", err)
				return
			}
			for _, fd := range p {
				if err := unix.Close(fd); err != nil {
					result <- fmt.Errorf("somebody closed a foreign descriptor: %w", err)
					return
				}
			}
		}
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

// S08, B26.
func TestNoDescriptorLeaks(t *testing.T) {
	ns := newNetns(t)
	cycle := func() {
		ns.do(func() error {
			d, err := Create("wg0", Config{Offload: true, Queues: 2})
			if err != nil {
				return err
			}
			<-d.Events()
			files, err := d.Files()
			if err != nil {
				return err
			}
			for _, f := range files {
				f.Close()
			}
			return d.Close()
		})
	}
	failing := func(name string, c Config) {
		ns.do(func() error {
			if d, err := Create(name, c); err == nil {
				d.Close()
				return fmt.Errorf("made %s with %+v", name, c)
			}
			return nil
		})
	}
	cycle()
	before := descriptors(t)
	for i := range 1000 {
		failing("lo", Config{})
		if i%20 == 0 {
			cycle()
			failing("wg0", Config{MTU: 1 << 20})
		}
	}
	if after := descriptors(t); after != before {
		t.Errorf("%d descriptors, %d before", after, before)
	}
}

// B26: a child sees none of ours.
func TestDescriptorsAreClosedOnExec(t *testing.T) {
	ns := newNetns(t)
	d := ns.create("wg0", Config{Offload: true, Queues: 2})
	expect(t, d, down)
	out, err := exec.Command("ls", "-l", "/proc/self/fd").CombinedOutput()
	if err != nil {
		t.Fatal(err)
	}
	for _, what := range []string{"tun", "eventfd", "net:", "socket:"} {
		if strings.Contains(string(out), what) {
			t.Errorf("a child inherits %s:\n%s", what, out)
		}
	}
}

// Joint 15: all queues are handed over; the interface outlives the first owner.
func TestHandOver(t *testing.T) {
	ns := newNetns(t)
	d := ns.create("wg0", Config{Offload: true, Queues: 3, MTU: 1333})
	ns.ip("link", "set", "wg0", "up")
	files, err := d.Files()
	if err != nil {
		t.Fatal(err)
	}
	var fds []int
	for _, f := range files {
		fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 3)
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
		fds = append(fds, fd)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	e, err := FromFDs(fds, Config{Offload: true})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if e.Name() != "wg0" || e.MTU() != 1333 || e.Caps().Queues != 3 || !e.Caps().TCP {
		t.Errorf("%s, MTU %d, %+v", e.Name(), e.MTU(), e.Caps())
	}
	expect(t, e, up)
	done := make(chan error)
	go func() {
		_, err := e.Queues()[0].Read([]packet.Super{{Buf: make([]byte, 1<<16)}})
		done <- err
	}()
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; !errors.Is(err, os.ErrClosed) {
		t.Errorf("Read: %v", err)
	}
	if out := ns.ip("link", "show"); strings.Contains(out, "wg0") {
		t.Errorf("the interface is still there: %s", out)
	}
}

// A write to a link that is down fails, and nothing is concluded from it.
func TestWriteWhileDown(t *testing.T) {
	ns := newNetns(t)
	d := ns.create("wg0", Config{Offload: true})
	before := d.Caps()
	o, parts := super(10, 1000)
	err := d.Queues()[0].Write(o, parts)
	if !errors.Is(err, unix.EIO) {
		t.Errorf("%v, want EIO", err)
	}
	if d.Caps() != before {
		t.Errorf("%+v became %+v", before, d.Caps())
	}
}
