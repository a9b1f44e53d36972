//go:build linux && e2e

package complete

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/warrenvpn/warren/conf"
	"github.com/warrenvpn/warren/key"
	"github.com/warrenvpn/warren/uapi"
)

// This binary is asked through the shells themselves: bash and zsh at a
// terminal, with the keys that a user types, fish by its own `complete -C`.

// device is an interface that can only be looked at.
type device struct{ conf.Device }

func (d *device) Status() conf.Device     { return d.Device }
func (d *device) Apply(conf.Change) error { return nil }

// host is what shells find: two interfaces, one with two peers, configuration
// files, this binary in PATH and the completion scripts.
type host struct {
	dir   string // with bin/, scripts and files
	peers []string
	env   []string
}

func newHost(t *testing.T) *host {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("this test mounts and so needs root")
	}
	h := &host{dir: t.TempDir()}
	var d device
	for i := range 2 {
		var p key.Public
		p[0], p[31] = byte(i+1), 9
		d.Peers = append(d.Peers, conf.Peer{PublicKey: p})
		h.peers = append(h.peers, p.String())
	}
	serve(t, "tst0", &d)
	serve(t, "tst1", &device{})
	for path, text := range map[string]string{
		configDir + "/home.conf":                 "",
		configDir + "/office.conf":               "",
		configDir + "/notes.txt":                 "",
		filepath.Join(h.dir, "lab.conf"):         "",
		filepath.Join(h.dir, "keyfile"):          "",
		filepath.Join(h.dir, "sub", "deep.conf"): "",
		filepath.Join(h.dir, "sub", "deep.txt"):  "",
	} {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	build := exec.Command("go", "build", "-o", filepath.Join(h.dir, "bin", "warren"), "../../../cmd/warren")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	for _, p := range Programs {
		for _, shell := range Shells {
			text, err := Script(shell, p)
			if err != nil {
				t.Fatal(err)
			}
			name := map[string]string{"bash": p, "zsh": "_" + p, "fish": p + ".fish"}[shell]
			path := filepath.Join(h.dir, "scripts", shell, name)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	h.env = []string{
		"PATH=" + h.dir + "/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=" + h.dir, "TERM=dumb", "LC_ALL=C.UTF-8",
		"XDG_DATA_HOME=" + h.dir, "XDG_CONFIG_HOME=" + h.dir,
	}
	return h
}

func serve(t *testing.T, name string, d *device) {
	t.Helper()
	l, err := uapi.Listen(name)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- uapi.Serve(ctx, l, d) }()
	t.Cleanup(func() { cancel(); <-done })
}

// shown are lines, what a shell has to offer for each, and what it must not.
func (h *host) shown() []struct{ line, want, not string } {
	return []struct{ line, want, not string }{
		{"wg ", "show showconf set setconf addconf syncconf genkey genpsk pubkey help", ""},
		{"wg sho", "show showconf", "genkey"},
		{"wg show ", "tst0 tst1 all interfaces", "genkey"},
		{"wg show tst0 ", "public-key latest-handshakes transfer dump", "tst1"},
		{"wg set ", "tst0 tst1", "all"},
		{"wg set tst0 ", "listen-port fwmark private-key peer", "endpoint"},
		{"wg set tst0 private-key ./", "lab.conf keyfile sub", "fwmark"},
		{"wg set tst0 fwmark 1 ", "listen-port private-key peer", ""},
		{"wg set tst0 peer ", strings.Join(h.peers, " "), "remove"},
		{"wg set tst0 peer " + h.peers[0] + " ", "remove preshared-key endpoint persistent-keepalive allowed-ips peer", "listen-port"},
		{"wg set tst0 peer " + h.peers[0] + " endpoint 192.0.2.1:51820 ", "remove preshared-key persistent-keepalive allowed-ips peer", "listen-port"},
		{"wg set tst0 peer \"$(touch evaluated)\" ", "remove endpoint", ""},
		{"wg syncconf tst0 ", "lab.conf keyfile", "tst1"},
		{"wg-quick ", "up down save strip", ""},
		{"wg-quick up ", "home office ./lab.conf", "notes tst0"},
		{"wg-quick up sub/", "deep.conf", "deep.txt"},
		{"wg-quick down ", "tst0 tst1", "home office"},
		{"warren ", "up down wg device demo completion", ""},
		{"warren wg show ", "tst0 tst1 all interfaces", ""},
		{"warren up ", "home office ./lab.conf", "tst0"},
		{"warren down ", "tst0 tst1", "home"},
		{"warren demo --", "--keep --clean --json", ""},
		{"warren completion ", "bash zsh fish", ""},
		{"wireguard-go -", "--foreground --version", ""},
	}
}

func (h *host) compare(t *testing.T, line, got, want, not string) {
	t.Helper()
	for _, w := range strings.Fields(want) {
		if !strings.Contains(got, w) {
			t.Errorf("%q does not offer %s; shown:\n%s", line, w, got)
		}
	}
	for _, w := range strings.Fields(not) {
		if strings.Contains(strings.ReplaceAll(got, line, ""), w) {
			t.Errorf("%q offers %s; shown:\n%s", line, w, got)
		}
	}
	if _, err := os.Stat(filepath.Join(h.dir, "evaluated")); err == nil {
		t.Fatalf("%q: what was typed was carried out", line)
	}
}

// inserted are lines with one way on, as they are after TAB.
func (h *host) inserted() [][2]string {
	return [][2]string{
		{"wg showc", "wg showconf "},
		{"wg showconf tst0", "wg showconf tst0 "},
		{"wg show tst1 latest", "wg show tst1 latest-handshakes "},
		{"wg set tst0 peer " + h.peers[1][:4], "wg set tst0 peer " + h.peers[1] + " "},
		{"wg set tst0 peer " + h.peers[1], "wg set tst0 peer " + h.peers[1] + " "},
		{"wg set tst0 private-key ke", "wg set tst0 private-key keyfile "},
		{"wg-quick up ho", "wg-quick up home "},
		{"wg-quick up ./l", "wg-quick up ./lab.conf "},
		{"wg-quick up sub/d", "wg-quick up sub/deep.conf "},
		{"warren dem", "warren demo "},
		{"warren demo --k", "warren demo --keep "},
	}
}

func TestBashCompletes(t *testing.T) {
	h := newHost(t)
	x := openTerminal(t, h.env, "bash", "--noprofile", "--norc", "-i")
	x.ready("PS1='> '; cd " + h.dir + "; bind 'set bell-style none'; bind 'set page-completions off'; bind 'set show-all-if-ambiguous on'; for f in scripts/bash/*; do . $f; done; echo 'REA''DY'")
	h.atTerminal(t, x)
}

func TestZshCompletes(t *testing.T) {
	h := newHost(t)
	x := openTerminal(t, h.env, "zsh", "-f", "-i")
	x.ready("PS1='> '; cd " + h.dir + "; fpath=(" + h.dir + "/scripts/zsh $fpath); autoload -U compinit; compinit -u -D; " +
		"setopt interactivecomments nobeep noautomenu listambiguous; unsetopt prompt_sp; bindkey -e; echo 'REA''DY'")
	h.atTerminal(t, x)
}

func (h *host) atTerminal(t *testing.T, x *terminal) {
	for _, c := range h.shown() {
		h.compare(t, c.line, x.ask(c.line), c.want, c.not)
	}
	for _, c := range h.inserted() {
		if got, want := x.insert(c[0]), c[1]+"|"; got != want {
			t.Errorf("%q and TAB became %q, want %q", c[0], got, want)
		}
	}
}

// ready waits for the shell to have carried out a line.
func (x *terminal) ready(line string) {
	x.t.Helper()
	if _, err := x.master.WriteString(line + "\r"); err != nil {
		x.t.Fatal(err)
	}
	x.until(func(s string) bool { return strings.Contains(s, "\nREADY") }, 0)
}

func TestFishCompletes(t *testing.T) {
	h := newHost(t)
	ask := func(line string) string {
		script := "cd " + h.dir + "; for f in scripts/fish/*; source $f; end; complete -C " + quoteForFish(line)
		cmd := exec.Command("fish", "--no-config", "-c", script)
		cmd.Env = h.env
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("fish: %v\n%s", err, out)
		}
		return string(out)
	}
	for _, c := range h.shown() {
		// What begins with a dot is hidden until the dot is typed, as in all of fish.
		h.compare(t, c.line, ask(c.line), strings.ReplaceAll(c.want, " ./lab.conf", ""), c.not)
	}
	h.compare(t, "wg-quick up .", ask("wg-quick up ."), "./lab.conf", "home")
}

func quoteForFish(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
}
