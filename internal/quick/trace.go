package quick

import (
	"fmt"
	"strconv"
	"strings"
)

// Trace returns the command that a person would type for the step. It is
// printed as `[#] ...` before the step is carried out, as wg-quick does; with
// c.Compat it is wg-quick's to the letter. It is empty for a step that nobody
// needs to hear of.
func (s Step) Trace(c *Config) string {
	switch s.Kind {
	case Warn, Note, Say, RunHook, SetDNS, UnsetDNS:
		return s.Text
	case CreateLink:
		return "ip link add dev " + c.Name + " type wireguard"
	case CreateDevice:
		return c.Program + " " + c.Name
	case Configure:
		return s.traceConfigure(c)
	case AddAddress:
		return "ip " + familyFlag(s.Prefix.Addr().Is6()) + " address add " + s.address(c) + " dev " + c.Name
	case SetUp:
		return "ip link set mtu " + strconv.Itoa(s.MTU) + " up dev " + c.Name
	case SetMark:
		return fmt.Sprintf("wg set %s fwmark %d", c.Name, s.Mark)
	case AddRule:
		return "ip " + s.Rule.trace("add")
	case DeleteRule:
		return "ip " + s.Rule.trace("delete")
	case AddRoute:
		return "ip " + familyFlag(s.Prefix.Addr().Is6()) + " route add " + s.Prefix.String() + " dev " + c.Name + s.table()
	case SetSysctl:
		return "sysctl -q " + s.Name + "=" + s.Value
	case RestoreSysctl:
		return s.traceRestore(c)
	case AddFirewall, RemoveFirewall:
		return s.traceFirewall(c)
	case Save:
		return s.traceSave(c)
	case DeleteLink:
		return "ip link delete dev " + c.Name
	case HoldSysctl, RemoveFile:
		return ""
	}
	panic(fmt.Sprintf("quick: step of unknown kind %d", s.Kind))
}

// firstFD is where bash puts the first file that it makes of a command.
const firstFD = "/dev/fd/63"

func (s Step) traceConfigure(c *Config) string {
	if c.Compat {
		return "wg addconf " + c.Name + " " + firstFD
	}
	return "wg addconf " + c.Name + " <(wg-quick strip " + quote(c.Path) + ")"
}

func (s Step) traceFirewall(c *Config) string {
	if c.Compat {
		return "nft -f " + firstFD
	}
	verb := "add"
	if s.Kind == RemoveFirewall {
		verb = "delete"
	}
	var tables []string
	for _, family := range [...]int{4, 6} {
		if s.Family == family || s.Family == 0 {
			tables = append(tables, "nft "+verb+" table "+map[int]string{4: "ip", 6: "ip6"}[family]+" wg-quick-"+c.Name)
		}
	}
	return strings.Join(tables, "; ")
}

func (s Step) traceSave(c *Config) string {
	if c.Compat {
		return "wg showconf " + c.Name
	}
	return "warren save " + quote(c.Path)
}

// traceRestore says nothing where wg-quick does nothing.
func (s Step) traceRestore(c *Config) string {
	if c.Compat {
		return ""
	}
	return "sysctl -q " + s.Name + "=" + s.Value
}

// address returns the address as wg-quick passes it on: without a length where
// the file has none.
func (s Step) address(c *Config) string {
	if c.Compat && s.Text != "" {
		return s.Text
	}
	return s.Prefix.String()
}

func (s Step) table() string {
	switch {
	case s.TableName != "":
		return " table " + s.TableName
	case s.Table != 0:
		return " table " + strconv.FormatUint(uint64(s.Table), 10)
	}
	return ""
}

// trace is what follows `ip`. To delete a rule wg-quick names the table alone.
func (r Rule) trace(verb string) string {
	table := strconv.FormatUint(uint64(r.Table), 10)
	if r.Table == tableMain {
		table = "main"
	}
	text := familyFlag(r.Family == 6) + " rule " + verb
	if verb == "add" && r.Not {
		text += fmt.Sprintf(" not fwmark %d", r.Mark)
	}
	text += " table " + table
	if r.SuppressDefault {
		text += " suppress_prefixlength 0"
	}
	return text
}

func familyFlag(ipv6 bool) string {
	if ipv6 {
		return "-6"
	}
	return "-4"
}

const plainCharacters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_=+.,/:@%-"

// quote makes a word safe for a shell, if it is not.
func quote(s string) string {
	if s != "" && strings.Trim(s, plainCharacters) == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
