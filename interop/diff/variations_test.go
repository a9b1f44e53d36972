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

var variationCount = flag.Int("variations", 32, "generated configurations of wg-quick")

// I12, Q26, Q27, Q29: configurations made at random, each brought up, looked at,
// stripped, saved and brought down by both tools.
func TestGeneratedConfigurations(t *testing.T) {
	record(t)
	t.Logf("seed %d", *seed)
	k, err := readKnown("testdata/known.txt")
	if err != nil {
		t.Fatal(err)
	}
	t.Run("variations", func(t *testing.T) {
		for n := range *variationCount {
			v := variation{rand.New(rand.NewPCG(*seed, uint64(n)))}
			text := v.text()
			t.Run(strconv.Itoa(n), func(t *testing.T) {
				t.Parallel()
				c, err := parseCase(strconv.Itoa(n), text)
				if err != nil {
					t.Fatal(err)
				}
				if c.run(t, k); t.Failed() {
					t.Logf("the case is\n%s", text)
				}
			})
		}
	})
}

// variation makes cases. Each is good more often than not.
type variation struct{ *rand.Rand }

func (v variation) pick(s ...string) string { return s[v.IntN(len(s))] }

func (v variation) oneIn(n int) bool { return v.IntN(n) == 0 }

func (v variation) some(of []string, most int) []string {
	var out []string
	for _, i := range v.Perm(len(of))[:1+v.IntN(most)] {
		out = append(out, of[i])
	}
	return out
}

func (v variation) text() string {
	var b strings.Builder
	lines := v.device()
	if slices.Contains(lines, bogus) {
		fmt.Fprintln(&b, "differs quick-checked-first")
	}
	fmt.Fprintf(&b, "host %s\nresolvconf fake\n", v.pick("dual", "dual", "v4", "jumbo", "offline"))
	fmt.Fprintln(&b, "run wg-quick up wg0")
	if v.oneIn(3) {
		fmt.Fprintln(&b, "run wg-quick strip wg0")
	}
	if v.oneIn(3) {
		fmt.Fprintln(&b, "run wg-quick save wg0")
	}
	fmt.Fprint(&b, "run wg-quick down wg0\n-- /etc/wireguard/wg0.conf --\n")
	v.Shuffle(len(lines), func(i, j int) { lines[i], lines[j] = lines[j], lines[i] })
	fmt.Fprintln(&b, v.pick("[Interface]", "[interface]", "# first\n[Interface]", "\n[Interface]  "))
	for _, l := range lines {
		key, value, _ := strings.Cut(l, " = ")
		fmt.Fprint(&b, key, v.pick(" = ", "=", "\t=  ", " ="), value, v.pick("", "", " ", "\r"), v.pick("\n", "\n", "\n\n", "\n# between\n"))
	}
	for p := range v.IntN(4) {
		fmt.Fprintf(&b, "\n%s\nPublicKey = {P%d}\n", v.pick("[Peer]", "[peer]"), p+2)
		if !v.oneIn(6) {
			fmt.Fprintf(&b, "AllowedIPs = %s\n", strings.Join(v.some([]string{
				fmt.Sprintf("10.9.0.%d/32", p+1), "10.9.0.0/24", fmt.Sprintf("10.%d.0.0/16", 20+p), fmt.Sprintf("fd0%d::/64", p), "fd09::1",
				"198.51.100.0/24", "10.20.30.128/25", "172.16.0.0/12", "0.0.0.0/0", "::/0", "0.0.0.0/1", "192.0.2.77",
			}, 4), v.pick(", ", ",")))
		}
		if !v.oneIn(3) {
			fmt.Fprintf(&b, "Endpoint = %s\n", v.pick("192.0.2.1:51820", "198.51.100.7:51820", "203.0.113.9:1", "[2001:db8::9]:51820", "[2001:db8:77::9]:443"))
		}
		if v.oneIn(3) {
			fmt.Fprintln(&b, "PersistentKeepalive = 25")
		}
	}
	return b.String()
}

// bogus is a line that nobody knows.
const bogus = "Bogus = 1"

// device are the lines of [Interface].
func (v variation) device() []string {
	lines := []string{"PrivateKey = {K1}"}
	for range 1 + v.IntN(2) {
		lines = append(lines, "Address = "+strings.Join(v.some([]string{"10.9.0.2/24", "10.9.0.2", "10.8.7.6/16", "fd09::2/64", "fd08::2", "192.0.2.99/32"}, 3), v.pick(", ", ",", " ")))
	}
	for _, l := range []struct {
		often int
		line  string
	}{
		{2, "ListenPort = " + v.pick("51820", "7000")},
		{4, "FwMark = " + v.pick("0x77", "1234", "off")},
		{3, "MTU = " + v.pick("1280", "1380", "1500", "9000")},
		{3, "Table = " + v.pick("auto", "off", "1234", "main")},
		{3, "DNS = " + v.pick("1.1.1.1", "1.1.1.1, 9.9.9.9", "10.0.0.2, vpn.example", "fd00::53", "only.example")},
		{6, "SaveConfig = " + v.pick("true", "false", "True")},
		{3, "PostUp = echo up %i >>/run/t/h.log"},
		{4, "PostUp = ip route add 203.0.113.128/25 dev %i"},
		{4, "PreDown = echo pre-down $((1+1)) >>/run/t/h.log"},
		{4, "PostDown = echo 'down' \"%i\" >>/run/t/h.log"},
		{14, "PostUp = false"},
		{20, bogus},
	} {
		if v.oneIn(l.often) {
			lines = append(lines, l.line)
		}
	}
	return lines
}
