package bench

import (
	"fmt"
	"strings"
)

// The names of rows, in results and for --only.
const (
	rowRelay       = "relay"
	rowTCP         = "tcp"
	rowTCPLimit    = "tcp-limit"
	rowReverse     = "tcp-reverse"
	rowStreams     = "tcp-streams"
	rowBoth        = "tcp-both"
	rowUDP         = "udp"
	rowUDPSmall    = "udp-small"
	rowPing        = "ping-idle-p50"
	rowPingLoaded  = "ping-loaded-p99"
	rowHandshakes  = "handshakes"
	rowMemory      = "memory"
	rowPeer        = "idle-peer"
	rowIdle        = "idle-cpu"
	rowMillion     = "million-peers-time"
	rowMillionPeak = "million-peers-peak"
	rowMillionRest = "million-peers-resident"
	rowMillionTool = "million-peers-tool"
	rowSeal        = "aead-seal"
	rowOpen        = "aead-open"
)

// rows returns the table: what is measured, and what it should reach.
func (o *options) rows() []row {
	crowd, few, many := thousands(o.crowd), thousands(o.fewer), thousands(o.multitude)
	return []row{
		{rowRelay, "1 TCP stream through a relay, two peers of one interface", gigabits, toReference, 2, 3},
		{rowTCP, fmt.Sprintf("1 TCP stream, MTU %d", o.mtu), gigabits, toReference, 2, 3},
		{rowTCPLimit, "the same, of the limit without a cipher", gigabits, toLimit, 0.6, 0.8},
		{rowReverse, "1 TCP stream, reverse", gigabits, toReference, 2, 3},
		{rowStreams, fmt.Sprintf("%d TCP streams", o.streams), gigabits, toReference, 2, 3},
		{rowBoth, "both directions at once", gigabits, toReference, 2, 3},
		{rowUDP, fmt.Sprintf("UDP of 1,300 bytes, %s offered: delivered", o.offer()), packets, toReference, 3, 4},
		{rowUDPSmall, "UDP of 64 bytes, as fast as the sender can: delivered", packets, toReference, 3, 5},
		{rowPing, "ping, idle, p50", milliseconds, toReference, 0.5, 0.3},
		{rowPingLoaded, "ping during 1 TCP stream, p99", milliseconds, toReference, 0.25, 0.1},
		{rowHandshakes, "handshakes, responder, one core", perSecond, toReference, 2.5, 5},
		{rowMemory, "resident memory, peak during 1 TCP stream", megabytes, absolute, 48e6, 24e6},
		{rowPeer, fmt.Sprintf("resident memory of an idle peer, right after setconf of %s (the reference: %s)", crowd, few),
			kilobytes, absolute, 1500, 800},
		{rowMillion, many + " peers with two allowed IPs each, configured from a file", inSeconds, absolute, 20, 8},
		{rowMillionPeak, "their memory, peak of the daemon", gigabytes, absolute, 2e9, 1e9},
		{rowMillionRest, "their memory, resident after it", gigabytes, absolute, 2e9, 1e9},
		{rowMillionTool, "the memory of the tool that reads the file, peak", gigabytes, untargeted, 0, 0},
		{rowSeal, fmt.Sprintf("seal %d x %d bytes, one core", runMessages, runSize), gigabytesPer, toLibrary, 2, 2.5},
		{rowOpen, fmt.Sprintf("open %d x %d bytes, one core", runMessages, runSize), gigabytesPer, toLibrary, 2, 2.5},
		{rowIdle, fmt.Sprintf("processor time when idle with %s peers (the reference: %s)", crowd, few), percent, absolute, 0.005, 0.001},
	}
}

// offer says how fast datagrams are sent.
func (o *options) offer() string {
	if strings.Trim(o.offered, "0") == "" {
		return "as many as can be"
	}
	return o.offered + "bit/s"
}

// thousands prints a number with its thousands marked off.
func thousands(n int) string {
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%s,%03d", thousands(n/1000), n%1000)
}
