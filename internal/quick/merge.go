package quick

import (
	"bytes"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/warrenvpn/warren/conf"
	"github.com/warrenvpn/warren/key"
)

// Merge returns the text of a file with the state of the tunnel worked in, so
// that comments, order and names of hosts stay. What only lives with the
// tunnel, a port, mark or endpoint that the file does not ask for, is not added.
func Merge(text string, l Live) (string, error) {
	m := merger{live: l, done: make(map[key.Public]bool)}
	for _, b := range blocks(text) {
		m.block(b)
	}
	if err := m.newPeers(); err != nil {
		return "", err
	}
	return strings.Join(m.out, "\n") + "\n", nil
}

// block is a section of a file: its header, the comments directly before it
// and what follows, up to the next.
type block struct {
	lines []string
	kind  string // "[interface]", "[peer]" or anything else
}

func blocks(text string) []block {
	all := []block{{}}
	for _, line := range strings.Split(strings.TrimRight(text, "\n"), "\n") {
		last := &all[len(all)-1]
		if header := strings.ToLower(bare(line)); strings.HasPrefix(header, "[") {
			n := len(last.lines)
			for n > 0 && strings.HasPrefix(strings.TrimSpace(last.lines[n-1]), "#") {
				n--
			}
			if n == 1 && len(all) > 1 {
				n = len(last.lines) // the comments are all there is in that section
			}
			above := slices.Clone(last.lines[n:])
			last.lines = last.lines[:n]
			all = append(all, block{kind: header, lines: append(above, line)})
			continue
		}
		last.lines = append(last.lines, line)
	}
	return all
}

// bare is a line without its comment and the white space around it.
func bare(line string) string {
	line, _, _ = strings.Cut(line, "#")
	return strings.Trim(line, "\ufeff \t\r\v\f")
}

func split(line string) (k, v string) {
	k, v, _ = strings.Cut(bare(line), "=")
	return strings.ToLower(strings.TrimSpace(k)), strings.TrimSpace(v)
}

// values returns what a block says of a key.
func (b block) values(k string) (all []string) {
	for _, line := range b.lines {
		if key, v := split(line); key == k {
			all = append(all, v)
		}
	}
	return all
}

type merger struct {
	live Live
	out  []string
	done map[key.Public]bool // peers that are in the file
}

func (m *merger) block(b block) {
	switch b.kind {
	case "[interface]":
		m.device(b)
	case "[peer]":
		m.peer(b)
	default:
		m.out = append(m.out, b.lines...)
	}
}

// change is what becomes of the lines of a key: all of them are replaced by
// one, or go.
type change struct {
	key, label, value string
	keep              bool // leave the lines as they are
	add               bool // where there is no such line, make one
}

func (m *merger) device(b block) {
	d := m.live.Device
	m.rewrite(b, []change{
		{key: "address", label: "Address", value: list(m.live.Addresses), keep: samePrefixes(b.values("address"), m.live.Addresses, conf.ParseAddress), add: true},
		{key: "privatekey", label: "PrivateKey", value: d.PrivateKey.Reveal(), keep: d.PrivateKey.IsZero()},
		{key: "listenport", label: "ListenPort", value: strconv.Itoa(int(d.ListenPort)), keep: d.ListenPort == 0},
		{key: "fwmark", label: "FwMark", value: strconv.FormatUint(uint64(d.FwMark), 10), keep: sameMark(b.values("fwmark"), d.FwMark)},
		{key: "mtu", label: "MTU", value: strconv.Itoa(m.live.MTU), keep: m.live.MTU == 0},
	})
}

