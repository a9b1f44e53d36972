package uapi

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/warrenvpn/warren/conf"
	"github.com/warrenvpn/warren/key"
)

// sameSecrets lets cmp compare what has no ==.
var sameSecrets = cmp.Options{
	cmp.Comparer(func(a, b key.Private) bool { return a.Equal(&b) }),
	cmp.Comparer(func(a, b key.Preshared) bool { return a.Equal(&b) }),
	cmp.Comparer(func(a, b *key.Private) bool { return a == b || a != nil && b != nil && a.Equal(b) }),
	cmp.Comparer(func(a, b *key.Preshared) bool { return a == b || a != nil && b != nil && a.Equal(b) }),
	cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }),
	cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b }),
}

func TestDeviceIsReadAsWritten(t *testing.T) {
	want := sample()
	var b bytes.Buffer
	if err := WriteDevice(&b, &want); err != nil {
		t.Fatal(err)
	}
	b.WriteString("errno=0\n\n")
	got, err := ReadDevice(&b)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(got, want, sameSecrets); d != "" {
		t.Error(d)
	}
}

func TestChangeIsReadAsWritten(t *testing.T) {
	const seed = 7
	r := rand.New(rand.NewPCG(seed, seed))
	for range 1000 {
		want := randomChange(r)
		var b bytes.Buffer
		if err := WriteChange(&b, want); err != nil {
			t.Fatal(err)
		}
		text := b.String()
		got, err := ReadChange(strings.NewReader(strings.TrimPrefix(text, "set=1\n")))
		if err != nil {
			t.Fatalf("seed %d: %v of\n%s", seed, err, text)
		}
		if d := cmp.Diff(got, want, sameSecrets); d != "" {
			t.Fatalf("seed %d: %s", seed, d)
		}
	}
}

func randomChange(r *rand.Rand) *conf.Change {
	c := &conf.Change{ReplacePeers: r.IntN(2) == 0}
	if r.IntN(2) == 0 {
		k := key.NewPrivate([32]byte{byte(r.Uint32()), 1})
		c.PrivateKey = &k
	}
	if r.IntN(2) == 0 {
		n := uint16(r.Uint32())
		c.ListenPort = &n
	}
	if r.IntN(2) == 0 {
		n := r.Uint32()
		c.FwMark = &n
	}
	for range r.IntN(4) {
		p := conf.PeerChange{PublicKey: pub(byte(r.IntN(9)))}
		if p.Remove = r.IntN(4) == 0; !p.Remove {
			randomPeer(r, &p)
		}
		c.Peers = append(c.Peers, p)
	}
	return c
}

func randomPeer(r *rand.Rand, p *conf.PeerChange) {
	p.UpdateOnly, p.ReplaceAllowedIPs = r.IntN(2) == 0, r.IntN(2) == 0
	if r.IntN(2) == 0 {
		k := key.NewPreshared([32]byte{byte(r.Uint32())})
		p.PresharedKey = &k
	}
	if r.IntN(2) == 0 {
		p.Endpoint = &conf.Endpoint{Host: []string{"192.0.2.1", "2001:db8::1", "fe80::1%eth0", "::ffff:1.2.3.4"}[r.IntN(4)], Port: "51820"}
	}
	if r.IntN(2) == 0 {
		n := uint16(r.Uint32())
		p.PersistentKeepalive = &n
	}
	for range r.IntN(4) {
		a := netip.AddrFrom4([4]byte{10, byte(r.Uint32()), byte(r.Uint32())})
		p.AllowedIPs = append(p.AllowedIPs, conf.AllowedIP{
			Prefix: netip.PrefixFrom(a, r.IntN(33)).Masked(), Remove: r.IntN(3) == 0,
		})
	}
}

func TestRequestErrorsSayWhereButNotWhat(t *testing.T) {
	secret := strings.Repeat("5ec", 21)
	_, err := ReadChange(strings.NewReader("listen_port=5\nprivate_key=" + secret + "\n\n"))
	var bad *RequestError
	if !errors.As(err, &bad) || bad.Line != 2 || bad.Errno != syscall.EINVAL || !strings.Contains(err.Error(), "private_key") {
		t.Errorf("error = %v", err)
	}
	if strings.Contains(err.Error(), "5ec") {
		t.Errorf("the error tells the secret: %v", err)
	}
}

// Compat 3.1.1: what clients require of a reply.
func TestReplyErrors(t *testing.T) {
	for text, want := range map[string]error{
		"":                                   syscall.EPROTO,
		"\n":                                 syscall.EPROTO,
		"listen_port=1\n\n":                  syscall.EPROTO,
		"errno=0\n":                          syscall.EPROTO,
		"errno=19\n\n":                       syscall.ENODEV,
		"errno=-19\n\n":                      syscall.EPROTO,
		"listen_port=-1\nerrno=0\n\n":        syscall.EPROTO,
		"novalue\nerrno=0\n\n":               syscall.EPROTO,
		strings.Repeat("x", 1<<17) + "=\n\n": syscall.EPROTO,
		"unknown=1\nerrno=0\n\n":             nil,
		"allowed_ip=x\nerrno=0\n\n":          nil, // no peer to take it amiss
	} {
		if _, err := ReadDevice(strings.NewReader(text)); !errors.Is(err, want) {
			t.Errorf("%.40q: %v, want %v", text, err, want)
		}
	}
	for text, want := range map[string]error{
		"": syscall.EPROTO, "errno=0\n\n": nil, "errno=-98\n\n": syscall.EADDRINUSE, "errno=0\n": syscall.EPROTO,
		"errno=x\n\n": syscall.EPROTO, "\n": syscall.EPROTO, "x\n\n": syscall.EPROTO, "a=b\nerrno=0\n\n": nil,
	} {
		if err := ReadReply(strings.NewReader(text)); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", text, err, want)
		}
	}
}

