package device

import (
	"time"

	"github.com/warrenvpn/warren/internal/ippkt"
	"github.com/warrenvpn/warren/internal/mono"
	"github.com/warrenvpn/warren/packet"
)

// icmpPerSecond bounds the errors one lane writes into the TUN; the kernel's
// own limit is of the same order (net.ipv4.icmp_msgs_per_sec).
const icmpPerSecond = 1000

// icmpLimiter lets icmpPerSecond events through in each second.
type icmpLimiter struct {
	since mono.Time
	n     int
	buf   []byte
}

func (l *icmpLimiter) allow(now mono.Time) bool {
	if now.Sub(l.since) >= time.Second || l.since.IsZero() {
		l.since, l.n = now, 0
	}
	l.n++
	return l.n <= icmpPerSecond
}

// unreachable tells the sender of pkt, through the TUN, that there is no peer
// or no way to reach it, as the kernel does ([K] device.c wg_xmit).
func (o *outbound) unreachable(now mono.Time, pkt []byte) {
	if !o.icmp.allow(now) {
		return
	}
	if o.icmp.buf == nil {
		o.icmp.buf = make([]byte, ippkt.MaxICMP)
	}
	n, ok := ippkt.Unreachable(o.icmp.buf, pkt)
	if !ok {
		return
	}
	if err := o.queue.Write(packet.Offload{}, [][]byte{o.icmp.buf[:n]}); err != nil {
		o.l.drops.add(DropTUN, 1)
	}
}
