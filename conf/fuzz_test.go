package conf

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// FuzzConfig is Z12 for wg(8): what is parsed is written and parsed the same.
func FuzzConfig(f *testing.F) {
	f.Add("[Interface]\nPrivateKey = " + keyA + "\nListenPort = domain\nFwMark = 0x5\n[Peer]\nPublicKey = " + keyB + "\nAllowedIPs = 10.0.0.1/8, ::/0\nEndpoint=[fe80::1%e]:1\n")
	f.Add("[Peer]\nPublicKey = " + keyB + "\nAllowedIPs=-1.2.3.4\nAllowedIPs=\nPersistentKeepalive=off\nPresharedKey=" + keyA)
	f.Add("[Peer]\nPublicKey = " + keyB + "\nAllowedIPs=+1.2.3.4,-::1\nEndpoint=2001:db8::1:51820\n")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := parseText(text)
		if err != nil {
			var p *ParseError
			if errors.As(err, &p) && (p.Tool == "" || p.Detail == "" || p.Line < 1 || p.Column < 1) {
				t.Fatalf("an error without words or place: %#v", p)
			}
			return
		}
		var b strings.Builder
		if err := WriteConfig(&b, c); err != nil {
			t.Fatalf("%v: %+v", err, c)
		}
		again, err := parseText(b.String())
		if err != nil {
			t.Fatalf("%v: %q", err, b.String())
		}
		if d := cmp.Diff(again, c, sameSecrets, cmpopts.EquateEmpty()); d != "" {
			t.Errorf("%q: %s", b.String(), d)
		}
	})
}

// FuzzQuick is Z12 for wg-quick(8).
func FuzzQuick(f *testing.F) {
	f.Add("[Interface]\nAddress = 10.0.0.1/24, fd00::1\nDNS = 1.1.1.1, example.org\nMTU = 1280\nTable = off\nPostUp = a # b\nSaveConfig=true\n[Peer]\nx\n")
	f.Add("\ufeff[interface]\r\nPreUp==x\nPreDown=\nMTU=\n")
	f.Fuzz(func(t *testing.T, text string) {
		q, err := ParseQuick(text, "f")
		if err != nil {
			return
		}
		// Stripping is done after one time, but for white space around lines
		// that hold a zero byte.
		again, err := ParseQuick(q.Strip(), "f")
		if err != nil || again.Strip() != q.Strip() && !strings.Contains(text, "\x00") {
			t.Fatalf("strip of %q: %q, then %q, %v", text, q.Strip(), again.Strip(), err)
		}
		var b strings.Builder
		if err := WriteQuick(&b, &q.Quick, &Config{}); err != nil {
			t.Fatalf("%v: %+v", err, q.Quick)
		}
		back, err := ParseQuick(b.String(), "f")
		if err != nil {
			t.Fatalf("%v: %q", err, b.String())
		}
		if d := cmp.Diff(back.Quick, q.Quick, sameSecrets, cmpopts.EquateEmpty()); d != "" {
			t.Errorf("%q: %s", b.String(), d)
		}
	})
}

// FuzzHostile is Z12 from the other side: whatever is put into the fields, the
// writer refuses it or it is read back the same.
func FuzzHostile(f *testing.F) {
	f.Add("example.org", "51820", "51820", "echo", "off", "corp")
	f.Add("a\n[Interface]", "1#", "domain", "a\nPostUp = b", "1\n", "a, b")
	f.Add("fe80::1%eth0", "http", "0", " x", "auto ", "1.1.1.1")
	f.Fuzz(func(t *testing.T, host, port, listen, hook, table, domain string) {
		c := &Config{ListenPort: listen, Peers: []PeerChange{{ReplaceAllowedIPs: true, Endpoint: &Endpoint{host, port}}}}
		q := &Quick{PostUp: []string{hook}, Table: table, Search: []string{domain}}
		var b strings.Builder
		if err := WriteQuick(&b, q, c); err != nil {
			return
		}
		file, err := ParseQuick(b.String(), "f")
		if err != nil {
			t.Fatalf("%v: %q", err, b.String())
		}
		back, err := file.WireGuard(Options{})
		if err != nil {
			t.Fatalf("%v: %q", err, b.String())
		}
		if d := cmp.Diff(back, c, sameSecrets) + cmp.Diff(&file.Quick, q, sameSecrets); d != "" {
			t.Errorf("%q: %s", b.String(), d)
		}
	})
}

// FuzzValues is Z16: values have one meaning, and their text form is read back.
func FuzzValues(f *testing.F) {
	for _, s := range []string{"10.0.0.1/8", "+fd00::/8,-1.2.3.4", "[fe80::1%e]:1", "a:b:c", "0xffffffff", "off", "65535", keyA, "::ffff:1.2.3.4/120"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if e, err := ParseEndpoint(s); err == nil {
			if again, err := ParseEndpoint(e.Text()); err == nil && again != e {
				t.Errorf("endpoint %q: %+v is written %q and read %+v", s, e, e.Text(), again)
			}
			if ap, ok := e.AddrPort(); ok && NumericEndpoint(ap).Text() != ap.String() {
				t.Errorf("endpoint %q: %v is written %q", s, ap, NumericEndpoint(ap).Text())
			}
		}
		if a, err := ParseAllowedIPs(s); err == nil {
			if n := len(a.List); s != "" && n != strings.Count(s, ",")+1 {
				t.Errorf("list %q has %d elements", s, n)
			}
			for _, ip := range a.List {
				if back, err := netip.ParsePrefix(ip.Prefix.String()); err != nil || back != ip.Prefix || back != back.Masked() {
					t.Errorf("list %q: %v is read %v, %v", s, ip.Prefix, back, err)
				}
			}
		}
		if k, err := ParsePublicKey(s); err == nil && k.String() != s {
			t.Errorf("key %q is written %q", s, k)
		}
		checkNumbers(t, s)
	})
}

// checkNumbers holds numbers against a plain reading of the rules.
func checkNumbers(t *testing.T, s string) {
	decimal := func(limit uint64) (n uint64, ok bool) {
		for i := range len(s) {
			if s[i] < '0' || s[i] > '9' {
				return 0, false
			}
			if n = n*10 + uint64(s[i]-'0'); n > limit {
				return 0, false
			}
		}
		return n, s != ""
	}
	off := strings.ToLower(s) == "off" && len(s) == 3
	if n, err := ParseKeepalive(s); off && (n != 0 || err != nil) {
		t.Errorf("keepalive %q = %d, %v", s, n, err)
	} else if want, ok := decimal(65535); !off && (ok != (err == nil) || ok && uint64(n) != want) {
		t.Errorf("keepalive %q = %d, %v, want %d, %v", s, n, err, want, ok)
	}
	if n, err := ParseFwMark(s); !off && !strings.HasPrefix(s, "0x") {
		if want, ok := decimal(1<<32 - 1); ok != (err == nil) || ok && uint64(n) != want {
			t.Errorf("mark %q = %d, %v, want %d, %v", s, n, err, want, ok)
		}
	}
}
