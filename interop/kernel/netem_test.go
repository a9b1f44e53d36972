//go:build linux && e2e

package kernel

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/warrenvpn/warren/interop/kernel/traffic"
)

// badRoad is what the guest's cable does to what leaves the guest.
const badRoad = "delay 20ms loss 5% duplicate 1% reorder 10% corrupt 0.1%"

// I04: a stream in each direction arrives unchanged over a cable that loses,
// doubles, reorders, damages and delays. The kernel's side is the one that
// suffers: the stream to it is slowed by acknowledgements that are lost, the one
// from it by the loss of its own segments, and so it is shorter.
func testBadRoad(t *testing.T, b *bed) {
	b.guest(t, strings.Fields("tc qdisc add dev eth1 root netem "+badRoad)...)
	t.Cleanup(func() { b.guest(t, strings.Fields("tc qdisc del dev eth1 root")...) })
	for n, c := range []combination{{preshared: true}, {kernelInitiates: true, outer6: true, inner6: true}} {
		t.Run(c.String(), func(t *testing.T) {
			p := newPair(t, b, 2+n, 1)
			initiator, responder := p.connect(t, c)
			eventually(t, "a handshake", func() error {
				return initiator.ping(responder.inner[index(c.inner6)], 1, time.Second)
			})
			p.stream(t, b, c.inner6, true, 64<<20)
			p.stream(t, b, c.inner6, false, 8<<20)
		})
	}
}

// stream sends bytes to the kernel or from it, and wants them to arrive.
func (p pair) stream(t *testing.T, b *bed, inner6, toKernel bool, bytes int64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), traffic.StreamPatience)
	defer cancel()
	start := time.Now()
	var sent, received string
	if toKernel {
		at := fmt.Sprintf("[%s]:5001", p.kernel.inner[index(inner6)])
		done := make(chan error, 1)
		go func() {
			out, err := b.vm.Run(ctx, "/init", "receive", at)
			received = strings.TrimSpace(out)
			done <- err
		}()
		var conn net.Conn
		eventually(t, "the guest listens", func() error {
			return b.near.Do(func() (err error) {
				conn, err = net.DialTimeout("tcp", at, 10*time.Second)
				return err
			})
		})
		sum, err := traffic.SendStream(conn, bytes, 4)
		sent = fmt.Sprint(bytes, " ", sum)
		if err != nil {
			t.Error(err)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	} else {
		var l net.Listener
		err := b.near.Do(func() (err error) {
			l, err = net.Listen("tcp", fmt.Sprintf("[%s]:5002", p.ours.inner[index(inner6)]))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		done := make(chan error, 1)
		go func() {
			out, err := b.vm.Run(ctx, "/init", "send", l.Addr().String(), fmt.Sprint(bytes), "5")
			sent = strings.TrimSpace(out)
			if err != nil {
				l.Close() // so that nobody waits for it
			}
			done <- err
		}()
		n, sum, err := traffic.ReceiveStream(l)
		received = fmt.Sprint(n, " ", sum)
		if err != nil {
			t.Error(err)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	t.Logf("%d bytes, to the kernel: %t, in %.1f s", bytes, toKernel, time.Since(start).Seconds())
	if sent != received {
		t.Errorf("to the kernel: %t: sent %s, received %s", toKernel, sent, received)
	}
}
