package wgctl

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/mdlayher/netlink"

	"github.com/warrenvpn/warren/conf"
	"github.com/warrenvpn/warren/internal/fakekernel"
	"github.com/warrenvpn/warren/key"
)

// kernelClient returns a client of a kernel with the interface wg0.
func kernelClient(t *testing.T, e fakekernel.Era) (*Client, *fakekernel.Kernel) {
	k := fakekernel.New(e)
	k.AddWireGuard("wg0")
	t.Cleanup(func() { k.CheckClosed(t) })
	return &Client{Dir: shortDir(t), Dial: k.Dial}, k
}

func equal(t *testing.T, what string, got, want conf.Device) {
	t.Helper()
	if same(got, want) {
		return
	}
	d := cmp.Diff(want, got, cmpopts.EquateEmpty(),
		cmp.Comparer(func(a, b key.Private) bool { return a.Equal(&b) }),
		cmp.Comparer(func(a, b key.Preshared) bool { return a.Equal(&b) }),
		cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b }),
		cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }))
	t.Fatalf("%s (-want +got):\n%.4000s", what, d)
}

// same compares without reflection: there are many prefixes.
func same(a, b conf.Device) bool {
	return a.Name == b.Name && a.PrivateKey.Equal(&b.PrivateKey) && a.PublicKey == b.PublicKey &&
		a.ListenPort == b.ListenPort && a.FwMark == b.FwMark &&
		slices.EqualFunc(a.Peers, b.Peers, func(a, b conf.Peer) bool {
			return a.PublicKey == b.PublicKey && a.PresharedKey.Equal(&b.PresharedKey) && a.Endpoint == b.Endpoint &&
				a.LastHandshake.Equal(b.LastHandshake) && a.RxBytes == b.RxBytes && a.TxBytes == b.TxBytes &&
				a.PersistentKeepalive == b.PersistentKeepalive && slices.Equal(a.AllowedIPs, b.AllowedIPs)
		})
}

// sorted is a state in which the order of allowed IPs does not matter: a kernel
// moves one that is added again to the end, the model does not.
func sorted(d conf.Device) conf.Device {
	d.Peers = slices.Clone(d.Peers)
	for i := range d.Peers {
		d.Peers[i].AllowedIPs = slices.Clone(d.Peers[i].AllowedIPs)
		slices.SortFunc(d.Peers[i].AllowedIPs, netip.Prefix.Compare)
	}
	return d
}

// chance makes changes.
type chance struct{ *rand.Rand }

func (c chance) prefix() netip.Prefix {
	if c.IntN(2) == 0 {
		a := netip.AddrFrom4([4]byte{10, byte(c.IntN(2)), byte(c.IntN(256)), byte(c.IntN(256))})
		return netip.PrefixFrom(a, c.IntN(33)).Masked()
	}
	b := [16]byte{0: 0xfd, 14: byte(c.IntN(256)), 15: byte(c.IntN(256))}
	if c.IntN(10) == 0 {
		b = [16]byte{10: 0xff, 11: 0xff, 12: 10, 15: byte(c.IntN(256))} // IPv4-mapped, and yet IPv6
	}
	return netip.PrefixFrom(netip.AddrFrom16(b), c.IntN(129)).Masked()
}

func (c chance) bytes() (b [32]byte) {
	for i := range b {
		b[i] = byte(c.Uint32())
	}
	return b
}

func maybe[T any](c chance, v T) *T {
	if c.IntN(3) == 0 {
		return nil
	}
	return &v
}

func (c chance) endpoint() *conf.Endpoint {
	ap := netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(c.IntN(256))}), uint16(c.Uint32()))
	switch c.IntN(4) {
	case 0:
		ap = netip.AddrPortFrom(netip.AddrFrom16([16]byte{0: 0x20, 1: 1, 15: byte(c.IntN(256))}), uint16(c.Uint32()))
	case 1:
		ap = netip.AddrPortFrom(netip.AddrFrom16([16]byte{0: 0xfe, 1: 0x80, 15: 1}).WithZone("1"), uint16(c.Uint32()))
	}
	e := conf.NumericEndpoint(ap)
	return maybe(c, e)
}

