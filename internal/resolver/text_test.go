package resolver

import (
	"bytes"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestResolvConfIsReadAsTheManualSays(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       contents
	}{
		{"empty", "", contents{}},
		{"servers in order", "nameserver 10.0.0.1\nnameserver\tfe80::1%eth0", contents{servers: []string{"10.0.0.1", "fe80::1%eth0"}}},
		{"comments", "#nameserver 1.1.1.1\n; search a\nnameserver 9.9.9.9 # ours\n", contents{servers: []string{"9.9.9.9"}}},
		{"the last of search and domain", "search a b\ndomain c\n", contents{search: []string{"c"}}},
		{"options add up", "options edns0\noptions ndots:1 trust-ad\n", contents{options: []string{"edns0", "ndots:1", "trust-ad"}}},
		{"indented and bare words say nothing", " nameserver 1.1.1.1\nnameserver\nnameservers 1.1.1.1\n\n", contents{}},
		{"line ends of other systems", "nameserver 1.1.1.1\r\n", contents{servers: []string{"1.1.1.1"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if d := cmp.Diff(c.want, parse([]byte(c.text)), cmp.AllowUnexported(contents{})); d != "" {
				t.Errorf("-want +got:\n%s", d)
			}
		})
	}
}

// The bytes that wg-quick writes into resolvconf.
func TestInputOfResolvconfIsTheOriginals(t *testing.T) {
	s := Settings{Servers: addresses("10.0.0.1", "fd00::1"), Domains: []string{"corp.example", "lan"}}
	if got, want := input(s), "nameserver 10.0.0.1\nnameserver fd00::1\nsearch corp.example lan\n"; got != want {
		t.Errorf("input = %q, want %q", got, want)
	}
}

func TestInterfaceOrderGivesTheFirstPrefix(t *testing.T) {
	for text, want := range map[string]string{
		"lo\neth*\ntun*\n":      "eth.",
		"# tun*\n  tun*\t\n":    "tun.",
		"lo.inet6\nlo.*\n@a*\n": "",
		"tun*":                  "", // the shell does not read a line without its end
		"*\ntun**\nt_n*\nv6-*":  "",
		"*\nv6-*\n":             "v6-.",
	} {
		if got := orderPrefix([]byte(text)); got != want {
			t.Errorf("prefix of %q = %q, want %q", text, got, want)
		}
	}
}

func TestOwnFileIsToldFromEveryChangedOne(t *testing.T) {
	c := contents{servers: []string{"10.0.0.1"}, search: []string{"a"}}
	for _, m := range []mark{{kind: kept}, {kind: absent}, {inside, []byte("nameserver 1.1.1.1\n\x00\xff")}, {inside, []byte{}}} {
		text := m.seal("wg0", c)
		got, ok := unseal(text)
		if !ok || got.kind != m.kind || !bytes.Equal(got.original, m.original) {
			t.Errorf("unseal = %v %v, want %v", got, ok, m)
		}
		if d := cmp.Diff(c, parse(text), cmp.AllowUnexported(contents{})); d != "" {
			t.Errorf("%s file -want +got:\n%s", m.kind, d)
		}
		for i := range text {
			changed := slices.Clone(text)
			changed[i] ^= 1
			if _, ok := unseal(changed); ok {
				t.Errorf("still ours with byte %d changed: %q", i, changed)
			}
			if _, ok := unseal(text[:i]); ok {
				t.Errorf("still ours with %d of %d bytes", i, len(text))
			}
		}
	}
}

// Whatever length an interrupted change has reached, it is known, and nothing
// else is taken for one.
func TestInterruptedChangeIsKnown(t *testing.T) {
	long, short := []byte("nameserver 192.0.2.1\nsearch a\n"), []byte("nameserver 10.9.9.9\n")
	for _, w := range []writing{{From: long, To: short}, {From: short, To: long}, {From: nil, To: long}, {From: long, To: nil}} {
		for n := range len(w.To) + 1 {
			text := slices.Clone(w.To[:n])
			text = append(text, w.From[min(n, len(w.From)):]...)
			if plain := bytes.Equal(text, w.From) || bytes.Equal(text, w.To); w.torn(text) == plain {
				t.Errorf("%d bytes of %q over %q: torn = %v, want %v", n, w.To, w.From, plain, !plain)
			}
		}
		if w.torn([]byte("nameserver 203.0.113.1\n")) {
			t.Errorf("another hand's file taken for half of %q over %q", w.To, w.From)
		}
	}
	if (*writing)(nil).torn(long) {
		t.Error("torn although nothing is being written")
	}
}

func TestSettingsThatCouldBeReadAsOthersAreRefused(t *testing.T) {
	good := Settings{Interface: "wg0", Servers: addresses("10.0.0.1"), Domains: []string{"~corp.example", "bücher.example"}}
	if err := good.check(); err != nil {
		t.Errorf("refused: %v", err)
	}
	for name, s := range map[string]Settings{
		"no interface":       {Servers: good.Servers},
		"an option":          {Interface: "-f", Servers: good.Servers},
		"a path":             {Interface: "../x", Servers: good.Servers},
		"nothing to set":     {Interface: "wg0"},
		"no address":         {Interface: "wg0", Servers: []netip.Addr{{}}},
		"a zone with a line": {Interface: "wg0", Servers: []netip.Addr{netip.MustParseAddr("fe80::1").WithZone("a\nb")}},
		"a line in a domain": {Interface: "wg0", Domains: []string{"a\nnameserver 6.6.6.6"}},
		"two words":          {Interface: "wg0", Domains: []string{"a b"}},
		"an empty domain":    {Interface: "wg0", Domains: []string{"~"}},
	} {
		if err := s.check(); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// FuzzParse: whatever a resolv.conf holds, what is read of it can be written
// and read again.
func FuzzParse(f *testing.F) {
	f.Add([]byte("nameserver 10.0.0.1\nsearch a b\ndomain c\noptions ndots:2\n#x\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		c := parse(text)
		_ = c.addresses()
		if d := cmp.Diff(c, parse([]byte(c.String())), cmp.AllowUnexported(contents{})); d != "" {
			t.Errorf("written and read again, -want +got:\n%s", d)
		}
	})
}

// FuzzUnseal: no file of another hand is taken for ours, unless it is one byte
// for byte.
func FuzzUnseal(f *testing.F) {
	f.Add([]byte("nameserver 1.1.1.1\n"))
	f.Add(mark{inside, []byte("x")}.seal("wg0", contents{servers: []string{"1.1.1.1"}}))
	f.Fuzz(func(t *testing.T, text []byte) {
		if m, ok := unseal(text); ok && !bytes.Contains(text, []byte(digest(m.kind, string(text[bytes.IndexByte(text, '\n')+1:])))) {
			t.Errorf("ours without its digest: %q", text)
		}
		sealed := mark{inside, text}.seal("wg0", contents{})
		if m, ok := unseal(sealed); !ok || !bytes.Equal(m.original, text) {
			t.Errorf("%q came back as %q", text, m.original)
		}
	})
}

// FuzzOrderPrefix: the prefix is one word and a dot.
func FuzzOrderPrefix(f *testing.F) {
	f.Add([]byte("lo\ntun*\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if p := orderPrefix(text); p != "" && (!isWord(p) || !strings.HasSuffix(p, ".") || strings.ContainsAny(p, "/_*")) {
			t.Errorf("prefix %q of %q", p, text)
		}
	})
}

// FuzzRecords: what is found below /run is read, or is as good as absent.
func FuzzRecords(f *testing.F) {
	f.Add([]byte(`{"boot":"b","state":{"tunnels":[{"name":"wg0","index":3,"namespace":"n","servers":["10.0.0.1"],"domains":null}]}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		if st, _, ok := decode[stack](text, "b"); ok && len(st.Tunnels) > 0 {
			st.next(view{target: snapshot{exists: true, text: text}})
		}
		if c, _, ok := decode[claims](text, "b"); ok {
			c.note([]link{{Index: 2, Default: true}})
			c.left()
		}
	})
}

func addresses(list ...string) []netip.Addr {
	var a []netip.Addr
	for _, s := range list {
		a = append(a, netip.MustParseAddr(s))
	}
	return a
}
