package quick

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/warrenvpn/warren/conf"
)

// Config is a tunnel as its file describes it.
type Config struct {
	Name    string // of the interface
	Path    string // of the file, as the user gave it
	File    string // what that leads to, through links; empty: it is gone
	Program string // makes an interface in user space, for traces: "warren device"
	// Compat makes the plan and its traces those of wg-quick(8), to the letter.
	Compat bool
	Plane  Plane // in which the interface is to be
	NoIPv6 bool  // no routes for IPv6

	Addresses    []At[netip.Prefix] // with host bits
	AddressTexts []string           // as the file has them
	DNS          []At[string]       // servers and search domains
	Servers      []netip.Addr       // those of DNS that are addresses
	Search       []string           // and those that are domains
	MTU          At[int]            // 0: to be chosen
	Table        At[string]         // "": auto
	SaveConfig   At[bool]

	PreUp, PostUp, PreDown, PostDown []At[string] // as written, with %i

	// Device is what the file says to wg. Endpoints are not resolved.
	Device conf.Change
	// These are in Device too; here is where they came from.
	ListenPort At[uint16]
	FwMark     At[uint32]
	AllowedIPs []At[netip.Prefix]
	Endpoints  []At[conf.Endpoint]
}

// Plane is where an interface lives.
type Plane uint8

// The planes. Automatic is the kernel where it has WireGuard, else the user's.
const (
	Automatic Plane = iota
	Kernel
	User
)

// ParsePlane reads the name of a plane: auto, kernel or user.
func ParsePlane(s string) (Plane, error) {
	switch s {
	case "auto", "":
		return Automatic, nil
	case "kernel":
		return Kernel, nil
	case "user":
		return User, nil
	}
	return Automatic, fmt.Errorf("%q is no plane, want kernel, user or auto", s)
}

// At is a value and the line of the file it stands in, counted from 1.
type At[T any] struct {
	Value T
	Line  int
}

// Problem is a reason why a plan cannot be made, in words for a user.
type Problem struct {
	Path string // of the file; empty: it is not about a file
	Line int    // 0: about the file as a whole
	Key  string // of the line
	Text string // what is wrong and what was expected
	Hint string // the way out, where one is known
	Err  error  // the cause, where there is one; Text says it already
}

// Error returns the problem without the hint: where, which key, what.
func (p *Problem) Error() string {
	var b strings.Builder
	if p.Path != "" {
		b.WriteString(p.Path)
		if p.Line > 0 {
			fmt.Fprintf(&b, ":%d", p.Line)
		}
		b.WriteString(": ")
	}
	if p.Key != "" {
		b.WriteString(p.Key + ": ")
	}
	b.WriteString(p.Text)
	return b.String()
}

// Unwrap returns the cause.
func (p *Problem) Unwrap() error { return p.Err }

// Hints returns what the user can do about it.
func (p *Problem) Hints() []string {
	if p.Hint == "" {
		return nil
	}
	return []string{p.Hint}
}

// Failed says which line of the file asked for the step that failed with err.
func (c *Config) Failed(s Step, err error) error {
	var p *Problem
	if s.Line == 0 || errors.As(err, &p) && p.Path != "" {
		return err
	}
	text := strings.TrimPrefix(err.Error(), s.Key+": ") // some errors name the key themselves
	failed := Problem{Path: c.Path, Line: s.Line, Key: s.Key, Text: text, Err: err}
	if p != nil {
		failed.Hint = p.Hint
	}
	return &failed
}

func (c *Config) problem(key string, line int, hint, format string, args ...any) *Problem {
	return &Problem{Path: c.Path, Line: line, Key: key, Text: fmt.Sprintf(format, args...), Hint: hint}
}

// EndpointLine returns the line in which an endpoint, in its text form, stands
// first; 0 if it stands nowhere.
func (c *Config) EndpointLine(text string) int {
	for _, e := range c.Endpoints {
		if e.Value.Text() == text {
			return e.Line
		}
	}
	return 0
}

// routed reports whether routes are to follow from allowed IPs.
func (c *Config) routed() bool { return c.Table.Value != "off" }

// ipv6 reports whether the tunnel itself carries IPv6.
func (c *Config) ipv6(f Facts) bool {
	return slices.ContainsFunc(c.Addresses, func(a At[netip.Prefix]) bool { return a.Value.Addr().Is6() }) ||
		slices.ContainsFunc(f.AllowedIPs, func(p netip.Prefix) bool { return p.Addr().Is6() })
}

// automatic reports whether routes go where wg-quick thinks best.
func (c *Config) automatic() bool { return c.Table.Value == "" || c.Table.Value == "auto" }

// hooks returns steps for the hooks of one key. Every %i is the interface.
func (c *Config) hooks(key string, commands []At[string]) []Step {
	steps := make([]Step, len(commands))
	for i, h := range commands {
		steps[i] = Step{Kind: RunHook, Text: strings.ReplaceAll(h.Value, "%i", c.Name), Key: key, Line: h.Line}
	}
	return steps
}

// Hooks returns steps for the hooks of a key: PostDown.
func (c *Config) Hooks(key string) []Step { return c.hooks(key, c.commands(key)) }

// Commands returns the hooks of a key as they are written.
func (c *Config) Commands(key string) []string {
	var all []string
	for _, h := range c.commands(key) {
		all = append(all, h.Value)
	}
	return all
}

func (c *Config) commands(key string) []At[string] {
	switch key {
	case "PreUp":
		return c.PreUp
	case "PostUp":
		return c.PostUp
	case "PreDown":
		return c.PreDown
	case "PostDown":
		return c.PostDown
	}
	return nil
}