func (c chance) change(peers []key.Public, most int) conf.Change {
	zero := c.IntN(5) == 0
	private, psk := key.NewPrivate(c.bytes()), key.NewPreshared(c.bytes())
	if zero {
		private, psk = key.Private{}, key.Preshared{}
	}
	ch := conf.Change{
		PrivateKey: maybe(c, private), ListenPort: maybe(c, uint16(c.Uint32())), FwMark: maybe(c, c.Uint32()),
		ReplacePeers: c.IntN(6) == 0,
	}
	for range c.IntN(12) {
		p := conf.PeerChange{
			PublicKey: peers[c.IntN(len(peers))], Remove: c.IntN(10) == 0, UpdateOnly: c.IntN(10) == 0,
			PresharedKey: maybe(c, psk), Endpoint: c.endpoint(), PersistentKeepalive: maybe(c, uint16(c.Uint32())),
			ReplaceAllowedIPs: c.IntN(2) == 0,
		}
		for range c.IntN(most) {
			p.AllowedIPs = append(p.AllowedIPs, conf.AllowedIP{Prefix: c.prefix(), Remove: c.IntN(5) == 0})
		}
		ch.Peers = append(ch.Peers, p)
	}
	return ch
}

// I11: whatever is set is read back, through messages and dumps of any size.
func TestKernelKeepsWhatItIsTold(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	for _, page := range []int{600, 1024, 3776, 32 << 10} {
		for _, era := range []fakekernel.Era{fakekernel.Linux616, fakekernel.Linux700} {
			t.Run(fmt.Sprint(era, " ", page), func(t *testing.T) {
				c := chance{rand.New(rand.NewPCG(seed, uint64(page)))}
				client, k := kernelClient(t, era)
				k.Page = page
				var peers []key.Public
				for range 8 {
					private := key.NewPrivate(c.bytes())
					peers = append(peers, private.Public())
				}
				var model conf.Device
				model.Name = "wg0"
				for n := range 40 {
					most := []int{3, 40, 700}[n%3]
					ch := c.change(peers, most)
					if err := client.Apply("wg0", ch); err != nil {
						t.Fatal(err)
					}
					model.Apply(&ch)
					got, err := client.Device("wg0")
					if err != nil {
						t.Fatal(err)
					}
					equal(t, "what was read is not what the kernel has", got, k.Device("wg0"))
					equal(t, "what the kernel has is not what was asked for", sorted(got), sorted(model))
				}
			})
		}
	}
}

// K31, K32, K33.
func TestKernelConfigurationsOfManyMessages(t *testing.T) {
	addr := func(n int) conf.AllowedIP {
		return conf.AllowedIP{Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)}), 32)}
	}
	var huge, many, edge conf.Change
	huge.Peers = []conf.PeerChange{{PublicKey: key.Public{1}, ReplaceAllowedIPs: true}}
	for n := range 130560 {
		huge.Peers[0].AllowedIPs = append(huge.Peers[0].AllowedIPs, addr(n))
	}
	for n := range 40 {
		p := conf.PeerChange{PublicKey: key.Public{byte(n + 1)}}
		for i := range 52 {
			p.AllowedIPs = append(p.AllowedIPs, addr(n<<8+i))
		}
		many.Peers = append(many.Peers, p)
	}
	for n := range 29 {
		edge.Peers = append(edge.Peers, conf.PeerChange{PublicKey: key.Public{byte(n + 1)}})
	}
	edge.Peers = append(edge.Peers, conf.PeerChange{PublicKey: key.Public{99}, AllowedIPs: []conf.AllowedIP{addr(1), addr(2)}})
	for name, ch := range map[string]conf.Change{"one peer": huge, "forty peers": many, "a boundary": edge} {
		t.Run(name, func(t *testing.T) {
			client, k := kernelClient(t, fakekernel.Linux56)
			if err := client.Apply("wg0", ch); err != nil {
				t.Fatal(err)
			}
			got, err := client.Device("wg0")
			if err != nil {
				t.Fatal(err)
			}
			want := conf.Device{Name: "wg0"}
			want.Apply(&ch)
			equal(t, "read", got, want)
			for _, r := range k.Requests() {
				if r.Length > messageSize() {
					t.Errorf("a request of %d bytes, want at most %d", r.Length, messageSize())
				}
			}
		})
	}
}

