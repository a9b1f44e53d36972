package complete

import (
	"slices"

	"github.com/spf13/cobra"
)

// Reply is what may stand at the cursor: words, each with an optional
// description after a tab, and what the shell is to add of its own.
type Reply struct {
	Words     []string
	Directive cobra.ShellCompDirective
}

// only offers words and nothing else.
func only(words ...string) Reply { return Reply{words, cobra.ShellCompDirectiveNoFileComp} }

// files lets the shell complete the name of a file.
func files() Reply { return Reply{nil, cobra.ShellCompDirectiveDefault} }

// WG completes wg(8): args are the whole words after its name.
func WG(s Source, args []string) Reply {
	if len(args) == 0 {
		return only(
			"show\tshow the state of interfaces",
			"showconf\tprint the configuration of an interface",
			"set\tchange an interface and its peers",
			"setconf\treplace the configuration by a file",
			"addconf\tadd the configuration in a file",
			"syncconf\tbecome as a file says, keeping sessions",
			"genkey\tmake a private key",
			"genpsk\tmake a preshared key",
			"pubkey\tmake a public key of a private one",
			"help\tprint the subcommands",
		)
	}
	rest := args[1:]
	switch args[0] {
	case "show":
		return show(s, rest)
	case "showconf":
		if len(rest) == 0 {
			return only(s.interfaces()...)
		}
	case "set":
		if len(rest) == 0 {
			return only(s.interfaces()...)
		}
		return set(s, rest[0], rest[1:])
	case "setconf", "addconf", "syncconf":
		switch len(rest) {
		case 0:
			return only(s.interfaces()...)
		case 1:
			return files()
		}
	}
	return only()
}

// Fields are those of `wg show`.
var Fields = []string{
	"public-key", "private-key", "listen-port", "fwmark", "peers", "preshared-keys", "endpoints", "allowed-ips",
	"latest-handshakes", "transfer", "persistent-keepalive", "dump",
}

func show(s Source, args []string) Reply {
	const json = "--json"
	hasJSON := slices.Contains(args, json)
	args = slices.DeleteFunc(slices.Clone(args), func(a string) bool { return a == json })
	switch {
	case len(args) == 0:
		r := only(append(s.interfaces(), "all\tevery interface")...)
		if !hasJSON {
			r.Words = append(r.Words, "interfaces\tthe names alone", json+"\tin a form for programs")
		}
		return r
	case len(args) == 1 && args[0] != "interfaces" && !hasJSON:
		return only(Fields...)
	}
	return only()
}

// The keywords of `wg set`, before the first peer and after it.
var (
	interfaceKeywords = []string{"listen-port", "fwmark", "private-key"}
	peerKeywords      = []string{"remove", "preshared-key", "endpoint", "persistent-keepalive", "allowed-ips"}
)

// set completes what follows the interface in `wg set`. A keyword is offered
// once: of the interface's once, of a peer's once for each.
func set(s Source, link string, args []string) Reply {
	used := map[string]bool{}
	var seen []string // peers
	inPeer := false
	for i := 0; i < len(args); i++ {
		word := args[i]
		switch {
		case word == "peer":
			inPeer, used = true, map[string]bool{}
		case word == "remove" && inPeer:
			used[word] = true
			continue // the one without a value
		case slices.Contains(interfaceKeywords, word) && !inPeer, slices.Contains(peerKeywords, word) && inPeer:
			used[word] = true
		default:
			return only() // wg would stop here
		}
		if i++; i == len(args) {
			return value(s, link, word, seen)
		}
		if word == "peer" {
			seen = append(seen, args[i])
		}
	}
	return only(keywords(inPeer, used)...)
}

// keywords are those that may come next.
func keywords(inPeer bool, used map[string]bool) []string {
	choice := interfaceKeywords
	if inPeer {
		choice = peerKeywords
	}
	if used["remove"] {
		choice = nil // nothing else counts for a peer that goes
	}
	var words []string
	for _, w := range choice {
		if !used[w] {
			words = append(words, w)
		}
	}
	return append(words, "peer")
}

// value completes what follows a keyword.
func value(s Source, link, keyword string, seen []string) Reply {
	switch keyword {
	case "peer":
		return only(slices.DeleteFunc(s.peers(link), func(k string) bool { return slices.Contains(seen, k) })...)
	case "private-key", "preshared-key":
		return files()
	case "fwmark", "persistent-keepalive":
		return only("off")
	}
	return only()
}
