package complete

import (
	"strings"

	"github.com/spf13/cobra"
)

// Quick completes wg-quick(8), word being what is typed so far of the last one.
func Quick(s Source, args []string, word string) Reply {
	switch len(args) {
	case 0:
		return only(
			"up\tbring up a tunnel",
			"down\ttake it down",
			"save\twrite its state to its file",
			"strip\tprint its file for wg setconf",
		)
	case 1:
		return tunnel(s, args[0], word)
	}
	return only()
}

// tunnel completes the FILE or NAME of a tunnel: those that have a file for up
// and strip, those that are up for down and save. A file in this directory is
// offered with its path: without, wg-quick takes it for a name.
func tunnel(s Source, verb, word string) Reply {
	if strings.HasPrefix(word, "-") {
		return only()
	}
	if strings.ContainsAny(word, "/~") {
		return Reply{[]string{"conf"}, cobra.ShellCompDirectiveFilterFileExt}
	}
	switch verb {
	case "up", "strip":
		names := s.configs()
		for _, n := range s.local() {
			names = append(names, "./"+n+".conf")
		}
		return only(names...)
	case "down", "save":
		return only(s.interfaces()...)
	}
	return only()
}

// Device completes wireguard-go and `warren device`.
func Device(args []string) Reply {
	if len(args) > 0 {
		return only()
	}
	return only("-f\tstay in the foreground", "--foreground\tstay in the foreground",
		"--cpu\tchoose an implementation", "--lanes\tqueues and sockets", "--nice\tpriority", "--plan\tinline or pipelined",
		"--without\tdo without a feature of the system", "--version\tprint the version", "--help\tprint what there is")
}