// Every size at which a dump can be cut, exactly.
func TestKernelDumpsCutAnywhere(t *testing.T) {
	c := chance{rand.New(rand.NewPCG(1, 2))}
	client, k := kernelClient(t, fakekernel.Linux616)
	ch := conf.Change{}
	for n := range 12 {
		p := conf.PeerChange{PublicKey: key.Public{byte(n + 1)}, Endpoint: c.endpoint()}
		for range []int{0, 1, 2, 30}[n%4] {
			p.AllowedIPs = append(p.AllowedIPs, conf.AllowedIP{Prefix: c.prefix()})
		}
		ch.Peers = append(ch.Peers, p)
	}
	if err := client.Apply("wg0", ch); err != nil {
		t.Fatal(err)
	}
	for page := 400; page < 4000; page += 4 {
		k.Page = page
		got, err := client.Device("wg0")
		if err != nil {
			t.Fatal(err)
		}
		equal(t, fmt.Sprintf("read in parts of %d bytes", page), got, k.Device("wg0"))
	}
}

func TestKernelDumpsThatAreInterruptedStartAgain(t *testing.T) {
	client, k := kernelClient(t, fakekernel.Linux616)
	k.Page = 400
	var ch conf.Change
	for n := range 10 {
		ch.Peers = append(ch.Peers, conf.PeerChange{PublicKey: key.Public{byte(n + 1)}})
	}
	if err := client.Apply("wg0", ch); err != nil {
		t.Fatal(err)
	}
	other := &Client{Dir: client.Dir, Dial: k.Dial}
	changes := 0
	k.BetweenParts = func(*fakekernel.Kernel) {
		if changes++; changes > 7 {
			return
		}
		// Somebody takes away what the dump stands at, and gives it back.
		p := key.Public{byte(changes + 1)}
		for _, c := range []conf.PeerChange{{PublicKey: p, Remove: true}, {PublicKey: p}} {
			if err := other.Apply("wg0", conf.Change{Peers: []conf.PeerChange{c}}); err != nil {
				t.Error(err)
			}
		}
	}
	got, err := client.Device("wg0")
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "read", got, k.Device("wg0"))
	if changes < 8 {
		t.Errorf("%d parts were read after a change, want some after the last", changes)
	}

	k.Requests()
	k.BetweenParts = func(k *fakekernel.Kernel) { k.Touch("wg0") }
	_, err = client.Device("wg0")
	if !errors.Is(err, syscall.EINTR) || err.Error() != "read interface wg0: Interrupted system call" {
		t.Errorf("an interface that never rests: %v", err)
	}
	if n := len(k.Requests()); n != 1+maxDumps {
		t.Errorf("%d requests, want %d", n, 1+maxDumps)
	}
}

// Compat 1.12, 1.13.
func TestKernelErrors(t *testing.T) {
	client, k := kernelClient(t, fakekernel.Linux616)
	k.AddLink("eth0", "")
	k.AddLink("wireguard0", "wireguard2")
	change := func(name string) error { return client.Apply(name, conf.Change{}) }
	read := func(name string) error { _, err := client.Device(name); return err }
	plane := func(name string) error { _, err := client.Plane(name); return err }
	for _, tc := range []struct {
		name, want     string
		denied, absent bool
	}{
		{name: "nosuch", want: "No such device"},
		{name: "", want: "No such device"},
		{name: "../wg0", want: "No such device"},
		{name: "wg0\x00", want: "No such device"},
		{name: "eth0", want: "Operation not supported"},
		{name: "wireguard0", want: "Operation not supported"},
		{name: "lo", want: "Operation not supported"},
		{name: "nosuch", want: "Protocol not supported", absent: true},
		{name: "lo", want: "Protocol not supported", absent: true},
		{name: "wg0", want: "Operation not permitted", denied: true},
		{name: "wg0wg0wg0wg0wg0x", want: "File name too long"},
	} {
		k.Denied, k.NoFamily = tc.denied, tc.absent
		for op, f := range map[string]func(string) error{"read": read, "change": change, "plane": plane} {
			err := f(tc.name)
			if op == "plane" && tc.denied {
				if err != nil {
					t.Errorf("plane of %q: %v, want an answer without privileges", tc.name, err)
				}
				continue
			}
			if err == nil || !strings.HasSuffix(err.Error(), ": "+tc.want) {
				t.Errorf("%s %q: %v, want %s", op, tc.name, err, tc.want)
			}
		}
	}
}

