package conf

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/warrenvpn/warren/key"
)

// Compat 2.2.
func TestQuickKeys(t *testing.T) {
	text := `# a comment
[Interface]
Address = 10.0.0.1/24,fd00::1/64  10.9.9.9
address=fd00::2
DNS = 1.1.1.1, example.org ,2606:4700::1111
dns = corp.internal
MTU = 1280 # small
Table = Off
PrivateKey = ` + keyA + `
PreUp = echo one # not a comment
PostUp = iptables -A FORWARD -i %i -j ACCEPT; echo "a = b"
PostUp =   echo two	
PreDown=true
PostDown = false
SaveConfig = TRUE
MTU = 1400
	ListenPort = 5  

[Peer]
PublicKey = ` + keyB + `
Address = 10.0.0.9/32
[Interface]
Table = 1234
`
	f, err := ParseQuick(text, "wg0.conf")
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprintf("%v %v %q %d %q %q %q %q %q %v", f.Quick.Address, f.Quick.DNS, f.Quick.Search, f.Quick.MTU, f.Quick.Table,
		f.Quick.PreUp, f.Quick.PostUp, f.Quick.PreDown, f.Quick.PostDown, f.Quick.SaveConfig)
	want := `[10.0.0.1/24 fd00::1/64 10.9.9.9/32 fd00::2/128] [1.1.1.1 2606:4700::1111] ["example.org" "corp.internal"] 1400 "1234" ` +
		`["echo one # not a comment"] ["iptables -A FORWARD -i %i -j ACCEPT; echo \"a = b\"" "echo two"] ["true"] ["false"] true`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	wantStrip := "# a comment\n[Interface]\nPrivateKey = " + keyA + "\nListenPort = 5\n\n[Peer]\nPublicKey = " + keyB + "\nAddress = 10.0.0.9/32\n[Interface]\n"
	if got := f.Strip(); got != wantStrip {
		t.Error(cmp.Diff(got, wantStrip))
	}
	// What wg-quick does not know is for wg to refuse, with the line of the file.
	_, err = f.WireGuard(Options{})
	var p *ParseError
	if !errors.As(err, &p) || p.Line != 21 || p.Tool != "Line unrecognized: `Address=10.0.0.9/32'" {
		t.Errorf("error = %v", err)
	}
}

func TestQuickPassesOnWhatItDoesNotKnow(t *testing.T) {
	for text, want := range map[string]string{
		"": "", "\n\n": "\n\n", "x": "x\n", "Address = 1\n": "Address = 1\n", "[Peer]\nMTU=1\n": "[Peer]\nMTU=1\n",
		"[Interface]\nMTU\n":   "[Interface]\nMTU\n",
		"[Interface] x\nMTU=1": "[Interface] x\nMTU=1\n", " [INTERFACE] # c\nMTU=1\nFoo=2\r\n": "[INTERFACE] # c\nFoo=2\r\n",
		"[Interface]\n#MTU=1\n M T U=1\n": "[Interface]\n#MTU=1\nM T U=1\n", "\ufeff[Interface]\nMTU=1\n": "[Interface]\n",
	} {
		f, err := ParseQuick(text, "f")
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if got := f.Strip(); got != want {
			t.Errorf("%q: strip = %q, want %q", text, got, want)
		}
	}
}

func TestQuickMistakes(t *testing.T) {
	for line, want := range map[string]string{
		"Address = 10.0.0.1/33": `f:2: Address: "10.0.0.1/33" is not an IP address with an optional /length`,
		"Address = fe80::1%e":   `f:2: Address: "fe80::1%e" is not an IP address with an optional /length`,
		"Address = x":           `f:2: Address: "x" is not an IP address with an optional /length`,
		"DNS = 1.2.3":           `f:2: DNS: "1.2.3" is neither an IP address nor a domain`,
		"DNS = a:b":             `f:2: DNS: "a:b" is neither an IP address nor a domain`,
		"MTU = big":             `f:2: MTU: "big" is not a number of bytes`,
		"SaveConfig = yes":      `f:2: SaveConfig: "yes" is neither true nor false`,
	} {
		if _, err := ParseQuick("[Interface]\n"+line+"\n", "f"); err == nil || err.Error() != want {
			t.Errorf("%q: %v, want %s", line, err, want)
		}
	}
}

