package interop

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/warrenvpn/warren/key"
)

var packetCount = flag.Int("packets", 5_000, "packets per direction and combination")

// combination is one cell of the matrix.
type combination struct {
	weInitiate, preshared, outer6, inner6, keepalive bool
}

func (c combination) String() string {
	pick := func(b bool, yes, no string) string {
		if b {
			return yes
		}
		return no
	}
	return fmt.Sprintf("%s_%s_outer%s_inner%s_%s",
		pick(c.weInitiate, "initiator", "responder"), pick(c.preshared, "psk", "plain"),
		pick(c.outer6, "6", "4"), pick(c.inner6, "6", "4"), pick(c.keepalive, "keepalive", "silent"))
}

func combinations() (all []combination) {
	for n := range 32 {
		all = append(all, combination{n&1 != 0, n&2 != 0, n&4 != 0, n&8 != 0, n&16 != 0})
	}
	return all
}

// I01: both roles, with and without preshared key, both families outside and
// inside, handshake by data or by keepalive; every packet arrives, in order.
func TestMatrix(t *testing.T) {
	for i, c := range combinations() {
		t.Run(c.String(), func(t *testing.T) {
			t.Parallel()
			c.run(t, uint64(i))
		})
	}
}

func (c combination) run(t *testing.T, seed uint64) {
	rnd := rand.NewChaCha8([32]byte{byte(seed)})
	we, they := newOurs(t, newKey(t, rnd), false), newTheirs(t, newKey(t, rnd))
	var initiator, responder end = we, they
	if !c.weInitiate {
		initiator, responder = they, we
	}
	there, back := c.connect(t, rnd, initiator, responder)
	if c.keepalive {
		// Nobody has sent anything, and the responder may begin.
		for start := time.Now(); !responder.handshaken(); time.Sleep(5 * time.Millisecond) {
			if time.Since(start) > 10*time.Second {
				t.Fatal("the keepalive brought no handshake about")
			}
		}
		initiator, responder, there, back = responder, initiator, back, there
	}
	for _, d := range []struct {
		from, to end
		flow     datagram
	}{{initiator, responder, there}, {responder, initiator, back}} {
		if err := transfer(d.from, d.to, d.flow, *packetCount, rand.New(rnd)); err != nil {
			t.Errorf("%s to %s (seed %d): %v; drops %v", d.flow.from, d.flow.to, seed, err, we.dev.Drops())
		}
	}
}

// connect makes two ends peers; only the initiator knows where the other is. It
// returns the flows in both directions.
func (c combination) connect(t *testing.T, rnd *rand.ChaCha8, initiator, responder end) (there, back datagram) {
	t.Helper()
	there = datagram{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")}
	bits := 32
	if c.inner6 {
		there, bits = datagram{netip.MustParseAddr("fd00::1"), netip.MustParseAddr("fd00::2")}, 128
	}
	loopback := netip.MustParseAddr("127.0.0.1")
	if c.outer6 {
		loopback = netip.IPv6Loopback()
	}
	var psk key.Preshared
	if c.preshared {
		var err error
		if psk, err = key.GeneratePreshared(rnd); err != nil {
			t.Fatal(err)
		}
	}
	responder.addPeer(peer{
		public: initiator.public(), preshared: psk, allowed: []netip.Prefix{netip.PrefixFrom(there.from, bits)},
	})
	to := peer{
		public: responder.public(), preshared: psk, allowed: []netip.Prefix{netip.PrefixFrom(there.to, bits)},
		endpoint: netip.AddrPortFrom(loopback, responder.port()),
	}
	if c.keepalive {
		to.keepalive = 1
	}
	initiator.addPeer(to)
	return there, datagram{there.to, there.from}
}

// window is how many packets may be on their way: few enough that no socket
// drops any.
const window = 64

// transfer sends packets of all lengths and wants each to arrive as it was, in
// order.
func transfer(from, to end, flow datagram, count int, rnd *rand.Rand) error {
	lengths := make([]int, count)
	for i := range lengths {
		lengths[i] = rnd.IntN(1420 - 52 + 1)
	}
	credit := make(chan struct{}, window)
	failed := make(chan error, 1)
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		for i, n := range lengths {
			select {
			case credit <- struct{}{}:
			case <-stop:
				return
			}
			if err := from.send(flow.packet(uint32(i), n)); err != nil {
				failed <- err
				return
			}
		}
	}()
	patience := time.NewTimer(20 * time.Second)
	defer patience.Stop()
	for i, n := range lengths {
		select {
		case got := <-to.packets():
			if want := flow.packet(uint32(i), n); !bytes.Equal(got, want) {
				return fmt.Errorf("packet %d arrived as\n%x, want\n%x", i, got, want)
			}
			<-credit
		case err := <-failed:
			return fmt.Errorf("send: %w", err)
		case <-patience.C:
			return errors.New(fmt.Sprint("no packet after number ", i))
		}
	}
	return nil
}
