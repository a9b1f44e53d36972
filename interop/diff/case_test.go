//go:build linux && e2e

package diff

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
)

// A quickCase is a file of testdata/quick: what a host is like, its files, and
// what is run there in turn. The lines before the first file are
//
//	# a comment
//	host dual            how it is connected: of hosts
//	resolvconf fake      which resolvconf it has: none, fake, failing or open
//	differs ID           a known difference that has to occur
//	expect ours PATTERN  a line that this side has to have; for those that differ
//	                     in more than some lines
//	sh COMMAND           prepares; has to succeed and is not compared
//	env A=b              for everything that follows
//	run COMMAND          run by bash and compared: what it says and what it leaves
//
// and each file begins with a line of its path: -- /etc/wireguard/wg0.conf --
// Files of /run/t/bin can be run.
type quickCase struct {
	name       string
	host       string
	resolvconf string
	differs    []string
	expects    []expectation
	steps      []step
	files      []caseFile
	text       string // the whole
}

// expectation is a line that a side has to have.
type expectation struct {
	side string
	line *regexp.Regexp
}

type step struct {
	kind string // sh, env, run
	text string
}

type caseFile struct{ path, text string }

func readCase(name, file string) (*quickCase, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	c, err := parseCase(name, string(text))
	if err != nil {
		return nil, fmt.Errorf("%s:%w", file, err)
	}
	return c, nil
}

func parseCase(name, text string) (*quickCase, error) {
	c := &quickCase{name: name, host: "dual", resolvconf: "none", text: text}
	for n, line := range strings.SplitAfter(text, "\n") {
		bare := strings.TrimSuffix(line, "\n")
		if path, ok := strings.CutPrefix(bare, "-- /"); ok && strings.HasSuffix(path, " --") {
			c.files = append(c.files, caseFile{path: "/" + strings.TrimSuffix(path, " --")})
			continue
		}
		if len(c.files) > 0 {
			f := &c.files[len(c.files)-1]
			f.text += line
			continue
		}
		word, rest, _ := strings.Cut(bare, " ")
		switch word {
		case "", "#":
		case "host":
			c.host = rest
		case "resolvconf":
			c.resolvconf = rest
		case "differs":
			c.differs = append(c.differs, rest)
		case "expect":
			side, text, _ := strings.Cut(rest, " ")
			p, err := regexp.Compile(text)
			if err != nil {
				return nil, fmt.Errorf("%d: %w", n+1, err)
			}
			c.expects = append(c.expects, expectation{side, p})
		case "sh", "env", "run":
			c.steps = append(c.steps, step{word, rest})
		default:
			return nil, fmt.Errorf("%d: %q is no line of a case", n+1, bare)
		}
	}
	if _, ok := hosts[c.host]; !ok {
		return nil, fmt.Errorf("there is no host %q", c.host)
	}
	if !slices.Contains([]string{"none", "fake", "failing", "open"}, c.resolvconf) {
		return nil, fmt.Errorf("there is no resolvconf %q", c.resolvconf)
	}
	return c, nil
}

// hosts are the shell scripts that connect a host. Both ends of its cable are in
// it: what matters is what its tables say.
var hosts = map[string]string{
	"bare": "true",
	"dual": cable + "ip address add 192.0.2.10/24 dev eth0; ip address add 2001:db8::10/64 dev eth0\n" +
		"ip route add default via 192.0.2.1 dev eth0; ip -6 route add default via 2001:db8::1 dev eth0",
	"v4":      cable + "ip address add 192.0.2.10/24 dev eth0; ip route add default via 192.0.2.1 dev eth0",
	"v6":      cable + "ip address add 2001:db8::10/64 dev eth0; ip -6 route add default via 2001:db8::1 dev eth0",
	"offline": cable + "ip address add 192.0.2.10/24 dev eth0; ip address add 2001:db8::10/64 dev eth0",
	"jumbo":   cable + "ip link set eth0 mtu 9000; ip address add 192.0.2.10/24 dev eth0; ip route add default via 192.0.2.1 dev eth0",
	"small": cable + "ip link set eth0 mtu 1400; ip address add 192.0.2.10/24 dev eth0; ip address add 2001:db8::10/64 dev eth0\n" +
		"ip route add default via 192.0.2.1 dev eth0; ip route add 198.51.100.0/24 via 192.0.2.2 dev eth0 mtu 1300\n" +
		"ip route add 203.0.113.0/24 via 192.0.2.3 dev eth0 mtu 1380",
	"no-ipv6": cable + "ip address add 192.0.2.10/24 dev eth0; ip route add default via 192.0.2.1 dev eth0\n" +
		"for i in all default lo; do echo 1 >/proc/sys/net/ipv6/conf/$i/disable_ipv6; done",
}

// cable makes eth0, whose other end is far0, with addresses that are always the
// same.
const cable = `set -e
ip link add eth0 address 02:00:00:00:00:01 type veth peer name far0 address 02:00:00:00:00:02
for i in eth0 far0; do ip link set $i addrgenmode none; ip link set $i up; done
`

// resolvconfs are programs of that name. The fake one keeps what it is told in
// files and writes down how it was called.
var resolvconfs = map[string]string{
	"fake": `#!/bin/bash
log=/run/t/resolvconf.log keep=/run/t/resolvconf.d
mkdir -p $keep
case $1 in
-a) echo "resolvconf $*" >>$log; cat >"$keep/$2"; sed 's/^/  /' "$keep/$2" >>$log ;;
-d) echo "resolvconf $*" >>$log; rm -f "$keep/$2" ;;
-l) [ -e "$keep/$2" ] && cat "$keep/$2" ;;
*) echo "resolvconf $*" >>$log ;;
esac
`,
	"failing": "#!/bin/bash\necho \"resolvconf $*\" >>/run/t/resolvconf.log\n[ \"$1\" != -a ] || cat >/dev/null\necho 'resolvconf: signature mismatch' >&2\nexit 1\n",
}
