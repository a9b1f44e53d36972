package complete

import (
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

var fake = Source{
	Interfaces: func() []string { return []string{"wg0", "wg1"} },
	Peers: func(link string) []string {
		if link == "wg0" {
			return []string{"keyA=", "keyB="}
		}
		return nil
	},
	Configs: func() []string { return []string{"home", "office"} },
	Local:   func() []string { return []string{"lab"} },
}

// Compat 1 about wg, one line a case.
func TestWGOffersWhatMayFollow(t *testing.T) {
	for _, c := range []struct{ line, want string }{
		{"", "show showconf set setconf addconf syncconf genkey genpsk pubkey help"},
		{"show", "wg0 wg1 all interfaces --json"},
		{"show wg0", strings.Join(Fields, " ")},
		{"show all", strings.Join(Fields, " ")},
		{"show interfaces", ""},
		{"show --json", "wg0 wg1 all"},
		{"show wg0 peers", ""},
		{"showconf", "wg0 wg1"},
		{"showconf wg0", ""},
		{"setconf", "wg0 wg1"},
		{"setconf wg0", "FILES"},
		{"addconf wg0", "FILES"},
		{"syncconf wg0", "FILES"},
		{"syncconf wg0 file", ""},
		{"genkey", ""},
		{"nonsense", ""},
		{"set", "wg0 wg1"},
		{"set wg0", "listen-port fwmark private-key peer"},
		{"set wg0 listen-port", ""},
		{"set wg0 fwmark", "off"},
		{"set wg0 private-key", "FILES"},
		{"set wg0 private-key k", "listen-port fwmark peer"},
		{"set wg0 private-key k fwmark 1 listen-port 2", "peer"},
		{"set wg0 peer", "keyA= keyB="},
		{"set wg1 peer", ""},
		{"set wg0 peer keyA=", "remove preshared-key endpoint persistent-keepalive allowed-ips peer"},
		{"set wg0 peer keyA= preshared-key", "FILES"},
		{"set wg0 peer keyA= persistent-keepalive", "off"},
		{"set wg0 peer keyA= endpoint", ""},
		{"set wg0 peer keyA= endpoint h:1 allowed-ips ::/0", "remove preshared-key persistent-keepalive peer"},
		{"set wg0 peer keyA= remove", "peer"},
		{"set wg0 peer keyA= remove peer", "keyB="},
		{"set wg0 peer keyA= endpoint h:1 peer keyB=", "remove preshared-key endpoint persistent-keepalive allowed-ips peer"},
		{"set wg0 peer keyA= listen-port", ""}, // wg refuses it there
		{"set wg0 endpoint", ""},
	} {
		check(t, "wg "+c.line, WG(fake, strings.Fields(c.line)), c.want)
	}
}

func TestQuickOffersWhatMayFollow(t *testing.T) {
	for _, c := range []struct{ line, word, want string }{
		{"", "", "up down save strip"},
		{"up", "", "home office ./lab.conf"},
		{"strip", "", "home office ./lab.conf"},
		{"up", "./", "CONF"},
		{"up", "/etc/", "CONF"},
		{"up", "~/", "CONF"},
		{"down", "", "wg0 wg1"},
		{"down", "./w", "CONF"},
		{"save", "", "wg0 wg1"},
		{"nonsense", "", ""},
		{"up home", "", ""},
	} {
		check(t, "wg-quick "+c.line+" "+c.word, Quick(fake, strings.Fields(c.line), c.word), c.want)
	}
}

func check(t *testing.T, line string, got Reply, want string) {
	t.Helper()
	var words []string
	for _, w := range got.Words {
		w, _, _ = strings.Cut(w, "\t")
		words = append(words, w)
	}
	directive := cobra.ShellCompDirectiveNoFileComp
	switch want {
	case "FILES":
		want, directive = "", cobra.ShellCompDirectiveDefault
	case "CONF":
		want, directive = "conf", cobra.ShellCompDirectiveFilterFileExt
	}
	if !slices.Equal(words, strings.Fields(want)) || got.Directive != directive {
		t.Errorf("%s: got %q and directive %d, want %q and %d", line, words, got.Directive, want, directive)
	}
}

// A host that cannot be asked has nothing to offer, and does not stop us.
func TestNothingIsKnownOfASilentHost(t *testing.T) {
	check(t, "wg showconf", WG(Source{}, []string{"showconf"}), "")
	check(t, "wg set wg0 peer", WG(Source{}, []string{"set", "wg0", "peer"}), "")
	check(t, "wg-quick up", Quick(Source{}, []string{"up"}, ""), "")
}

func TestScriptsAreFilledIn(t *testing.T) {
	for _, shell := range Shells {
		for _, program := range Programs {
			text, err := Script(shell, program)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(text, "@"+"PROGRAM") || strings.Contains(text, "@"+"NAME") || strings.Contains(text, "@"+"WORDS") {
				t.Errorf("%s for %s has a placeholder left", shell, program)
			}
			if strings.Contains(text, "eval ") {
				t.Errorf("%s for %s evaluates what was typed", shell, program)
			}
		}
	}
	if _, err := Script("tcsh", "wg"); err == nil {
		t.Error("no error for a shell that there is no script for")
	}
	if _, err := Script("bash", "ip"); err == nil {
		t.Error("no error for a program that there is no script for")
	}
}
