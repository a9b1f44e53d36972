package quick

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// Kind is what a step does.
type Kind uint8

// The kinds of step. DeleteLink is the Undo of CreateLink and the heart of
// Down.
const (
	Warn       Kind = iota + 1 // tell the user Text; changes nothing
	CreateLink                 // make the interface and its control socket
	RunHook                    // run Text in a shell
	Configure                  // merge keys, port and peers into the device
	AddAddress                 // give the interface Prefix
	SetUp                      // set the MTU and bring the interface up
	AddRoute                   // send Prefix through the interface
	DeleteLink                 // remove the interface, and with it addresses and routes
)

// Step is one change of the host, for the interface of the plan. Steps are
// comparable.
type Step struct {
	Kind   Kind
	Prefix netip.Prefix // AddAddress: with host bits; AddRoute: masked
	MTU    int          // SetUp
	Text   string       // RunHook: %i replaced already; Warn: one line
	Hint   string       // Warn: what to do about it, or nothing
	Key    string       // of the configuration that asks for it, if one does: PostUp
	Line   int          // where it does; 0: nowhere
}

// Undo returns the step that takes s back. There is none for what vanishes
// with the interface, and none for hooks: what they did is theirs to undo, in
// a PreDown or PostDown, which a failed up does not run.
func (s Step) Undo() (Step, bool) {
	if s.Kind == CreateLink {
		return Step{Kind: DeleteLink}, true
	}
	return Step{}, false
}

// Trace returns the command that a person would type for the step. It is
// printed as `[#] ...` before the step is carried out, as wg-quick does.
func (s Step) Trace(c *Config) string {
	switch s.Kind {
	case Warn, RunHook:
		return s.Text
	case CreateLink:
		return c.Program + " " + c.Name
	case Configure:
		return "wg addconf " + c.Name + " <(wg-quick strip " + quote(c.Path) + ")"
	case AddAddress:
		return "ip " + familyFlag(s.Prefix) + " address add " + s.Prefix.String() + " dev " + c.Name
	case SetUp:
		return "ip link set mtu " + strconv.Itoa(s.MTU) + " up dev " + c.Name
	case AddRoute:
		return "ip " + familyFlag(s.Prefix) + " route add " + s.Prefix.String() + " dev " + c.Name
	case DeleteLink:
		return "ip link delete dev " + c.Name
	}
	panic(fmt.Sprintf("quick: step of unknown kind %d", s.Kind))
}

func familyFlag(p netip.Prefix) string {
	if p.Addr().Is4() {
		return "-4"
	}
	return "-6"
}

const plainCharacters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_=+.,/:@%-"

// quote makes a word safe for a shell, if it is not.
func quote(s string) string {
	if s != "" && strings.Trim(s, plainCharacters) == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
