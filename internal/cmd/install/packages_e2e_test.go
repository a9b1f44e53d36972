//go:build linux && e2e

package install

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestMain removes the packages that tests have built.
func TestMain(m *testing.M) {
	code := m.Run()
	if builtIn != "" {
		_ = os.RemoveAll(builtIn)
	}
	os.Exit(code)
}

func TestPackagesAreReproducible(t *testing.T) {
	first, err := built()
	if err != nil {
		t.Fatal(err)
	}
	second := t.TempDir()
	if err := makePackages(second); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(first + "/*")
	if err != nil || len(files) != 6 {
		t.Fatalf("packages: %q, %v", files, err)
	}
	for _, f := range files {
		a, errA := os.ReadFile(f)
		b, errB := os.ReadFile(filepath.Join(second, filepath.Base(f)))
		if errA != nil || errB != nil || !bytes.Equal(a, b) {
			t.Errorf("%s: the same source gave other bytes (%v, %v)", filepath.Base(f), errA, errB)
		}
	}
}

// U14: installed, used, removed; and nothing is left.
func TestDebComesAndGoes(t *testing.T) {
	m := newMachine(t)
	m.fetch()
	m.run(`
dpkg --purge wireguard-tools >/dev/null
snapshot before
dpkg -i $P/warren.deb $P/warren-compat.deb >$S/out 2>&1 || { cat $S/out; exit 1; }
dpkg --verify warren warren-compat
for p in warren wg wg-quick wireguard-go; do [ -x /usr/bin/$p ]; done
ours wg; ours wireguard-go; ours warren
[ "$(stat -c %a /etc/wireguard)" = 700 ]
man -w wg wg-quick warren warren-up wireguard-go >/dev/null
dpkg -s wireguard-tools >$S/status 2>&1 && { echo "FAILED: wireguard-tools is installed"; exit 1; }

# The distribution's package does not go beside it, and says why.
fails $S/out dpkg -i $P/wireguard-tools.deb
has $S/out 'conflicts'
has $S/out 'warren-compat'

# An upgrade to the same version changes nothing.
snapshot installed
dpkg -i $P/warren.deb $P/warren-compat.deb >/dev/null 2>&1
snapshot again
same installed again

# The names alone can go, and the program alone not.
fails $S/out dpkg -r warren
has $S/out 'warren-compat depends on warren'
dpkg -r warren-compat >/dev/null
[ ! -e /usr/bin/wg ]; ours warren
dpkg -r warren >/dev/null
dpkg --purge warren warren-compat >/dev/null 2>&1 || true
snapshot after
same before after
`)
}

// Whoever has wireguard-tools is told that it goes, by dpkg and by apt.
func TestDebTakesThePlaceOfTheDistributions(t *testing.T) {
	m := newMachine(t)
	m.fetch()
	m.run(`
dpkg -i $P/wireguard-tools.deb >/dev/null 2>&1
dpkg -i $P/warren.deb >/dev/null
dpkg -i $P/warren-compat.deb >$S/out 2>&1 || { cat $S/out; exit 1; }
has $S/out 'wireguard-tools'
has $S/out 'remove'
ours wg
case "$(dpkg-query -W -f '${db:Status-Abbrev}' wireguard-tools 2>/dev/null)" in ii*) echo "FAILED: both are installed"; exit 1 ;; esac
dpkg --purge warren-compat warren >/dev/null
[ ! -e /usr/bin/wg ]

dpkg -i $P/wireguard-tools.deb >/dev/null 2>&1
apt-get install -s $P/warren.deb $P/warren-compat.deb >$S/out 2>&1 || { cat $S/out; exit 1; }
has $S/out 'will be REMOVED'
has $S/out 'wireguard-tools'
`)
}

// `warren install` beside and in the place of a distribution's package.
func TestInstallRespectsPackages(t *testing.T) {
	m := newMachine(t)
	m.fetch()
	m.run(`
dpkg -i $P/wireguard-tools.deb >/dev/null 2>&1
dpkg-deb -x $P/warren.deb $S/x
W=$S/x/usr/bin/warren
snapshot before

fails $S/out $W install --compat --prefix /usr
has $S/out '/usr/bin/wg belongs to the package wireguard-tools'
has $S/out 'hint:'
snapshot refused
same before refused

# Beside it: PATH decides.
$W install --compat >$S/out
[ "$(command -v wg)" = /usr/local/bin/wg ]
ours wg
warren uninstall >/dev/null
snapshot beside
same before beside

# In its place: dpkg is told, so that an upgrade does not bring its files back.
$W install --compat --prefix /usr --force >$S/out
has $S/out 'divert /usr/bin/wg to /usr/bin/wg.before-warren'
ours wg
dpkg -i $P/wireguard-tools.deb >/dev/null 2>&1
ours wg
dpkg-divert --list '*before-warren' >$S/out
has $S/out /usr/bin/wg-quick
warren uninstall --prefix /usr >/dev/null
[ -z "$(dpkg-divert --list '*before-warren')" ]
dpkg --verify wireguard-tools
snapshot after
same before after

# What a package of ours holds is not taken over.
dpkg -i $P/warren.deb >/dev/null
$W install --prefix /usr >$S/out
warren uninstall --prefix /usr >$S/out
dpkg --verify warren
`)
}

