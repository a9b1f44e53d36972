//go:build linux && e2e

package tunnel_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// Q27: strip prints what wg-quick of the distribution prints, byte for byte, and
// without root where the file can be read.
func TestStripAsWgQuick(t *testing.T) {
	if !inside(t) {
		return
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	open := openProgram(t)
	for i := range 200 {
		text := randomFile(random)
		check(t, os.WriteFile("/run/open/wg0.conf", []byte(text), 0o644))
		theirs := exec.Command("wg-quick", "strip", "/run/open/wg0.conf")
		want, err := theirs.Output()
		cmd := exec.Command(ours+"/wg-quick", "strip", "/run/open/wg0.conf")
		if i%2 == 1 {
			cmd = exec.Command("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", open+"/wg-quick", "strip", "/run/open/wg0.conf")
		}
		got, err2 := cmd.Output()
		if (err == nil) != (err2 == nil) || string(got) != string(want) {
			t.Fatalf("%q: %v %q, want %v %q", text, err2, got, err, want)
		}
	}
}

// openProgram returns a directory with our wg-quick in it for users without
// rights, who may not look where test binaries are.
func openProgram(t *testing.T) string {
	t.Helper()
	sh(t, "mkdir -p /run/open && cp "+ours+"/wg-quick /run/open/wg-quick && chmod 755 /run/open /run/open/wg-quick")
	return "/run/open"
}

// randomFile mixes lines that mean something with others. Hooks have no comment:
// the distribution's version cuts them off.
func randomFile(random *rand.Rand) string {
	lines := []string{
		"[Interface]", "[interface]", " [Interface] # c", "[Peer]", "[Other]", "", "  ", "# a comment", "#Address = 10.0.0.1/24",
		"Address = 10.0.0.1/24", "address=fd00::1/64,10.0.0.2", "Address = nonsense", "DNS = 1.1.1.1 # one", "DNS=x.y", "MTU = 1400", "mtu=big",
		"Table = off", "PreUp = echo a=b", "PostUp=echo %i", "  PostDown =  true  ", "PREDOWN = x", "SaveConfig = true", "saveconfig=FALSE", "SaveConfig = maybe",
		"PrivateKey = " + privateKey, "ListenPort = 1\t", "\tFwMark = 0x1", "PublicKey = " + peer1, "AllowedIPs = 0.0.0.0/0", "Endpoint = [::1]:5#x",
		"Unknown = 1", "= 1", "===", "-n", "-e a\\nb", "back\\slash \\", "caf\xe9 \xff", "*", "$HOME `id` $(id)", "a = b = c", "\r", "Address = 10.0.0.1/24\r",
	}
	var b strings.Builder
	for range random.IntN(12) {
		b.WriteString(lines[random.IntN(len(lines))])
		if random.IntN(20) > 0 {
			b.WriteByte('\n')
		}
	}
	return b.String()
}

// Q26: save writes what wg-quick writes, and up of the result makes the same.
func TestSaveAsWgQuick(t *testing.T) {
	if !inside(t) {
		return
	}
	for i, text := range []string{
		"[Interface]\nPrivateKey = $KEY\n",
		"# gone\n[Interface]\nAddress = 10.0.0.1/24, fd00:9::1/64\nPrivateKey = $KEY\nMTU = 1400\nTable = auto\nListenPort = 12345\n[Peer]\n# too\nPublicKey = $P1\nAllowedIPs = 10.9.0.1/16\nEndpoint = 192.0.2.1:5\n",
		"[Interface]\nPrivateKey = $KEY\nPreUp = true a=b\nPostUp = echo %i\nPostUp = :\nPreDown = true\nPostDown = true\nTable = 1234\n[Peer]\nPublicKey = $P1\nAllowedIPs = 0.0.0.0/0\nPersistentKeepalive = 25\n[Peer]\nPublicKey = $P2\nPresharedKey = $KEY\n",
		"[Interface]\nListenPort = 12345\nPrivateKey = $KEY\n[Peer]\nPublicKey = $P1\nAllowedIPs = 0.0.0.0/0, ::/0\n",
	} {
		file := "/etc/wireguard/wg0.conf"
		write(t, file, keys.Replace(text))
		ourQuick(t, "up").wantDone(t)
		sh(t, "wg set wg0 peer "+privateKey+" allowed-ips 10.7.0.1/32; ip address add 10.0.7.1/24 dev wg0")
		wgQuick(t, "save", "wg0").wantDone(t)
		want := read(t, file)
		write(t, file, keys.Replace(text))
		check(t, os.Chmod(file, 0o644))
		r := ourQuick(t, "save")
		r.wantDone(t)
		if got := read(t, file); got != want {
			t.Errorf("file %d: saved\n%s\nwg-quick saved\n%s", i, got, want)
		}
		if !strings.HasSuffix(r.text, "[#] wg showconf wg0\n") {
			t.Errorf("said %q", r.text)
		}
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("file %d: mode %v, %v, want 0600", i, info.Mode(), err)
		}
		shown := sh(t, "wg showconf wg0; ip -o address show wg0 | sed 's/^[0-9]*//'")
		ourQuick(t, "down").wantDone(t)
		ourQuick(t, "up").wantDone(t)
		if again := sh(t, "wg showconf wg0; ip -o address show wg0 | sed 's/^[0-9]*//'"); again != shown {
			t.Errorf("file %d: brought up again it is\n%s\nwant\n%s", i, again, shown)
		}
		ourQuick(t, "down").wantDone(t)
	}
}