func TestKernelStopsAtTheFirstError(t *testing.T) {
	client, k := kernelClient(t, fakekernel.Linux616)
	k.FailSet = 3
	var ch conf.Change
	const count = 2000
	for n := range count {
		ch.Peers = append(ch.Peers, conf.PeerChange{PublicKey: key.Public{byte(n + 1), byte(n >> 8)}})
	}
	err := client.Apply("wg0", ch)
	if !errors.Is(err, syscall.ENOMEM) || err.Error() != "change interface wg0: Cannot allocate memory" {
		t.Errorf("error = %v", err)
	}
	if n := len(k.Requests()); n != 1+3 {
		t.Errorf("%d requests, want the family and three sets", n)
	}
	if n := len(k.Device("wg0").Peers); n == 0 || n == count {
		t.Errorf("%d peers, want those before the error", n)
	}
}

// Kernels first, in their order; then sockets, sorted; a socket shadows.
func TestBothPlanes(t *testing.T) {
	client, k := kernelClient(t, fakekernel.Linux616)
	k.AddLink("eth0", "")
	k.AddLink("tun9", "tun")
	k.AddWireGuard("wg9")
	k.AddWireGuard("a")
	for _, name := range []string{"z", "wg9", "b"} {
		serve(t, client.Dir, name, &model{d: conf.Device{ListenPort: 7}})
	}
	names, err := client.Names()
	if want := []string{"wg0", "wg9", "a", "b", "z"}; err != nil || !slices.Equal(names, want) {
		t.Errorf("names = %q, %v, want %q", names, err, want)
	}
	for name, want := range map[string]Plane{"wg0": Kernel, "a": Kernel, "wg9": UserSpace, "b": UserSpace} {
		if got, err := client.Plane(name); got != want || err != nil {
			t.Errorf("plane of %s = %v, %v, want %v", name, got, err, want)
		}
		d, err := client.Device(name)
		if err != nil || d.Name != name || (d.ListenPort == 7) != (want == UserSpace) {
			t.Errorf("%s: %+v, %v, want it from the %v", name, d, err, want)
		}
	}
	mark := uint32(5)
	if err := client.Apply("wg9", conf.Change{FwMark: &mark}); err != nil || k.Device("wg9").FwMark != 0 {
		t.Errorf("a change of a shadowed interface: %v, and the kernel has mark %d", err, k.Device("wg9").FwMark)
	}
}

// Compat 3.3.1: kernels without a flag for it would refuse half of a change, or
// add what they should remove.
func TestSinglePrefixesAreRemovedOrNothingIs(t *testing.T) {
	a, b := netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")
	peer, other := key.Public{1}, key.Public{2}
	port := uint16(5)
	take := conf.Change{ListenPort: &port, Peers: []conf.PeerChange{
		{PublicKey: other, AllowedIPs: []conf.AllowedIP{{Prefix: b}}},
		{PublicKey: peer, AllowedIPs: []conf.AllowedIP{{Prefix: a, Remove: true}}},
	}}
	for _, era := range fakekernel.Eras {
		client, k := kernelClient(t, era)
		start := conf.Change{Peers: []conf.PeerChange{{PublicKey: peer, AllowedIPs: []conf.AllowedIP{{Prefix: a}}}}}
		if err := client.Apply("wg0", start); err != nil {
			t.Fatal(err)
		}
		before := k.Device("wg0")
		err := client.Apply("wg0", take)
		if era < fakekernel.Linux616 {
			want := "change interface wg0: Invalid argument: this kernel cannot remove single allowed IPs, Linux 6.16 and later can"
			if !errors.Is(err, ErrNoRemoval) || !errors.Is(err, syscall.EINVAL) || err.Error() != want {
				t.Errorf("%v: error = %v", era, err)
			}
			equal(t, "after a change that this kernel cannot make", k.Device("wg0"), before)
		} else {
			if err != nil {
				t.Errorf("%v: %v", era, err)
			}
			before.Apply(&take)
			equal(t, "after the change", k.Device("wg0"), before)
		}

		// An interface without peers, or that loses them, needs no such flag.
		for _, ch := range []conf.Change{
			{ReplacePeers: true, Peers: take.Peers},
			{Peers: []conf.PeerChange{
				{PublicKey: other, Remove: true},
				{PublicKey: peer, Remove: true},
			}},
			{Peers: append(slices.Clone(take.Peers), conf.PeerChange{
				PublicKey: peer, AllowedIPs: []conf.AllowedIP{{Prefix: b}, {Prefix: a}, {Prefix: b, Remove: true}},
			})},
		} {
			want := k.Device("wg0")
			want.Apply(&ch)
			if err := client.Apply("wg0", ch); err != nil {
				t.Errorf("%v: %v", era, err)
			}
			equal(t, "without peers before", k.Device("wg0"), want)
		}
	}
}

