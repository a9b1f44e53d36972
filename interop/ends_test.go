package interop

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	wgconn "golang.zx2c4.com/wireguard/conn"
	wgdevice "golang.zx2c4.com/wireguard/device"
	wgtun "golang.zx2c4.com/wireguard/tun/tuntest"

	"github.com/warrenvpn/warren/conf"
	"github.com/warrenvpn/warren/device"
	"github.com/warrenvpn/warren/internal/ippkt"
	"github.com/warrenvpn/warren/key"
	"github.com/warrenvpn/warren/tun/tuntest"
	"github.com/warrenvpn/warren/udp"
)

// end is one side of a tunnel in this process: a device, and the system behind
// its interface.
type end interface {
	public() key.Public
	port() uint16
	addPeer(peer)
	send(pkt []byte) error
	packets() <-chan []byte
	// handshaken reports whether a handshake with the peer was completed.
	handshaken() bool
}

// peer is what an end is told about the other.
type peer struct {
	public    key.Public
	preshared key.Preshared
	endpoint  netip.AddrPort // invalid: to be learnt
	keepalive uint16
	allowed   []netip.Prefix
}

func newKey(t *testing.T, rnd *rand.ChaCha8) key.Private {
	t.Helper()
	k, err := key.GeneratePrivate(rnd)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// ours is this module's device on real sockets.
type ours struct {
	t    *testing.T
	dev  *device.Device
	host *tuntest.Host
	key  key.Private
	in   chan []byte
}

func newOurs(t *testing.T, k key.Private, joins bool) *ours {
	t.Helper()
	tun, host := tuntest.New(tuntest.Config{Name: "wg0", MTU: 1420, Up: true, TCP: joins, UDP: joins})
	dev, err := device.New(device.Config{TUN: tun, Network: &udp.Network{}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	o := &ours{t: t, dev: dev, host: host, key: k, in: make(chan []byte, 1024)}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- dev.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	go o.pump()
	o.must(conf.Change{PrivateKey: &k})
	for o.port() == 0 { // the link comes up beside us
		time.Sleep(time.Millisecond)
	}
	return o
}

// pump hands over what the device wrote, cut into ordinary packets.
func (o *ours) pump() {
	for {
		p, err := o.host.Receive()
		if err != nil {
			close(o.in)
			return
		}
		pkts, err := p.Segments()
		if err != nil {
			o.t.Errorf("the device wrote a packet that cannot be cut: %v", err)
		}
		for _, pkt := range pkts {
			o.in <- pkt
		}
	}
}

func (o *ours) must(c conf.Change) {
	o.t.Helper()
	if err := o.dev.Apply(c); err != nil {
		o.t.Fatal(err)
	}
}

func (o *ours) public() key.Public     { return o.key.Public() }
func (o *ours) port() uint16           { return o.dev.Status().ListenPort }
func (o *ours) send(pkt []byte) error  { return o.host.Send(pkt) }
func (o *ours) packets() <-chan []byte { return o.in }
func (o *ours) handshaken() bool       { return !o.dev.Status().Peers[0].LastHandshake.IsZero() }

func (o *ours) addPeer(p peer) {
	c := conf.PeerChange{PublicKey: p.public, PresharedKey: &p.preshared, PersistentKeepalive: &p.keepalive}
	if p.endpoint.IsValid() {
		e := conf.NumericEndpoint(p.endpoint)
		c.Endpoint = &e
	}
	for _, a := range p.allowed {
		c.AllowedIPs = append(c.AllowedIPs, conf.AllowedIP{Prefix: a})
	}
	o.must(conf.Change{Peers: []conf.PeerChange{c}})
}

// theirs is wireguard-go's device on real sockets.
type theirs struct {
	t   *testing.T
	dev *wgdevice.Device
	tun *wgtun.ChannelTUN
	key key.Private
}

func newTheirs(t *testing.T, k key.Private) *theirs {
	t.Helper()
	tun := wgtun.NewChannelTUN()
	w := &theirs{t: t, tun: tun, key: k, dev: wgdevice.NewDevice(tun.TUN(), wgconn.NewDefaultBind(), &wgdevice.Logger{
		Verbosef: func(string, ...any) {}, Errorf: func(string, ...any) {},
	})}
	t.Cleanup(w.dev.Close)
	w.must("private_key=" + k.RevealHex() + "\n")
	if err := w.dev.Up(); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *theirs) must(set string) {
	w.t.Helper()
	if err := w.dev.IpcSet(set); err != nil {
		w.t.Fatal(err)
	}
}

func (w *theirs) public() key.Public     { return w.key.Public() }
func (w *theirs) packets() <-chan []byte { return w.tun.Inbound }

func (w *theirs) send(pkt []byte) error {
	w.tun.Outbound <- pkt
	return nil
}

func (w *theirs) addPeer(p peer) {
	var b strings.Builder
	fmt.Fprintf(&b, "public_key=%s\npreshared_key=%s\npersistent_keepalive_interval=%d\n",
		p.public.Hex(), p.preshared.RevealHex(), p.keepalive)
	if p.endpoint.IsValid() {
		fmt.Fprintf(&b, "endpoint=%s\n", p.endpoint)
	}
	for _, a := range p.allowed {
		fmt.Fprintf(&b, "allowed_ip=%s\n", a)
	}
	w.must(b.String())
}

// get returns a number of the device's state.
func (w *theirs) get(name string) uint64 {
	w.t.Helper()
	state, err := w.dev.IpcGet()
	if err != nil {
		w.t.Fatal(err)
	}
	for s := bufio.NewScanner(strings.NewReader(state)); s.Scan(); {
		if v, ok := strings.CutPrefix(s.Text(), name+"="); ok {
			n, err := strconv.ParseUint(v, 10, 64)
			if err != nil {
				w.t.Fatal(err)
			}
			return n
		}
	}
	return 0
}

func (w *theirs) port() uint16     { return uint16(w.get("listen_port")) }
func (w *theirs) handshaken() bool { return w.get("last_handshake_time_sec") != 0 }

// A datagram builds IP packets of one UDP flow.
type datagram struct{ from, to netip.Addr }

// packet returns the packet with this number and length of payload. Its content
// depends on both, and its checksums are complete.
func (d datagram) packet(number uint32, length int) []byte {
	header := 20
	if d.from.Is6() {
		header = 40
	}
	b := make([]byte, header+8+4+length)
	u := b[header:]
	binary.BigEndian.PutUint16(u[0:], 1000)
	binary.BigEndian.PutUint16(u[2:], 2000)
	binary.BigEndian.PutUint16(u[4:], uint16(len(u)))
	binary.BigEndian.PutUint32(u[8:], number)
	for i := range length {
		u[12+i] = byte(i) * byte(number|1)
	}
	if d.from.Is6() {
		b[0] = 0x60
		binary.BigEndian.PutUint16(b[4:], uint16(len(u)))
		b[6], b[7] = ippkt.ProtoUDP, 64
		copy(b[8:], d.from.AsSlice())
		copy(b[24:], d.to.AsSlice())
	} else {
		b[0], b[8], b[9] = 0x45, 64, ippkt.ProtoUDP
		binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
		binary.BigEndian.PutUint16(b[4:], uint16(number))
		copy(b[12:], d.from.AsSlice())
		copy(b[16:], d.to.AsSlice())
		binary.BigEndian.PutUint16(b[10:], ippkt.Checksum(b[:20]))
	}
	sum := ippkt.PseudoHeader(d.from, d.to, ippkt.ProtoUDP, len(u)).Add(ippkt.Sum(u))
	binary.BigEndian.PutUint16(u[6:], ^sum.Fold())
	return b
}
