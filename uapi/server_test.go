package uapi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/warrenvpn/warren/conf"
)

const getFull = `private_key=` + privHex + `
listen_port=51820
fwmark=51820
public_key=0100000000000000000000000000000000000000000000000000000000000001
preshared_key=0900000000000000000000000000000000000000000000000000000000000000
protocol_version=1
endpoint=192.0.2.1:5
last_handshake_time_sec=1700000000
last_handshake_time_nsec=123456789
tx_bytes=22
rx_bytes=11
persistent_keepalive_interval=25
allowed_ip=10.0.0.1/32
allowed_ip=fd00::/64
allowed_ip=::ffff:1.2.3.4/128
public_key=0200000000000000000000000000000000000000000000000000000000000001
preshared_key=0000000000000000000000000000000000000000000000000000000000000000
protocol_version=1
endpoint=[fe80::1%eth0]:65535
last_handshake_time_sec=0
last_handshake_time_nsec=0
tx_bytes=0
rx_bytes=0
persistent_keepalive_interval=0
errno=0

`

// Q10, B71: every line of a get, in order; tx before rx; the mark is there.
func TestGetIsByteExact(t *testing.T) {
	if got := ask(&model{d: sample()}, "get=1\n\n"); got != getFull {
		t.Error(cmp.Diff(got, getFull))
	}
	if got, want := ask(&model{}, "get=1\n\n"), "errno=0\n\n"; got != want {
		t.Errorf("an empty device says %q, want %q", got, want)
	}
}

// In the reply of a get, an errno with a sign is nonsense to wg(8).
func TestGetWithLinesIsRefusedWithPositiveErrno(t *testing.T) {
	m := &model{d: sample()}
	if got, want := ask(m, "get=1\nlisten_port=5\n\nget=1\n\n"), "errno=22\n\n"+getFull; got != want {
		t.Error(cmp.Diff(got, want))
	}
}

// Q10: requests and their replies, which are those of wireguard-go byte for byte,
// and what is left of a device with peers 1 and 2, which have 10.0.0.1/32 and 10.0.0.2/32.
func TestSetTranscripts(t *testing.T) {
	n := 0
	for _, c := range setTranscripts() {
		// What is around it makes no difference.
		for _, before := range []string{"", "fwmark=0\n"} {
			for _, after := range []string{"", "public_key=" + pubHex(2) + "\nupdate_only=true\n"} {
				around := c
				if strings.HasSuffix(c.lines, "\r") {
					after = "" // it ends the request itself
				}
				around.lines = before + c.lines + after
				around.check(t)
				n++
			}
		}
	}
	if n < 500 {
		t.Errorf("%d transcripts, want at least 500", n)
	}
}

