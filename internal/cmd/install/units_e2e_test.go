//go:build linux && e2e

package install

import (
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/warrenvpn/warren/packaging"
)

// systemd finds nothing to remark, and rates what our unit may do as well as a
// program can be rated that configures networks: at most 3 of 10.
func TestUnitsPassTheAnalysis(t *testing.T) {
	m := newMachine(t)
	m.run(`
dpkg --purge wireguard-tools >/dev/null
dpkg -i $P/warren.deb $P/warren-compat.deb >/dev/null 2>&1
systemd-analyze verify warren@x.service wg-quick@x.service wg-quick.target >$S/out 2>&1 || { cat $S/out; exit 1; }
[ ! -s $S/out ] || { cat $S/out; exit 1; }
cp /usr/lib/systemd/system/warren@.service $S/warren@x.service
systemd-analyze security --offline=true --threshold=30 $S/warren@x.service >$S/out 2>&1 || { cat $S/out; exit 1; }
has $S/out 'Overall exposure level'
`)
}

// unit are the lines of a unit file by section and key.
type unit map[string]map[string][]string

func readUnit(t *testing.T, name string) unit {
	t.Helper()
	data, err := packaging.Units.ReadFile("systemd/" + name)
	if err != nil {
		t.Fatal(err)
	}
	u, section := unit{}, ""
	for _, line := range strings.Split(string(data), "\n") {
		switch {
		case line == "" || line[0] == '#' || line[0] == ';':
		case line[0] == '[':
			section = strings.Trim(line, "[]")
			u[section] = map[string][]string{}
		default:
			k, v, _ := strings.Cut(line, "=")
			u[section][k] = append(u[section][k], v)
		}
	}
	return u
}

// argv splits a command as systemd does: at white space, except in quotes.
func argv(t *testing.T, command string) (words []string) {
	t.Helper()
	word, quote, open := "", rune(0), false
	for _, c := range command {
		switch {
		case quote != 0 && c == quote:
			quote = 0
		case quote != 0:
			word += string(c)
		case c == '\'' || c == '"':
			quote, open = c, true
		case c == ' ' && (word != "" || open):
			words = append(words, word)
			word, open = "", false
		case c != ' ':
			word += string(c)
		}
	}
	if quote != 0 || strings.ContainsAny(command, `\$`) {
		t.Fatalf("this test does not know how systemd reads %q", command)
	}
	if word != "" || open {
		words = append(words, word)
	}
	return words
}

// shell writes a command of a unit for the shell, as the instance tst0 has it.
func (u unit) shell(t *testing.T, key, bindir string) string {
	t.Helper()
	lines := u["Service"][key]
	if len(lines) != 1 {
		t.Fatalf("%s: %d lines, want one", key, len(lines))
	}
	command := strings.ReplaceAll(strings.ReplaceAll(lines[0], "@BINDIR@", bindir), "%i", "tst0")
	var words []string
	for _, w := range argv(t, command) {
		words = append(words, "'"+strings.ReplaceAll(w, "'", `'\''`)+"'")
	}
	return strings.Join(words, " ")
}

// Compat 2: what other units, administrators and documentation rely on.
func TestQuickUnitIsTheKnownOne(t *testing.T) {
	u := readUnit(t, "wg-quick@.service")
	for _, c := range []struct{ section, key, want string }{
		{"Unit", "After", "network-online.target nss-lookup.target"},
		{"Unit", "Wants", "network-online.target nss-lookup.target"},
		{"Unit", "PartOf", "wg-quick.target"},
		{"Unit", "Before", "wg-quick.target"},
		{"Service", "Type", "oneshot"},
		{"Service", "RemainAfterExit", "yes"},
		{"Service", "Environment", "WG_ENDPOINT_RESOLUTION_RETRIES=infinity"},
		{"Service", "ExecStart", "@BINDIR@/wg-quick up %i"},
		{"Service", "ExecStop", "@BINDIR@/wg-quick down %i"},
		{"Service", "ExecReload", "/bin/bash -c 'exec @BINDIR@/wg syncconf %i <(exec @BINDIR@/wg-quick strip %i)'"},
		{"Install", "WantedBy", "multi-user.target wg-quick.target"},
	} {
		if got := strings.Join(u[c.section][c.key], "\n"); got != c.want {
			t.Errorf("%s of [%s] is %q, want %q", c.key, c.section, got, c.want)
		}
	}
}

