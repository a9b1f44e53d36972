package hostnet

import (
	"fmt"
	"strings"
)

// sysctlPath returns the path of a setting below /proc/sys. As for sysctl(8),
// the first of the two separators in a name is the one that separates, and where
// it is a dot, a slash stands for a dot within a part: net.ipv4.conf.eth0/1.mtu
// and net/ipv4/conf/eth0.1/mtu are the same.
func sysctlPath(name string) (string, error) {
	path := name
	if i := strings.IndexAny(name, "./"); i >= 0 && name[i] == '.' {
		path = strings.Map(func(r rune) rune {
			switch r {
			case '.':
				return '/'
			case '/':
				return '.'
			}
			return r
		}, name)
	}
	for part := range strings.SplitSeq(path, "/") {
		if part == "" || part == "." || part == ".." || strings.ContainsRune(part, 0) {
			return "", fmt.Errorf("setting %q: want a name like net.ipv4.ip_forward", name)
		}
	}
	return path, nil
}

// sameValue compares values of settings, in which numbers are separated by tabs
// or spaces.
func sameValue(a, b string) bool {
	return strings.Join(strings.Fields(a), " ") == strings.Join(strings.Fields(b), " ")
}
