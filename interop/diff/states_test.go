//go:build linux && e2e

package diff

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"sort"
	"strings"

	"github.com/warrenvpn/warren/key"
)

// Keys of transcripts depend on their number alone, and are shown by it.

func bytesOf(kind string, n int) [key.Size]byte {
	return sha256.Sum256(fmt.Appendf(nil, "warren diff %s %d", kind, n))
}

// privates are in the order of their public keys' text: then whoever sorts by it
// has the order of creation.
var privates = func() (all []key.Private) {
	for n := range keyCount {
		all = append(all, key.NewPrivate(bytesOf("private", n)))
	}
	text := func(k key.Private) string { return k.Public().String() }
	slices.SortFunc(all, func(a, b key.Private) int { return strings.Compare(text(a), text(b)) })
	return all
}()

const keyCount = 12

// names holds the keys by their names, as base64.
var names = func() map[string]string {
	all := map[string]string{}
	for n := range keyCount {
		psk := bytesOf("preshared", n)
		k := privates[n]
		all[fmt.Sprintf("{K%d}", n)] = k.Reveal()
		all[fmt.Sprintf("{P%d}", n)] = k.Public().String()
		all[fmt.Sprintf("{S%d}", n)] = base64.StdEncoding.EncodeToString(psk[:])
	}
	return all
}()

var fromNames, toNames = func() (*strings.Replacer, *strings.Replacer) {
	from, to := []string{"{D}", workDir}, []string{workDir, "{D}"}
	for name, k := range names {
		from, to = append(from, name, k), append(to, k, name)
	}
	return strings.NewReplacer(from...), strings.NewReplacer(to...)
}()

// states are requests that set an interface to where a command begins.
var states = map[string]string{
	"bare":  "",
	"keyed": "private_key={K1}\nlisten_port=7000\n",
	"full": "private_key={K1}\nlisten_port=7000\nfwmark=51820\n" +
		"public_key={P2}\npreshared_key={S2}\nendpoint=192.0.2.1:51820\npersistent_keepalive_interval=25\n" +
		"allowed_ip=10.0.0.1/32\nallowed_ip=fd00::/64\nallowed_ip=0.0.0.0/0\n" +
		"public_key={P3}\nallowed_ip=10.0.0.2/32\n" +
		"public_key={P4}\nendpoint=[2001:db8::1]:443\npersistent_keepalive_interval=65535\n" +
		"public_key={P5}\nendpoint=[fe80::1%lo]:1\nallowed_ip=::/0\n" +
		"public_key={P6}\nallowed_ip=::ffff:0:0/96\nallowed_ip=1:2:3:4:5:6:7:8/128\n",
	"two": "private_key={K1}\nlisten_port=7000\nfwmark=51820\n" +
		"public_key={P2}\npreshared_key={S2}\nendpoint=192.0.2.1:51820\npersistent_keepalive_interval=25\n" +
		"allowed_ip=10.0.0.1/32\nallowed_ip=fd00::/64\n" +
		"public_key={P3}\nallowed_ip=10.0.0.2/32\n",
	"one": "private_key={K1}\npublic_key={P2}\nallowed_ip=10.0.0.1/32\nallowed_ip=10.0.0.2/31\n",
}

var keyName = regexp.MustCompile(`\{[KPS]\d+\}`)

// request is a state as a set of the control protocol.
func request(state string) string {
	// The key goes first: a peer with the key of the interface would vanish.
	zero := "private_key=" + strings.Repeat("0", 2*key.Size) + "\nlisten_port=0\nfwmark=0\nreplace_peers=true\n"
	return "set=1\n" + zero + keyName.ReplaceAllStringFunc(states[state], func(name string) string {
		b, _ := base64.StdEncoding.DecodeString(names[name])
		return hex.EncodeToString(b)
	})
}

// stateLines is the answer to a get as lines that can be compared: one for each
// thing that is set.
func stateLines(answer string) []string {
	var lines, peers, allowed []string
	peer := ""
	end := func() {
		if len(allowed) > 0 {
			lines = append(lines, peer+"allowed_ips "+strings.Join(allowed, ","))
		}
		allowed = nil
	}
	for _, l := range strings.Split(strings.TrimSpace(answer), "\n") {
		k, v, _ := strings.Cut(l, "=")
		if b, err := hex.DecodeString(v); err == nil && len(b) == key.Size {
			if slices.Max(b) == 0 {
				continue
			}
			v = toNames.Replace(base64.StdEncoding.EncodeToString(b))
		}
		switch {
		case k == "public_key":
			end()
			peers, peer = append(peers, v), v+" "
		case k == "allowed_ip":
			allowed = append(allowed, v)
		case k == "protocol_version" || v == "0" || k == "":
		default:
			lines = append(lines, peer+k+" "+v)
		}
	}
	end()
	if len(peers) > 0 {
		lines = append(lines, "peers "+strings.Join(peers, ","))
	}
	return lines
}

// unordered puts the lines of a result that tell of peers into an order: the
// reference daemon has another each time (compat E1).
func unordered(lines []string) []string {
	lines = slices.Clone(lines)
	for i, l := range lines {
		if sign, list, ok := strings.Cut(l, " peers "); ok && len(sign) == 1 {
			peers := strings.Split(list, ",")
			sort.Strings(peers)
			lines[i] = sign + " peers " + strings.Join(peers, ",")
		}
	}
	first := slices.IndexFunc(lines, func(l string) bool { return l[0] == '+' || l[0] == '-' })
	if first < 0 {
		return lines
	}
	sort.Strings(lines[first:])
	// The same peers in another order are no change.
	seen := slices.Clone(lines)
	return slices.DeleteFunc(lines, func(l string) bool {
		return l[0] == '-' && slices.Contains(seen, "+"+l[1:]) || l[0] == '+' && slices.Contains(seen, "-"+l[1:])
	})
}

// changes are the lines that appeared and vanished.
func changes(before, after []string) (lines []string) {
	for _, l := range before {
		if !slices.Contains(after, l) {
			lines = append(lines, "- "+l)
		}
	}
	for _, l := range after {
		if !slices.Contains(before, l) {
			lines = append(lines, "+ "+l)
		}
	}
	return lines
}
