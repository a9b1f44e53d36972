//go:build linux && e2e

package tun

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/warrenvpn/warren/internal/ippkt"
	"github.com/warrenvpn/warren/internal/offload"
	"github.com/warrenvpn/warren/packet"
)

// wire carries packets from one TUN to another as a tunnel would: cut, carried,
// joined. It counts what it sees.
type wire struct {
	supers  atomic.Int64 // read with an offload
	largest atomic.Int64
	joined  atomic.Int64 // written with an offload
	errs    chan error
}

// run reads from one queue and writes to another until either is closed. With
// raw, super-packets are passed on as they are.
func (w *wire) run(from, to packet.Queue, joins func() (bool, bool, int), raw bool) {
	batch := make([]packet.Super, 16)
	for i := range batch {
		batch[i].Buf = make([]byte, 16+packet.MaxSuper)
	}
	dst := make([]byte, 1<<18)
	j := offload.NewJoiner()
	write := func(o packet.Offload, parts [][]byte) error {
		if o.Kind != packet.Plain {
			w.joined.Add(1)
		}
		return to.Write(o, parts)
	}
	for {
		n, err := from.Read(batch)
		if err != nil {
			w.errs <- err
			return
		}
		for i := range n {
			s := &batch[i]
			if s.Offload.Kind != packet.Plain {
				w.supers.Add(1)
			}
			w.largest.Store(max(w.largest.Load(), int64(s.N)))
			if raw {
				err = write(s.Offload, [][]byte{s.Bytes()[:20], s.Bytes()[20:]})
			} else {
				err = w.carry(j, dst, s, joins, write)
			}
			if err != nil && !errors.Is(err, os.ErrClosed) && !errors.Is(err, unix.EIO) {
				w.errs <- fmt.Errorf("%+v, %d bytes: %w", s.Offload, s.N, err)
				return
			}
		}
	}
}

func (w *wire) carry(j *offload.Joiner, dst []byte, s *packet.Super, joins func() (bool, bool, int), write func(packet.Offload, [][]byte) error) error {
	size, _, total, err := offload.Cut(dst, s.Bytes(), s.Offload, 1420)
	if err != nil {
		return err
	}
	j.Allow(joins())
	for b := dst[:total]; len(b) > 0; b = b[min(size, len(b)):] {
		inner := b[16 : min(size, len(b))-16]
		h, ok := ippkt.Parse(inner)
		if !ok {
			return errors.New("not a packet")
		}
		j.Add(inner[:h.Length])
	}
	return j.Flush(write)
}

// cable joins two TUNs in two namespaces, with addresses of both families.
func cable(t testing.TB, a, b *netns, da, db *Device, raw bool) *wire {
	for _, end := range []struct {
		ns   *netns
		d    *Device
		host int
	}{{a, da, 1}, {b, db, 2}} {
		end.ns.ip("addr", "add", fmt.Sprintf("10.99.0.%d/24", end.host), "dev", end.d.Name())
		end.ns.ip("addr", "add", fmt.Sprintf("fd99::%d/64", end.host), "dev", end.d.Name(), "nodad")
		end.ns.ip("link", "set", end.d.Name(), "up")
		// The kernel takes what is for an address of IPv6 a moment after the link is
		// up only: a datagram before that is lost ([K] addrconf.c).
		address := fmt.Sprintf("fd99::%d", end.host)
		for begin := time.Now(); !strings.HasPrefix(end.ns.ip("-6", "route", "get", address), "local "+address); {
			if time.Since(begin) > patience {
				t.Fatalf("%s is not usable", address)
			}
			time.Sleep(time.Millisecond)
		}
	}
	w := &wire{errs: make(chan error, 2)}
	var wg sync.WaitGroup
	wg.Go(func() { w.run(da.Queues()[0], db.Queues()[0], db.Joins, raw) })
	wg.Go(func() { w.run(db.Queues()[0], da.Queues()[0], da.Joins, raw) })
	t.Cleanup(func() {
		da.Close()
		db.Close()
		wg.Wait()
		for range 2 {
			if err := <-w.errs; !errors.Is(err, os.ErrClosed) {
				t.Error(err)
			}
		}
	})
	return w
}

