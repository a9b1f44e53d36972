package uapi

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// FuzzServer is Z11: whatever a client sends, every reply is well formed, a set
// is applied whole or not at all, and what was applied can be read back.
func FuzzServer(f *testing.F) {
	f.Add([]byte("get=1\n\n"))
	f.Add([]byte("set=1\nlisten_port=5\nreplace_peers=true\n\nget=1\n\n"))
	f.Add([]byte("set=1\npublic_key=" + pubHex(3) + "\nremove=true\nallowed_ip=1.2.3.4/32\n\nget=1\nx\n\n"))
	f.Add([]byte("set=1\npublic_key=" + pubHex(1) + "\nupdate_only=true\nreplace_allowed_ips=true\nallowed_ip=-1.2.3.4/32\nendpoint=[::1]:5\npersistent_keepalive_interval=5\nprotocol_version=1\n\n"))
	f.Add([]byte("set=1\nprivate_key=" + privHex + "\nfwmark=1\npublic_key=" + ownPublic() + "\npreshared_key=" + pubHex(1) + "\n\nset=1\nx\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		m := &model{d: sample()}
		p := &pipe{in: bytes.NewReader(in)}
		_ = ServeConn(p, m)
		replies := p.out.Bytes()
		if len(replies) > 0 && !bytes.HasSuffix(replies, []byte("\n\n")) {
			t.Fatalf("the last reply has no end: %q", replies)
		}
		for r := range bytes.SplitSeq(bytes.TrimSuffix(replies, []byte("\n\n")), []byte("\n\n")) {
			if len(replies) > 0 && !bytes.Contains(append([]byte("\n"), r...), []byte("\nerrno=")) {
				t.Fatalf("a reply without errno: %q", r)
			}
		}
		d := m.Status()
		var b bytes.Buffer
		if err := WriteDevice(&b, &d); err != nil {
			t.Fatal(err)
		}
		b.WriteString("errno=0\n\n")
		if _, err := ReadDevice(&b); err != nil {
			t.Fatalf("the state cannot be read back: %v", err)
		}
	})
}

// FuzzChange is the round trip of Z11: what is read is written and read the same.
func FuzzChange(f *testing.F) {
	f.Add("listen_port=5\npublic_key=" + pubHex(3) + "\nallowed_ip=1.2.3.4/32\nreplace_allowed_ips=true\nallowed_ip=-::/0\n\n")
	f.Add("public_key=" + pubHex(3) + "\nallowed_ip=1.2.3.4/1\nremove=true\nendpoint=[fe80::1%x]:5\n\n")
	f.Fuzz(func(t *testing.T, in string) {
		c, err := ReadChange(strings.NewReader(in))
		var bad *RequestError
		if err != nil {
			if !errors.As(err, &bad) && !errors.Is(err, io.EOF) {
				t.Fatalf("error of an unknown kind: %v", err)
			}
			return
		}
		var b bytes.Buffer
		if err := WriteChange(&b, c); err != nil {
			t.Fatal(err)
		}
		again, err := ReadChange(strings.NewReader(strings.TrimPrefix(b.String(), "set=1\n")))
		if err != nil {
			t.Fatalf("%v of %q", err, b.String())
		}
		if d := cmp.Diff(again, c, sameSecrets); d != "" {
			t.Error(d)
		}
	})
}

// FuzzReply is Z14: whatever a device answers, the client has a device or an
// errno.
func FuzzReply(f *testing.F) {
	f.Add([]byte(getFull))
	f.Add([]byte("errno=19\n\n"))
	f.Add([]byte("errno=-98\n\n"))
	f.Add([]byte("public_key=" + pubHex(1) + "\nendpoint=::1:5\nallowed_ip=1.2.3.4/8\nerrno=0\n\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		var errno syscall.Errno
		d, err := ReadDevice(bytes.NewReader(in))
		if err != nil && !errors.As(err, &errno) {
			t.Fatalf("error of an unknown kind: %v", err)
		}
		if err == nil {
			for _, p := range d.Peers {
				for _, ip := range p.AllowedIPs {
					if !ip.IsValid() || ip != ip.Masked() {
						t.Fatalf("allowed IP %v is not masked", ip)
					}
				}
			}
		}
		if err := ReadReply(bytes.NewReader(in)); err != nil && !errors.As(err, &errno) {
			t.Fatalf("error of an unknown kind: %v", err)
		}
	})
}