// world is where the lines of a unit are carried out: a machine on which our
// packages are installed, with one tunnel. It is stopped and started again at
// once, as a restart does.
const world = `
dpkg --purge wireguard-tools >/dev/null
dpkg -i $P/warren.deb $P/warren-compat.deb >/dev/null 2>&1
rm -rf /etc/wireguard/*
ip link set lo up
K=$(warren wg genkey)
A=$(warren wg genkey | warren wg pubkey)
B=$(warren wg genkey | warren wg pubkey)
umask 077
cat >/etc/wireguard/tst0.conf <<END
[Interface]
PrivateKey = $K
ListenPort = 51899
Address = 10.99.0.1/24
PostUp = echo up %i >>/run/hooks
PostDown = echo down %i >>/run/hooks

[Peer]
PublicKey = $A
AllowedIPs = 10.99.0.2/32, 10.98.0.0/16
END
check() { eval "$2" || { echo "FAILED: $1"; warren wg show; ip addr; exit 1; }; }
start
check "the peer is there" '[ "$(warren wg show tst0 peers)" = "$A" ]'
check "the address is there" 'ip addr show dev tst0 | grep -q 10.99.0.1/24'
check "the route is there" 'ip route show dev tst0 | grep -q 10.98.0.0/16'
check "the hook ran" 'grep -q "up tst0" /run/hooks'
if reloads; then
	printf '\n[Peer]\nPublicKey = %s\nAllowedIPs = 10.99.0.3/32\n' "$B" >>/etc/wireguard/tst0.conf
	reload
	check "the new peer is there" '[ "$(warren wg show tst0 peers | wc -l)" = 2 ]'
	check "the port stays" '[ "$(warren wg show tst0 listen-port)" = 51899 ]'
	check "the address stays" 'ip addr show dev tst0 | grep -q 10.99.0.1/24'
fi
stop
check "the interface is gone" '! ip link show tst0 2>/dev/null'
check "the hook ran" 'grep -q "down tst0" /run/hooks'
start
check "it is up again" '[ "$(warren wg show interfaces)" = tst0 ]'
stop
if reloads; then
	# All traffic: this writes a setting of the kernel.
	sed -i 's|10.98.0.0/16|0.0.0.0/0|' /etc/wireguard/tst0.conf
	start
	check "there is a rule" 'ip rule | grep -q "lookup 51820"'
	check "marks are valid for sources" '[ "$(cat /proc/sys/net/ipv4/conf/all/src_valid_mark)" = 1 ]'
	stop
fi
for i in 1 2 3 4 5 6 7 8 9 10; do
	ls /run/wireguard/*.sock >/dev/null 2>&1 || break
	sleep 0.5 # the program in the background ends when it hears of the link
done
check "nothing listens" '! ls /run/wireguard/*.sock 2>/dev/null'
`

// An instance of each unit starts, reloads and stops.
func TestUnitInstancesWork(t *testing.T) {
	m := newMachine(t)
	words, err := exec.Command("go", "run", "../../../cmd/warren", "help").Output()
	if err != nil {
		t.Fatal(err)
	}
	has := func(word string) bool { return strings.Contains(string(words), "\n  "+word+" ") }
	for _, c := range []struct {
		name         string
		start, strip string // commands that it takes
	}{
		{"warren@.service", "up", "strip"},
		{"wg-quick@.service", "wg-quick", "wg-quick"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m.t = t
			if !has(c.start) {
				t.Logf("warren %s is not part of this tree yet", c.start)
				return
			}
			u := readUnit(t, c.name)
			functions := ""
			for name, key := range map[string]string{"start": "ExecStart", "reload": "ExecReload", "stop": "ExecStop"} {
				functions += fmt.Sprintf("%s() { env %s %s; }\n", name, strings.Join(u["Service"]["Environment"], " "), u.shell(t, key, "/usr/bin"))
			}
			if has(c.strip) {
				functions += "reloads() { true; }\n"
			} else {
				t.Logf("warren %s is not part of this tree yet", c.strip)
				functions += "reloads() { false; }\n"
			}
			m.run(functions + world)
		})
	}
}

