package tunnel

import (
	"context"
	"errors"
	"os/exec"
	"strings"

	"github.com/warrenvpn/warren/internal/quick"
	"github.com/warrenvpn/warren/internal/resolver"
)

// wantsDNS reports whether the file has anything for the resolver. Search
// domains alone are nothing to wg-quick.
func wantsDNS(c *quick.Config) bool {
	return len(c.Servers) > 0 || len(c.Search) > 0 && !c.Compat
}

func (h *host) environment() resolver.Environment {
	return resolver.Environment{
		Path: strings.Join(searchDirs(), ":"),
		Warn: func(text, hint string) { h.tell(quick.Step{Kind: quick.Warn, Text: text, Hint: hint}) },
	}
}

// settings are what the file asks for.
func (h *host) settings(c *quick.Config) resolver.Settings {
	index, _, _ := h.net.Index(c.Name)
	return resolver.Settings{Interface: c.Name, Index: index, Servers: c.Servers, Domains: c.Search}
}

// dnsFacts chooses the way in which the resolver is set.
func (h *host) dnsFacts(ctx context.Context, c *quick.Config) (quick.DNS, error) {
	if !wantsDNS(c) {
		return quick.DNS{}, nil
	}
	var err error
	if h.dns, _, err = resolver.Choose(ctx, h.environment()); err != nil {
		return quick.DNS{}, err
	}
	return quick.DNS{
		Set:   strings.Join(h.dns.Trace(h.settings(c)), "\n"),
		Unset: strings.Join(h.dns.Untrace(c.Name), "\n"),
	}, nil
}

// find returns the way in which it was set.
func (h *host) findDNS(ctx context.Context, name string) (resolver.Backend, error) {
	if h.dns != nil {
		return h.dns, nil
	}
	return resolver.Find(ctx, h.environment(), name)
}

func (h *host) dnsUnset(ctx context.Context, c *quick.Config) (string, error) {
	if !wantsDNS(c) {
		return "", nil
	}
	b, err := h.findDNS(ctx, c.Name)
	if err != nil {
		return "", err
	}
	return strings.Join(b.Untrace(c.Name), "\n"), nil
}

func (h *host) setDNS(ctx context.Context, c *quick.Config) error {
	return exited(h.dns.Set(ctx, h.settings(c)))
}

func (h *host) unsetDNS(ctx context.Context, c *quick.Config) error {
	b, err := h.findDNS(ctx, c.Name)
	if err != nil {
		return err
	}
	return exited(b.Unset(ctx, c.Name))
}

// exited gives the failure of a program its status.
func exited(err error) error {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return &StatusError{Status: exit.ExitCode(), Err: err}
	}
	return err
}