func (m *merger) peer(b block) {
	keys := b.values("publickey")
	if len(keys) == 0 {
		return
	}
	public, err := conf.ParsePublicKey(removeSpace(keys[len(keys)-1]))
	i := slices.IndexFunc(m.live.Device.Peers, func(p conf.Peer) bool { return p.PublicKey == public })
	if err != nil || i < 0 || m.done[public] {
		return
	}
	m.done[public] = true
	p := m.live.Device.Peers[i]
	changes := []change{
		{key: "publickey", keep: true},
		{key: "endpoint", label: "Endpoint", value: p.Endpoint.String(), keep: !p.Endpoint.IsValid() || named(b.values("endpoint"))},
		{
			key: "allowedips", label: "AllowedIPs", value: list(p.AllowedIPs), add: true,
			keep: samePrefixes(b.values("allowedips"), p.AllowedIPs, maskedPrefix),
		},
		{key: "presharedkey", label: "PresharedKey", add: true},
		{key: "persistentkeepalive", label: "PersistentKeepalive", add: true},
	}
	if !p.PresharedKey.IsZero() {
		changes[3].value = p.PresharedKey.Reveal()
	}
	if p.PersistentKeepalive != 0 {
		changes[4].value = strconv.Itoa(int(p.PersistentKeepalive))
	}
	m.rewrite(b, changes)
}

// rewrite writes a block with changes. Values that are equal are not touched.
func (m *merger) rewrite(b block, changes []change) {
	seen := make(map[string]bool)
	end := 0 // behind the last line that says something
	var lines []string
	for _, line := range b.lines {
		k, v := split(line)
		i := slices.IndexFunc(changes, func(c change) bool { return c.key == k })
		if i >= 0 && !changes[i].keep {
			c := changes[i]
			if seen[k] || c.value == "" {
				seen[k] = true
				continue
			}
			if v != c.value {
				line = replaced(line, c)
			}
		}
		seen[k] = true
		lines = append(lines, line)
		if bare(line) != "" {
			end = len(lines)
		}
	}
	var more []string
	for _, c := range changes {
		if c.add && !c.keep && c.value != "" && !seen[c.key] {
			more = append(more, c.label+" = "+c.value)
		}
	}
	m.out = append(m.out, slices.Insert(lines, end, more...)...)
}

// replaced keeps what stands before and behind the value.
func replaced(line string, c change) string {
	text, comment, has := strings.Cut(line, "#")
	before, _, _ := strings.Cut(text, "=")
	line = before + "= " + c.value
	if has {
		line += " #" + strings.TrimRight(comment, "\r")
	}
	return line
}

// newPeers appends the peers that the file does not have.
func (m *merger) newPeers() error {
	for _, p := range m.live.Device.Peers {
		if m.done[p.PublicKey] {
			continue
		}
		m.done[p.PublicKey] = true
		var b bytes.Buffer
		if err := conf.WriteDevice(&b, &conf.Device{Peers: []conf.Peer{p}}); err != nil {
			return err
		}
		text := strings.TrimRight(strings.TrimPrefix(b.String(), "[Interface]\n\n"), "\n")
		m.out = append(append(m.out, ""), strings.Split(text, "\n")...)
	}
	return nil
}

func list(prefixes []netip.Prefix) string {
	texts := make([]string, len(prefixes))
	for i, p := range prefixes {
		texts[i] = p.String()
	}
	return strings.Join(texts, ", ")
}

// samePrefixes reports whether lines of a file list what there is, in any order.
func samePrefixes(lines []string, have []netip.Prefix, parse func(string) (netip.Prefix, error)) bool {
	want := make(map[netip.Prefix]bool)
	for _, v := range lines {
		for _, s := range fields(v) {
			p, err := parse(s)
			if err != nil {
				return false
			}
			want[p] = true
		}
	}
	for _, p := range have {
		if !want[p] {
			return false
		}
		delete(want, p)
	}
	return len(want) == 0
}

func maskedPrefix(s string) (netip.Prefix, error) {
	p, err := conf.ParseAddress(s)
	return p.Masked(), err
}

func sameMark(lines []string, mark uint32) bool {
	if len(lines) == 0 {
		return true
	}
	n, err := conf.ParseFwMark(lines[len(lines)-1])
	return err == nil && n == mark
}

// named reports whether an endpoint is given as the name of a host.
func named(lines []string) bool {
	if len(lines) == 0 {
		return true // nothing to be replaced
	}
	e, err := conf.ParseEndpoint(removeSpace(lines[len(lines)-1]))
	if err != nil {
		return false
	}
	_, err = netip.ParseAddr(e.Host)
	return err != nil
}