// confined gives what a script starts the rights of our unit, as far as a script
// can: capabilities, what may be written, and, afterwards, what was called.
const confined = `
mount --bind /etc /etc
mount --bind /var /var
mount -o remount,bind,ro /
mount --bind /proc/sys /proc/sys
mount --bind /proc/sys/net /proc/sys/net
mount -o remount,bind,ro /proc/sys
confine() {
	setpriv --no-new-privs --inh-caps=-all --bounding-set="$BOUNDS" strace -D -f -qq -o "$S/strace" -A -e trace=all "$@"
}
calls() {
	sed -n 's/^[0-9]* *\([a-z0-9_]*\)(.*/CALL \1/p' "$S/strace" | sort -u
	sed -n 's/.* socket(\(AF_[A-Z0-9]*\),.*/FAMILY \1/p' "$S/strace" | sort -u
	grep -E 'm(map|protect)\(.*PROT_WRITE\|PROT_EXEC' "$S/strace" | sed 's/^/EXECUTABLE /' || true
}
`

// What our unit allows is enough for it, and for a hook run by bash.
func TestHardenedUnitHasTheRightsItNeeds(t *testing.T) {
	m := newMachine(t)
	u := readUnit(t, "warren@.service")
	service := u["Service"]
	bounds := "-all"
	for _, c := range strings.Fields(strings.Join(service["CapabilityBoundingSet"], " ")) {
		bounds += ",+" + strings.ToLower(strings.TrimPrefix(c, "CAP_"))
	}
	functions := "BOUNDS=" + bounds + "\n"
	for name, key := range map[string]string{"start": "ExecStart", "stop": "ExecStop"} {
		functions += fmt.Sprintf("%s() { confine env %s %s; }\n", name, strings.Join(service["Environment"], " "), u.shell(t, key, "/usr/bin"))
	}
	functions += "reloads() { false; }\n"
	// The world prepares the machine; confinement begins with the first start.
	prepared, rest, ok := strings.Cut(world, "\nstart\n")
	if !ok {
		t.Fatal("the script starts nothing")
	}
	out := m.run(functions + prepared + confined + "\nstart\n" + rest + "\ncalls\n")

	allowed := callsAllowed(t, service["SystemCallFilter"])
	families := strings.Fields(strings.Join(service["RestrictAddressFamilies"], " "))
	calls := 0
	for _, line := range strings.Split(out, "\n") {
		kind, what, _ := strings.Cut(line, " ")
		switch kind {
		case "CALL":
			calls++
			if !allowed[what] {
				t.Errorf("the system call %s is needed, and the unit does not allow it", what)
			}
		case "FAMILY":
			if !slices.Contains(families, what) {
				t.Errorf("sockets of %s are needed, and the unit does not allow them", what)
			}
		case "EXECUTABLE":
			t.Errorf("memory that can be written and executed: %s", what)
		}
	}
	if calls < 40 {
		t.Errorf("%d different system calls were seen, want those of a tunnel:\n%s", calls, out)
	}
}

// callsAllowed follows the lists of a unit: the first allows, ~ takes away, a
// later one adds.
func callsAllowed(t *testing.T, lists []string) map[string]bool {
	t.Helper()
	out, err := exec.Command("systemd-analyze", "syscall-filter").Output()
	if err != nil {
		t.Fatal(err)
	}
	sets, set := map[string][]string{}, ""
	for _, line := range strings.Split(string(out), "\n") {
		switch word := strings.TrimSpace(line); {
		case strings.HasPrefix(line, "@"):
			set = word
		case word != "" && word[0] != '#':
			sets[set] = append(sets[set], word)
		}
	}
	allowed := map[string]bool{}
	var each func(name string, on bool)
	each = func(name string, on bool) {
		if !strings.HasPrefix(name, "@") {
			allowed[name] = on
			return
		}
		if len(sets[name]) == 0 {
			t.Fatalf("systemd knows no set %s", name)
		}
		for _, n := range sets[name] {
			each(n, on)
		}
	}
	each("@default", true)
	for _, l := range lists {
		l, less := strings.CutPrefix(l, "~")
		for _, name := range strings.Fields(l) {
			each(name, !less)
		}
	}
	return allowed
}
