//go:build linux && e2e

package demo

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/warrenvpn/warren/internal/netlab"
	"github.com/warrenvpn/warren/internal/testbin"
)

var warrenBinary string // warren

func TestMain(m *testing.M) {
	os.Exit(testbin.Main(m, testbin.Program{Path: &warrenBinary, What: testbin.Warren}))
}

// quick is a demo with shorter measurements.
func quick(keep bool) *demo {
	s := defaults
	s.stream = 100 * time.Millisecond
	return &demo{settings: s, tools: ownTools(warrenBinary), keep: keep}
}

// The network of the documentation: pairs with the relay are direct, all others
// go through it, and it can read those; A4 to A6 and A9 for the two NATs.
func TestDemoFindsThePaths(t *testing.T) {
	r, err := quick(false).run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Hosts) != 5 || len(r.Pairs) != 20 {
		t.Errorf("%d hosts and %d pairs, want 5 and 20", len(r.Hosts), len(r.Pairs))
	}
	for _, p := range r.Pairs {
		want := "public-server1"
		if p.From == want || p.To == want {
			want = ""
		}
		if p.Via != want {
			t.Errorf("%s to %s goes via %q, want %q", p.From, p.To, p.Via, want)
		}
		if got := slices.Contains(p.ReadableBy, r.Relay); !got {
			t.Errorf("%s to %s: readable by %v, which must name the relay", p.From, p.To, p.ReadableBy)
		}
		if p.Ping4.Milliseconds <= 0 || p.Ping6.Milliseconds <= 0 || p.BitsPerSecond < 1e6 {
			t.Errorf("%s to %s was not measured: %+v", p.From, p.To, p)
		}
	}
	if n := strings.Count(r.RelayShow, "latest handshake:"); n != 4 {
		t.Errorf("%d peers of the relay had a handshake, want 4:\n%s", n, r.RelayShow)
	}
	for i, want := range []string{"", "relay"} {
		if got := r.Crossings[i]; got.Via != want {
			t.Errorf("behind NATs %v the path is via %q, want %q", got.NATs, got.Via, want)
		}
	}
	if r.Seconds > 60 {
		t.Errorf("it took %.0f s, want less than 60", r.Seconds)
	}
	nothingLeft(t)
}

// nothingLeft wants no lab of this process, and no tunnel interface of ours on
// the machine itself.
func nothingLeft(t *testing.T) {
	t.Helper()
	labs, err := netlab.List()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range labs {
		if !l.Alive || l.Kept {
			t.Errorf("left behind: %+v", l)
		}
	}
}

func TestKeptDemoIsEnteredAndRemoved(t *testing.T) {
	if _, err := quick(true).run(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer removeKept()
	if _, err := quick(true).run(t.Context()); !errors.Is(err, errAlreadyKept) {
		t.Errorf("a second --keep: %v, want %v", err, errAlreadyKept)
	}
	out, err := exec.Command(warrenBinary, "demo", "enter", "laptop", "ping", "-c1", "-W2", "192.0.2.5").CombinedOutput()
	if err != nil {
		t.Errorf("ping from laptop to phone: %v\n%s", err, out)
	}
	out, err = exec.Command(warrenBinary, "demo", "enter", "phone", "wg", "show", "wg0", "allowed-ips").CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("192.0.2.0/24 2001:db8::/64")) {
		t.Errorf("wg on phone: %v\n%s", err, out)
	}
	var exit *exec.ExitError
	if err := exec.Command(warrenBinary, "demo", "enter", "phone", "sh", "-c", "exit 7").Run(); !errors.As(err, &exit) || exit.ExitCode() != 7 {
		t.Errorf("exit code of a command inside: %v, want 7", err)
	}
	out, err = exec.Command(warrenBinary, "demo", "enter", "nobody").CombinedOutput()
	if err == nil || !bytes.Contains(out, []byte("public-server1")) {
		t.Errorf("enter an unknown host: %v, %s; want the names there are", err, out)
	}
	if out, err := exec.Command(warrenBinary, "demo", "--clean").CombinedOutput(); err != nil {
		t.Errorf("clean: %v\n%s", err, out)
	}
	out, err = exec.Command(warrenBinary, "demo", "--clean").CombinedOutput()
	if err == nil || !bytes.Contains(out, []byte("hint:")) {
		t.Errorf("clean again: %v, %s; want an error with a hint", err, out)
	}
	nothingLeft(t)
}

func TestInterruptRemovesEverything(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(warrenBinary, "demo")
		cmd.Stderr = w
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		w.Close()
		lines := bufio.NewScanner(r)
		for lines.Scan() && !strings.Contains(lines.Text(), "measure") {
		}
		cmd.Process.Signal(sig)
		start := time.Now()
		go io.Copy(io.Discard, r)
		var exit *exec.ExitError
		if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 130 {
			t.Errorf("%v: %v, want exit code 130", sig, err)
		}
		if d := time.Since(start); d > 5*time.Second {
			t.Errorf("%v: it took %v to end", sig, d)
		}
		nothingLeft(t)
	}
}

func TestDemoNeedsRoot(t *testing.T) {
	cmd := exec.Command(warrenBinary, "demo")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Errorf("err = %v, want exit code 1", err)
	}
	if want := "warren demo: making network namespaces needs root\nhint: sudo warren demo\n"; string(out) != want {
		t.Errorf("output = %q, want %q", out, want)
	}
}