func setTranscripts() []transcript {
	zero := strings.Repeat("0", 64)
	p1, p2, p3 := "public_key="+pubHex(1)+"\n", "public_key="+pubHex(2)+"\n", "public_key="+pubHex(3)+"\n"
	const untouched = "1: 10.0.0.1/32; 2: 10.0.0.2/32"
	ok := func(lines, want string) transcript { return transcript{lines: lines, want: want} }
	bad := func(lines string) transcript { return transcript{lines: lines, errno: -22, want: untouched} }
	broken := func(lines string) transcript { return transcript{lines: lines, errno: -71, want: untouched} }
	return []transcript{
		ok("", untouched),
		ok("listen_port=0\n", untouched), ok("listen_port=65535\n", "port 65535; "+untouched), bad("listen_port=65536\n"), bad("listen_port=-1\n"), bad("listen_port=\n"),
		bad("listen_port=+1\n"), bad("listen_port= 1\n"), bad("listen_port=1 \n"), bad("listen_port=0x1\n"), bad("listen_port=1_0\n"), ok("listen_port=007\n", "port 7; "+untouched),
		ok("fwmark=4294967295\n", "mark 4294967295; "+untouched), bad("fwmark=4294967296\n"), bad("fwmark=0x1\n"), bad("fwmark=off\n"), ok("fwmark=1\nfwmark=0\n", untouched),
		ok("private_key="+privHex+"\n", "key; "+untouched), ok("private_key="+zero+"\n", untouched), ok("private_key="+strings.ToUpper(privHex)+"\n", "key; "+untouched),
		bad("private_key=" + zero[1:] + "\n"), bad("private_key=" + zero + "0\n"), bad("private_key=" + zero[1:] + "g\n"), bad("private_key=\n"),
		ok("replace_peers=true\n", ""), bad("replace_peers=false\n"), bad("replace_peers=\n"), bad("replace_peers=True\n"), ok("replace_peers=true\n"+p3, "3:"),
		bad("bogus=1\n"), bad("=\n"), bad("=1\n"), broken("bogus\n"), broken("replace_peers\n"), broken(" \n"), bad("Listen_port=1\n"), bad(" listen_port=1\n"), bad("get=1\n"), bad("set=1\n"),
		bad("errno=0\n"), bad("remove=true\n"), bad("allowed_ip=1.2.3.4/32\n"), bad("endpoint=1.2.3.4:5\n"), bad("update_only=true\n"),
		ok(p3, untouched+"; 3:"), ok(p1, untouched), bad("public_key=\n"), bad("public_key=" + zero[1:] + "\n"), ok("public_key="+strings.ToUpper(pubHex(3))+"\n", untouched+"; 3:"),
		bad(p3 + "listen_port=5\n"), bad(p3 + "fwmark=5\n"), bad(p3 + "replace_peers=true\n"), bad(p3 + "private_key=" + zero + "\n"), bad(p3 + "bogus=1\n"), broken(p3 + "bogus\n"),
		ok(p1+"remove=true\n", "2: 10.0.0.2/32"), ok(p3+"remove=true\n", untouched), bad(p1 + "remove=false\n"), ok(p1+"remove=true\nremove=true\n", "2: 10.0.0.2/32"),
		ok(p1+"remove=true\nallowed_ip=1.2.3.4/32\nendpoint=1.2.3.4:5\n", "2: 10.0.0.2/32"), bad(p1 + "remove=true\nallowed_ip=x\n"), bad(p1 + "remove=true\nbogus=1\n"),
		ok(p1+"remove=true\n"+p1, "2: 10.0.0.2/32; 1:"), ok(p1+"endpoint=1.2.3.4:5\nremove=true\n", "2: 10.0.0.2/32"),
		// What was given to the peer before its removal was taken from the other.
		ok(p3+"allowed_ip=10.0.0.2/32\nremove=true\n", "1: 10.0.0.1/32; 2:"),
		ok(p3+"update_only=true\n", untouched), ok(p3+"update_only=true\nallowed_ip=10.0.0.1/32\n", untouched), ok(p1+"update_only=true\nallowed_ip=1.2.3.4/32\n", "1: 10.0.0.1/32 1.2.3.4/32; 2: 10.0.0.2/32"),
		bad(p1 + "update_only=false\n"), ok(p3+"update_only=true\nremove=true\n", untouched), ok(p3+"update_only=true\nallowed_ip=10.0.0.2/32\nremove=true\n", untouched),
		ok(p1+"preshared_key="+pubHex(7)+"\n", "1 psk: 10.0.0.1/32; 2: 10.0.0.2/32"), ok(p1+"preshared_key="+zero+"\n", untouched), bad(p1 + "preshared_key=" + zero[2:] + "\n"), bad(p1 + "preshared_key=off\n"),
		ok(p1+"endpoint=1.2.3.4:5\n", "1 1.2.3.4:5: 10.0.0.1/32; 2: 10.0.0.2/32"), ok(p1+"endpoint=[::1]:65535\n", "1 [::1]:65535: 10.0.0.1/32; 2: 10.0.0.2/32"),
		ok(p1+"endpoint=[fe80::1%eth0]:5\n", "1 [fe80::1%eth0]:5: 10.0.0.1/32; 2: 10.0.0.2/32"), ok(p1+"endpoint=1.2.3.4:0\n", "1 1.2.3.4:0: 10.0.0.1/32; 2: 10.0.0.2/32"),
		bad(p1 + "endpoint=\n"), bad(p1 + "endpoint=1.2.3.4\n"), bad(p1 + "endpoint=1.2.3.4:\n"), bad(p1 + "endpoint=:5\n"), bad(p1 + "endpoint=host:5\n"), bad(p1 + "endpoint=1.2.3.4:65536\n"), bad(p1 + "endpoint=::1:5\n"),
		bad(p1 + "endpoint=1.2.3.4:http\n"), bad(p1 + "endpoint=[::1]5\n"), bad(p1 + "endpoint=[1.2.3.4:5\n"), bad(p1 + "endpoint= 1.2.3.4:5\n"), bad(p1 + "endpoint=1.2.3.4:-5\n"),
		ok(p1+"persistent_keepalive_interval=65535\n", "1 every 65535: 10.0.0.1/32; 2: 10.0.0.2/32"), ok(p1+"persistent_keepalive_interval=0\n", untouched),
		bad(p1 + "persistent_keepalive_interval=65536\n"), bad(p1 + "persistent_keepalive_interval=off\n"), bad(p1 + "persistent_keepalive_interval=\n"), bad(p1 + "persistent_keepalive_interval=-1\n"),
		ok(p1+"replace_allowed_ips=true\n", "1:; 2: 10.0.0.2/32"), bad(p1 + "replace_allowed_ips=false\n"), bad(p1 + "replace_allowed_ips=\n"),
		ok(p1+"replace_allowed_ips=true\nallowed_ip=1.0.0.0/8\n", "1: 1.0.0.0/8; 2: 10.0.0.2/32"), ok(p1+"allowed_ip=1.0.0.0/8\n", "1: 10.0.0.1/32 1.0.0.0/8; 2: 10.0.0.2/32"),
		// The place of the line counts: what comes before it goes, and was taken
		// from the other peer all the same.
		ok(p1+"allowed_ip=10.0.0.2/32\nreplace_allowed_ips=true\nallowed_ip=1.0.0.0/8\n", "1: 1.0.0.0/8; 2:"),
		ok(p1+"replace_allowed_ips=true\nreplace_allowed_ips=true\nallowed_ip=1.0.0.0/8\n", "1: 1.0.0.0/8; 2: 10.0.0.2/32"),
		ok(p1+"allowed_ip=1.0.0.0/8\nreplace_allowed_ips=true\n", "1:; 2: 10.0.0.2/32"), ok(p1+"endpoint=1.2.3.4:5\nallowed_ip=1.0.0.0/8\nreplace_allowed_ips=true\n", "1 1.2.3.4:5:; 2: 10.0.0.2/32"),
		ok(p1+"allowed_ip=10.0.0.2/32\n", "1: 10.0.0.1/32 10.0.0.2/32; 2:"), ok(p1+"allowed_ip=10.0.0.1/32\n", untouched), ok(p1+"allowed_ip=10.0.0.77/24\n", "1: 10.0.0.1/32 10.0.0.0/24; 2: 10.0.0.2/32"),
		ok(p1+"allowed_ip=-10.0.0.1/32\n", "1:; 2: 10.0.0.2/32"), ok(p1+"allowed_ip=-10.0.0.2/32\n", untouched), ok(p1+"allowed_ip=-9.9.9.9/32\n", untouched), ok(p1+"allowed_ip=-10.0.0.1/24\n", untouched),
		ok(p1+"allowed_ip=fd00::7/64\n", "1: 10.0.0.1/32 fd00::/64; 2: 10.0.0.2/32"), ok(p1+"allowed_ip=::/0\nallowed_ip=0.0.0.0/0\n", "1: 10.0.0.1/32 ::/0 0.0.0.0/0; 2: 10.0.0.2/32"),
		bad(p1 + "allowed_ip=\n"), bad(p1 + "allowed_ip=1.2.3.4\n"), bad(p1 + "allowed_ip=1.2.3.4/\n"), bad(p1 + "allowed_ip=1.2.3.4/33\n"), bad(p1 + "allowed_ip=::/129\n"), bad(p1 + "allowed_ip=1.2.3/8\n"),
		bad(p1 + "allowed_ip=1.2.3.4/-1\n"), bad(p1 + "allowed_ip=x/1\n"), bad(p1 + "allowed_ip=--1.2.3.4/32\n"), bad(p1 + "allowed_ip=+1.2.3.4/32\n"), bad(p1 + "allowed_ip=-\n"), bad(p1 + "allowed_ip=fe80::1%eth0/128\n"), bad(p1 + "allowed_ip=1.2.3.4/032\n"),
		ok(p1+"protocol_version=1\n", untouched), bad(p1 + "protocol_version=2\n"), bad(p1 + "protocol_version=\n"), bad("protocol_version=1\n"),
		ok(p3+p3+p3, untouched+"; 3:"), ok(p3+"allowed_ip=10.0.0.1/32\n"+p1+"allowed_ip=10.0.0.1/32\n", untouched+"; 3:"), ok(p1+"remove=true\n"+p2+"remove=true\n", ""),
		// Nothing of a bad request is applied, wherever the mistake is.
		bad("listen_port=1\nfwmark=2\nreplace_peers=true\n" + p3 + "allowed_ip=1.2.3.4/32\nbogus=1\n"), broken("replace_peers=true\n" + p3 + "x\n"), bad("bogus=1\nreplace_peers=true\n"),
		// A peer with the device's own key is taken and forgotten.
		ok("private_key="+privHex+"\npublic_key="+ownPublic()+"\nallowed_ip=10.0.0.1/32\n", "key; "+untouched), bad("private_key=" + privHex + "\npublic_key=" + ownPublic() + "\nallowed_ip=x\n"),
		// Carriage returns before line feeds are harmless.
		ok("listen_port=5\r\n"+strings.TrimSuffix(p1, "\n")+"\r\nallowed_ip=1.0.0.0/8\r\n\r", "port 5; 1: 10.0.0.1/32 1.0.0.0/8; 2: 10.0.0.2/32"),
		{lines: "fwmark=" + strings.Repeat("0", 70000) + "\n", errno: -5, want: untouched},
		{lines: p1 + strings.Repeat("x", 1<<17) + "\nbogus\n", errno: -5, want: untouched},
		ok("fwmark="+strings.Repeat("0", 65000)+"\n", untouched),
	}
}

