//go:build linux && e2e

package diff

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var (
	seed      = flag.Uint64("seed", 20260223, "where the generated files and configurations begin")
	fileCount = flag.Int("files", 2000, "generated configuration files")
)

// Q01: files made at random, good and bad, are accepted or refused by both tools
// with the same words, and leave the same state.
func TestGeneratedFiles(t *testing.T) {
	record(t)
	t.Logf("seed %d", *seed)
	if tools.upstream.date < since {
		t.Log("compared with an old tool: syncconf, + and - are left out")
	}
	g := generator{rand.New(rand.NewPCG(*seed, 1)), tools.upstream.date >= since}
	type generated struct{ command, state, text string }
	var all []generated
	for range *fileCount {
		f := generated{g.pick("setconf", "setconf", "addconf", "syncconf"), g.pick("keyed", "two", "full"), g.file()}
		if !g.newest && f.command == "syncconf" {
			f.command = "setconf"
		}
		all = append(all, f)
	}
	r := newRig(t)
	r.sides = r.sides[:2] // ours and upstream's
	results := make([][][]string, len(r.sides))
	r.each(t, func(i int, s *side) error {
		for _, f := range all {
			lines, err := s.measure(f.state, nil, "", map[string]string{"c": fromNames.Replace(f.text)},
				[]string{"wg", f.command, "wg0", workDir + "/c"})
			if err != nil {
				return fmt.Errorf("%s of %q: %w", f.command, f.text, err)
			}
			results[i] = append(results[i], lines)
		}
		return nil
	})
	good, shown := 0, 0
	for n, f := range all {
		got, want := results[0][n], results[1][n]
		if !slices.Contains(want, "= 1") {
			good++
		}
		if !slices.Equal(got, want) && shown < 5 {
			shown++
			t.Errorf("file %d: wg %s, state %s, %q\nours:\n%s\nupstream:\n%s", n, f.command, f.state, f.text, indented(got), indented(want))
		}
	}
	if good < len(all)/10 || good > len(all)*9/10 {
		t.Errorf("%d of %d files are good: the generator is of little use", good, len(all))
	}
	t.Logf("%d files, %d of them good", len(all), good)
}

// generator makes configuration files that are mostly right, so that reading
// gets far. What is a known difference it leaves out.
type generator struct {
	*rand.Rand
	newest bool // with + and -
}

func (g generator) pick(s ...string) string { return s[g.IntN(len(s))] }

// oneIn is true once in n times.
func (g generator) oneIn(n int) bool { return g.IntN(n) == 0 }

func (g generator) file() string {
	var b strings.Builder
	peer := false
	for range 1 + g.IntN(4) {
		if !g.oneIn(40) {
			header := g.pick("[Interface]", "[Peer]", "[Peer]", "[peer]", "[ interface ]", "[PEER]", "[InterFace]")
			peer = strings.Contains(strings.ToLower(header), "peer")
			b.WriteString(g.blank() + header + g.end())
		}
		if peer && !g.oneIn(30) {
			b.WriteString(g.assign("PublicKey", fmt.Sprintf("{P%d}", g.IntN(keyCount))))
		}
		for range g.IntN(5) {
			b.WriteString(g.line(peer))
		}
	}
	text := b.String()
	if g.oneIn(20) {
		i := g.IntN(len(text))
		text = text[:i] + g.pick("\x00", "#", "\n", "=", " ", "\xff", "é", "[", "x", "1", "\r", ";") + text[i:]
	}
	if g.oneIn(10) {
		text = strings.TrimSuffix(text, "\n")
	}
	return text
}

func (g generator) blank() string { return g.pick("", "", "", " ", "\t", "  ", "\v", "\f") }

func (g generator) end() string {
	return g.blank() + g.pick("\n", "\n", "\n", "\n", "\r\n", "\n\n", " # comment\n", "#\n", "\n# [Peer]\n", "# a = b\n")
}

func (g generator) assign(key, value string) string {
	switch g.IntN(12) {
	case 0:
		key = strings.ToLower(key)
	case 1:
		key = strings.ToUpper(key)
	case 2:
		key = key[:3] + " " + key[3:]
	}
	return g.blank() + key + g.blank() + "=" + g.blank() + value + g.end()
}

func (g generator) line(peer bool) string {
	if g.oneIn(25) {
		return g.pick("bogus=1", "Address=10.0.0.1/8", "=", "x", "ListenPort", "[Foo]", ";x", "Endpoint=", "FwMark=", "ListenPort 5") + g.end()
	}
	if g.oneIn(40) {
		peer = !peer
	}
	if !peer {
		switch g.IntN(3) {
		case 0:
			return g.assign("ListenPort", g.pick(strconv.Itoa(g.IntN(65536)), "0", "domain", "5 1820", "x", "-1", "07"))
		case 1:
			return g.assign("FwMark", g.pick(strconv.Itoa(g.IntN(1<<20)), "0x"+strconv.FormatInt(g.Int64N(1<<33), 16), "off", "0", "oFF", "0X1", "x"))
		}
		k := names[fmt.Sprintf("{K%d}", g.IntN(keyCount))]
		if g.oneIn(10) {
			k = k[:g.IntN(len(k))]
		}
		return g.assign("PrivateKey", k)
	}
	switch g.IntN(6) {
	case 0:
		if g.oneIn(12) {
			return g.assign("Endpoint", g.pick("1.2.3.4", "[::1]", "[::1", ":1", "1.2.3.4:x", "x y:1", "localhost:5"))
		}
		form := g.pick("192.0.2.%d:%d", "[2001:db8::%x]:%d", "2001:db8::%x:%d", "[fe80::%x%%lo]:%d", "10.%d:%d", "[::ffff:192.0.2.%d]:%d", "0x%x:%d")
		return g.assign("Endpoint", fmt.Sprintf(form, g.IntN(256), g.IntN(65536)))
	case 1:
		return g.assign("PersistentKeepalive", g.pick("off", "0", "25", strconv.Itoa(g.IntN(70000)), "OFF", "2 5", "x", "-1"))
	case 2:
		return g.assign("PresharedKey", fmt.Sprintf("{S%d}", g.IntN(keyCount)))
	}
	return g.assign("AllowedIPs", g.prefixes())
}

func (g generator) prefixes() string {
	var all []string
	for range 1 + g.IntN(4) {
		s := g.pick(
			fmt.Sprintf("10.%d.%d.%d", g.IntN(3), g.IntN(3), g.IntN(258)), fmt.Sprintf("fd00::%x", g.IntN(1<<17)),
			fmt.Sprintf("0.0.0.0/%d", g.IntN(34)), fmt.Sprintf("10.0.0.0/%d", g.IntN(34)), fmt.Sprintf("2001:DB8::/%d", g.IntN(130)), "::ffff:1.2.3.4/120")
		if g.oneIn(30) {
			s = g.pick("x", "1.2.3", "1.2.3.4/", "::/x", "1.2.3.4/1/2", "01.2.3.4", "::1%lo", ",")
		}
		if g.newest && g.oneIn(8) {
			s = g.pick("+", "-") + s
		}
		all = append(all, s)
	}
	return strings.Join(all, g.pick(",", ", ", " ,"))
}
