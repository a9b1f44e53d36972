package quick

import (
	"fmt"
	"net/netip"
)

// Kind is what a step does.
type Kind uint8

// The kinds of step. Journals on disk name them by their texts, see kinds.
const (
	Warn           Kind = iota + 1 // tell the user Text; changes nothing
	Note                           // tell the user Text, which is nothing to worry about
	Say                            // repeat Text as another program would print it
	CreateLink                     // make an interface of the kernel's
	CreateDevice                   // make one in user space, and its control socket
	RunHook                        // run Text in a shell
	Configure                      // merge keys, port and peers into the device
	AddAddress                     // give the interface Prefix
	SetUp                          // set the MTU and bring the interface up
	SetDNS                         // let names be looked up through the tunnel
	SetMark                        // mark the packets of the tunnel with Mark
	AddRule                        // add Rule
	AddRoute                       // send Prefix through the interface, in Table if that is not 0
	SetSysctl                      // set Name to Value
	HoldSysctl                     // Name is at Value and has to stay so: record that
	AddFirewall                    // keep packets from outside from the tunnel's addresses
	Save                           // write the state of the interface to the file
	UnsetDNS                       // Undo of SetDNS
	RemoveFirewall                 // Undo of AddFirewall
	DeleteRule                     // Undo of AddRule
	RestoreSysctl                  // Undo of SetSysctl and HoldSysctl: Name had Value
	RemoveFile                     // Undo of Save: what an interrupted one left
	DeleteLink                     // remove the interface, and with it addresses and routes
)

var kinds = [...]string{
	Warn: "warn", Note: "note", Say: "say", CreateLink: "create-link", CreateDevice: "create-device", RunHook: "hook",
	Configure: "configure", AddAddress: "add-address", SetUp: "set-up", SetDNS: "set-dns", SetMark: "set-mark",
	AddRule: "add-rule", AddRoute: "add-route", SetSysctl: "set-sysctl", HoldSysctl: "hold-sysctl",
	AddFirewall: "add-firewall", Save: "save", UnsetDNS: "unset-dns", RemoveFirewall: "remove-firewall",
	DeleteRule: "delete-rule", RestoreSysctl: "restore-sysctl", RemoveFile: "remove-file", DeleteLink: "delete-link",
}

// String returns the name of the kind.
func (k Kind) String() string {
	if int(k) < len(kinds) && kinds[k] != "" {
		return kinds[k]
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// MarshalText writes the name of the kind.
func (k Kind) MarshalText() ([]byte, error) {
	if int(k) >= len(kinds) || kinds[k] == "" {
		return nil, fmt.Errorf("step of unknown kind %d", uint8(k))
	}
	return []byte(kinds[k]), nil
}

// UnmarshalText reads the name of a kind.
func (k *Kind) UnmarshalText(text []byte) error {
	for i, name := range kinds {
		if name != "" && name == string(text) {
			*k = Kind(i)
			return nil
		}
	}
	return fmt.Errorf("step of unknown kind %q", text)
}

// Step is one change of the host, for the interface of the plan. Steps are
// comparable, and keep their meaning when written as JSON.
type Step struct {
	Kind      Kind         `json:"kind"`
	Prefix    netip.Prefix `json:"prefix,omitzero"`     // AddAddress: with host bits; AddRoute: masked
	MTU       int          `json:"mtu,omitempty"`       // SetUp
	Mark      uint32       `json:"mark,omitempty"`      // SetMark, AddFirewall
	Family    int          `json:"family,omitempty"`    // AddFirewall: 4 or 6
	Rule      Rule         `json:"rule,omitzero"`       // AddRule, DeleteRule
	Table     uint32       `json:"table,omitempty"`     // AddRoute
	TableName string       `json:"tableName,omitempty"` // AddRoute: as the file has it
	Name      string       `json:"name,omitempty"`      // sysctl or file
	Value     string       `json:"value,omitempty"`     // of the sysctl
	Prior     string       `json:"prior,omitempty"`     // value of the sysctl before
	Index     int          `json:"index,omitempty"`     // DeleteLink: of the interface; 0: whichever has the name
	Text      string       `json:"text,omitempty"`      // RunHook: %i replaced already; Warn, Note, Say: one line; SetDNS, UnsetDNS: the command
	Hint      string       `json:"hint,omitempty"`      // Warn: what to do about it, or nothing
	Key       string       `json:"key,omitempty"`       // of the configuration that asks for it, if one does: PostUp
	Line      int          `json:"line,omitempty"`      // where it does; 0: nowhere
	Lenient   bool         `json:"lenient,omitempty"`   // a failure is told, and the plan goes on
}

// Rule is a rule of policy routing: packets without (Not) or with a mark, or
// all, are looked up in Table.
type Rule struct {
	Family   int    `json:"family"` // 4 or 6
	Priority uint32 `json:"priority"`
	Mark     uint32 `json:"mark,omitempty"`
	Not      bool   `json:"not,omitempty"`
	Table    uint32 `json:"table"`
	// SuppressDefault makes a look-up fail that finds only a default route.
	SuppressDefault bool `json:"suppressDefault,omitempty"`
	// Other says that the rule has parts that are not here.
	Other bool `json:"other,omitempty"`
}

// Announces reports whether s only tells something.
func (s Step) Announces() bool { return s.Kind == Warn || s.Kind == Note || s.Kind == Say }

// Undo returns the step that takes s back. There is none for what vanishes
// with the interface, and none for hooks: what they did is theirs to undo, in
// a PreDown or PostDown, which a failed up does not run.
func (s Step) Undo() (Step, bool) {
	switch s.Kind {
	case CreateLink, CreateDevice:
		return Step{Kind: DeleteLink, Index: s.Index}, true
	case SetDNS:
		return Step{Kind: UnsetDNS, Text: s.Value, Key: s.Key, Line: s.Line}, true
	case AddRule:
		return Step{Kind: DeleteRule, Rule: s.Rule}, true
	case SetSysctl, HoldSysctl:
		return Step{Kind: RestoreSysctl, Name: s.Name, Value: s.Prior}, true
	case AddFirewall:
		return Step{Kind: RemoveFirewall}, true
	case Save:
		return Step{Kind: RemoveFile, Name: s.Name}, true
	}
	return Step{}, false
}

// Undoes reports whether s takes another step back.
func (s Step) Undoes() bool { return s.Kind >= UnsetDNS }
