package wg

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/warrenvpn/warren/conf"
	"github.com/warrenvpn/warren/internal/fakekernel"
	"github.com/warrenvpn/warren/internal/scripttest"
	"github.com/warrenvpn/warren/wgctl"
)

// TestScripts runs the command on a model device, without root. The scripts
// are in testdata; what they show is compared with the installed wg(8) by the
// differential tests.
//
//	state NAME          the device is as states has it
//	env K=V...          the environment from here on; nothing clears it
//	file NAME TEXT      a file; | is a line feed, ~ a space, ! a number sign
//	stdin TEXT          the next command's standard input
//	interfaces NAME...  further devices, all empty
//	terminal            stderr is read by a person from here on
//	wg ARG...           run; FILE/NAME is a file made before
//	left                the state of the device
func TestScripts(t *testing.T) {
	scripttest.Run(t, "testdata/*.txt", func(t *testing.T) scripttest.Machine {
		return newScripted(t)
	})
}

// scriptNow is the present in scripts.
var scriptNow = time.Unix(1800000000, 0)

type scripted struct {
	t      *testing.T
	dir    string
	plane  plane
	client *wgctl.Client
	env    map[string]string
	stdin  string
	hints  bool
}

// plane implements the interface wg0 and others.
type plane interface {
	reset(d conf.Device)
	Status() conf.Device
	text(t *testing.T) string
	add(t *testing.T, name string)
	// words makes what is said of it that of a script.
	words(line string) string
}

func newScripted(t *testing.T) *scripted {
	dir := socketDir(t)
	m := &userSpace{&model{}, dir}
	serve(t, dir, "wg0", m.model)
	return &scripted{
		t: t, dir: dir, plane: m, env: map[string]string{},
		client: &wgctl.Client{Dir: dir, Dial: absentKernel().Dial},
	}
}

// absentKernel has no WireGuard. The real one, if it has, is not to be touched.
func absentKernel() *fakekernel.Kernel {
	k := fakekernel.New(fakekernel.Linux616)
	k.NoFamily = true
	return k
}

