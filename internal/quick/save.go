package quick

import (
	"bytes"
	"fmt"
	"net/netip"
	"strconv"

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
// 2.6): everything but comments, names of hosts and search domains. The private
// key is in it, and in nothing else that is left behind: the caller clears it.
func SaveText(c *Config, l Live) ([]byte, error) {
	var device bytes.Buffer
	err := conf.WriteDevice(&device, &l.Device) // at once: a buffer that grows would leave copies
	defer func() { clear(device.Bytes()) }()
	if err != nil {
		return nil, err
	}
	b := saveInterface(c, l)
	all := make([]byte, 0, b.Len()+device.Len()+1)
	all = append(all, b.Bytes()...)
	all = append(all, bytes.TrimPrefix(device.Bytes(), []byte("[Interface]\n"))...)
	return append(bytes.TrimRight(all, "\n"), '\n'), nil
}

// saveInterface writes what is not the device's.
func saveInterface(c *Config, l Live) *bytes.Buffer {
	b := new(bytes.Buffer)
	line := func(key, value string) { fmt.Fprintf(b, "%s = %s\n", key, value) }
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
	return b
}
