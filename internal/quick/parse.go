package quick

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/warrenvpn/warren/conf"
)

// Parse reads the file of a tunnel: text is what is in it, path what to call it
// in messages, name the interface. Mistakes are *conf.ParseError. Where ports
// may be given by name, o.Service is needed.
func Parse(text, path, name string, o conf.Options) (*Config, error) {
	f, err := conf.ParseQuick(text, path)
	if err != nil {
		return nil, err
	}
	wg, err := f.WireGuard(o)
	if err != nil {
		return nil, err
	}
	c := &Config{Name: name, Path: path}
	// What the file does not mention stays as hooks have set it.
	if c.Device, err = wg.Add(o.Service); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	c.take(&f.Quick)
	return c, c.locate(text)
}

// ParseLenient reads the file of a tunnel as Parse does, but only for taking
// the tunnel down or saving it: what the file says to wg may be wrong.
func ParseLenient(text, path, name string, o conf.Options) (*Config, error) {
	if c, err := Parse(text, path, name, o); err == nil {
		return c, nil
	}
	f, err := conf.ParseQuickLenient(text, path)
	if err != nil {
		return nil, err
	}
	c := &Config{Name: name, Path: path}
	c.take(&f.Quick)
	return c, c.locate(text)
}

// take copies the values of wg-quick's own keys.
func (c *Config) take(q *conf.Quick) {
	for _, a := range q.Address {
		c.Addresses = append(c.Addresses, At[netip.Prefix]{Value: a})
	}
	for _, a := range q.DNS {
		c.DNS = append(c.DNS, At[string]{Value: a.String()})
	}
	c.Servers, c.Search = q.DNS, q.Search
	for _, s := range q.Search {
		c.DNS = append(c.DNS, At[string]{Value: s})
	}
	c.MTU.Value, c.Table.Value, c.SaveConfig.Value = q.MTU, q.Table, q.SaveConfig
	c.PreUp, c.PostUp = unplaced(q.PreUp), unplaced(q.PostUp)
	c.PreDown, c.PostDown = unplaced(q.PreDown), unplaced(q.PostDown)
}

func unplaced(commands []string) []At[string] {
	all := make([]At[string], len(commands))
	for i, s := range commands {
		all[i].Value = s
	}
	return all
}

// planeKey is a comment, so that other programs read the file too.
const planeKey = "# Warren.Plane"

// locate finds out which lines of a file without mistakes the values stand in,
// and what comments say that concerns us.
func (c *Config) locate(text string) error {
	l := locator{c: c, hooks: map[string][]At[string]{
		"preup": c.PreUp, "postup": c.PostUp, "predown": c.PreDown, "postdown": c.PostDown,
	}}
	for i, line := range strings.Split(text, "\n") {
		if key, value, ok := strings.Cut(line, "="); ok && l.inInterface && strings.EqualFold(strings.TrimSpace(key), planeKey) {
			var err error
			if c.Plane, err = ParsePlane(strings.TrimSpace(value)); err != nil {
				return c.problem(planeKey, i+1, "", "%v", err)
			}
		}
		line, _, _ = strings.Cut(line, "#")
		key, value, _ := strings.Cut(line, "=")
		key = strings.ToLower(strings.Trim(key, "\ufeff \t\r\v\f"))
		if strings.HasPrefix(key, "[") {
			l.inInterface, l.inPeer = key == "[interface]", key == "[peer]"
		}
		switch l.line = i + 1; {
		case l.inInterface:
			l.interfaceKey(key, value)
		case l.inPeer:
			l.peerKey(key, value)
		}
	}
	return nil
}

// locator goes through the lines of a file.
type locator struct {
	c                   *Config
	hooks               map[string][]At[string] // those whose line is not known yet
	addresses           int                     // how many lines of c.Addresses are known
	line                int
	inInterface, inPeer bool
}

func (l *locator) interfaceKey(key, value string) {
	c := l.c
	switch key {
	case "address":
		for _, a := range fields(value) {
			if l.addresses < len(c.Addresses) {
				c.Addresses[l.addresses].Line = l.line
				c.AddressTexts = append(c.AddressTexts, a)
				l.addresses++
			}
		}
	case "dns":
		for i := range c.DNS {
			if c.DNS[i].Line == 0 {
				c.DNS[i].Line = l.line // the first: servers and domains are listed apart
			}
		}
	case "mtu":
		c.MTU.Line = l.line
	case "table":
		c.Table.Line = l.line
	case "saveconfig":
		c.SaveConfig.Line = l.line
	case "listenport":
		if c.Device.ListenPort != nil {
			c.ListenPort = At[uint16]{*c.Device.ListenPort, l.line}
		}
	case "fwmark":
		if c.Device.FwMark != nil {
			c.FwMark = At[uint32]{*c.Device.FwMark, l.line}
		}
	default:
		if rest := l.hooks[key]; len(rest) > 0 {
			rest[0].Line = l.line
			l.hooks[key] = rest[1:]
		}
	}
}

func (l *locator) peerKey(key, value string) {
	switch key {
	case "endpoint":
		if e, err := conf.ParseEndpoint(removeSpace(value)); err == nil {
			l.c.Endpoints = append(l.c.Endpoints, At[conf.Endpoint]{e, l.line})
		}
	case "allowedips":
		if list, err := conf.ParseAllowedIPs(removeSpace(value)); err == nil {
			for _, a := range list.List {
				if !a.Remove {
					l.c.AllowedIPs = append(l.c.AllowedIPs, At[netip.Prefix]{a.Prefix, l.line})
				}
			}
		}
	}
}

func isSpace(r rune) bool { return strings.ContainsRune(" \t\r\n\v\f", r) }

func fields(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || isSpace(r) })
}

func removeSpace(s string) string { return strings.Join(strings.FieldsFunc(s, isSpace), "") }
