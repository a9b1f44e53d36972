package quick

import (
	"errors"
	"testing"
)

func TestFailureNamesItsKeyOnce(t *testing.T) {
	c := &Config{Path: "wg0.conf"}
	step := Step{Kind: SetDNS, Key: "DNS", Line: 4}
	for _, text := range []string{"DNS: no server", "no server"} {
		if got, want := c.Failed(step, errors.New(text)).Error(), "wg0.conf:4: DNS: no server"; got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
}