func TestQuickIsReadAsWritten(t *testing.T) {
	clamped, err := key.ParsePrivate(keyA)
	if err != nil {
		t.Fatal(err)
	}
	text := "[Interface]\nAddress = 10.0.0.1/24\nDNS = 1.1.1.1\nDNS = example.org\nMTU = 1280\nTable = off\nPreUp = a # b\nPostUp = c\n" +
		"PreDown = d\nPostDown = e\nSaveConfig = true\nListenPort = 5\nFwMark = 0x7\nPrivateKey = " + clamped.Reveal() +
		"\n\n[Peer]\nPublicKey = " + keyB + "\nAllowedIPs = 10.0.0.2/32\nEndpoint = example.org:51820\nPersistentKeepalive = 25\n"
	f, err := ParseQuick(text, "f")
	if err != nil {
		t.Fatal(err)
	}
	c, err := f.WireGuard(Options{})
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := WriteQuick(&b, &f.Quick, c); err != nil {
		t.Fatal(err)
	}
	if got := b.String(); got != text {
		t.Error(cmp.Diff(got, text))
	}
}

// B128, B142: what a file cannot hold is not written.
func TestUnwritableValues(t *testing.T) {
	endpoint := func(host, port string) *Config {
		return &Config{Peers: []PeerChange{{ReplaceAllowedIPs: true, Endpoint: &Endpoint{host, port}}}}
	}
	for name, c := range map[string]*Config{
		"line feed in a host":  endpoint("a\n[Interface]\nPrivateKey=x", "1"),
		"comment in a host":    endpoint("a#", "1"),
		"space in a host":      endpoint("a b", "1"),
		"empty host":           endpoint("", "1"),
		"bracket in a host":    endpoint("[a", "1"),
		"empty port":           endpoint("a", ""),
		"line feed in a port":  endpoint("a", "1\n"),
		"port out of range":    endpoint("a", "65536"),
		"listen port":          {ListenPort: "5\nFwMark=1"},
		"listen port, comment": {ListenPort: "5#"},
		"removal":              {Peers: []PeerChange{{Remove: true}}},
		"update":               {Peers: []PeerChange{{UpdateOnly: true, ReplaceAllowedIPs: true}}},
		"list as it is":        {Peers: []PeerChange{{}}},
	} {
		var b strings.Builder
		if err := WriteConfig(&b, c); !errors.Is(err, ErrUnwritable) || b.Len() > 0 {
			t.Errorf("%s: %v, %q, want ErrUnwritable and nothing", name, err, b.String())
		}
	}
	for name, q := range map[string]*Quick{
		"line feed in a command": {PostUp: []string{"a\nb"}},
		"space after a command":  {PostUp: []string{"a "}},
		"zero byte":              {PreUp: []string{"a\x00"}},
		"comment in a table":     {Table: "1#"},
		"comma in a domain":      {Search: []string{"a,b"}},
		"address as a domain":    {Search: []string{"1.1.1.1"}},
		"empty domain":           {Search: []string{""}},
		"negative MTU":           {MTU: -1},
	} {
		var b strings.Builder
		if err := WriteQuick(&b, q, &Config{}); !errors.Is(err, ErrUnwritable) || b.Len() > 0 {
			t.Errorf("%s: %v, %q, want ErrUnwritable and nothing", name, err, b.String())
		}
	}
}

func TestAddressWithAMask(t *testing.T) {
	for text, want := range map[string]string{
		"10.8.0.1/255.255.255.0":   "10.8.0.1/24",
		"10.8.0.1/255.255.255.255": "10.8.0.1/32",
		"10.8.0.1/0.0.0.0":         "10.8.0.1/0",
		"10.8.0.1/255.254.0.0":     "10.8.0.1/15",
	} {
		if got, err := ParseAddress(text); err != nil || got.String() != want {
			t.Errorf("%s: got %v, %v, want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"10.8.0.1/255.0.255.0", "fd00::1/255.0.0.0", "10.8.0.256/255.0.0.0", "10.8.0.1/::", "/255.0.0.0"} {
		if got, err := ParseAddress(text); err == nil {
			t.Errorf("%s was read as %v", text, got)
		}
	}
}

// Bash's read fails at the end of a file, and what it has read is then nothing.
func TestBlankLineWithoutEndIsNone(t *testing.T) {
	for text, want := range map[string]string{
		"[Peer]\n  ":    "[Peer]\n",
		"[Peer]\n\x00 ": "[Peer]\n",
		"[Peer]\n  \n":  "[Peer]\n\n",
		"[Peer]\n  #":   "[Peer]\n#\n",
	} {
		f, err := ParseQuick(text, "wg0.conf")
		if err != nil {
			t.Fatal(err)
		}
		if got := f.Strip(); got != want {
			t.Errorf("%q is stripped to %q, want %q", text, got, want)
		}
	}
}