// SaveConfig: down writes the file through a link, and `warren save` keeps
// comments.
func TestSaveConfig(t *testing.T) {
	if !inside(t) {
		return
	}
	check(t, os.Mkdir("/run/real", 0o700))
	write(t, "/run/real/file", keys.Replace("[Interface]\n# mine\nPrivateKey = $KEY\nSaveConfig = true\n"))
	check(t, os.Symlink("/run/real/file", "/etc/wireguard/wg0.conf"))
	warren(t, "up", "wg0").wantDone(t)
	sh(t, "wg set wg0 peer "+peer1+" allowed-ips 10.7.0.1/32")
	warren(t, "save", "wg0").wantDone(t)
	want := keys.Replace("[Interface]\n# mine\nPrivateKey = $KEY\nSaveConfig = true\n\n[Peer]\nPublicKey = $P1\nAllowedIPs = 10.7.0.1/32\n")
	if got := read(t, "/run/real/file"); got != want {
		t.Errorf("warren save wrote\n%s\nwant\n%s", got, want)
	}
	sh(t, "wg set wg0 peer "+peer1+" remove; wg set wg0 peer "+peer2+" allowed-ips 10.7.0.2/32")
	ourQuick(t, "down").wantDone(t)
	if got := read(t, "/run/real/file"); strings.Contains(got, "# mine") || !strings.Contains(got, peer2) || strings.Contains(got, peer1) {
		t.Errorf("down wrote\n%s", got)
	}
	if target, err := os.Readlink("/etc/wireguard/wg0.conf"); err != nil || target != "/run/real/file" {
		t.Errorf("the link leads to %q, %v", target, err)
	}
}

// Q29: every form of Table gives the same state as wg-quick.
func TestTablesAsWgQuick(t *testing.T) {
	if !inside(t) {
		return
	}
	sh(t, "sysctl -q net.ipv4.conf.all.src_valid_mark=1; mkdir -p /etc/iproute2; echo 200 vpn >> /etc/iproute2/rt_tables")
	for _, table := range []string{"", "auto", "off", "1234", "0x64", "main", "default", "vpn", "51820", "4000000000"} {
		for _, allowed := range []string{"10.9.0.0/16, fd09::/48", "0.0.0.0/0", "0.0.0.0/0, ::/0, 10.9.0.0/16", "0.0.0.0/1, 10.0.0.0/8, ::/0"} {
			text := fmt.Sprintf("[Interface]\nAddress = 10.0.0.1/24, fd00:9::1/64\nPrivateKey = %s\n", privateKey)
			if table != "" {
				text += "Table = " + table + "\n"
			}
			text += "[Peer]\nPublicKey = " + peer1 + "\nAllowedIPs = " + allowed + "\n"
			write(t, "/run/wg0.conf", text)
			before := state(t)
			compare(t, "Table = "+table+" for "+allowed, "wg0", "/run/wg0.conf")
			wantUnchanged(t, "Table = "+table, before)
		}
	}
}

// Without root, wg-quick runs itself again through sudo: by the name that it was
// called by, and asking for the password in the usual words.
func TestElevates(t *testing.T) {
	if !inside(t) {
		return
	}
	open := openProgram(t)
	check(t, os.MkdirAll("/run/fake", 0o755))
	check(t, os.WriteFile("/run/fake/sudo", []byte("#!/bin/bash\nprintf '<%s>' \"$@\"\n"), 0o755))
	write(t, "/etc/wireguard/wg0.conf", "[Interface]\n") // nobody else may read it
	for _, verb := range []string{"up", "down", "save", "strip"} {
		cmd := exec.Command("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "env", "PATH=/run/fake:/usr/bin:/bin", open+"/wg-quick", verb, "wg0")
		out, err := cmd.CombinedOutput()
		want := "<-p><wg-quick must be run as root. Please enter the password for %u to continue: ><--><" + open + "/wg-quick><" + verb + "><wg0>"
		if err != nil || string(out) != want {
			t.Errorf("%s: %v, %q, want %q", verb, err, out, want)
		}
	}
	cmd := exec.Command("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "env", "PATH=/nowhere", open+"/wg-quick", "up", "wg0")
	if r := finish(t, cmd); r.code != 127 || !strings.Contains(r.text, "must be run as root") {
		t.Errorf("without sudo: %d, %q", r.code, r.text)
	}
}
