package wg

import (
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/warrenvpn/warren/conf"
	"github.com/warrenvpn/warren/internal/cli"
	"github.com/warrenvpn/warren/key"
)

func (t *tool) show(args []string) int {
	if i := slices.Index(args, "--json"); i >= 0 {
		return t.showJSON(slices.Delete(slices.Clone(args), i, i+1))
	}
	switch {
	case len(args) > 2:
		return t.usage("show")
	case len(args) == 0 || args[0] == "all":
		return t.showAll(args)
	case args[0] == "interfaces":
		return t.showInterfaces(args)
	case len(args) == 1 && args[0] == "help":
		t.usage("show")
		return 0
	}
	d, err := t.client.Device(args[0])
	if err != nil {
		return t.failWith("Unable to access interface", err)
	}
	defer forget(&d)
	if len(args) == 2 {
		return t.field(&d, args[1], "")
	}
	t.pretty(&d)
	return 0
}

// showAll shows every interface that can be read. It fails only if there are
// some and none of them can.
func (t *tool) showAll(args []string) int {
	names, err := t.client.Names()
	if err != nil {
		return t.failWith("Unable to list interfaces", err)
	}
	code := min(len(names), 1)
	for i, name := range names {
		d, err := t.client.Device(name)
		if err != nil {
			t.say("Unable to access interface " + name + ": " + reason(err))
			continue
		}
		code = 0
		if len(args) == 2 {
			code = t.field(&d, args[1], name+"\t")
		} else {
			t.pretty(&d)
			if i < len(names)-1 {
				fmt.Fprintln(t.out)
			}
		}
		forget(&d)
		if code != 0 {
			break
		}
	}
	return code
}

func (t *tool) showInterfaces(args []string) int {
	if len(args) > 1 {
		return t.usage("show")
	}
	names, err := t.client.Names()
	if err != nil {
		return t.failWith("Unable to list interfaces", err)
	}
	if len(names) > 0 {
		fmt.Fprintln(t.out, strings.Join(names, " "))
	}
	return 0
}

func (t *tool) showconf(args []string) int {
	if len(args) != 1 {
		return t.usage("showconf")
	}
	d, err := t.client.Device(args[0])
	if err != nil {
		return t.failWith("Unable to access interface", err)
	}
	defer forget(&d)
	for i := range d.Peers {
		d.Peers[i].Endpoint = named(d.Peers[i].Endpoint)
	}
	if err := conf.WriteDevice(t.out, &d); err != nil {
		return t.failWith("write", err)
	}
	return 0
}

// printer is the pretty form, with or without colours.
type printer struct {
	*tool
	paint    cli.Paint
	showKeys bool
}

func (t *tool) pretty(d *conf.Device) {
	p := printer{
		tool:     t,
		paint:    cli.Color(t.getenv("WG_COLOR_MODE"), cli.IsTerminal(t.stdout)),
		showKeys: t.getenv("WG_HIDE_KEYS") == "never",
	}
	fmt.Fprintf(p.out, "%s%s: %s\n", p.paint.Code(cli.Reset),
		p.paint.Apply("interface", cli.Green, cli.Bold), p.paint.Apply(d.Name, cli.Green))
	if !d.PublicKey.IsZero() {
		p.line("public key", d.PublicKey.String())
	}
	if !d.PrivateKey.IsZero() {
		p.line("private key", p.secret(d.PrivateKey.Reveal))
	}
	if d.ListenPort != 0 {
		p.line("listening port", strconv.Itoa(int(d.ListenPort)))
	}
	if d.FwMark != 0 {
		p.line("fwmark", fmt.Sprintf("%#x", d.FwMark))
	}
	for _, peer := range latestFirst(d.Peers) {
		fmt.Fprintln(p.out)
		p.peer(peer)
	}
}

