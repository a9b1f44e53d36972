package conf

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/warrenvpn/warren/key"
)

// Keys whose text is easy to recognise.
const (
	keyA = "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE="
	keyB = "QkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkI="
)

// sameSecrets lets cmp compare what has no ==.
var sameSecrets = cmp.Options{
	cmp.Comparer(func(a, b key.Private) bool { return a.Equal(&b) }),
	cmp.Comparer(func(a, b key.Preshared) bool { return a.Equal(&b) }),
	cmp.Comparer(func(a, b *key.Private) bool { return a == b || a != nil && b != nil && a.Equal(b) }),
	cmp.Comparer(func(a, b *key.Preshared) bool { return a == b || a != nil && b != nil && a.Equal(b) }),
	cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }),
	cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b }),
	cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
}

// brief is a Config in one line, for tables.
func brief(c *Config) string {
	var out []string
	if c.PrivateKey != nil {
		out = append(out, "key "+c.PrivateKey.Reveal()[:4])
	}
	if c.ListenPort != "" {
		out = append(out, "port "+c.ListenPort)
	}
	if c.FwMark != nil {
		out = append(out, fmt.Sprintf("mark %d", *c.FwMark))
	}
	for i := range c.Peers {
		out = append(out, briefPeer(&c.Peers[i]))
	}
	return strings.Join(out, "; ")
}

func briefPeer(p *PeerChange) string {
	s := "peer " + p.PublicKey.String()[:4]
	if p.Remove {
		return s + " remove"
	}
	if p.PresharedKey != nil {
		s += " psk " + p.PresharedKey.Reveal()[:4]
	}
	if p.Endpoint != nil {
		s += " at " + p.Endpoint.Text()
	}
	if p.PersistentKeepalive != nil {
		s += fmt.Sprintf(" every %d", *p.PersistentKeepalive)
	}
	if p.ReplaceAllowedIPs {
		s += " ="
	}
	for _, ip := range p.AllowedIPs {
		s += " " + map[bool]string{false: "", true: "-"}[ip.Remove] + ip.Prefix.String()
	}
	return s
}

func parseText(text string) (*Config, error) {
	return Parse(strings.NewReader(text), "wg0.conf", Options{})
}

