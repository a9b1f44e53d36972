package tunnel

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/warrenvpn/warren/conf"
	"github.com/warrenvpn/warren/internal/quick"
)

func TestExitCode(t *testing.T) {
	for _, c := range []struct {
		err  error
		want int
	}{
		{errors.New("any"), 1},
		{&HookError{Key: "PostUp", Status: 3}, 3},
		{fmt.Errorf("wrapped: %w", &HookError{Status: 127}), 127},
		{&HookError{Status: 0}, 1},
		{&HookError{Status: -1}, 1},
		{errors.Join(&signalError{syscall.SIGTERM}, errors.New("roll back")), 143},
		{&signalError{syscall.SIGINT}, 130},
	} {
		if got := ExitCode(c.err); got != c.want {
			t.Errorf("%v: exit code %d, want %d", c.err, got, c.want)
		}
	}
}

func TestComplaint(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{errors.Join(errors.New("a"), errors.New("b")), "warren up: a\nwarren up: b\n"},
		{&quick.Problem{Path: "wg0.conf", Line: 7, Key: "MTU", Text: "too large", Hint: "MTU = 1420"}, "warren up: wg0.conf:7: MTU: too large\nhint: MTU = 1420\n"},
		{&conf.ParseError{File: "wg0.conf", Line: 2, Key: "PrivateKey", Detail: "bad", Hint: "wg genkey"}, "warren up: wg0.conf:2: PrivateKey: bad\nhint: wg genkey\n"},
	} {
		var b bytes.Buffer
		complain(&b, "warren up", c.err)
		if b.String() != c.want {
			t.Errorf("%q, want %q", b.String(), c.want)
		}
	}
}

func TestHelp(t *testing.T) {
	for _, cmd := range Commands() {
		var out bytes.Buffer
		cmd.SetOut(&out)
		cmd.SetArgs([]string{"--help"})
		if err := cmd.ExecuteContext(context.Background()); err != nil {
			t.Error(err)
		}
		for _, want := range []string{"Usage:", cmd.Use, "--dry-run", "FILE is the path"} {
			if cmd.Name() == "strip" && want == "--dry-run" {
				continue // it changes nothing
			}
			if !strings.Contains(out.String(), want) {
				t.Errorf("%s --help lacks %q:\n%s", cmd.Name(), want, out.String())
			}
		}
	}
}

func TestArguments(t *testing.T) {
	for _, args := range [][]string{{}, {"wg0", "wg1"}, {"--no-such-flag"}, {""}} {
		for _, cmd := range Commands() {
			cmd.SilenceErrors, cmd.SilenceUsage = true, true
			cmd.SetArgs(args)
			if err := cmd.ExecuteContext(context.Background()); err == nil {
				t.Errorf("%s %q succeeded", cmd.Name(), args)
			}
		}
	}
}

// A device in the foreground, or on somebody's descriptor, is not what up asks
// for, whatever the environment says.
func TestMakerEnvironment(t *testing.T) {
	got := without([]string{"A=1", "WG_TUN_FD=3", "WG_UAPI_FD=4", "WG_PROCESS_FOREGROUND=1", "LOG_LEVEL=debug", "WG_TUN_FDS=x"}, makers)
	if want := []string{"A=1", "LOG_LEVEL=debug", "WG_TUN_FDS=x"}; !slices.Equal(got, want) {
		t.Errorf("environment %q, want %q", got, want)
	}
}

func TestMaker(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		env    string
		want   []string
		called string
	}{
		{"", []string{self, "device", "--", "-h"}, "warren device"},
		{"wireguard-go", []string{"wireguard-go", "-h"}, "wireguard-go"},
	} {
		t.Setenv(programEnv, c.env)
		argv, called, err := maker("-h")
		if err != nil || !slices.Equal(argv, c.want) || called != c.called {
			t.Errorf("%q: %q called %q, error %v, want %q called %q", c.env, argv, called, err, c.want, c.called)
		}
	}
}
