package device_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/netip"

	"github.com/warrenvpn/warren/conf"
	"github.com/warrenvpn/warren/device"
	"github.com/warrenvpn/warren/key"
	"github.com/warrenvpn/warren/tun/tuntest"
	"github.com/warrenvpn/warren/udp/udptest"
)

// Two devices in one process, each with an interface and a socket in memory.
// With tun.Create or tun.FromFD and a udp.Network in their place, the same
// lines make a tunnel between hosts.
func Example() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	internet := udptest.New()
	var devices [2]*device.Device
	var hosts [2]*tuntest.Host
	var keys [2]key.Private
	for i := range devices {
		t, host := tuntest.New(tuntest.Config{Up: true})
		d, err := device.New(device.Config{TUN: t, Network: internet.Host(outer(i))})
		if err != nil {
			panic(err)
		}
		go d.Run(ctx)
		devices[i], hosts[i] = d, host
		keys[i], _ = key.GeneratePrivate(rand.Reader)
	}
	port := uint16(51820)
	for i, d := range devices {
		err := d.Apply(conf.Change{PrivateKey: &keys[i], ListenPort: &port, Peers: []conf.PeerChange{{
			PublicKey:  keys[1-i].Public(),
			Endpoint:   &conf.Endpoint{Host: outer(1 - i).String(), Port: "51820"},
			AllowedIPs: []conf.AllowedIP{{Prefix: netip.PrefixFrom(inner(1-i), 32)}},
		}}})
		if err != nil {
			panic(err)
		}
	}
	if err := hosts[0].Send(udpPacket(inner(0), inner(1), "hello")); err != nil {
		panic(err)
	}
	p, err := hosts[1].Receive()
	if err != nil {
		panic(err)
	}
	fmt.Printf("%s\n", p.Data[28:])
	// Output: hello
}

func outer(i int) netip.Addr { return netip.AddrFrom4([4]byte{192, 0, 2, byte(1 + i)}) }
func inner(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, 0, byte(1 + i)}) }

// udpPacket is an IPv4 packet with a UDP payload, without checksums.
func udpPacket(from, to netip.Addr, payload string) []byte {
	b := make([]byte, 28, 28+len(payload))
	b[0], b[3], b[8], b[9], b[25] = 0x45, byte(28+len(payload)), 64, 17, byte(8+len(payload))
	copy(b[12:], from.AsSlice())
	copy(b[16:], to.AsSlice())
	return append(b, payload...)
}
