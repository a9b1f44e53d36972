package wgquick

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/warrenvpn/warren/conf"
	"github.com/warrenvpn/warren/internal/cmd/tunnel"
	"github.com/warrenvpn/warren/internal/hostnet"
	"github.com/warrenvpn/warren/internal/quick"
	"github.com/warrenvpn/warren/internal/rtnl"
	"github.com/warrenvpn/warren/wgctl"
)

// What scripts see of failures: the text, and the exit status of the program
// that wg-quick would have run.
func TestReport(t *testing.T) {
	step := func(k quick.Kind, err error) error {
		return &hostnet.StepError{Step: quick.Step{Kind: k, TableName: "x"}, Err: fmt.Errorf("do it: %w", err)}
	}
	for _, c := range []struct {
		err  error
		code int
		text string
	}{
		{nil, 0, ""},
		{&quick.Problem{Text: "`wg0' already exists", Hint: "not printed"}, 1, "wg-quick: `wg0' already exists\n"},
		{&tunnel.HookError{Key: "PostUp", Status: 7}, 7, ""},
		{step(quick.AddRoute, syscall.EEXIST), 2, "RTNETLINK answers: File exists\n"},
		{step(quick.AddRule, syscall.EPERM), 2, "RTNETLINK answers: Operation not permitted\n"},
		{step(quick.AddAddress, &rtnl.Refusal{Err: syscall.EACCES, Message: "ipv6: IPv6 is disabled on this device"}), 2, "Error: ipv6: IPv6 is disabled on this device.\n"},
		{step(quick.AddRoute, hostnet.ErrNoTable), 255, "Error: argument \"x\" is wrong: \"table\" value is invalid\n\n"},
		{step(quick.SetDNS, &tunnel.StatusError{Status: 127, Err: errors.New("resolvconf: gone")}), 127, "wg-quick: do it: resolvconf: gone\n"},
		{step(quick.SetSysctl, syscall.EROFS), 1, "wg-quick: do it: read-only file system\n"},
		{step(quick.Configure, &wgctl.ResolveError{Reason: "Name or service not known", Endpoint: "a:1"}), 1, "Name or service not known: `a:1'\nConfiguration parsing error\n"},
		{step(quick.Configure, &wgctl.Error{Op: "change", Errno: syscall.EINVAL}), 1, "Unable to modify interface: Invalid argument\n"},
		{&conf.ParseError{Key: "SaveConfig", Tool: "`x' is neither true nor false"}, 1, "wg-quick: `x' is neither true nor false\n"},
		{&conf.ParseError{Tool: "Line unrecognized: `x'"}, 1, "Line unrecognized: `x'\nConfiguration parsing error\n"},
		{errors.Join(&told{step(quick.AddRoute, syscall.EEXIST)}, errors.New("roll back: stuck")), 2, "wg-quick: roll back: stuck\n"},
	} {
		var b bytes.Buffer
		if code := report(&b, "wg-quick", c.err); code != c.code || b.String() != c.text {
			t.Errorf("%v: %d and %q, want %d and %q", c.err, code, b.String(), c.code, c.text)
		}
	}
}

func TestUsage(t *testing.T) {
	var b bytes.Buffer
	usage(&b, "wg-quick")
	if !strings.HasPrefix(b.String(), "Usage: wg-quick [ up | down | save | strip ] [ CONFIG_FILE | INTERFACE ]\n") {
		t.Errorf("usage begins with %q", strings.SplitN(b.String(), "\n", 2)[0])
	}
}
