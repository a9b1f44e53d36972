package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/warrenvpn/warren/internal/cli"
)

// alternative is what a user might pick instead. Each is configured as its
// manual advises for speed: over UDP, encrypted, in user space as ours is.
type alternative struct {
	name     string
	programs []string // the first is the daemon
	get      string   // how to get them
	version  []string // arguments that make the daemon print it
	join     func(o *options, paths []string) func(context.Context, []*node) error
}

var alternatives = []alternative{
	{"boringtun", []string{"boringtun-cli"}, "cargo install boringtun-cli", []string{"--version"}, joinBoringTun},
	{"gotatun", []string{"gotatun"}, "cargo install gotatun-cli", []string{"--version"}, joinGotaTun},
	{"openvpn", []string{"openvpn"}, "apt install openvpn", []string{"--version"}, joinOpenVPN},
	{"tinc", []string{"tincd"}, "apt install tinc", []string{"--version"}, joinTinc},
	{"nebula", []string{"nebula", "nebula-cert"}, "apt install nebula", []string{"-version"}, joinNebula},
}

func alternativeNames() (names []string) {
	for _, a := range alternatives {
		names = append(names, a.name)
	}
	return names
}

func (o *options) checkAlternatives() error {
	for _, name := range o.with {
		if !slices.Contains(alternativeNames(), name) {
			return cli.WithHint(fmt.Errorf("--with %s: there is none of this name", name),
				"there is "+strings.Join(alternativeNames(), ", "))
		}
	}
	return nil
}

// addAlternatives enlists those that were asked for and are here.
func (s *suite) addAlternatives(ctx context.Context) {
	for _, a := range alternatives {
		if !slices.Contains(s.with, a.name) {
			continue
		}
		c, err := a.enlist(ctx, s.options)
		if err != nil {
			s.fail(a.name, "all rows", err)
			continue
		}
		s.contestants = append(s.contestants, c)
	}
}

// enlist finds the programs.
func (a *alternative) enlist(ctx context.Context, o *options) (*contestant, error) {
	var paths []string
	for _, p := range a.programs {
		path, err := exec.LookPath(p)
		if err != nil {
			return nil, fmt.Errorf("no %s in PATH (%s)", p, a.get)
		}
		paths = append(paths, path)
	}
	// Some say their version with exit status 1.
	out, _ := exec.CommandContext(ctx, paths[0], a.version...).CombinedOutput()
	return &contestant{
		name: a.name, title: a.name, version: versionIn(string(out)), join: a.join(o, paths), other: true,
	}, nil
}

var versionNumber = regexp.MustCompile(`\d+\.\d+(\.\d+)*`)

// versionIn finds a version in what a program prints about itself.
func versionIn(text string) string {
	if v := versionNumber.FindString(text); v != "" {
		return v
	}
	return "of unknown version"
}

// output keeps the beginning of what a daemon prints.
type output struct {
	mu   sync.Mutex // guards the field below
	text bytes.Buffer
}

// Write never fails.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.text.Len() < 4096 {
		o.text.Write(p)
	}
	return len(p), nil
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return strings.TrimSpace(o.text.String())
}

// run starts a daemon that stays in the foreground; it ends with the host.
func (n *node) run(ctx context.Context, argv ...string) error {
	cmd := n.Command(context.WithoutCancel(ctx), argv...)
	cmd.Stdout, cmd.Stderr = &n.said, &n.said
	if err := n.Start(cmd); err != nil {
		return err
	}
	go func() { _ = cmd.Wait() }()
	return nil
}

// bringUp waits for the interface of a daemon and sets it up.
func (n *node) bringUp(ctx context.Context, mtu int) error {
	err := retry(ctx, patience, func() error { return n.SetMTU(link, mtu) })
	if err != nil {
		return err
	}
	return errors.Join(n.Address(link, netip.PrefixFrom(n.inner, network.Bits())), n.SetLink(link, true))
}

func joinBoringTun(o *options, paths []string) func(context.Context, []*node) error {
	argv := []string{paths[0], "--disable-drop-privileges", "--verbosity", "error", "--log", "/run/daemon.log"}
	return (&wireguard{argv: argv, wg: []string{o.self, "wg"}, mtu: o.mtu}).join
}

func joinGotaTun(o *options, paths []string) func(context.Context, []*node) error {
	argv := []string{paths[0], "--disable-drop-privileges", "--verbosity", "error", "--log", "/run/daemon.log"}
	return (&wireguard{argv: argv, wg: []string{o.self, "wg"}, mtu: o.mtu}).join
}