// latestFirst returns the peers by their last handshake, those without one last.
func latestFirst(peers []conf.Peer) []*conf.Peer {
	sorted := make([]*conf.Peer, len(peers))
	for i := range peers {
		sorted[i] = &peers[i]
	}
	slices.SortStableFunc(sorted, func(a, b *conf.Peer) int {
		if a.LastHandshake.IsZero() || b.LastHandshake.IsZero() {
			return cmp.Compare(b2i(a.LastHandshake.IsZero()), b2i(b.LastHandshake.IsZero()))
		}
		return b.LastHandshake.Compare(a.LastHandshake)
	})
	return sorted
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (p *printer) peer(c *conf.Peer) {
	fmt.Fprintf(p.out, "%s: %s\n", p.paint.Apply("peer", cli.Yellow, cli.Bold), p.paint.Apply(c.PublicKey.String(), cli.Yellow))
	if !c.PresharedKey.IsZero() {
		p.line("preshared key", p.secret(c.PresharedKey.Reveal))
	}
	if c.Endpoint.IsValid() {
		p.line("endpoint", named(c.Endpoint).String())
	}
	p.line("allowed ips", p.prefixes(c.AllowedIPs))
	if !c.LastHandshake.IsZero() {
		text, future := cli.Ago(c.LastHandshake, p.now(), p.unit)
		if future {
			text = "(" + p.paint.Apply("System clock wound backward; connection problems may ensue.", cli.Red) + ")"
		}
		p.line("latest handshake", text)
	}
	if c.RxBytes != 0 || c.TxBytes != 0 {
		p.line("transfer", cli.Bytes(c.RxBytes, p.unit)+" received, "+cli.Bytes(c.TxBytes, p.unit)+" sent")
	}
	if c.PersistentKeepalive != 0 {
		p.line("persistent keepalive", "every "+cli.Duration(uint64(c.PersistentKeepalive), p.unit))
	}
}

func (p *printer) line(label, value string) {
	fmt.Fprintf(p.out, "  %s: %s\n", p.paint.Apply(label, cli.Bold), value)
}

func (p *printer) unit(word string) string { return p.paint.Apply(word, cli.Cyan) }

func (p *printer) secret(reveal func() string) string {
	if p.showKeys {
		return reveal()
	}
	return "(hidden)"
}

func (p *printer) prefixes(ips []netip.Prefix) string {
	if len(ips) == 0 {
		return "(none)"
	}
	var b strings.Builder
	for i, ip := range ips {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(ip.Addr().String() + p.unit("/") + strconv.Itoa(ip.Bits()))
	}
	return b.String()
}

// named replaces a zone that is a number by the name of that interface.
func named(e netip.AddrPort) netip.AddrPort {
	n, err := strconv.Atoi(e.Addr().Zone())
	if err != nil {
		return e
	}
	i, err := net.InterfaceByIndex(n)
	if err != nil {
		return e
	}
	return netip.AddrPortFrom(e.Addr().WithZone(i.Name), e.Port())
}

// forget overwrites the keys of a device that was shown.
func forget(d *conf.Device) {
	d.PrivateKey.Clear()
	for i := range d.Peers {
		d.Peers[i].PresharedKey.Clear()
	}
}

// field prints one field for scripts. Each line begins with prefix.
func (t *tool) field(d *conf.Device, name, prefix string) int {
	line := func(columns ...string) {
		_, _ = t.out.WriteString(prefix)
		_, _ = t.out.WriteString(strings.Join(columns, "\t"))
		_ = t.out.WriteByte('\n')
	}
	if name == "dump" {
		line(orNone(&d.PrivateKey), publicOrNone(d.PublicKey), strconv.Itoa(int(d.ListenPort)), markText(d.FwMark))
	}
	device := map[string]func() string{
		"public-key":  func() string { return publicOrNone(d.PublicKey) },
		"private-key": func() string { return orNone(&d.PrivateKey) },
		"listen-port": func() string { return strconv.Itoa(int(d.ListenPort)) },
		"fwmark":      func() string { return markText(d.FwMark) },
	}
	if f, ok := device[name]; ok {
		line(f())
		return 0
	}
	columns, ok := peerColumns[name]
	if !ok {
		t.say("Invalid parameter: `" + name + "'")
		return t.usage("show")
	}
	for i := range d.Peers {
		line(append([]string{d.Peers[i].PublicKey.String()}, columns(&d.Peers[i])...)...)
	}
	return 0
}

// peerColumns are the columns after the public key of each peer.
var peerColumns = map[string]func(*conf.Peer) []string{
	"peers":                func(*conf.Peer) []string { return nil },
	"preshared-keys":       func(p *conf.Peer) []string { return []string{orNone(&p.PresharedKey)} },
	"endpoints":            func(p *conf.Peer) []string { return []string{endpointText(p)} },
	"allowed-ips":          func(p *conf.Peer) []string { return []string{joined(p.AllowedIPs, " ")} },
	"latest-handshakes":    func(p *conf.Peer) []string { return []string{handshakeText(p)} },
	"transfer":             func(p *conf.Peer) []string { return []string{count(p.RxBytes), count(p.TxBytes)} },
	"persistent-keepalive": func(p *conf.Peer) []string { return []string{keepaliveText(p)} },
	"dump": func(p *conf.Peer) []string {
		return []string{
			orNone(&p.PresharedKey), endpointText(p), joined(p.AllowedIPs, ","), handshakeText(p),
			count(p.RxBytes), count(p.TxBytes), keepaliveText(p),
		}
	},
}

const none = "(none)"

// orNone returns a secret as text; `dump` and the fields never hide it.
func orNone(k interface {
	IsZero() bool
	Reveal() string
},
) string {
	if k.IsZero() {
		return none
	}
	return k.Reveal()
}

func publicOrNone(k key.Public) string {
	if k.IsZero() {
		return none
	}
	return k.String()
}

func markText(m uint32) string {
	if m == 0 {
		return "off"
	}
	return fmt.Sprintf("%#x", m)
}

func endpointText(p *conf.Peer) string {
	if !p.Endpoint.IsValid() {
		return none
	}
	return named(p.Endpoint).String()
}

func joined(ips []netip.Prefix, sep string) string {
	if len(ips) == 0 {
		return none
	}
	texts := make([]string, len(ips))
	for i, ip := range ips {
		texts[i] = ip.String()
	}
	return strings.Join(texts, sep)
}

// handshakeText is 0 for never, not the zero time's seconds.
func handshakeText(p *conf.Peer) string {
	if p.LastHandshake.IsZero() {
		return "0"
	}
	return strconv.FormatInt(p.LastHandshake.Unix(), 10)
}

func count(n uint64) string { return strconv.FormatUint(n, 10) }

func keepaliveText(p *conf.Peer) string {
	if p.PersistentKeepalive == 0 {
		return "off"
	}
	return strconv.Itoa(int(p.PersistentKeepalive))
}
