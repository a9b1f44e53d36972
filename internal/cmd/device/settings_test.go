package device

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func env(kv ...string) func(string) string {
	return func(name string) string {
		for _, e := range kv {
			if n, v, _ := strings.Cut(e, "="); n == name {
				return v
			}
		}
		return ""
	}
}

func TestArguments(t *testing.T) {
	for _, c := range []struct {
		args       string
		name       string
		foreground bool
		err        error
	}{
		{"wg0", "wg0", false, nil},
		{"-f wg0", "wg0", true, nil},
		{"--foreground wg0", "wg0", true, nil},
		{"wg0 -f", "wg0", true, nil},
		{"-- -odd", "-odd", false, nil},
		{"wg%d", "wg%d", false, nil},
		{"", "", false, usageError("")},
		{"-f", "", false, usageError("")},
		{"wg0 wg1", "", false, usageError("")},
		{"--nonsense wg0", "", false, usageError("")},
		{"--lanes 3 wg0", "wg0", false, nil},
		{"wg0 --plan=pipelined --without offload,steer", "wg0", false, nil},
		{"--lanes", "", false, usageError("")},
		{"--lanes 0 wg0", "", false, usageError("")},
		{"--lanes many wg0", "", false, usageError("")},
		{"--nice -5 wg0", "wg0", false, nil},
		{"--nice 20 wg0", "", false, usageError("")},
		{"--nice -21 wg0", "", false, usageError("")},
		{"--plan other wg0", "", false, usageError("")},
		{"--without steering wg0", "", false, usageError("")},
		{"--cpu nonsense wg0", "", false, usageError("")},
		{"--cpu aead=nonsense wg0", "", false, usageError("")},
		{"--cpu list", "", false, errList},
		{"--help", "", false, errHelp},
		{"--version", "", false, errVersion},
	} {
		s, err := parse(strings.Fields(c.args), env())
		_, wantUsage := c.err.(usageError)
		if errors.As(err, new(usageError)) != wantUsage || !wantUsage && !errors.Is(err, c.err) {
			t.Errorf("%q: error %v, want %v", c.args, err, c.err)
			continue
		}
		if err == nil && (s.name != c.name || s.foreground != c.foreground) {
			t.Errorf("%q: name %q foreground %v, want %q %v", c.args, s.name, s.foreground, c.name, c.foreground)
		}
	}
}

func TestImpossibleNamesAreRefused(t *testing.T) {
	for _, name := range []string{"", ".", "..", "a/b", "a b", "a:b", "abcdefghijklmnop", "tab\t", "nl\n"} {
		if _, err := parse([]string{name}, env()); err == nil || errors.As(err, new(usageError)) {
			t.Errorf("name %q: error %v, want one that says what is wrong with it", name, err)
		}
	}
	if _, err := parse([]string{"abcdefghijklmno"}, env()); err != nil {
		t.Errorf("15 characters are refused: %v", err)
	}
}

func TestEnvironment(t *testing.T) {
	for _, c := range []struct {
		level      string
		want       verbosity
		keepOutput bool
	}{
		{"", errorsOnly, false},
		{"verbose", everything, true},
		{"debug", everything, true},
		{"error", errorsOnly, true},
		{"other", errorsOnly, true},
		{"silent", silent, false},
	} {
		s, err := parse([]string{"wg0"}, env("LOG_LEVEL="+c.level))
		if err != nil || s.log != c.want || s.keepOutput != c.keepOutput {
			t.Errorf("LOG_LEVEL=%s: %+v, %v, want %v and keepOutput %v", c.level, s, err, c.want, c.keepOutput)
		}
	}
	if s, err := parse([]string{"wg0"}, env("WG_PROCESS_FOREGROUND=1")); err != nil || !s.foreground || s.background() {
		t.Errorf("WG_PROCESS_FOREGROUND=1: %+v, %v, want the foreground, nobody waiting", s, err)
	}
	for _, bad := range []string{"WG_TUN_FD=x", "WG_TUN_FD=-1", "WG_UAPI_FD=3 ", "WARREN_READY_FD=99999999999"} {
		if _, err := parse([]string{"wg0"}, env(bad)); err == nil {
			t.Errorf("%s is accepted", bad)
		}
	}
}

// TestChildReadsWhatParentWrites: the environment made for the background
// process means what its parser reads, whatever the parent's own was.
func TestChildReadsWhatParentWrites(t *testing.T) {
	parents := []string{"HOME=/root", "WG_TUN_FD=17", "WG_PROCESS_FOREGROUND=0", "LOG_LEVEL=error", "WARREN_READY_FD=44"}
	for queues := 1; queues <= 3; queues++ {
		child := childEnvironment(parents, queues)
		s, err := parse([]string{"wg0"}, env(child...))
		if err != nil {
			t.Fatal(err)
		}
		want := []int{3, 6, 7}[:queues]
		if !slices.Equal(s.tunFDs, want) || s.uapiFD != 4 || s.readyFD != 5 || !s.foreground || !s.background() || !s.keepOutput {
			t.Errorf("%d queues: %+v, want TUN %v", queues, s, want)
		}
		if !slices.Contains(child, "HOME=/root") {
			t.Error("the rest of the environment is not passed on")
		}
	}
}

func TestTuning(t *testing.T) {
	s, err := parse(strings.Fields("--lanes=2 --plan pipelined --without segment,offload wg0"), env())
	if err != nil {
		t.Fatal(err)
	}
	n, l := s.network(), s.tuning.link()
	if n.Lanes != 2 || !n.NoSegment || n.NoCoalesce || n.NoSteer || l.Queues != 2 || l.Offload || !s.pipelined {
		t.Errorf("network %+v, link %+v, pipelined %v: not what was asked for", n, l, s.pipelined)
	}
	s, err = parse([]string{"wg0"}, env())
	if err != nil {
		t.Fatal(err)
	}
	n, l = s.network(), s.tuning.link()
	if n.Lanes != lanes() || n.NoSegment || n.NoCoalesce || n.NoSteer || l.Queues != lanes() || !l.Offload || s.pipelined {
		t.Errorf("network %+v, link %+v, pipelined %v: without options everything is to be on", n, l, s.pipelined)
	}
}

func TestListOfImplementations(t *testing.T) {
	var b strings.Builder
	listImplementations(&b)
	for _, want := range []string{"JOB", "aead", "generic", "in use"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the list has no %q:\n%s", want, b.String())
		}
	}
}
