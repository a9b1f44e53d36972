package bench

import (
	"context"
	"debug/buildinfo"
	"errors"
	"fmt"
	"net/netip"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/warrenvpn/warren/internal/cli"
	"github.com/warrenvpn/warren/internal/netlab"
	"github.com/warrenvpn/warren/key"
)

// contestant is a program under test.
type contestant struct {
	name    string // in results
	title   string // in tables
	version string
	// join makes a tunnel over hosts that are wired: two, or three of which the
	// last relays. nil leaves them as they are.
	join func(ctx context.Context, nodes []*node) error
	// alone starts the program on one host; nil if it cannot be.
	alone func(ctx context.Context, n *node) error
	// other marks what is not needed for any target.
	other bool
}

// node is a host that is being set up.
type node struct {
	*netlab.Host
	inner, outer netip.Addr
	key          key.Private
	said         output // of a daemon in the foreground
}

// The interface and the port of every tunnel.
const (
	link = "wg0"
	port = 51820
)

// patience is how long a program may take until it works.
const patience = 15 * time.Second

// network is what all tunnel addresses are in.
var network = netip.MustParsePrefix("10.9.0.0/24")

// wireguard is a program that is called as wireguard-go is.
type wireguard struct {
	argv []string // the interface's name follows
	wg   []string // the command that configures it
	mtu  int
}

// join starts the daemons and joins them: client and server to each other, or
// both to the relay.
func (w *wireguard) join(ctx context.Context, nodes []*node) error {
	for _, n := range nodes {
		if err := w.start(ctx, n); err != nil {
			return err
		}
	}
	client, server := nodes[0], nodes[1]
	if len(nodes) == 2 {
		return errors.Join(w.configure(ctx, client, network, server), w.configure(ctx, server, network, client))
	}
	relay := nodes[2]
	return errors.Join(w.configure(ctx, relay, netip.Prefix{}, client, server),
		w.configure(ctx, client, network, relay), w.configure(ctx, server, network, relay))
}

// start runs the daemon and sets its interface up.
func (w *wireguard) start(ctx context.Context, n *node) error {
	if _, err := n.Run(ctx, append(w.argv[:len(w.argv):len(w.argv)], link)...); err != nil {
		return err
	}
	// The reference's command returns before its socket answers.
	err := retry(ctx, patience, func() error {
		_, err := n.Run(ctx, append(w.wg[:len(w.wg):len(w.wg)], "show", link)...)
		return err
	})
	if err != nil {
		return err
	}
	return errors.Join(n.SetMTU(link, w.mtu), n.Address(link, netip.PrefixFrom(n.inner, network.Bits())), n.SetLink(link, true))
}

// configure sets the key and the peers. One peer gets the prefix; if that is
// none, each gets its own address.
func (w *wireguard) configure(ctx context.Context, n *node, prefix netip.Prefix, peers ...*node) error {
	var b strings.Builder
	fmt.Fprintf(&b, "[Interface]\nPrivateKey = %s\nListenPort = %d\n", n.key.Reveal(), port)
	for _, p := range peers {
		allowed := prefix
		if !allowed.IsValid() {
			allowed = netip.PrefixFrom(p.inner, p.inner.BitLen())
		}
		fmt.Fprintf(&b, "[Peer]\nPublicKey = %s\nAllowedIPs = %s\nEndpoint = %s\n",
			p.key.Public(), allowed, netip.AddrPortFrom(p.outer, port))
	}
	const file = "/run/wg0.conf"
	if err := n.WriteFile(file, []byte(b.String()), 0o600); err != nil {
		return err
	}
	_, err := n.Run(ctx, append(w.wg[:len(w.wg):len(w.wg)], "setconf", link, file)...)
	return err
}

// retry calls f until it succeeds.
func retry(ctx context.Context, patience time.Duration, f func() error) error {
	for end := time.Now().Add(patience); ; {
		err := f()
		if err == nil || ctx.Err() != nil || time.Now().After(end) {
			return err
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// enlist returns who takes part, ourselves first.
func (o *options) enlist() ([]*contestant, error) {
	wg := []string{o.self, "wg"}
	mine := &wireguard{argv: append([]string{o.self, "device"}, o.tuning()...), wg: wg, mtu: o.mtu}
	all := []*contestant{{name: ours, title: ours, version: o.version, join: mine.join, alone: mine.start}}
	c, err := o.findReference()
	if err != nil {
		return nil, err
	}
	if c != nil {
		all = append(all, c)
	}
	if o.limit != "" {
		path, err := program("--limit", o.limit)
		if err != nil {
			return nil, err
		}
		w := &wireguard{argv: append([]string{path}, o.tuning()...), wg: wg, mtu: o.mtu}
		all = append(all, &contestant{name: limit, title: "no cipher", version: "this version", join: w.join})
	}
	return append(all, &contestant{name: bare, title: "no tunnel"}), nil
}

// tuning is the options of our daemons.
func (o *options) tuning() []string {
	options := strings.Fields(o.ours)
	if o.lanes != 0 {
		options = append(options, "--lanes", strconv.Itoa(o.lanes))
	}
	return options
}

// selfPath is what programs of this module have in their build information.
const selfPath = "github.com/warrenvpn/warren"

// findReference returns the program to compare with: the one that was named,
// or a wireguard-go in PATH that is not this program by another name. It
// returns nil if there is none.
func (o *options) findReference() (*contestant, error) {
	argv := strings.Fields(o.reference)
	if len(argv) == 0 {
		found, err := exec.LookPath("wireguard-go")
		if err != nil {
			return nil, nil
		}
		if name, _ := built(found); strings.HasPrefix(name, selfPath) {
			return nil, nil
		}
		argv = []string{found}
	}
	path, err := program("--reference", argv[0])
	if err != nil {
		return nil, err
	}
	w := &wireguard{argv: append([]string{path}, argv[1:]...), wg: []string{o.self, "wg"}, mtu: o.mtu}
	c := &contestant{name: reference, title: filepath.Base(path), join: w.join, alone: w.start}
	var name string
	if name, c.version = built(path); strings.HasPrefix(name, selfPath) {
		w.argv = slices.Insert(w.argv, 1, "device") // an earlier build of this program
		c.title = "the other warren"
	}
	return c, nil
}

// built returns the path of the main package that a program was built from, and
// the version of its module, if it is a Go program that says so.
func built(path string) (name, version string) {
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		return "", "of unknown version"
	}
	return info.Path, info.Main.Version
}

// program returns the absolute path of a program that a flag names.
func program(flag, path string) (string, error) {
	found, err := exec.LookPath(path)
	if err == nil {
		found, err = filepath.Abs(found)
	}
	if err != nil {
		return "", cli.WithHint(fmt.Errorf("%s: %w", flag, err), "`make bench` builds all it needs")
	}
	return found, nil
}
