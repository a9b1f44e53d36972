package conf

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
)

// ErrUnwritable says that a value has no form in a configuration file. Writers
// return it rather than write what would be read as something else.
var ErrUnwritable = errors.New("cannot be written to a configuration file")

// WriteDevice writes the state of a device as `wg showconf` does.
func WriteDevice(w io.Writer, d *Device) error {
	var t text
	t.WriteString("[Interface]\n")
	if d.ListenPort != 0 {
		t.line("ListenPort", strconv.Itoa(int(d.ListenPort)))
	}
	if d.FwMark != 0 {
		t.line("FwMark", fmt.Sprintf("%#x", d.FwMark))
	}
	if !d.PrivateKey.IsZero() {
		t.line("PrivateKey", d.PrivateKey.Reveal())
	}
	t.WriteByte('\n')
	for i := range d.Peers {
		if i > 0 {
			t.WriteByte('\n')
		}
		t.peer(&d.Peers[i])
	}
	_, err := w.Write(t.Bytes())
	clear(t.Bytes())
	return err
}

// WriteConfig writes c so that Parse reads the same.
func WriteConfig(w io.Writer, c *Config) error { return write(w, nil, c) }

// WriteQuick writes q and c so that ParseQuick reads the same.
func WriteQuick(w io.Writer, q *Quick, c *Config) error { return write(w, q, c) }

func write(w io.Writer, q *Quick, c *Config) error {
	var t text
	t.WriteString("[Interface]\n")
	if q != nil {
		t.quick(q)
	}
	t.device(c)
	for i := range c.Peers {
		t.WriteByte('\n')
		t.peerChange(&c.Peers[i])
	}
	if t.err != nil {
		return t.err
	}
	_, err := w.Write(t.Bytes())
	clear(t.Bytes())
	return err
}

// text is configuration text being written.
type text struct {
	bytes.Buffer
	err error // the first value that cannot be written
}

func (t *text) line(k, v string) {
	t.WriteString(k)
	t.WriteString(" = ")
	t.WriteString(v)
	t.WriteByte('\n')
}

// checked writes a line if good, and else remembers that it cannot.
func (t *text) checked(k, v string, good bool) {
	if !good && t.err == nil {
		t.err = fmt.Errorf("%s %q: %w", k, v, ErrUnwritable)
	}
	t.line(k, v)
}

// plain reports whether wg(8) reads s back as it is.
func plain(s string) bool { return !strings.ContainsAny(s, "#\x00\n\t\v\f\r ") }

func (t *text) device(c *Config) {
	if c.ListenPort != "" {
		t.checked("ListenPort", c.ListenPort, plain(c.ListenPort) && CheckPort(c.ListenPort) == nil)
	}
	if c.FwMark != nil {
		t.line("FwMark", fmt.Sprintf("0x%x", *c.FwMark))
	}
	if c.PrivateKey != nil {
		t.line("PrivateKey", c.PrivateKey.Reveal())
	}
}

func (t *text) peer(p *Peer) {
	t.WriteString("[Peer]\n")
	t.line("PublicKey", p.PublicKey.String())
	if !p.PresharedKey.IsZero() {
		t.line("PresharedKey", p.PresharedKey.Reveal())
	}
	if len(p.AllowedIPs) > 0 {
		ips := make([]string, len(p.AllowedIPs))
		for i, ip := range p.AllowedIPs {
			ips[i] = ip.String()
		}
		t.line("AllowedIPs", strings.Join(ips, ", "))
	}
	if p.Endpoint.IsValid() {
		t.line("Endpoint", p.Endpoint.String())
	}
	if p.PersistentKeepalive != 0 {
		t.line("PersistentKeepalive", strconv.Itoa(int(p.PersistentKeepalive)))
	}
}

func (t *text) peerChange(c *PeerChange) {
	if (c.Remove || c.UpdateOnly) && t.err == nil {
		t.err = fmt.Errorf("the removal or mere update of a peer: %w", ErrUnwritable)
	}
	t.WriteString("[Peer]\n")
	t.line("PublicKey", c.PublicKey.String())
	if c.PresharedKey != nil {
		t.line("PresharedKey", c.PresharedKey.Reveal())
	}
	t.allowedIPs(c)
	if c.Endpoint != nil {
		s := c.Endpoint.Text()
		back, err := ParseEndpoint(s)
		t.checked("Endpoint", s, plain(s) && err == nil && back == *c.Endpoint)
	}
	if c.PersistentKeepalive != nil {
		t.line("PersistentKeepalive", strconv.Itoa(int(*c.PersistentKeepalive)))
	}
}

// allowedIPs writes the list. The last line decides whether it replaces what
// the peer has: without signs it does.
func (t *text) allowedIPs(c *PeerChange) {
	if !c.ReplaceAllowedIPs {
		if len(c.AllowedIPs) == 0 && t.err == nil {
			t.err = fmt.Errorf("allowed IPs left as they are: %w", ErrUnwritable)
		}
		t.list(c.AllowedIPs, true)
		return
	}
	signed := 0 // elements up to the last removal
	for i, ip := range slices.Backward(c.AllowedIPs) {
		if ip.Remove {
			signed = i + 1
			break
		}
	}
	if signed > 0 {
		t.list(c.AllowedIPs[:signed], true)
	}
	if signed > 0 || len(c.AllowedIPs) > 0 {
		t.list(c.AllowedIPs[signed:], false)
	}
}

func (t *text) list(ips []AllowedIP, signed bool) {
	t.WriteString("AllowedIPs = ")
	for i, ip := range ips {
		if i > 0 {
			t.WriteString(", ")
		}
		switch {
		case ip.Remove:
			t.WriteByte('-')
		case signed:
			t.WriteByte('+')
		}
		t.WriteString(ip.Prefix.String())
	}
	t.WriteByte('\n')
}

func (t *text) quick(q *Quick) {
	for _, a := range q.Address {
		t.line("Address", a.String())
	}
	for _, a := range q.DNS {
		t.checked("DNS", a.String(), readsBack(a.String(), func(b *Quick) bool {
			return len(b.DNS) == 1 && b.DNS[0] == a && len(b.Search) == 0
		}))
	}
	for _, s := range q.Search {
		t.checked("DNS", s, readsBack(s, func(b *Quick) bool { return slices.Equal(b.Search, []string{s}) && len(b.DNS) == 0 }))
	}
	if q.MTU != 0 {
		t.checked("MTU", strconv.Itoa(q.MTU), q.MTU > 0 && q.MTU <= math.MaxInt32)
	}
	if q.Table != "" {
		t.checked("Table", q.Table, trim(q.Table) == q.Table && !strings.ContainsAny(q.Table, "#\n\x00"))
	}
	for _, hook := range []struct {
		key      string
		commands []string
	}{{"PreUp", q.PreUp}, {"PostUp", q.PostUp}, {"PreDown", q.PreDown}, {"PostDown", q.PostDown}} {
		for _, s := range hook.commands {
			t.checked(hook.key, s, trim(s) == s && !strings.ContainsAny(s, "\n\x00"))
		}
	}
	if q.SaveConfig {
		t.line("SaveConfig", "true")
	}
}

// readsBack reports whether a value of DNS is read as what test accepts.
func readsBack(v string, test func(*Quick) bool) bool {
	var q Quick
	return !strings.ContainsAny(v, "#\n\x00") && q.addDNS(v) == nil && test(&q)
}