// The probe of a peer that does not exist tells nothing and makes nothing: then
// another one is asked about.
func TestRemovalIsProbedWithAnyPeer(t *testing.T) {
	a := netip.MustParsePrefix("10.0.0.0/8")
	ch := conf.Change{Peers: []conf.PeerChange{{PublicKey: key.Public{2}, AllowedIPs: []conf.AllowedIP{{Prefix: a}, {Prefix: a, Remove: true}}}}}
	for _, era := range fakekernel.Eras {
		client, k := kernelClient(t, era)
		if err := client.Apply("wg0", conf.Change{Peers: []conf.PeerChange{{PublicKey: key.Public{1}, AllowedIPs: []conf.AllowedIP{{Prefix: a}}}}}); err != nil {
			t.Fatal(err)
		}
		before := k.Device("wg0")
		err := client.Apply("wg0", ch)
		if era < fakekernel.Linux616 {
			if !errors.Is(err, ErrNoRemoval) {
				t.Errorf("%v: error = %v", era, err)
			}
		} else {
			before.Apply(&ch)
		}
		equal(t, era.String(), k.Device("wg0"), before)
	}
}

// Changes without removals are not probed: three messages are enough for them.
func TestOtherChangesAreNotProbed(t *testing.T) {
	client, k := kernelClient(t, fakekernel.Linux56)
	ch := conf.Change{Peers: []conf.PeerChange{{PublicKey: key.Public{1}, AllowedIPs: []conf.AllowedIP{{Prefix: netip.MustParsePrefix("10.0.0.0/8")}}}}}
	if err := client.Apply("wg0", ch); err != nil {
		t.Fatal(err)
	}
	if n := len(k.Requests()); n != 2 {
		t.Errorf("%d requests, want the family and one set", n)
	}
}

func TestZonesAreNamesOrNumbersOfLinks(t *testing.T) {
	client, k := kernelClient(t, fakekernel.Linux616)
	k.AddLink("eth0", "")
	k.AddLink("7", "") // a name that is a number; its own is 4
	for zone, want := range map[string]string{"eth0": "3", "9": "9", "7": "4", "lo": "1"} {
		ch := conf.Change{Peers: []conf.PeerChange{{PublicKey: key.Public{1}, Endpoint: &conf.Endpoint{Host: "fe80::1%" + zone, Port: "5"}}}}
		if err := client.Apply("wg0", ch); err != nil {
			t.Fatal(err)
		}
		if ch.Peers[0].Endpoint.Host != "fe80::1%"+zone {
			t.Errorf("the caller's change has become %v", ch.Peers[0].Endpoint)
		}
		d, err := client.Device("wg0")
		if err != nil || d.Peers[0].Endpoint.Addr().Zone() != want {
			t.Errorf("zone %s: %v, %v, want number %s", zone, d.Peers[0].Endpoint, err, want)
		}
	}
	ch := conf.Change{Peers: []conf.PeerChange{{PublicKey: key.Public{1}, Endpoint: &conf.Endpoint{Host: "fe80::1%nosuch", Port: "5"}}}}
	if err := client.Apply("wg0", ch); !errors.Is(err, syscall.ENODEV) {
		t.Errorf("a zone that does not exist: %v", err)
	}
}

