//go:build linux && e2e

package kernel

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/warrenvpn/warren/internal/cookie"
	"github.com/warrenvpn/warren/internal/wire"
	"github.com/warrenvpn/warren/interop/kernel/traffic"
)

// stranger is the address of somebody on the cable who is nobody's peer.
var stranger = netip.MustParseAddr("192.0.2.33")

// I06: under load a responder, the kernel or ours, answers an initiation with a
// cookie; the initiator's next one, five seconds later, proves its address by it
// and is answered although the flood goes on.
func testLoad(t *testing.T, b *bed, p pair) {
	p.ours.ip(t, "address add %s/24 dev tap0", stranger)
	for _, c := range []combination{{}, {kernelInitiates: true}} {
		t.Run(c.String(), func(t *testing.T) {
			initiator, responder := p.connect(t, c)
			seen := must(t, func() (*traffic.Capture, error) { return capture(b, "tap0") })
			defer seen.Close()
			f := newFlood(t, b, responder)
			eventually(t, responder.String()+" is under load", func() error {
				if f.cookies.Load() == 0 {
					return fmt.Errorf("no cookie reply to %d initiations", f.sent.Load())
				}
				return nil
			})
			answered := make(chan error, 1)
			go func() { answered <- initiator.ping(responder.inner[0], 1, patience) }()
			story := handshake(t, seen, initiator, responder)
			if err := <-answered; err != nil {
				t.Errorf("the packet that waited for the handshake: %v", err)
			}
			f.end()
			t.Logf("%s; %d initiations and %d cookie replies in the flood", story, f.sent.Load(), f.cookies.Load())
			if want := "initiation, cookie reply, initiation with mac2, response"; story != want {
				t.Errorf("between %s and %s passed: %s; want: %s", initiator, responder, story, want)
			}
		})
	}
	p.ours.ip(t, "address del %s/24 dev tap0", stranger)
}

func must[T any](t *testing.T, f func() (T, error)) T {
	t.Helper()
	v, err := f()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func capture(b *bed, link string) (c *traffic.Capture, err error) {
	err = b.near.Do(func() (err error) {
		c, err = traffic.NewCapture(link)
		return err
	})
	return c, err
}

// handshake tells what passes between two sides until there is a response.
func handshake(t *testing.T, seen *traffic.Capture, initiator, responder *side) (story string) {
	t.Helper()
	a, r := initiator.outerPort(false), responder.outerPort(false)
	add := func(s string) {
		if story != "" {
			story += ", "
		}
		story += s
	}
	for {
		d, ok := seen.Next(a, r, 15*time.Second)
		if !ok {
			add("nothing more")
			return story
		}
		kind, ok := wire.Classify(d.Payload)
		switch {
		case !ok:
			add("nonsense")
		case kind == wire.TypeInitiation && d.From == a:
			add("initiation")
			if [wire.MACSize]byte(wire.MAC2(d.Payload)) != [wire.MACSize]byte{} {
				story += " with mac2"
			}
		case kind == wire.TypeCookieReply && d.From == r:
			add("cookie reply")
		case kind == wire.TypeResponse && d.From == r:
			add("response")
			return story
		default:
			add(fmt.Sprintf("%v from %s", kind, d.From))
		}
	}
}

// flood sends initiations that have the right mac1 and nothing else right.
type flood struct {
	conn          *net.UDPConn
	sent, cookies atomic.Int64
	stop          context.CancelFunc
	done          chan struct{}
}

// A responder is under load while 512 messages wait, and for a second after
// ([K] receive.c). So many come at once, a few times in a second: enough for
// that, and not so many that the queue of 4096 is half full, when the kernel
// drops what it should answer.
const (
	burst      = 1024
	burstEvery = 300 * time.Millisecond
)

// newFlood floods a side until the end of the test.
func newFlood(t *testing.T, b *bed, s *side) *flood {
	t.Helper()
	f := &flood{done: make(chan struct{})}
	err := b.near.Do(func() (err error) {
		f.conn, err = net.DialUDP("udp", &net.UDPAddr{IP: stranger.AsSlice()},
			net.UDPAddrFromAddrPort(s.outerPort(false)))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	f.stop = stop
	// The signature is the costly part: made once.
	random := rand.NewChaCha8([32]byte{6})
	macs := cookie.NewGenerator(s.key.Public())
	messages := make([][]byte, burst)
	for i := range messages {
		m := make([]byte, wire.InitiationSize)
		_, _ = random.Read(m)
		wire.Initiation(m).SetHeader(uint32(i))
		macs.AddMACs(0, m)
		messages[i] = m
	}
	go func() {
		defer close(f.done)
		tick := time.NewTicker(burstEvery)
		defer tick.Stop()
		for ctx.Err() == nil {
			for _, m := range messages {
				if _, err := f.conn.Write(m); err == nil {
					f.sent.Add(1)
				}
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
			}
		}
	}()
	go func() {
		buf := make([]byte, 2048)
		for {
			n, err := f.conn.Read(buf)
			if ctx.Err() != nil {
				return
			}
			if kind, ok := wire.Classify(buf[:max(n, 0)]); err == nil && ok && kind == wire.TypeCookieReply {
				f.cookies.Add(1)
			}
		}
	}()
	t.Cleanup(f.end)
	return f
}

// end stops it. It may be called again.
func (f *flood) end() {
	f.stop()
	<-f.done
	f.conn.Close()
}