func ownPublic() string {
	k := priv()
	return k.Public().Hex()
}

// transcript is the lines of a set, the errno of its reply, and what is left.
type transcript struct {
	lines string
	errno int
	want  string
}

func (c transcript) check(t *testing.T) {
	t.Helper()
	m := &model{d: conf.Device{Peers: []conf.Peer{
		{PublicKey: pub(1), AllowedIPs: prefixes("10.0.0.1/32")}, {PublicKey: pub(2), AllowedIPs: prefixes("10.0.0.2/32")},
	}}}
	// A second request on the connection shows that it goes on.
	got := ask(m, "set=1\n"+c.lines+"\nget=1\nx\n\n")
	if want := fmt.Sprintf("errno=%d\n\nerrno=22\n\n", c.errno); got != want {
		t.Errorf("%.200q: replies %q, want %q", c.lines, got, want)
	}
	if got := summary(m.Status()); got != c.want {
		t.Errorf("%.200q: leaves %q, want %q", c.lines, got, c.want)
	}
	if c.errno != 0 && m.calls != 0 {
		t.Errorf("%.200q: applied in spite of the mistake", c.lines)
	}
}

func summary(d conf.Device) string {
	var out []string
	if !d.PrivateKey.IsZero() {
		out = append(out, "key")
	}
	if d.ListenPort != 0 {
		out = append(out, fmt.Sprintf("port %d", d.ListenPort))
	}
	if d.FwMark != 0 {
		out = append(out, fmt.Sprintf("mark %d", d.FwMark))
	}
	for _, p := range d.Peers {
		s := fmt.Sprint(p.PublicKey[0])
		if !p.PresharedKey.IsZero() {
			s += " psk"
		}
		if p.Endpoint.IsValid() {
			s += " " + p.Endpoint.String()
		}
		if p.PersistentKeepalive != 0 {
			s += fmt.Sprintf(" every %d", p.PersistentKeepalive)
		}
		s += ":"
		for _, ip := range p.AllowedIPs {
			s += " " + ip.String()
		}
		out = append(out, s)
	}
	return strings.Join(out, "; ")
}

