package uapi

import (
	"bufio"
	"io"
	"iter"
	"net/netip"
	"strconv"
	"strings"

	"github.com/warrenvpn/warren/conf"
)

// WriteDevice writes the lines of a get reply, without errno and the empty
// line: the device, then its peers in the order they have in d.
func WriteDevice(w io.Writer, d *conf.Device) error {
	e := newEncoder(w)
	if !d.PrivateKey.IsZero() {
		e.hex("private_key=", d.PrivateKey.RevealBytes()[:])
	}
	if d.ListenPort != 0 {
		e.number("listen_port=", uint64(d.ListenPort))
	}
	if d.FwMark != 0 {
		e.number("fwmark=", uint64(d.FwMark))
	}
	for i := range d.Peers {
		e.peer(&d.Peers[i])
	}
	return e.flush()
}

// WriteChange writes a whole set request, with its operation line and the empty
// line, in the order that wg(8) uses. Endpoints must be numeric.
func WriteChange(w io.Writer, c *conf.Change) error { return WriteChangeOf(w, c, c.All()) }

// WriteChangeOf is WriteChange with peers in place of c.Peers.
func WriteChangeOf(w io.Writer, c *conf.Change, peers iter.Seq[*conf.PeerChange]) error {
	e := newEncoder(w)
	e.text("set=1\n")
	if c.PrivateKey != nil {
		e.hex("private_key=", c.PrivateKey.RevealBytes()[:])
	}
	if c.ListenPort != nil {
		e.number("listen_port=", uint64(*c.ListenPort))
	}
	if c.FwMark != nil {
		e.number("fwmark=", uint64(*c.FwMark))
	}
	if c.ReplacePeers {
		e.text("replace_peers=true\n")
	}
	for p := range peers {
		e.peerChange(p)
	}
	e.text("\n")
	return e.flush()
}

// encoder appends lines to a buffer; a write error stays in the bufio.Writer.
type encoder struct {
	w *bufio.Writer
}

func newEncoder(w io.Writer) encoder {
	if b, ok := w.(*bufio.Writer); ok {
		return encoder{b} // the server's own: one buffer is enough
	}
	return encoder{bufio.NewWriterSize(w, bufferSize)}
}

func (e encoder) flush() error { return e.w.Flush() }

func (e encoder) text(s string) { _, _ = e.w.WriteString(s) }

// hex writes a line without making a string of what may be a secret.
func (e encoder) hex(k string, v []byte) {
	const digits = "0123456789abcdef"
	b := append(e.w.AvailableBuffer(), k...)
	for _, c := range v {
		b = append(b, digits[c>>4], digits[c&15])
	}
	_, _ = e.w.Write(append(b, '\n'))
}

func (e encoder) number(k string, v uint64) {
	b := strconv.AppendUint(append(e.w.AvailableBuffer(), k...), v, 10)
	_, _ = e.w.Write(append(b, '\n'))
}

func (e encoder) prefix(k string, p netip.Prefix) {
	b := p.AppendTo(append(e.w.AvailableBuffer(), k...))
	_, _ = e.w.Write(append(b, '\n'))
}

func (e encoder) endpoint(c *conf.Endpoint) {
	open, end := "endpoint=", ":"
	if strings.ContainsRune(c.Host, ':') {
		open, end = "endpoint=[", "]:"
	}
	e.text(open)
	e.text(c.Host)
	e.text(end)
	e.text(c.Port)
	e.text("\n")
}

func (e encoder) peer(p *conf.Peer) {
	e.hex("public_key=", p.PublicKey[:])
	e.hex("preshared_key=", p.PresharedKey.RevealBytes()[:])
	e.text("protocol_version=1\n")
	if p.Endpoint.IsValid() {
		b := p.Endpoint.AppendTo(append(e.w.AvailableBuffer(), "endpoint="...))
		_, _ = e.w.Write(append(b, '\n'))
	}
	var sec, nsec uint64
	if !p.LastHandshake.IsZero() && p.LastHandshake.Unix() >= 0 {
		sec, nsec = uint64(p.LastHandshake.Unix()), uint64(p.LastHandshake.Nanosecond())
	}
	e.number("last_handshake_time_sec=", sec)
	e.number("last_handshake_time_nsec=", nsec)
	e.number("tx_bytes=", p.TxBytes)
	e.number("rx_bytes=", p.RxBytes)
	e.number("persistent_keepalive_interval=", uint64(p.PersistentKeepalive))
	for _, ip := range p.AllowedIPs {
		e.prefix("allowed_ip=", ip)
	}
}

func (e encoder) peerChange(c *conf.PeerChange) {
	e.hex("public_key=", c.PublicKey[:])
	if c.Remove {
		e.text("remove=true\n")
		return
	}
	if c.UpdateOnly {
		e.text("update_only=true\n")
	}
	if c.PresharedKey != nil {
		e.hex("preshared_key=", c.PresharedKey.RevealBytes()[:])
	}
	if c.Endpoint != nil {
		e.endpoint(c.Endpoint)
	}
	if c.PersistentKeepalive != nil {
		e.number("persistent_keepalive_interval=", uint64(*c.PersistentKeepalive))
	}
	if c.ReplaceAllowedIPs {
		e.text("replace_allowed_ips=true\n")
	}
	for _, ip := range c.AllowedIPs {
		if ip.Remove {
			e.prefix("allowed_ip=-", ip.Prefix)
		} else {
			e.prefix("allowed_ip=", ip.Prefix)
		}
	}
}
