package quick

import (
	"bytes"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/warrenvpn/warren/conf"
)

// Live is the state of a tunnel that is up.
type Live struct {
	Device    conf.Device
	Addresses []netip.Prefix // in the kernel's order
	Servers   []string       // of names, as they were set
	MTU       int
}

// SaveText returns what wg-quick writes back to the file of a tunnel (compat
// 2.6): everything but comments, names of hosts and search domains.
func SaveText(c *Config, l Live) (string, error) {
	var device bytes.Buffer
	if err := conf.WriteDevice(&device, &l.Device); err != nil {
		return "", err
	}
	var b strings.Builder
	line := func(key, value string) { fmt.Fprintf(&b, "%s = %s\n", key, value) }
	b.WriteString("[Interface]\n")
	for _, a := range l.Addresses {
		line("Address", a.String())
	}
	for _, s := range l.Servers {
		line("DNS", s)
	}
	if c.MTU.Value != 0 {
		line("MTU", strconv.Itoa(l.MTU))
	}
	if c.Table.Value != "" {
		line("Table", c.Table.Value)
	}
	if c.SaveConfig.Value {
		line("SaveConfig", "true")
	}
	for _, hooks := range []struct {
		key      string
		commands []At[string]
	}{{"PreUp", c.PreUp}, {"PostUp", c.PostUp}, {"PreDown", c.PreDown}, {"PostDown", c.PostDown}} {
		for _, h := range hooks.commands {
			line(hooks.key, h.Value)
		}
	}
	b.WriteString(strings.TrimPrefix(device.String(), "[Interface]\n"))
	clear(device.Bytes())
	return strings.TrimRight(b.String(), "\n") + "\n", nil
}
