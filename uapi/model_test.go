package uapi

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/warrenvpn/warren/conf"
	"github.com/warrenvpn/warren/key"
)

// model is a device without packets. fail makes Apply refuse.
type model struct {
	mu    sync.Mutex
	d     conf.Device // guarded by mu
	fail  error
	calls int
}

func (m *model) Status() conf.Device {
	m.mu.Lock()
	defer m.mu.Unlock()
	d := m.d
	d.Peers = slices.Clone(d.Peers)
	return d
}

func (m *model) Apply(c conf.Change) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calls++
	if m.fail != nil {
		return m.fail
	}
	m.d.Apply(&c)
	return nil
}

// pipe is a connection whose whole input is known: what a client sent before it
// closed its side.
type pipe struct {
	in  io.Reader
	out bytes.Buffer
}

func (p *pipe) Read(b []byte) (int, error)  { return p.in.Read(b) }
func (p *pipe) Write(b []byte) (int, error) { return p.out.Write(b) }

// ask serves what a client sends and returns all replies.
func ask(m Backend, request string) string {
	p := &pipe{in: strings.NewReader(request)}
	_ = ServeConn(p, m)
	return p.out.String()
}

func pub(n byte) key.Public { return key.Public{0: n, 31: 1} }

func pubHex(n byte) string { p := pub(n); return hex.EncodeToString(p[:]) }

func prefixes(list ...string) (out []netip.Prefix) {
	for _, s := range list {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}

// privHex is a clamped private key of which little is set.
const privHex = "0000000000000000000000000000000000000000000000000000000000000740"

func priv() key.Private {
	k, err := key.ParsePrivateHex(privHex)
	if err != nil {
		panic(err)
	}
	return k
}

// sample is a device with something in every field.
func sample() conf.Device {
	k := priv()
	return conf.Device{
		PrivateKey: k, PublicKey: k.Public(), ListenPort: 51820, FwMark: 0xca6c,
		Peers: []conf.Peer{
			{
				PublicKey: pub(1), PresharedKey: key.NewPreshared([32]byte{9}), Endpoint: netip.MustParseAddrPort("192.0.2.1:5"),
				LastHandshake: time.Unix(1700000000, 123456789), RxBytes: 11, TxBytes: 22, PersistentKeepalive: 25,
				AllowedIPs: prefixes("10.0.0.1/32", "fd00::/64", "::ffff:1.2.3.4/128"),
			},
			{PublicKey: pub(2), Endpoint: netip.MustParseAddrPort("[fe80::1%eth0]:65535")},
		},
	}
}

// canceled tells a reader that stops on purpose from one that fails.
var errStop = errors.New("stop")

// endless is a request line that never ends.
type endless struct{ n int }

func (e *endless) Read(b []byte) (int, error) {
	if e.n -= len(b); e.n < 0 {
		return 0, errStop
	}
	for i := range b {
		b[i] = 'a'
	}
	return len(b), nil
}

// bigChange is a change with n peers of two allowed IPs each.
func bigChange(n int) *conf.Change {
	c := &conf.Change{ReplacePeers: true, Peers: make([]conf.PeerChange, n)}
	for i := range c.Peers {
		var p key.Public
		copy(p[:], fmt.Sprintf("%08d", i))
		v4 := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		v6 := netip.AddrFrom16([16]byte{0xfd, 13: byte(i >> 16), 14: byte(i >> 8), 15: byte(i)})
		c.Peers[i] = conf.PeerChange{PublicKey: p, ReplaceAllowedIPs: true, AllowedIPs: []conf.AllowedIP{
			{Prefix: netip.PrefixFrom(v4, 32)}, {Prefix: netip.PrefixFrom(v6, 128)},
		}}
	}
	return c
}
