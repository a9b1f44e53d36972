//go:build linux && e2e

package diff

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// survey prints what of a system is compared. $1 is a wg.
const survey = `
exec 2>&1
section() { echo "## $1"; }
daemons() { ls -l /proc/[0-9]*/exe 2>/dev/null | grep -c 'warren$\|reference$'; }
# A daemon whose link is gone ends, but not at once.
for i in {1..200}; do
	[ "$(ls /sys/class/net/*/tun_flags 2>/dev/null | grep -vc fc-tap)" = 0 ] && [ "$(daemons)" != 0 ] || break
	sleep 0.02
done
section links
ip -o link | sed -E 's/^[0-9]+: //; s/@[^:]*:/:/; s/\\.*//; s/ qlen [0-9]+//'
section addresses
ip -o address | sed -E 's/^[0-9]+: //; s/\\.*//'
for f in -4 -6; do
	section "routes $f"
	# Which of two links comes first in ff00::/8 is chance.
	ip $f route show table all | grep -v '^multicast ff00::/8'
	section "rules $f"
	ip $f rule
done
section nftables
nft list ruleset
section sysctl
for k in net/ipv4/conf/all/src_valid_mark net/ipv4/conf/all/rp_filter net/ipv4/ip_forward net/ipv6/conf/all/forwarding net/ipv4/conf/all/proxy_arp \
	net/ipv6/conf/all/disable_ipv6 net/ipv4/conf/wg0/rp_filter net/ipv4/conf/wg0/src_valid_mark net/ipv6/conf/wg0/disable_ipv6; do
	[ ! -e /proc/sys/$k ] || { read -r v </proc/sys/$k; echo "$k $v"; }
done
section resolver
ls -l /etc/resolv.conf | cut -d' ' -f1
cat /etc/resolv.conf
[ ! -e /run/t/resolvconf.log ] || sed 's/^/called: /' /run/t/resolvconf.log
[ ! -d /run/resolvconf ] || (cd /run/resolvconf && find . -type f | sort | while read -r i; do echo "$i"; sed 's/^/  /' "$i"; done)
section files
find /etc/wireguard /run/wireguard /tmp /run/t ! -path '/run/t/bin*' ! -path '/run/t/resolvconf*' ! -type d -printf '%M %U %p %l\n' | sort -k 3
for i in /etc/wireguard/* /run/t/*.log /tmp/*; do
	[ ! -f "$i" ] || { echo "$i:"; sed 's/^/  /' "$i"; }
done
# What ours keeps beside is its own affair, until the last interface is down. Files
# that are locked stay, as removing one would part those who wait for it.
ls /run/wireguard/*.sock >/dev/null 2>&1 || find /run/warren -type f ! -name '*.lock' 2>/dev/null
section processes
daemons
section wg
"$1" show all dump
true
`

// system surveys the side's host.
func (s *side) system() ([]string, error) {
	o, err := s.run(nil, "", "/bin/bash", "-c", survey, "survey", tools.upstream.dir+"/wg")
	if err != nil {
		return nil, err
	}
	if o.code != 0 {
		return nil, fmt.Errorf("the survey of %s exits %d: %s", s.name, o.code, o.stdout)
	}
	return strings.Split(strings.TrimRight(o.stdout, "\n"), "\n"), nil
}

var (
	ownLinkLocal = regexp.MustCompile(`fe80::[0-9a-f:]+/64`)
	portOfDump   = regexp.MustCompile(`^(\S+\t\S+\t\S+\t)(\d+)(\t(?:off|0x[0-9a-f]+))$`)
	bytesOfDump  = regexp.MustCompile(`^(\S+\t\S+\t\S+\t\S+\t\S+\t)\d+\t\d+\t\d+(\t\S+)$`)
	portOfFile   = regexp.MustCompile(`^(\s*ListenPort = |1>   listening port: )(\d+)()$`)
)

// settled takes out of lines what is drawn at random: link-local addresses of
// TUN devices, ports that the case does not set, and whether the system happened to
// send something through the tunnel.
func settled(lines []string, text string) []string {
	out := make([]string, len(lines))
	for i, l := range lines {
		l = toNames.Replace(ownLinkLocal.ReplaceAllString(l, "fe80::{random}/64"))
		for _, p := range []*regexp.Regexp{portOfDump, portOfFile} {
			if m := p.FindStringSubmatch(l); m != nil && !strings.Contains(text, "ListenPort = "+m[2]) {
				l = m[1] + "{port}" + m[3]
			}
		}
		out[i] = bytesOfDump.ReplaceAllString(l, "${1}{times}${2}")
	}
	return slices.DeleteFunc(out, func(l string) bool { return strings.HasPrefix(l, "1>   transfer: ") })
}
