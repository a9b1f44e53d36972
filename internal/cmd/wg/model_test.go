package wg

import (
	"context"
	"encoding/binary"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/warrenvpn/warren/conf"
	"github.com/warrenvpn/warren/key"
	"github.com/warrenvpn/warren/uapi"
)

// model is a device without packets: what it was told is what it says.
type model struct {
	mu sync.Mutex
	d  conf.Device // guarded by mu
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
	m.d.Apply(&c)
	return nil
}

func (m *model) reset(d conf.Device) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.d = d
	m.d.Peers = slices.Clone(d.Peers)
}

// text is the whole state as a get of UAPI says it.
func (m *model) text(t *testing.T) string {
	t.Helper()
	d := m.Status()
	var b strings.Builder
	if err := uapi.WriteDevice(&b, &d); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// serve puts m behind a control socket until the test ends.
func serve(t *testing.T, dir, name string, m uapi.Backend) {
	t.Helper()
	l, err := uapi.ListenIn(dir, name)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- uapi.Serve(ctx, l, m) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// Keys that depend on a number alone.

func publicKey(n int) (k key.Public) {
	binary.BigEndian.PutUint32(k[:], uint32(n)+1)
	k[31] = 0x5a
	return k
}

func privateKey(n int) key.Private {
	var b [key.Size]byte
	binary.BigEndian.PutUint32(b[4:], uint32(n)+1)
	return key.NewPrivate(b)
}

func presharedKeyOf(n int) key.Preshared {
	var b [key.Size]byte
	binary.BigEndian.PutUint32(b[8:], uint32(n)+1)
	return key.NewPreshared(b)
}

// states are devices to start from. now is the present second.
func states(now time.Time) map[string]conf.Device {
	prefix := netip.MustParsePrefix
	bare := conf.Device{}
	key1 := privateKey(1)
	keyed := conf.Device{PrivateKey: key1, PublicKey: key1.Public(), ListenPort: 51820}
	full := keyed
	full.FwMark = 0xca6c
	full.Peers = []conf.Peer{
		{
			PublicKey: publicKey(1), PresharedKey: presharedKeyOf(1), Endpoint: netip.MustParseAddrPort("192.0.2.1:51820"),
			LastHandshake: now.Add(-(400*24*time.Hour + 3725*time.Second)), RxBytes: 1023, TxBytes: 1024, PersistentKeepalive: 25,
			AllowedIPs: []netip.Prefix{prefix("10.0.0.1/32"), prefix("fd00::/64"), prefix("0.0.0.0/0")},
		},
		{PublicKey: publicKey(2), AllowedIPs: []netip.Prefix{prefix("10.0.0.2/32")}},
		{
			PublicKey: publicKey(3), Endpoint: netip.MustParseAddrPort("[2001:db8::1]:443"),
			LastHandshake: now.Add(-61 * time.Second), TxBytes: 5 << 20, RxBytes: 3<<30 + 7, PersistentKeepalive: 65535,
		},
		{
			PublicKey: publicKey(4), Endpoint: netip.MustParseAddrPort("[fe80::1%lo]:1"),
			LastHandshake: now.Add(-time.Hour), RxBytes: 1<<64 - 1, AllowedIPs: []netip.Prefix{prefix("::/0")},
		},
		{PublicKey: publicKey(5), LastHandshake: now.Add(24 * time.Hour), PersistentKeepalive: 3600},
		{PublicKey: publicKey(6), LastHandshake: time.Unix(1, 5)},
		{PublicKey: publicKey(7), LastHandshake: time.Unix(1, 6), TxBytes: 1 << 40},
		{PublicKey: publicKey(8), AllowedIPs: []netip.Prefix{prefix("::ffff:0:0/96"), prefix("1:2:3:4:5:6:7:8/128")}},
	}
	return map[string]conf.Device{"bare": bare, "keyed": keyed, "full": full}
}