// B68: a peer that never had a handshake has no time, not 1970.
func TestNeverIsTheZeroTime(t *testing.T) {
	p := "public_key=" + pubHex(1) + "\nlast_handshake_time_sec=0\nlast_handshake_time_nsec=0\nerrno=0\n\n"
	d, err := ReadDevice(strings.NewReader(p))
	if err != nil || !d.Peers[0].LastHandshake.IsZero() {
		t.Errorf("last handshake = %v, %v, want the zero time", d.Peers[0].LastHandshake, err)
	}
	d.Peers[0].LastHandshake = time.Time{}.Add(-time.Hour)
	var b strings.Builder
	if err := WriteDevice(&b, &d); err != nil || !strings.Contains(b.String(), "last_handshake_time_sec=0\n") {
		t.Errorf("a time before 1970 is written as %q", b.String())
	}
}

func TestStrerror(t *testing.T) {
	for n, want := range map[syscall.Errno]string{
		0: "Success", syscall.ENODEV: "No such device", syscall.EOPNOTSUPP: "Operation not supported",
		syscall.EPERM: "Operation not permitted", syscall.EACCES: "Permission denied",
		syscall.EPROTONOSUPPORT: "Protocol not supported", syscall.EPROTO: "Protocol error",
		syscall.ENAMETOOLONG: "File name too long", 41: "Unknown error 41", 134: "Unknown error 134", 4000: "Unknown error 4000",
	} {
		if got := Strerror(n); got != want {
			t.Errorf("Strerror(%d) = %q, want %q", int(n), got, want)
		}
	}
	minus := -5
	if got, want := Strerror(syscall.Errno(uintptr(minus))), "Unknown error -5"; got != want {
		t.Errorf("Strerror(-5) = %q, want %q", got, want)
	}
}

// fullSet and fullGet are Q11: 100 000 peers with two allowed IPs each.
const fullPeers = 100_000

func BenchmarkSet100000Peers(b *testing.B) {
	var request bytes.Buffer
	if err := WriteChange(&request, bigChange(fullPeers)); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(request.Len()))
	b.ReportAllocs()
	for b.Loop() {
		p := &pipe{in: bytes.NewReader(request.Bytes())}
		if err := ServeConn(p, discard{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkGet100000Peers(b *testing.B) {
	var d conf.Device
	d.Apply(bigChange(fullPeers))
	b.ReportAllocs()
	for b.Loop() {
		p := &pipe{in: strings.NewReader("get=1\n\n")}
		if err := ServeConn(p, discard{d}); err != nil {
			b.Fatal(err)
		}
		if _, err := ReadDevice(&p.out); err != nil {
			b.Fatal(err)
		}
	}
}

// discard is a device that takes any change and always says the same.
type discard struct{ d conf.Device }

func (d discard) Status() conf.Device     { return d.d }
func (d discard) Apply(conf.Change) error { return nil }

// Q11: both directions within their time and memory, far from the limits.
func TestSetAndGetOf100000Peers(t *testing.T) {
	var request bytes.Buffer
	if err := WriteChange(&request, bigChange(fullPeers)); err != nil {
		t.Fatal(err)
	}
	request.WriteString("get=1\n\n")
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	m := &model{}
	p := &pipe{in: &request}
	if err := ServeConn(p, m); err != nil {
		t.Fatal(err)
	}
	if got := ReadReplyPrefix(t, &p.out); got != nil {
		t.Fatal(got)
	}
	d, err := ReadDevice(&p.out)
	if err != nil || len(d.Peers) != fullPeers || len(d.Peers[fullPeers-1].AllowedIPs) != 2 {
		t.Errorf("%d peers, %v, want %d", len(d.Peers), err, fullPeers)
	}
	runtime.ReadMemStats(&after)
	if mib := (after.TotalAlloc - before.TotalAlloc) >> 20; mib > 600 {
		t.Errorf("%d MiB allocated, want less than 600", mib)
	}
}

// ReadReplyPrefix reads the reply of a set that something follows.
func ReadReplyPrefix(t *testing.T, b *bytes.Buffer) error {
	t.Helper()
	const end = "\n\n"
	i := bytes.Index(b.Bytes(), []byte(end))
	if i < 0 {
		t.Fatal("no reply")
	}
	return ReadReply(bytes.NewReader(b.Next(i + len(end))))
}
