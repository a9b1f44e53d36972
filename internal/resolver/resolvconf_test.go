//go:build linux

package resolver

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// fake is a resolvconf that writes down what it is called with.
type fake struct {
	host    *host
	program string
	backend Backend
	stderr  bytes.Buffer
}

// newFake puts a resolvconf into the host's PATH. script is what it does after
// writing down its words and its input.
func newFake(t *testing.T, h *host, script string) *fake {
	t.Helper()
	f := &fake{host: h, program: filepath.Join(h.env.Path, "resolvconf")}
	text := "#!/bin/sh\n{ echo \"$*\"; [ \"$1\" != -a ] || cat; } >>'" + f.log() + "'\n" + script + "\n"
	must(t, os.WriteFile(f.program, []byte(text), 0o755))
	h.env.Stdout, h.env.Stderr = io.Discard, &f.stderr
	b, why, err := Choose(t.Context(), h.env)
	if err != nil || b.Name() != "resolvconf" || !strings.Contains(why, f.program) {
		t.Fatalf("chosen: %v, %q, %v; want %s", b, why, err, f.program)
	}
	f.backend = b
	return f
}

func (f *fake) log() string { return filepath.Join(f.host.env.Path, "log") }

// called returns what it was called with since the last time.
func (f *fake) called() string {
	text, _ := os.ReadFile(f.log())
	_ = os.Remove(f.log())
	return string(text)
}

func TestResolvconfIsCalledAsTheOriginalDoes(t *testing.T) {
	for _, c := range []struct {
		name, order string
		link        bool
		want        string // the name of the record
	}{
		{"openresolv", "", false, "wg0"},
		{"Debian's", "lo*\ntun*\n", false, "lo.wg0"},
		{"Debian's files, but systemd's program", "tun*\n", true, "wg0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHost(t)
			f := newFake(t, h, "echo something >&2")
			if c.order != "" {
				must(t, os.Mkdir(h.env.path("/etc/resolvconf"), 0o755))
				h.write("/etc/resolvconf/interface-order", c.order)
			}
			if c.link {
				must(t, os.Rename(f.program, f.program+"ctl"))
				must(t, os.Symlink("resolvconfctl", f.program))
			}
			s := wg(0)
			must(t, f.backend.Set(t.Context(), s))
			if got, want := f.called(), "-a "+c.want+" -m 0 -x\n"+input(s); got != want {
				t.Errorf("called with %q, want %q", got, want)
			}
			must(t, f.backend.Unset(t.Context(), "wg0"))
			if got, want := f.called(), "-d "+c.want+" -f\n"; got != want {
				t.Errorf("called with %q, want %q", got, want)
			}
			if got := f.backend.Trace(s); !slices.Equal(got, []string{"resolvconf -a " + c.want + " -m 0 -x"}) {
				t.Errorf("trace %q", got)
			}
			if got := f.backend.Untrace("wg0"); !slices.Equal(got, []string{"resolvconf -d " + c.want + " -f"}) {
				t.Errorf("untrace %q", got)
			}
			if got := f.stderr.String(); got != "something\nsomething\n" {
				t.Errorf("standard error %q, want it passed on", got)
			}
			if _, err := os.Lstat(h.env.path(stateFolder)); err == nil {
				t.Error("a record was made, which wg-quick would not remove")
			}
		})
	}
}

// Q4: exclusive and without servers, the host would have none.
func TestDomainsAloneAreNotExclusive(t *testing.T) {
	f := newFake(t, newHost(t), "")
	must(t, f.backend.Set(t.Context(), Settings{Interface: "wg0", Domains: []string{"corp.example"}}))
	if got, want := f.called(), "-a wg0 -m 0\nsearch corp.example\n"; got != want {
		t.Errorf("called with %q, want %q", got, want)
	}
}

