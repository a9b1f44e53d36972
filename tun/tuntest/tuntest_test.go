package tuntest_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"testing"
	"testing/synctest"

	"github.com/warrenvpn/warren/device"
	"github.com/warrenvpn/warren/internal/ippkt"
	"github.com/warrenvpn/warren/internal/offload"
	"github.com/warrenvpn/warren/packet"
	"github.com/warrenvpn/warren/tun/tuntest"
)

var (
	_ device.TUN    = (*tuntest.TUN)(nil)
	_ device.Joiner = (*tuntest.TUN)(nil)
)

func batch(n int) []packet.Super {
	b := make([]packet.Super, n)
	for i := range b {
		b[i].Buf = make([]byte, 16+packet.MaxSuper)
	}
	return b
}

func TestPacketsCrossInBothDirections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dev, host := tuntest.New(tuntest.Config{})
		q := dev.Queues()[0]
		b := batch(8)
		go func() {
			for i := range 3 {
				if err := host.Send([]byte{0x45, byte(i)}); err != nil {
					t.Error(err)
				}
			}
		}()
		synctest.Wait()
		n, err := q.Read(b)
		if n != 3 || err != nil {
			t.Fatalf("%d packets, %v, want 3", n, err)
		}
		for i := range n {
			if b[i].Off < 16 || !bytes.Equal(b[i].Bytes(), []byte{0x45, byte(i)}) {
				t.Errorf("packet %d: offset %d, %x", i, b[i].Off, b[i].Bytes())
			}
		}
		if err := q.Write(packet.Offload{}, [][]byte{{1, 2}, nil, {3}}); err != nil {
			t.Fatal(err)
		}
		p, err := host.Receive()
		if err != nil || !bytes.Equal(p.Data, []byte{1, 2, 3}) {
			t.Errorf("%x, %v", p.Data, err)
		}
	})
}

// trainOf is a UDP super-packet in parts.
func trainOf(t *testing.T, n int) (off packet.Offload, parts [][]byte) {
	t.Helper()
	j := offload.NewJoiner()
	j.Allow(true, true, 0)
	for i := range n {
		b := make([]byte, 128)
		b[0], b[3], b[5], b[8], b[9], b[25], b[26] = 0x45, 128, byte(i), 64, 17, 108, 1
		binary.BigEndian.PutUint16(b[10:], ippkt.Checksum(b[:20]))
		j.Add(b)
	}
	j.Flush(func(o packet.Offload, p [][]byte) error {
		off, parts = o, append(parts, p...)
		return nil
	})
	if off.Kind != packet.UDP {
		t.Fatalf("%+v is no train", off)
	}
	return off, parts
}

func TestWriteCutsWhatTheHostDoesNotTake(t *testing.T) {
	dev, host := tuntest.New(tuntest.Config{UDP: true})
	o, parts := trainOf(t, 5)
	q := dev.Queues()[0]
	if err := q.Write(o, parts); err != nil {
		t.Fatal(err)
	}
	whole, err := host.Receive()
	if err != nil || whole.Offload != o {
		t.Fatalf("%+v, %v, want the super-packet", whole.Offload, err)
	}
	pieces, err := whole.Segments()
	if err != nil || len(pieces) != 5 {
		t.Fatalf("%d segments, %v, want 5", len(pieces), err)
	}
	host.SetOffload(false, false)
	if tcp, udp, _ := dev.Joins(); tcp || udp {
		t.Error("offload is still there")
	}
	if err := q.Write(o, parts); err != nil {
		t.Fatal(err)
	}
	for i := range pieces {
		p, err := host.Receive()
		if err != nil || p.Offload != (packet.Offload{}) || !bytes.Equal(p.Data, pieces[i]) {
			t.Errorf("piece %d: %+v, %x, %v", i, p.Offload, p.Data, err)
		}
	}
}

func TestEvents(t *testing.T) {
	dev, host := tuntest.New(tuntest.Config{Up: true, MTU: 1300})
	host.SetUp(true)
	host.SetUp(false)
	host.SetMTU(1400)
	host.SetMTU(1400)
	host.SetUp(true)
	host.Remove()
	var got []packet.LinkEvent
	for ev := range dev.Events() {
		got = append(got, ev)
	}
	want := []packet.LinkEvent{{Kind: packet.LinkUp}, {Kind: packet.LinkDown}, {Kind: packet.MTUChanged, MTU: 1400}, {Kind: packet.LinkUp}, {Kind: packet.LinkGone}}
	if len(got) != len(want) {
		t.Fatalf("%+v, want %+v", got, want)
	}
	for i := range got {
		if got[i] != want[i] {
			t.Errorf("event %d: %+v, want %+v", i, got[i], want[i])
		}
	}
	if dev.MTU() != 1400 {
		t.Errorf("MTU %d, want 1400", dev.MTU())
	}
	host.SetUp(false) // of a link that is gone
}

func TestCloseWakesEverybody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dev, host := tuntest.New(tuntest.Config{Queues: 2, Depth: 1, Up: true})
		errs := make(chan error, 4)
		for _, q := range dev.Queues() {
			go func() { _, err := q.Read(batch(1)); errs <- err }()
		}
		go func() { _, err := host.Receive(); errs <- err }()
		synctest.Wait()
		if err := dev.Close(); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if err := <-errs; !errors.Is(err, os.ErrClosed) {
				t.Errorf("%v, want os.ErrClosed", err)
			}
		}
		if err := host.Send([]byte{0x45}); !errors.Is(err, os.ErrClosed) {
			t.Errorf("Send: %v, want os.ErrClosed", err)
		}
		if err := dev.Queues()[0].Write(packet.Offload{}, [][]byte{{0x45}}); !errors.Is(err, os.ErrClosed) {
			t.Errorf("Write: %v, want os.ErrClosed", err)
		}
		if ev := <-dev.Events(); ev.Kind != packet.LinkUp {
			t.Errorf("%+v, want the first state", ev)
		}
		if _, ok := <-dev.Events(); ok {
			t.Error("an event after Close")
		}
		<-host.Done()
		if err := dev.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestWriteToAHostThatDoesNotKeepUp(t *testing.T) {
	dev, host := tuntest.New(tuntest.Config{Depth: 2})
	q := dev.Queues()[0]
	for i := range 3 {
		if err := q.Write(packet.Offload{}, [][]byte{{0x45}}); (i == 2) != errors.Is(err, tuntest.ErrFull) {
			t.Errorf("write %d: %v", i, err)
		}
	}
	if n := host.Dropped(); n != 1 {
		t.Errorf("%d dropped, want 1", n)
	}
}

func TestReadIntoATooSmallBuffer(t *testing.T) {
	dev, host := tuntest.New(tuntest.Config{})
	if err := host.Send(make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	n, err := dev.Queues()[0].Read([]packet.Super{{Buf: make([]byte, 100)}})
	if n != 0 || err == nil || errors.Is(err, os.ErrClosed) {
		t.Errorf("%d, %v, want an error that passes", n, err)
	}
}

func Example() {
	dev, host := tuntest.New(tuntest.Config{Name: "wg0", MTU: 1420, Up: true})
	defer dev.Close()

	// The system's side.
	if err := host.Send([]byte("a packet")); err != nil {
		fmt.Println(err)
	}

	// The device's side.
	b := []packet.Super{{Buf: make([]byte, 16+packet.MaxSuper)}}
	n, err := dev.Queues()[0].Read(b)
	fmt.Println(dev.Name(), n, string(b[0].Bytes()), err)
	// Output: wg0 1 a packet <nil>
}