// socketDir is a temporary directory whose path fits into a socket address.
func socketDir(t *testing.T) string {
	dir, err := os.MkdirTemp("", "wg")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

type userSpace struct {
	*model
	dir string
}

func (u *userSpace) add(t *testing.T, name string) { serve(t, u.dir, name, &model{}) }
func (u *userSpace) words(line string) string      { return line }

// Do implements scripttest.Machine.
func (s *scripted) Do(name string, args []string) ([]string, error) {
	switch name {
	case "state":
		d, ok := states(scriptNow)[args[0]]
		if !ok {
			return nil, errors.New("no such state")
		}
		s.plane.reset(d)
	case "env":
		clear(s.env)
		for _, a := range args {
			k, v, _ := strings.Cut(a, "=")
			s.env[k] = v
		}
	case "file":
		return nil, os.WriteFile(filepath.Join(s.dir, args[0]), []byte(decode(strings.Join(args[1:], " "))), 0o600)
	case "stdin":
		s.stdin = decode(strings.Join(args, " "))
	case "interfaces":
		// A kernel lists them in the order they were made in.
		for _, a := range slices.Sorted(slices.Values(args)) {
			s.plane.add(s.t, a)
		}
	case "terminal":
		s.hints = true
	case "left":
		return visible(s.plane.text(s.t)), nil
	case "wg":
		return s.run(args), nil
	default:
		return nil, errors.New("no such command")
	}
	return nil, nil
}

func decode(s string) string {
	return strings.NewReplacer("|", "\n", "~", " ", "!", "#").Replace(s)
}

// fakeLookup knows one name; another is busy, the rest are not known.
func fakeLookup(host string) ([]netip.Addr, error) {
	switch host {
	case "example.org":
		return []netip.Addr{netip.MustParseAddr("192.0.2.80")}, nil
	case "busy.example":
		return nil, &net.DNSError{Err: "busy", IsTemporary: true}
	}
	return nil, &net.DNSError{Err: "no such host", IsNotFound: true}
}

// lateLookup is fakeLookup that knows a further name from the third time on.
func lateLookup() func(string) ([]netip.Addr, error) {
	asked := 0
	return func(host string) ([]netip.Addr, error) {
		if host != "late.example" {
			return fakeLookup(host)
		}
		if asked++; asked < 3 {
			return nil, &net.DNSError{Err: "no such host", IsNotFound: true}
		}
		return []netip.Addr{netip.MustParseAddr("192.0.2.81")}, nil
	}
}

func (s *scripted) run(args []string) []string {
	for i, a := range args {
		if name, ok := strings.CutPrefix(a, "FILE/"); ok {
			args[i] = filepath.Join(s.dir, name)
		}
		args[i] = decode(args[i])
	}
	var stdout, stderr bytes.Buffer
	t := &tool{
		stdin: strings.NewReader(s.stdin), stdout: &stdout, stderr: &stderr,
		lookupEnv: func(k string) (string, bool) { v, ok := s.env[k]; return v, ok }, now: func() time.Time { return scriptNow },
		client: s.client, hints: s.hints,
		resolver: &wgctl.Resolver{Lookup: lateLookup(), Sleep: func(time.Duration) {}},
	}
	s.stdin = ""
	code := t.run(append([]string{"wg"}, args...))
	out := visible(stdout.String())
	for _, line := range visible(strings.ReplaceAll(stderr.String(), s.dir+"/", "")) {
		out = append(out, "stderr: "+s.plane.words(line))
	}
	if code != 0 {
		out = append(out, fmt.Sprintf("exit %d", code))
	}
	return out
}

// visible splits output into lines and shows what a script cannot hold.
func visible(s string) []string {
	if s == "" {
		return nil
	}
	var out []string
	for line := range strings.Lines(s) {
		line = strings.NewReplacer("\x1b", `\e`, "\t", `\t`, "\n", "").Replace(line)
		if line == "" {
			line = `""`
		}
		out = append(out, line)
	}
	return out
}

// Q12, B68: never, now and a clock that was set back.
func TestLatestHandshakeWords(t *testing.T) {
	s := newScripted(t)
	for at, want := range map[time.Time]string{
		{}:                                  "",
		time.Unix(0, 0):                     "",
		scriptNow:                           "latest handshake: Now",
		scriptNow.Add(time.Second):          "latest handshake: (System clock wound backward; connection problems may ensue.)",
		scriptNow.Add(-time.Second):         "latest handshake: 1 second ago",
		scriptNow.Add(-2 * time.Minute):     "latest handshake: 2 minutes ago",
		scriptNow.Add(-time.Hour):           "latest handshake: 1 hour ago",
		scriptNow.Add(-86399 * time.Second): "latest handshake: 23 hours, 59 minutes, 59 seconds ago",
		scriptNow.Add(-(365*24*time.Hour + 25*time.Hour + 61*time.Second)): "latest handshake: 1 year, 1 day, 1 hour, 1 minute, 1 second ago",
	} {
		s.plane.reset(conf.Device{Peers: []conf.Peer{{PublicKey: publicKey(1), LastHandshake: at}}})
		out := s.run([]string{"show", "wg0"})
		got := ""
		for _, line := range out {
			if strings.Contains(line, "latest handshake") {
				got = strings.TrimSpace(line)
			}
		}
		if got != want {
			t.Errorf("%v: %q, want %q", at, got, want)
		}
		wantField := "0"
		if !at.IsZero() && at.Unix() != 0 {
			wantField = fmt.Sprint(at.Unix())
		}
		if out := s.run([]string{"show", "wg0", "latest-handshakes"}); out[0] != publicKey(1).String()+`\t`+wantField {
			t.Errorf("%v: field %q, want %s", at, out, wantField)
		}
	}
}
