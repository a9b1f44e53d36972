package tunnel

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/warrenvpn/warren/internal/quick"
)

// Q25, Q18: which file and which interface an argument means.
func TestFind(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	if err := os.Mkdir("-d", 0o700); err != nil {
		t.Fatal(err)
	}
	for _, f := range []string{"wg0.conf", "-h.conf", "all.conf", "abcdefghijklmno.conf", "-d/1.conf", "a_=+.-z.conf", "wg0", "home"} {
		if err := os.WriteFile(f, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		arg, path, name, problem, hint string
	}{
		{arg: "./wg0.conf", path: "./wg0.conf", name: "wg0"},
		{arg: dir + "/wg0.conf", path: dir + "/wg0.conf", name: "wg0"},
		{arg: "./-h.conf", path: "./-h.conf", name: "-h"},
		{arg: "-d/1.conf", path: "-d/1.conf", name: "1"},
		{arg: "./all.conf", problem: `./all.conf: "all" is not a possible interface name: the kernel has other uses for it`},
		{arg: "./a_=+.-z.conf", path: "./a_=+.-z.conf", name: "a_=+.-z"},
		{arg: "abcdefghijklmno.conf", path: "abcdefghijklmno.conf", name: "abcdefghijklmno"}, // too long for a name

		{arg: "wg0.conf", problem: "`/etc/wireguard/wg0.conf.conf' does not exist", hint: "say ./wg0.conf"},
		{arg: "wg0", problem: "`/etc/wireguard/wg0.conf' does not exist", hint: "say ./wg0.conf"},
		{arg: "nobody-has-it", problem: "`/etc/wireguard/nobody-has-it.conf' does not exist"},
		{arg: "./none.conf", problem: "`./none.conf' does not exist"},
		{arg: "./home", problem: "./home: the name of a configuration file ends in .conf"},
		{arg: "abcdefghijklmnop", problem: `the interface name "abcdefghijklmnop" has 16 characters, want at most 15`, hint: "./wg0.conf"},
		{arg: "./abcdefghijklmnop.conf", problem: `./abcdefghijklmnop.conf: the interface name "abcdefghijklmnop" has 16 characters`, hint: "rename"},
		{arg: "./ä.conf", problem: `./ä.conf: "ä" is not a possible interface name, want 1 to 15`},
		{arg: "wg 0", problem: `"wg 0" is not a possible interface name`},
		{arg: "./.conf", problem: `./.conf: "" is not a possible interface name`},
		{arg: "", problem: `"" is not a possible interface name`},
		{arg: "wg0;id", problem: `"wg0;id" is not a possible interface name`},
	} {
		path, name, err := find(c.arg)
		if c.problem == "" {
			if err != nil || path != c.path || name != c.name {
				t.Errorf("%q: %q, %q, error %v, want %q, %q", c.arg, path, name, err, c.path, c.name)
			}
			continue
		}
		var p *quick.Problem
		if !errors.As(err, &p) || !strings.HasPrefix(p.Error(), c.problem) || !strings.Contains(p.Hint, c.hint) {
			t.Errorf("%q: error %v, hint %v, want %s with hint %q", c.arg, err, hints(err), c.problem, c.hint)
		}
	}
}

func TestWorldAccessible(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "wg0.conf")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		dir, file os.FileMode
		want      bool
	}{
		{0o755, 0o600, false},
		{0o700, 0o644, false},
		{0o755, 0o644, true},
		{0o701, 0o604, false}, // may enter, may read: not the same thing, as wg-quick has it
	} {
		if err := errors.Join(os.Chmod(dir, c.dir), os.Chmod(file, c.file)); err != nil {
			t.Fatal(err)
		}
		if got := worldAccessible(file); got != c.want {
			t.Errorf("directory %o, file %o: %v, want %v", c.dir, c.file, got, c.want)
		}
	}
}