// The same with rpm, on a host without any other rpm: one package stands for
// the shell that scripts need, another for the distribution's.
func TestRPMComesAndGoes(t *testing.T) {
	m := newMachine(t)
	m.fake("base", "provides: [/bin/sh]")
	m.fake("wireguard-tools", "")
	m.run(`
dpkg --purge wireguard-tools >/dev/null
rpm() { command rpm --force-debian "$@"; }
rpm -i $P/base.rpm
# Directories that other packages of such a distribution have.
mkdir -p /usr/share/zsh/site-functions /usr/share/fish/vendor_completions.d /usr/share/bash-completion/completions /usr/lib/systemd/system
snapshot before
rpm -i $P/warren.rpm $P/warren-compat.rpm
rpm -V warren warren-compat
ours wg; ours wireguard-go; ours warren
[ "$(stat -c %a /etc/wireguard)" = 700 ]
fails $S/out rpm -i $P/wireguard-tools.rpm
has $S/out 'conflicts with'
fails $S/out rpm -e warren
has $S/out 'is needed by (installed) warren-compat'
rpm -e warren-compat
[ ! -e /usr/bin/wg ]
rpm -e warren
snapshot after
same before after
rpm -i $P/wireguard-tools.rpm
fails $S/out rpm -i $P/warren.rpm $P/warren-compat.rpm
has $S/out 'conflicts with'
snapshot refused
same before refused
`)
}

// fake makes an empty rpm.
func (m *machine) fake(name, more string) {
	m.t.Helper()
	config := filepath.Join(m.t.TempDir(), "nfpm.yaml")
	text := fmt.Sprintf("name: %s\narch: all\nplatform: linux\nversion: 1.0.0\nmaintainer: x <x@x.invalid>\ndescription: x\n%s\n", name, more)
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		m.t.Fatal(err)
	}
	cmd := exec.Command("go", "tool", "-modfile=tools/nfpm/go.mod", "nfpm", "package", "--config", config, "--packager", "rpm",
		"--target", filepath.Join(m.packages, name+".rpm"))
	cmd.Dir = "../../.."
	if out, err := cmd.CombinedOutput(); err != nil {
		m.t.Fatalf("nfpm: %v\n%s", err, out)
	}
}

// No program that installs an apk is to be had here; its archive is read as
// such a program does.
func TestAPKIsWellFormed(t *testing.T) {
	m := newMachine(t)
	for _, c := range []struct {
		name  string
		files map[string]string // mode, or the target of a link
		info  []string
	}{
		{
			"warren",
			map[string]string{
				"usr/bin/warren": "-rwxr-xr-x", "etc/wireguard": "drwx------", "usr/share/zsh/site-functions/_warren": "-rw-r--r--",
				"usr/share/man/man8/warren-up.8.gz": "-rw-r--r--",
			},
			[]string{"pkgname = warren", "arch = x86_64", "license = MIT"},
		},
		{
			"warren-compat",
			map[string]string{"usr/bin/wg": "warren", "usr/bin/wg-quick": "warren", "usr/bin/wireguard-go": "warren"},
			[]string{
				"pkgname = warren-compat", "arch = noarch", "depend = !wireguard-tools", "depend = !wireguard-tools-wg",
				"provides = wireguard-tools=", "provides = cmd:wg-quick",
			},
		},
	} {
		entries, info := readAPK(t, filepath.Join(m.packages, c.name+".apk"))
		for path, want := range c.files {
			if got := entries[path]; got != want {
				t.Errorf("%s: %s is %q, want %q", c.name, path, got, want)
			}
		}
		for _, line := range c.info {
			if !strings.Contains(info, line) {
				t.Errorf("%s: no %q in\n%s", c.name, line, info)
			}
		}
		for _, line := range strings.Split(strings.TrimSpace(info), "\n") {
			if !strings.Contains(line, " = ") && !strings.HasPrefix(line, "#") {
				t.Errorf("%s: .PKGINFO has the line %q, want key = value", c.name, line)
			}
		}
	}
}

// readAPK reads the members of the archive and its description.
func readAPK(t *testing.T, path string) (entries map[string]string, info string) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f) // all its streams, one after the other
	if err != nil {
		t.Fatal(err)
	}
	entries = map[string]string{}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if err == io.EOF {
			return entries, info
		}
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		entries[strings.TrimSuffix(h.Name, "/")] = h.FileInfo().Mode().String()
		if h.Typeflag == tar.TypeSymlink {
			entries[h.Name] = h.Linkname
		}
		if h.Name == ".PKGINFO" {
			data, err := io.ReadAll(r)
			if err != nil {
				t.Fatal(err)
			}
			info = string(data)
		}
	}
}
