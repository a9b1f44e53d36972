//go:build linux && e2e

package tunnel_test

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// The text of hooks may hold secrets, so it stands in nobody's arguments, which
// every user may read; it may be longer than an argument can be; and the hook
// has the user's stdin, and no other descriptor than the user gave. This holds
// with bash and, without it, with sh.
func TestHooksAreSecret(t *testing.T) {
	if !inside(t) {
		return
	}
	check(t, os.Mkdir("/run/bin", 0o755))
	sh(t, "ln -s $(command -v dash) /run/bin/sh; for p in cat wc; do ln -s $(command -v $p) /run/bin/$p; done")
	long := strings.Repeat("0123456789abcdef", 200<<10/16)
	for _, path := range []string{os.Getenv("PATH"), "/run/bin"} {
		for _, c := range []struct{ name, hook, want string }{
			{"arguments", `cat /proc/$$/cmdline /proc/self/cmdline /proc/$PPID/cmdline > /run/out; : SECRET`, ""},
			{"length", `printf %s '` + long + `' | wc -c > /run/out`, fmt.Sprintln(len(long))},
			{"stdin", `read answer; echo "$answer $#" > /run/out`, "yes 0\n"},
			{"descriptor", `if (true <&3) 2>/dev/null; then echo open; else echo closed; fi > /run/out`, "closed\n"},
			{"quotes", `printf '%s\n' "it's" 'a"b' \' > /run/out`, "it's\na\"b\n'\n"},
		} {
			write(t, "wg0.conf", keys.Replace("[Interface]\nPrivateKey = $KEY\nPreUp = : SECRET\nPostUp = "+c.hook+"\nPostDown = : SECRET\n"))
			os.Remove("/run/out")
			cmd := exec.Command("/proc/self/exe", "up", "./wg0.conf")
			cmd.Stdin = strings.NewReader("yes\nno\n")
			cmd.Env = append(os.Environ(), "PATH="+path)
			r := finish(t, cmd)
			if len(r.text) > 4096 {
				r.text = r.text[:2048] + "..." + r.text[len(r.text)-2048:]
			}
			if r.code != 0 {
				t.Errorf("%s with PATH=%s: exit code %d\n%s", c.name, path, r.code, r.text)
				continue
			}
			out := read(t, "/run/out")
			switch {
			case c.name == "arguments" && (out == "" || strings.Contains(out, "SECRET")):
				t.Errorf("with PATH=%s arguments are %q", path, out)
			case c.name != "arguments" && out != c.want:
				t.Errorf("%s with PATH=%s: %q, want %q\n%s", c.name, path, out, c.want, r.text)
			}
			warren(t, "down", "./wg0.conf").wantDone(t)
		}
	}
}