// An answer that is none is a protocol error, as from a control socket.
func TestNonsenseFromTheKernel(t *testing.T) {
	for what, spoil := range map[string]func(m *netlink.Message){
		"cut":        func(m *netlink.Message) { m.Data = m.Data[:len(m.Data)-1] },
		"empty":      func(m *netlink.Message) { m.Data = nil },
		"wrong kind": func(m *netlink.Message) { m.Data[0] = 9 },
		"long length": func(m *netlink.Message) {
			at := 4 // behind the header
			if m.Header.Type == 16 && m.Header.Flags&netlink.Multi != 0 {
				at = 16
			}
			m.Data[at] = 0xff
		},
	} {
		client, k := kernelClient(t, fakekernel.Linux616)
		for _, target := range []netlink.HeaderType{16, 0x1d} { // links and families; states
			k.Spoil = func(m *netlink.Message) {
				if m.Header.Type == target {
					spoil(m)
				}
			}
			if _, err := client.Device("wg0"); !errors.Is(err, syscall.EPROTO) {
				t.Errorf("%s, type %d: reading: %v", what, target, err)
			}
		}
		k.Spoil = func(m *netlink.Message) {
			if m.Header.Flags&netlink.Multi != 0 && m.Header.Type != netlink.Done {
				spoil(m)
			}
		}
		if _, err := client.Names(); what != "wrong kind" && !errors.Is(err, syscall.EPROTO) {
			t.Errorf("%s: listing: %v", what, err)
		}
	}
}

func TestNoSocketsToTheKernel(t *testing.T) {
	client := &Client{Dir: shortDir(t), Dial: func(int, *netlink.Config) (*netlink.Conn, error) { return nil, syscall.EAFNOSUPPORT }}
	_, err := client.Names()
	if err == nil || err.Error() != "list interfaces: Address family not supported by protocol" {
		t.Errorf("listing: %v", err)
	}
	if _, err = client.Device("wg0"); !errors.Is(err, syscall.EAFNOSUPPORT) {
		t.Errorf("reading: %v", err)
	}
}

// FuzzKernelRoundTrip makes changes from any seed.
func FuzzKernelRoundTrip(f *testing.F) {
	f.Add(uint64(1), uint16(600), false)
	f.Add(uint64(2), uint16(4096), true)
	f.Fuzz(func(t *testing.T, seed uint64, page uint16, checked bool) {
		c := chance{rand.New(rand.NewPCG(seed, 0))}
		era := fakekernel.Linux616
		if checked {
			era = fakekernel.Linux700
		}
		k := fakekernel.New(era)
		k.AddWireGuard("wg0")
		k.Page = max(int(page), 400)
		client := &Client{Dir: "/nonexistent", Dial: k.Dial}
		want := conf.Device{Name: "wg0"}
		for range 3 {
			ch := c.change([]key.Public{{1}, {2}, {3}}, 100)
			if err := client.Apply("wg0", ch); err != nil {
				t.Fatal(err)
			}
			want.Apply(&ch)
		}
		got, err := client.Device("wg0")
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "read", sorted(got), sorted(want))
	})
}

// The kernel of this machine understands the questions, whether or not it has
// WireGuard. Nothing is changed and nobody needs privileges.
func TestThisKernelAnswers(t *testing.T) {
	client := &Client{Dir: shortDir(t)}
	if _, err := client.Names(); err != nil {
		t.Errorf("listing: %v", err)
	}
	_, err := client.Device("lo")
	if !errors.Is(err, syscall.EPROTONOSUPPORT) && !errors.Is(err, syscall.EOPNOTSUPP) && !errors.Is(err, syscall.EPERM) {
		t.Errorf("loopback: %v, want that it is not WireGuard", err)
	}
	if _, err := client.Plane("lo"); !errors.Is(err, syscall.EPROTONOSUPPORT) && !errors.Is(err, syscall.EOPNOTSUPP) {
		t.Errorf("plane of loopback: %v, want that it is not WireGuard", err)
	}
}
