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
	Program string // makes the interface, for traces: "warren device"

	Addresses  []At[netip.Prefix] // with host bits
	DNS        []At[string]       // servers and search domains
	MTU        At[int]            // 0: to be chosen
	Table      At[string]         // "": auto
	SaveConfig At[bool]

	PreUp, PostUp, PreDown, PostDown []At[string] // as written, with %i

	// Device is what the file says to wg. Endpoints are not resolved.
	Device conf.Change
	// These are in Device too; here is where they came from.
	ListenPort At[uint16]
	FwMark     At[uint32]
	AllowedIPs []At[netip.Prefix]
	Endpoints  []At[conf.Endpoint]
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
	failed := Problem{Path: c.Path, Line: s.Line, Key: s.Key, Text: err.Error(), Err: err}
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

// hooks returns steps for the hooks of one key. Every %i is the interface.
func (c *Config) hooks(key string, commands []At[string]) []Step {
	steps := make([]Step, len(commands))
	for i, h := range commands {
		steps[i] = Step{Kind: RunHook, Text: strings.ReplaceAll(h.Value, "%i", c.Name), Key: key, Line: h.Line}
	}
	return steps
}
