package resolver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"time"
)

// resolvconf calls the program of that name with the words and the input that
// wg-quick has for it: any of openresolv, Debian's, and systemd's link.
// Nothing is remembered here, so that wg-quick can take down what this set.
type resolvconf struct {
	env     Environment
	program string
}

func (r *resolvconf) Name() string { return "resolvconf" }

func (r *resolvconf) Trace(s Settings) []string {
	return []string{"resolvconf " + strings.Join(r.addWords(s), " ")}
}

func (r *resolvconf) Untrace(iface string) []string {
	return []string{"resolvconf " + strings.Join(r.deleteWords(iface), " ")}
}

// compat 2: metric 0, exclusive. wg-quick does nothing at all without a
// server; exclusive, that would leave the host without any.
func (r *resolvconf) addWords(s Settings) []string {
	words := []string{"-a", r.prefix() + s.Interface, "-m", "0"}
	if len(s.Servers) > 0 {
		words = append(words, "-x")
	}
	return words
}

func (r *resolvconf) deleteWords(iface string) []string {
	return []string{"-d", r.prefix() + iface, "-f"}
}

// prefix returns what makes Debian's resolvconf sort the tunnel first. compat
// 2.5: its own file must be there, and the program must be no link to another.
func (r *resolvconf) prefix() string {
	if info, err := os.Lstat(r.program); err != nil || info.Mode()&os.ModeSymlink != 0 {
		return ""
	}
	name := r.env.path("/etc/resolvconf/interface-order")
	if info, err := os.Stat(name); err != nil || !info.Mode().IsRegular() {
		return ""
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return ""
	}
	return orderPrefix(text)
}

func (r *resolvconf) Set(ctx context.Context, s Settings) error {
	if err := s.check(); err != nil {
		return err
	}
	target := r.env.path(resolvConf)
	before, errBefore := os.ReadFile(target)
	said, err := r.run(ctx, input(s), r.addWords(s)...)
	if err == nil {
		return nil
	}
	// compat 7, Q2. The message alone would be no proof that nothing was
	// changed: the file must be the same too.
	after, errAfter := os.ReadFile(target)
	untouched := (errBefore == nil) == (errAfter == nil) && bytes.Equal(before, after)
	if !untouched || !bytes.Contains(said, []byte("signature mismatch")) {
		return err
	}
	b, why := chooseNative(ctx, r.env)
	r.env.warn("", "DNS: %s refuses a %s that it did not write; set without it: %s", r.program, resolvConf, why)
	// What it noted before it refused would come into force with its next
	// change. It refuses again, and has forgotten the tunnel by then.
	quiet := &resolvconf{env: r.env, program: r.program}
	quiet.env.Stdout, quiet.env.Stderr = io.Discard, io.Discard
	_, _ = quiet.run(ctx, "", r.deleteWords(s.Interface)...)
	return b.Set(ctx, s)
}

func (r *resolvconf) Unset(ctx context.Context, iface string) error {
	if b := holder(r.env, iface); b != nil {
		return b.Unset(ctx, iface)
	}
	_, err := r.run(ctx, "", r.deleteWords(iface)...)
	return err
}

func (r *resolvconf) Servers(ctx context.Context, iface string) ([]netip.Addr, []string, error) {
	if b := holder(r.env, iface); b != nil {
		return b.Servers(ctx, iface)
	}
	// wg-quick asks `resolvconf -l` first. Debian's answers that with the records
	// of all interfaces, or knows no such option: its file has the tunnel's own.
	name := r.prefix() + iface
	text, err := os.ReadFile(r.env.path("/etc/resolvconf/run/interface/" + name))
	if err != nil {
		text, err = exec.CommandContext(ctx, r.program, "-l", name).Output()
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return nil, nil, nil // it knows nothing of the interface
	}
	c := parse(text)
	return c.addresses(), c.search, err
}

// run runs the program and returns what it said on standard error, which is
// passed on too.
func (r *resolvconf) run(ctx context.Context, stdin string, words ...string) ([]byte, error) {
	if err := r.env.step("resolvconf " + words[0]); err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, r.program, words...)
	// It is not killed halfway, and what it left in the background does not
	// keep us by holding the output open.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	cmd.Stdin, cmd.Stdout = strings.NewReader(stdin), r.env.Stdout
	if cmd.Stdout == nil {
		cmd.Stdout = os.Stdout
	}
	stderr := r.env.Stderr
	if stderr == nil {
		stderr = os.Stderr
	}
	var said bytes.Buffer
	cmd.Stderr = io.MultiWriter(stderr, &said)
	err := cmd.Run()
	if errors.Is(err, exec.ErrWaitDelay) {
		err = nil // it ended well; something of it still runs
	}
	if err != nil {
		err = fmt.Errorf("DNS: %s %s: %w", r.program, strings.Join(words, " "), err)
	}
	return said.Bytes(), err
}