// A request that ends before its empty line is dropped: its client died.
func TestSetCutOffIsNotApplied(t *testing.T) {
	for _, request := range []string{
		"set=1\n", "set=1", "set=1\nlisten_port=5\n", "set=1\nlisten_port=5", "set=1\nreplace_peers=true\npublic_key=" + pubHex(3) + "\n",
		"set=1\nbogus\n", "set=1\nbogus=1", "set=1\nlisten_port=5\n\r", "get=1\n", "get=1\nx\n",
	} {
		m := &model{d: sample()}
		if got := ask(m, request); got != "" {
			t.Errorf("%q: replies %q, want nothing", request, got)
		}
		if m.calls != 0 {
			t.Errorf("%q: was applied", request)
		}
	}
}

func TestUnknownOperationClosesWithoutReply(t *testing.T) {
	for _, op := range []string{"bogus=1\n\n", "\n", "get=2\n\n", "get\n\n", "set=1 \n\n", "listen_port=5\n\n", " get=1\n\n", strings.Repeat("x", 1<<17) + "\n\n"} {
		if got, want := ask(&model{}, "get=1\n\n"+op+"get=1\n\n"), "errno=0\n\n"; got != want {
			t.Errorf("%.40q: replies %q, want only that of the request before", op, got)
		}
	}
}