// Q24: any other failure is the caller's to report, with its status.
func TestFailureOfResolvconfIsReported(t *testing.T) {
	h := newHost(t)
	originals["a file"](h)
	before := h.print()
	f := newFake(t, h, "echo resolvconf: no lock >&2; exit 7")
	err := f.backend.Set(t.Context(), wg(0))
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 7 {
		t.Errorf("error %v, want status 7", err)
	}
	if got := f.called(); strings.Count(got, "-d") != 0 {
		t.Errorf("called with %q, want nothing taken back", got)
	}
	if err := f.backend.Unset(t.Context(), "wg0"); !errors.As(err, &exit) {
		t.Errorf("error %v, want status 7", err)
	}
	if after := h.print(); after != before || len(h.said) > 0 {
		t.Errorf("after\n%s and %q, want\n%s", after, h.said, before)
	}
}

// compat 7, Q2: openresolv refuses a file that it did not write.
func TestRefusalOfResolvconfLeadsToTheNextBackend(t *testing.T) {
	const refusal = "echo 'resolvconf: signature mismatch: /etc/resolv.conf' >&2; exit 1"
	h := newHost(t)
	originals["a file"](h)
	before := h.print()
	f := newFake(t, h, refusal)
	must(t, f.backend.Set(t.Context(), wg(0)))
	h.inForce(0)
	if got, want := f.called(), "-a wg0 -m 0 -x\n"+input(wg(0))+"-d wg0 -f\n"; got != want {
		t.Errorf("called with %q, want %q", got, want)
	}
	if got := f.stderr.String(); strings.Count(got, "\n") != 1 {
		t.Errorf("standard error %q, want the refusal once", got)
	}
	if len(h.said) != 1 || !strings.Contains(h.said[0], "refuses") {
		t.Errorf("warned %q, want once about the refusal", h.said)
	}
	b, err := Find(t.Context(), h.env, "wg0")
	must(t, err)
	must(t, b.Unset(t.Context(), "wg0"))
	if after := h.print(); after != before {
		t.Errorf("after\n%s, want\n%s", after, before)
	}
	if got := f.called(); got != "" {
		t.Errorf("called with %q, want nothing: it has nothing to take back", got)
	}

	// It says so, but has changed the file: that cannot be told safely.
	f = newFake(t, h, "echo x >>'"+h.env.path(resolvConf)+"'\n"+refusal)
	var exit *exec.ExitError
	if err := f.backend.Set(t.Context(), wg(0)); !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Errorf("error %v, want status 1", err)
	}
}

func TestServersAreReadForSaving(t *testing.T) {
	const mine, all = "nameserver 10.0.0.1\nnameserver fd00::1\nsearch corp.example\n", "nameserver 192.0.2.1\n"
	for name, debian := range map[string]bool{"openresolv": false, "Debian's, which lists all": true} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t)
			answer, want := mine, "-l wg0\n"
			if debian {
				answer, want = all+mine, ""
				must(t, os.MkdirAll(h.env.path("/etc/resolvconf/run/interface"), 0o755))
				h.write("/etc/resolvconf/interface-order", "tun*\n")
				h.write("/etc/resolvconf/run/interface/tun.wg0", mine)
			}
			f := newFake(t, h, `[ "$1" != -l ] || printf '`+answer+`'`)
			servers, domains, err := f.backend.Servers(t.Context(), "wg0")
			if err != nil || !slices.Equal(servers, addresses("10.0.0.1", "fd00::1")) || !slices.Equal(domains, []string{"corp.example"}) {
				t.Errorf("servers %v, domains %q, %v", servers, domains, err)
			}
			if got := f.called(); got != want {
				t.Errorf("called with %q, want %q", got, want)
			}
		})
	}
	f := newFake(t, newHost(t), "exit 1")
	if servers, domains, err := f.backend.Servers(t.Context(), "wg0"); servers != nil || domains != nil || err != nil {
		t.Errorf("of an unknown interface: %v, %q, %v; want nothing", servers, domains, err)
	}
}