// Compat 1.9.
func TestFilesThatAreGood(t *testing.T) {
	peer := "[Peer]\nPublicKey=" + keyA + "\n"
	for text, want := range map[string]string{
		"":                                  "",
		"\n\n# only comments\n\t \n":        "",
		"[Interface]":                       "",
		"[Interface]\nListenPort = 5":       "port 5",
		"[interface]\r\nlistenPORT=5\r":     "port 5",
		"\ufeff[Interface]\nListenPort=5\n": "port 5",
		"[ I n terface ]\n\v L isten Port\f= 5 1 8 20":                           "port 51820",
		"[Interface]\nListenPort=5#6\n":                                          "port 5",
		"[Interface]\nListenPort=5\x00junk\n":                                    "port 5",
		"[Interface]\nListenPort=domain\n":                                       "port domain",
		"[Interface]\nListenPort=5\nListenPort=6\n":                              "port 6",
		"[Interface]\nFwMark=oFF\n":                                              "mark 0",
		"[Interface]\nFwMark=0xCa6c\n":                                           "mark 51820",
		"[Interface]\nFwMark=010\n":                                              "mark 10",
		"[Interface]\nPrivateKey=" + keyA + "\n":                                 "key QEFB",
		"[Interface]\nPrivateKey=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n": "key AAAA",
		peer:        "peer QUFB =",
		peer + peer: "peer QUFB =; peer QUFB =",
		peer + "[Interface]\nFwMark=1\n[Peer]\nPublicKey=" + keyB: "mark 1; peer QUFB =; peer QkJC =",
		peer + "AllowedIPs=10.0.0.1, fd00::1/64\nAllowedIPs=::/0": "peer QUFB = 10.0.0.1/32 fd00::/64 ::/0",
		peer + "AllowedIPs=\n":                              "peer QUFB =",
		peer + "AllowedIPs=+10.0.0.1,-::/0\n":               "peer QUFB 10.0.0.1/32 -::/0",
		peer + "AllowedIPs=-10.0.0.1\nAllowedIPs=1.2.3.4":   "peer QUFB = -10.0.0.1/32 1.2.3.4/32",
		peer + "AllowedIPs=1.2.3.4\nAllowedIPs=+10.0.0.1":   "peer QUFB 1.2.3.4/32 10.0.0.1/32",
		peer + "Endpoint=example.org:51820":                 "peer QUFB at example.org:51820 =",
		peer + "Endpoint=[fe80::1%eth0]:http":               "peer QUFB at [fe80::1%eth0]:http =",
		peer + "Endpoint=2001:db8::1:51820":                 "peer QUFB at [2001:db8::1]:51820 =",
		peer + "Endpoint=[example.org]:1":                   "peer QUFB at example.org:1 =",
		peer + "PersistentKeepalive=off":                    "peer QUFB every 0 =",
		peer + "PersistentKeepalive=65535":                  "peer QUFB every 65535 =",
		peer + "PresharedKey=" + keyB:                       "peer QUFB psk QkJC =",
		"[Peer]\nAllowedIPs=::/0\nPublicKey=" + keyA:        "peer QUFB = ::/0",
		"[Peer]\nPublicKey=" + keyA + "\nPublicKey=" + keyB: "peer QkJC =",
	} {
		c, err := parseText(text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if got := brief(c); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

// Compat 1.9, 1.10, 1.12: the words of wg(8), and ours with the place.
func TestFilesThatAreBad(t *testing.T) {
	peer := "[Peer]\nPublicKey=" + keyA + "\n"
	for _, c := range []struct {
		text, tool, ours string
		column           int
	}{
		{"ListenPort=5\n", "Line unrecognized: `ListenPort=5'", `wg0.conf:1: "ListenPort" is not allowed here`, 1},
		{"\n[Foo]\n", "Line unrecognized: `[Foo]'", `wg0.conf:2: "[Foo]" is no section`, 1},
		{"[Interface]\n  b ogus = 1 # x\n", "Line unrecognized: `bogus=1'", `wg0.conf:2: "bogus" is not known`, 3},
		// A forgotten = behind the name of a key: no secret is repeated in our words.
		{"[Interface]\nPrivateKey " + keyA, "Line unrecognized: `PrivateKey" + keyA + "'", "wg0.conf:2: no = behind PrivateKey: want KEY = VALUE", 1},
		{peer + "presharedkey " + keyA, "Line unrecognized: `presharedkey" + keyA + "'", "wg0.conf:3: no = behind PresharedKey: want KEY = VALUE", 1},
		{keyA, "Line unrecognized: `" + keyA + "'", "wg0.conf:1: the line begins with no key: want KEY = VALUE", 1},
		{"bogus=1\n", "Line unrecognized: `bogus=1'", `wg0.conf:1: "bogus" is in no section`, 1},
		{"[Interface]\nPublicKey=" + keyA, "Line unrecognized: `PublicKey=" + keyA + "'", `wg0.conf:2: "PublicKey" is not allowed here`, 1},
		{peer + "FwMark=1", "Line unrecognized: `FwMark=1'", `wg0.conf:3: "FwMark" is not allowed here`, 1},
		{"[Interface]\nListenPort\n", "Line unrecognized: `ListenPort'", "wg0.conf:2: no = in the line: want KEY = VALUE", 1},
		{"[Interface]\nListenPort=\n", "Line unrecognized: `ListenPort='", `wg0.conf:2: "ListenPort" has no value`, 1},
		{"[Interface]\nAddress=1.2.3.4\n", "Line unrecognized: `Address=1.2.3.4'", `wg0.conf:2: "Address" is a key of wg-quick`, 1},
		{"[Interface]\nListenPort = 70000\n", "Servname not supported for ai_socktype: `70000'", `wg0.conf:2: ListenPort: port "70000" is not within 0-65535`, 14},
		{"[Interface]\nlistenport=-1\n", "Servname not supported for ai_socktype: `-1'", `wg0.conf:2: ListenPort: port "-1" is not within 0-65535`, 12},
		{"[Interface]\nFwMark=0x\n", "Fwmark is neither 0/off nor 0-0xffffffff: `0x'", `wg0.conf:2: FwMark: "0x" is no mark: want off, or a number up to 0xffffffff`, 8},
		{"[Interface]\nPrivateKey=x\n", "Key is not the correct length or format: `x'", "wg0.conf:2: PrivateKey: got 1 characters, want 44 of base64", 12},
		{"[Peer]\nPublicKey=" + keyA[:43] + "A", "Key is not the correct length or format: `" + keyA[:43] + "A'", "wg0.conf:2: PublicKey: not base64 of 32 bytes", 11},
		{peer + "PresharedKey=x", "Key is not the correct length or format: `x'", "wg0.conf:3: PresharedKey: got 1 characters, want 44 of base64", 14},
		{peer + "PersistentKeepalive=65536", "Persistent keepalive interval is neither 0/off nor 1-65535: `65536'", `wg0.conf:3: PersistentKeepalive: "65536" is no interval: want off, or 1 to 65535 seconds`, 21},
		{peer + "Endpoint=1.2.3.4", "Unable to find port of endpoint: `1.2.3.4'", `wg0.conf:3: Endpoint: "1.2.3.4" has no port: want HOST:PORT`, 10},
		{peer + "Endpoint=[::1", "Unable to find matching brace of endpoint: `[::1'", `wg0.conf:3: Endpoint: "[::1" has [ without ]`, 10},
		{peer + "Endpoint=:5", "Name or service not known: `:5'", `wg0.conf:3: Endpoint: ":5" has no host: want HOST:PORT`, 10},
		{peer + "Endpoint=a:65536", "Servname not supported for ai_socktype: `a:65536'", `wg0.conf:3: Endpoint: port "65536" is not within 0-65535`, 10},
		{peer + "AllowedIPs = 10.0.0.1/33", "AllowedIP is not in the correct format: `10.0.0.1/33'", `wg0.conf:3: AllowedIPs: "10.0.0.1/33" has a prefix longer than 32 bits`, 14},
		{peer + "AllowedIPs = ::/x", "AllowedIP is not in the correct format: `::/x'", `wg0.conf:3: AllowedIPs: "::/x" has no number after the /`, 14},
		{peer + "AllowedIPs=1.2.3.4,", "Unable to parse IP address: `'", `wg0.conf:3: AllowedIPs: "" is not an IP address`, 12},
		{peer + "AllowedIPs=+10.1", "Unable to parse IP address: `10.1'", `wg0.conf:3: AllowedIPs: "10.1" is not an IP address`, 12},
		{peer + "AllowedIPs=fe80::1%eth0", "Unable to parse IP address: `fe80::1%eth0'", `wg0.conf:3: AllowedIPs: "fe80::1%eth0" is not an IP address`, 12},
		{"\n[Peer]\n" + peer, "A peer is missing a public key", "wg0.conf:2: PublicKey: this peer has no public key", 1},
	} {
		_, err := parseText(c.text)
		var p *ParseError
		if !errors.As(err, &p) {
			t.Errorf("%q: error = %v, want a *ParseError", c.text, err)
			continue
		}
		if p.Tool != c.tool || p.Error() != c.ours || p.Column != c.column {
			t.Errorf("%q:\n got %q, %q, column %d\nwant %q, %q, column %d", c.text, p.Tool, p.Error(), p.Column, c.tool, c.ours, c.column)
		}
		if known := !strings.HasPrefix(c.tool, "Line unrecognized"); errors.Is(err, ErrUnknownKey) == known {
			t.Errorf("%q: ErrUnknownKey = %v, want %v", c.text, !known, known)
		}
	}
	if _, err := parseText("[Peer]\n"); !errors.Is(err, ErrNoPublicKey) {
		t.Errorf("a peer without key: %v, want ErrNoPublicKey", err)
	}
}

// A mistyped secret is in what wg(8) prints, and nowhere else.
func TestErrorsHideSecrets(t *testing.T) {
	_, err := parseText("[Interface]\nPrivateKey = hunter2\n")
	if err == nil || strings.Contains(err.Error(), "hunter2") || strings.Contains(fmt.Sprintf("%v", err), "hunter2") {
		t.Errorf("the error tells the key: %v", err)
	}
}

func TestOptionsAreCalledInOrder(t *testing.T) {
	var calls []string
	o := Options{
		Warn: func(w Warning) { calls = append(calls, fmt.Sprintf("%s:%d %s", w.File, w.Line, w)) },
		Endpoint: func(text string, e Endpoint) (Endpoint, error) {
			calls = append(calls, text)
			return Endpoint{"192.0.2.9", "9"}, nil
		},
		Service: func(name string) (uint16, error) { calls = append(calls, name); return 53, nil },
	}
	text := "[Peer]\nPublicKey=" + keyA + "\nAllowedIPs=10.0.0.1/8, 1.2.3.4, FD00::1/16\nEndpoint=[host]:1\n[Interface]\nListenPort=domain\n"
	c, err := Parse(strings.NewReader(text), "f", o)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"f:3 Warning: AllowedIP has nonzero host part: 10.0.0.1/8", "f:3 Warning: AllowedIP has nonzero host part: FD00::1/16",
		"[host]:1", "domain",
	}
	if !slices.Equal(calls, want) {
		t.Errorf("calls = %q, want %q", calls, want)
	}
	if got, want := brief(c), "port 53; peer QUFB at 192.0.2.9:9 = 10.0.0.0/8 1.2.3.4/32 fd00::/16"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestErrorsOfOptionsHaveTheirPlace(t *testing.T) {
	reason := errors.New("Name or service not known: `x:1'")
	o := Options{
		Endpoint: func(string, Endpoint) (Endpoint, error) { return Endpoint{}, reason },
		Service:  func(string) (uint16, error) { return 0, reason },
	}
	for text, tool := range map[string]string{
		"[Peer]\nEndpoint=x:1\n":        reason.Error(),
		"[Interface]\nListenPort = x\n": "Servname not supported for ai_socktype: `x'",
	} {
		_, err := Parse(strings.NewReader(text), "f", o)
		var p *ParseError
		if !errors.As(err, &p) || !errors.Is(err, reason) || p.Tool != tool || p.Line != 2 || p.Key == "" {
			t.Errorf("%q: error = %#v", text, err)
		}
	}
}

func TestReadErrorsArePassedOn(t *testing.T) {
	broken := errors.New("broken")
	if _, err := Parse(io.MultiReader(strings.NewReader("[Interface]\n"), iotest.ErrReader(broken)), "f", Options{}); !errors.Is(err, broken) {
		t.Errorf("error = %v, want %v", err, broken)
	}
}

func TestKeyFiles(t *testing.T) {
	for content, want := range map[string]string{
		keyA: "", keyA + "\n": "", keyA + " \t\r\n\v\f\n": "", "": "",
		keyA[:43]: "Invalid length key in key file", "\n": "Invalid length key in key file",
		keyA + "x": "Found trailing character in key file: `x'", keyA + "\n\ny": "Found trailing character in key file: `y'",
		" " + keyA:              "Found trailing character in key file: `='",
		strings.Repeat("A", 44): "Key is not the correct length or format: `" + strings.Repeat("A", 44) + "'",
	} {
		_, err := ParsePresharedKeyFile([]byte(content))
		_, err2 := ParsePrivateKeyFile([]byte(content))
		for _, err := range []error{err, err2} {
			var p *ParseError
			if errors.As(err, &p) != (want != "") || p != nil && p.Tool != want {
				t.Errorf("%q: %v, want %q", content, err, want)
			}
		}
	}
}

// Q14: nothing and all zeros are both none.
func TestNoPresharedKey(t *testing.T) {
	for _, content := range []string{"", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"} {
		if k, err := ParsePresharedKeyFile([]byte(content)); err != nil || !k.IsZero() {
			t.Errorf("%q: zero = %v, %v", content, k.IsZero(), err)
		}
	}
}
