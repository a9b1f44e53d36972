package resolver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
)

// Settings is what one tunnel wants of the resolver.
type Settings struct {
	Interface string
	Index     int          // of the interface; needed by systemd-resolved
	Servers   []netip.Addr // none: the servers in force stay, Domains come first
	Domains   []string     // searched; one with a leading ~ is routed and not searched
}

// Backend is one way of setting the host's resolver.
type Backend interface {
	// Name is "resolvconf", "systemd-resolved" or "resolv.conf".
	Name() string
	// Trace returns the commands that a person would type for Set, one a line,
	// to be printed as `[#] ...` before it is called.
	Trace(Settings) []string
	// Untrace returns those for Unset.
	Untrace(iface string) []string
	// Set puts s in force, in place of what was set for the same interface
	// before. What it did before it failed is undone. The error of a resolvconf
	// that failed wraps an *exec.ExitError.
	Set(ctx context.Context, s Settings) error
	// Unset takes back what Set did. It is no error if nothing was set. The
	// interface may be gone.
	Unset(ctx context.Context, iface string) error
	// Servers returns what is set for an interface, servers and domains.
	Servers(ctx context.Context, iface string) ([]netip.Addr, []string, error)
}

// Environment is where the resolver of a host is found. The zero value is this
// host.
type Environment struct {
	// Root is put before every path; empty: none. Programs are not looked for
	// below it.
	Root string
	// Path lists the directories that resolvconf is looked for in; empty: $PATH.
	Path string
	// Bus is the D-Bus address of systemd-resolved; empty: the system bus.
	Bus string
	// Stdout and Stderr are those of resolvconf; nil: this process's.
	Stdout, Stderr io.Writer
	// Warn is told what the user should know although it is no failure, and
	// what to do about it, if anything. nil: nobody is.
	Warn func(text, hint string)
	// LinkExists says whether an interface is still there. What is set for one
	// that is not is undone. nil: the kernel is asked.
	LinkExists func(name string) bool

	// crash is set by tests to end the process, or to seem to, before a step
	// that changes something.
	crash func(step string) error
}

// Choose returns the back-end for setting the resolver of this host, and why it
// is this one, in words for the user.
func Choose(ctx context.Context, env Environment) (Backend, string, error) {
	if err := supported(); err != nil {
		return nil, "", err
	}
	if program := env.lookPath("resolvconf"); program != "" {
		return &resolvconf{env: env, program: program}, program + " is there", nil
	}
	b, why := chooseNative(ctx, env)
	return b, "there is no resolvconf in PATH, and " + why, nil
}

// Find returns the back-end that has set the resolver for an interface. If none
// remembers that, it is the one that Choose returns.
func Find(ctx context.Context, env Environment, iface string) (Backend, error) {
	if err := supported(); err != nil {
		return nil, err
	}
	if b := holder(env, iface); b != nil {
		return b, nil
	}
	b, _, err := Choose(ctx, env)
	return b, err
}

// holder returns the native back-end whose records name an interface, or nil.
func holder(env Environment, iface string) Backend {
	f, r := &file{env: env}, &resolved{env: env}
	switch {
	case f.holds(iface):
		return f
	case r.holds(iface):
		return r
	}
	return nil
}

// chooseNative chooses among the back-ends that need no program.
func chooseNative(ctx context.Context, env Environment) (Backend, string) {
	r := &resolved{env: env}
	switch ok, err := r.usable(ctx); {
	case !ok:
		return &file{env: env}, "systemd-resolved is not in use: /etc/resolv.conf is managed"
	case err != nil:
		return &file{env: env}, fmt.Sprintf("systemd-resolved does not answer (%v): /etc/resolv.conf is managed", err)
	}
	return r, "systemd-resolved is in use"
}

// check refuses what could be read as something else by any back-end.
func (s Settings) check() error {
	if !isWord(s.Interface) || strings.ContainsAny(s.Interface, "/") || strings.HasPrefix(s.Interface, "-") {
		return fmt.Errorf("DNS: %q is no name of an interface", s.Interface)
	}
	for _, a := range s.Servers {
		if !a.IsValid() || !isWord(a.String()) {
			return fmt.Errorf("DNS: server %q: want an address", a)
		}
	}
	for _, d := range s.Domains {
		if name := strings.TrimPrefix(d, "~"); name == "" || !isWord(name) {
			return fmt.Errorf("DNS: search domain %q: want one word of printable characters", d)
		}
	}
	if len(s.Servers) == 0 && len(s.Domains) == 0 {
		return errors.New("DNS: neither a server nor a search domain to set")
	}
	return nil
}

// isWord reports whether s can stand between spaces in a line of a resolv.conf
// and be read back.
func isWord(s string) bool {
	for _, c := range []byte(s) {
		if c <= ' ' || c == 0x7f || c == '#' || c == ';' {
			return false
		}
	}
	return s != ""
}

// path returns where a path of the host is found.
func (e Environment) path(p string) string {
	if e.Root == "" {
		return p
	}
	return filepath.Join(e.Root, p)
}

// lookPath returns the path of a program, or nothing. Unlike exec.LookPath it
// does not look into the working directory, wherever PATH says so.
func (e Environment) lookPath(name string) string {
	list := e.Path
	if list == "" {
		list = os.Getenv("PATH")
	}
	for _, dir := range filepath.SplitList(list) {
		if !filepath.IsAbs(dir) {
			continue
		}
		p := filepath.Join(dir, name)
		if info, err := os.Stat(p); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return p
		}
	}
	return ""
}

func (e Environment) warn(hint, format string, args ...any) {
	if e.Warn != nil {
		e.Warn(fmt.Sprintf(format, args...), hint)
	}
}

func (e Environment) linkExists(name string) bool {
	if e.LinkExists != nil {
		return e.LinkExists(name)
	}
	_, err := net.InterfaceByName(name)
	return err == nil
}

// step is called before anything is changed.
func (e Environment) step(name string) error {
	if e.crash != nil {
		return e.crash(name)
	}
	return nil
}