func TestErrorsOfTheDeviceBecomeErrno(t *testing.T) {
	inUse := &net.OpError{Op: "listen", Err: fmt.Errorf("bind: %w", syscall.EADDRINUSE)}
	for _, c := range []struct {
		err  error
		want string
	}{
		{inUse, "errno=-98"},
		{fmt.Errorf("write: %w", syscall.EIO), "errno=-5"},
		{fmt.Errorf("set fwmark: %w", syscall.EPERM), "errno=-1"},
		{fmt.Errorf("peers: %w", fs.ErrInvalid), "errno=-22"},
		{&RequestError{Errno: syscall.EPROTO}, "errno=-71"},
		{errors.New("whatever"), "errno=-55"},
		{syscall.Errno(0), "errno=-55"},
	} {
		m := &model{fail: c.err}
		if got, want := ask(m, "set=1\n\nget=1\n\n"), c.want+"\n\nerrno=0\n\n"; got != want {
			t.Errorf("%v: replies %q, want %q", c.err, got, want)
		}
	}
}

func TestPipelinedRequestsAreAllAnswered(t *testing.T) {
	const n = 1000
	m := &model{}
	got := ask(m, strings.Repeat("set=1\nlisten_port=7\n\nget=1\n\nset=1\nx\n\n", n))
	if want := strings.Repeat("errno=0\n\nlisten_port=7\nerrno=0\n\nerrno=-71\n\n", n); got != want {
		t.Errorf("%d bytes of replies, want %d", len(got), len(want))
	}
}

// B69, Q11 in small: many MiB in one request.
func TestHugeRequest(t *testing.T) {
	var request bytes.Buffer
	request.WriteString("set=1\npublic_key=" + pubHex(1) + "\n")
	const n = 130_560
	for i := range n {
		fmt.Fprintf(&request, "allowed_ip=10.%d.%d.%d/32\n", i>>16, i>>8&255, i&255)
	}
	request.WriteString("\n")
	m := &model{}
	p := &pipe{in: &request}
	if err := ServeConn(p, m); err != nil {
		t.Fatal(err)
	}
	if got := p.out.String(); got != "errno=0\n\n" {
		t.Errorf("reply = %q, want errno=0", got)
	}
	if got := len(m.d.Peers[0].AllowedIPs); got != n {
		t.Errorf("%d allowed IPs, want %d", got, n)
	}
}

// A line without end uses no more than its buffer.
func TestEndlessLineUsesLittleMemory(t *testing.T) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	p := &pipe{in: &endless{n: 1 << 26}}
	if err := ServeConn(p, &model{}); !errors.Is(err, errStop) {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 1<<20 {
		t.Errorf("%d bytes allocated for an endless line, want less than a MiB", n)
	}
}

func TestServeEndsWithItsContext(t *testing.T) {
	l, err := ListenIn(shortDir(t), "wg0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- Serve(ctx, l, &model{d: sample()}) }()
	c := dial(t, l)
	if _, err := c.Write([]byte("get=1\n\n")); err != nil {
		t.Fatal(err)
	}
	d, err := ReadDevice(c)
	if err != nil || d.ListenPort != 51820 {
		t.Errorf("device = port %d, %v", d.ListenPort, err)
	}
	cancel() // with the connection still open
	if err := <-done; err != nil {
		t.Errorf("Serve = %v, want nil", err)
	}
	if l.present() {
		t.Error("the socket file is still there")
	}
}