// transfer sends n bytes by TCP from one namespace to the other and compares
// their hashes.
func transfer(t *testing.T, a, b *netns, address string, n int64) {
	t.Helper()
	var listener net.Listener
	b.do(func() (err error) { listener, err = net.Listen("tcp", address+":0"); return err })
	defer listener.Close()
	got := make(chan [32]byte, 1)
	go func() {
		c, err := listener.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		h := sha256.New()
		io.Copy(h, c)
		got <- [32]byte(h.Sum(nil))
	}()
	var c net.Conn
	a.do(func() (err error) { c, err = net.DialTimeout("tcp", listener.Addr().String(), patience); return err })
	c.SetDeadline(time.Now().Add(60 * time.Second))
	h := sha256.New()
	buf := make([]byte, 1<<18)
	for i := range buf {
		buf[i] = byte(i * i >> 7)
	}
	for sent := int64(0); sent < n; sent += int64(len(buf)) {
		buf[sent%int64(len(buf))] ^= 1
		h.Write(buf)
		if _, err := c.Write(buf); err != nil {
			t.Fatal(err)
		}
	}
	c.Close()
	select {
	case sum := <-got:
		if sum != [32]byte(h.Sum(nil)) {
			t.Error("what arrives is not what was sent")
		}
	case <-time.After(60 * time.Second):
		t.Error("the transfer does not end")
	}
}

// Super-packets come out of the TUN and go into it, whole.
func TestTCPSuperPackets(t *testing.T) {
	for _, raw := range []bool{false, true} {
		a, b := newNetns(t), newNetns(t)
		c := Config{MTU: 1420, Offload: true}
		da, db := a.create("wg0", c), b.create("wg0", c)
		w := cable(t, a, b, da, db, raw)
		transfer(t, a, b, "10.99.0.2", 64<<20)
		transfer(t, a, b, "[fd99::2]", 64<<20)
		t.Logf("raw %v: %d super-packets read, the largest of %d bytes, %d written", raw, w.supers.Load(), w.largest.Load(), w.joined.Load())
		if w.supers.Load() == 0 || w.largest.Load() < 20000 || w.joined.Load() == 0 {
			t.Errorf("%d super-packets read, the largest of %d bytes, %d written", w.supers.Load(), w.largest.Load(), w.joined.Load())
		}
		if c := db.Caps(); !c.TCP || !c.UDP {
			t.Errorf("%+v: the kernel refused something", c)
		}
	}
}

// A TUN with offload and one without, in both directions: what the second does
// not take is cut.
func TestTCPBetweenDifferentTUNs(t *testing.T) {
	a, b := newNetns(t), newNetns(t)
	da := a.create("wg0", Config{MTU: 1420, Offload: true})
	var db *Device
	b.do(func() error { // as a phone or a container manager hands it over
		fd, _, err := openQueue("wg0", unix.IFF_TUN|unix.IFF_NO_PI)
		if err != nil {
			return err
		}
		db, err = FromFD(fd, Config{MTU: 1420, Offload: true})
		return err
	})
	if c := db.Caps(); c.Checksum || c.TCP || c.UDP {
		t.Errorf("%+v without virtio header", c)
	}
	cable(t, a, b, da, db, true)
	transfer(t, a, b, "10.99.0.2", 16<<20)
	transfer(t, b, a, "[fd99::1]", 16<<20)
}

// UDP super-packets, sent with UDP_SEGMENT, arrive as datagrams.
func TestUDPSuperPackets(t *testing.T) {
	a, b := newNetns(t), newNetns(t)
	c := Config{MTU: 1420, Offload: true}
	da, db := a.create("wg0", c), b.create("wg0", c)
	if !da.Caps().UDP {
		t.Log("the kernel has no USO for TUN")
	}
	w := cable(t, a, b, da, db, false)
	for _, address := range []string{"10.99.0.2", "[fd99::2]"} {
		var server net.PacketConn
		b.do(func() (err error) { server, err = net.ListenPacket("udp", address+":0"); return err })
		defer server.Close()
		var client net.Conn
		a.do(func() (err error) { client, err = net.Dial("udp", server.LocalAddr().String()); return err })
		defer client.Close()
		raw, err := client.(*net.UDPConn).SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_UDP, unix.UDP_SEGMENT, 1000) })
		if err != nil {
			t.Fatal(err)
		}
		data := make([]byte, 20500)
		for i := range data {
			data[i] = byte(i / 1000)
		}
		if _, err := client.Write(data); err != nil {
			t.Fatal(err)
		}
		server.SetReadDeadline(time.Now().Add(patience))
		for i := range 21 {
			buf := make([]byte, 2000)
			n, _, err := server.ReadFrom(buf)
			if want := min(1000, len(data)-i*1000); err != nil || n != want || buf[0] != byte(i) || buf[n-1] != byte(i) {
				t.Fatalf("datagram %d: %d bytes, %v, want %d", i, n, err, want)
			}
		}
	}
	if da.Caps().UDP && (w.supers.Load() < 2 || w.joined.Load() < 2) {
		t.Errorf("%d super-packets read, %d written, want 2", w.supers.Load(), w.joined.Load())
	}
}

// Whatever a Joiner makes, the kernel takes, down to segments of one byte.
func TestKernelTakesWhatAJoinerMakes(t *testing.T) {
	ns := newNetns(t)
	d := ns.create("wg0", Config{MTU: 1420, Offload: true})
	ns.ip("addr", "add", "10.99.0.1/24", "dev", "wg0")
	ns.ip("link", "set", "wg0", "up")
	tcp, udp, limit := d.Joins()
	for _, c := range []struct{ n, payload int }{{2, 1}, {300, 1}, {300, 64}, {100, 700}, {60, 1380}, {5, 20000}} {
		for _, v6 := range []bool{false, true} {
			for _, proto := range []byte{ippkt.ProtoTCP, ippkt.ProtoUDP} {
				j := offload.NewJoiner()
				j.Allow(tcp, udp, limit)
				for i := range c.n {
					j.Add(segment(v6, proto, i, c.payload))
				}
				supers := 0
				err := j.Flush(func(o packet.Offload, parts [][]byte) error {
					if o.Kind != packet.Plain {
						supers++
					}
					return d.Queues()[0].Write(o, parts)
				})
				if err != nil || supers == 0 {
					t.Errorf("protocol %d, IPv6 %v, %+v: %d super-packets, %v", proto, v6, c, supers, err)
				}
				if again, _, _ := d.Joins(); again != tcp {
					t.Fatalf("protocol %d, IPv6 %v, %+v: refused", proto, v6, c)
				}
				if _, again, _ := d.Joins(); again != udp {
					t.Fatalf("protocol %d, IPv6 %v, %+v: refused", proto, v6, c)
				}
			}
		}
	}
}

// segment is the i-th packet of a flow; its transport checksum is not right.
func segment(v6 bool, proto byte, i, payload int) []byte {
	size, check := 20, 16
	if proto == ippkt.ProtoUDP {
		size, check = 8, 6
	}
	th := make([]byte, size+payload)
	copy(th, []byte{0x10, 0, 0x20, 0})
	th[check] = 1
	if proto == ippkt.ProtoUDP {
		th[4], th[5] = byte(len(th)>>8), byte(len(th))
	} else {
		seq := i * payload
		copy(th[4:], []byte{byte(seq >> 24), byte(seq >> 16), byte(seq >> 8), byte(seq)})
		th[12], th[13] = 0x50, 0x10
	}
	if v6 {
		ip := make([]byte, 40)
		ip[0], ip[4], ip[5], ip[6], ip[7], ip[8], ip[23], ip[24], ip[39] = 0x60, byte(len(th)>>8), byte(len(th)), proto, 64, 0xfd, 2, 0xfd, 1
		return append(ip, th...)
	}
	ip := []byte{0x45, 0, byte((20 + len(th)) >> 8), byte(20 + len(th)), byte(i >> 8), byte(i), 0, 0, 64, proto, 0, 0, 10, 99, 0, 2, 10, 99, 0, 1}
	sum := ippkt.Checksum(ip)
	ip[10], ip[11] = byte(sum>>8), byte(sum)
	return append(ip, th...)
}

// BenchmarkTransfer is one TCP stream between two TUNs, with a reader of each
// in between: what remains of a tunnel without sockets and cipher.
func BenchmarkTransfer(b *testing.B) {
	for _, raw := range []bool{true, false} {
		b.Run(fmt.Sprintf("whole=%v", raw), func(b *testing.B) {
			near, far := newNetns(b), newNetns(b)
			c := Config{MTU: 1420, Offload: true}
			cable(b, near, far, near.create("wg0", c), far.create("wg0", c), raw)
			var listener net.Listener
			far.do(func() (err error) { listener, err = net.Listen("tcp", "10.99.0.2:0"); return err })
			defer listener.Close()
			done := make(chan int64, 1)
			go func() {
				c, err := listener.Accept()
				if err != nil {
					return
				}
				defer c.Close()
				buf := make([]byte, 1<<20)
				var n int64
				for {
					k, err := c.Read(buf)
					n += int64(k)
					if err != nil {
						done <- n
						return
					}
				}
			}()
			var conn net.Conn
			near.do(func() (err error) { conn, err = net.DialTimeout("tcp", listener.Addr().String(), patience); return err })
			buf := make([]byte, 1<<20)
			b.SetBytes(int64(len(buf)))
			for b.Loop() {
				if _, err := conn.Write(buf); err != nil {
					b.Fatal(err)
				}
			}
			conn.Close()
			if n := <-done; n < int64(b.N)*int64(len(buf)) {
				b.Errorf("%d bytes arrived", n)
			}
		})
	}
}
