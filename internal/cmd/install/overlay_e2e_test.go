//go:build linux && e2e

package install

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// machine is a copy of this host that scripts may change: an overlay in a mount
// namespace of their own. The host stays as it is.
type machine struct {
	t        *testing.T
	packages string // directory with our packages and others
}

// inside prepares the overlay and runs a script in it. $PACKAGES there is the
// directory of packages. snapshot FILE writes down what there is, but for the
// data of package managers, caches, and directories of libraries and documents
// that nothing of ours is in.
const inside = `set -eu
mount --make-rprivate /
mount -t tmpfs tmpfs "$SCRATCH"
mkdir "$SCRATCH/upper" "$SCRATCH/work" "$SCRATCH/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$SCRATCH/upper,workdir=$SCRATCH/work" "$SCRATCH/root"
R=$SCRATCH/root
mount -t proc proc "$R/proc"
mount --rbind /dev "$R/dev"
mount -t tmpfs tmpfs "$R/tmp"
mount -t tmpfs tmpfs "$R/run"
mkdir "$R/tmp/packages" "$R/tmp/state"
rm -f "$R/var/lib/man-db/auto-update" # the index of manual pages takes long to make
cp "$PACKAGES"/* "$R/tmp/packages/"
printf '%s' "$PRELUDE$SCRIPT" >"$R/tmp/script"
exec chroot "$R" /usr/bin/env -i HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
	DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 P=/tmp/packages S=/tmp/state sh -eu /tmp/script
`

// prelude are functions for the scripts.
const prelude = `
snapshot() {
	find /etc /opt /srv /usr /var -xdev \( -path /var/lib/dpkg -o -path /var/lib/rpm -o -path /var/lib/apt -o -path /var/lib/systemd \
		-o -path /var/cache -o -path /var/log -o -path /var/tmp -o -path '/etc/*.lock' -o -path /usr/local/go -o -path /usr/include \
		-o -path '/usr/lib/[a-rt-vx-z]*' -o -path '/usr/share/[eg-lp-v]*' \) -prune \
		-o -type d -printf '%p %y %m\n' -o -printf '%p %y %m %s %l\n' | sort >"$S/$1"
}
# same A B: fails and shows the difference unless nothing differs.
same() { diff "$S/$1" "$S/$2" || { echo "FAILED: $2 differs from $1"; exit 1; }; }
# has FILE TEXT: fails unless the file has the text.
has() { grep -qF -e "$2" "$1" || { echo "FAILED: no \"$2\" in:"; cat "$1"; exit 1; }; }
# fails FILE COMMAND...: fails if the command succeeds; its output is in FILE.
fails() { f=$1; shift; if "$@" >"$f" 2>&1; then cat "$f"; echo "FAILED: succeeded: $*"; exit 1; fi; }
# ours NAME: fails unless the program is this one.
ours() { case "$("$1" --version)" in warren*) ;; *) echo "FAILED: $1 is another program"; exit 1 ;; esac; }
`

// run runs a script on the machine, fails the test if it fails, and returns what
// it printed.
func (m *machine) run(script string) string {
	m.t.Helper()
	scratch := m.t.TempDir()
	cmd := exec.Command("unshare", "--mount", "--propagation", "private", "--net", "--pid", "--fork", "--kill-child",
		"sh", "-c", inside)
	cmd.Env = append(os.Environ(), "SCRATCH="+scratch, "PACKAGES="+m.packages, "SCRIPT="+script, "PRELUDE="+prelude)
	out, err := cmd.CombinedOutput()
	if err != nil {
		m.t.Errorf("%v\n%s", err, out)
	}
	return string(out)
}

// built are our packages, made once for all tests.
var built = sync.OnceValues(func() (dir string, err error) {
	if dir, err = os.MkdirTemp("", "warren-packages-*"); err != nil {
		return "", err
	}
	builtIn = dir
	return dir, makePackages(dir)
})

// builtIn is where they are; empty if no test needed them.
var builtIn string

func makePackages(dir string) error {
	cmd := exec.Command("../../../scripts/packages")
	cmd.Env = append(os.Environ(), "DIST="+dir, "SOURCE_DATE_EPOCH=1700000000")
	if out, err := cmd.CombinedOutput(); err != nil {
		return &commandError{"scripts/packages", string(out), err}
	}
	return nil
}

// newMachine has our packages and the distribution's wireguard-tools.
func newMachine(t *testing.T) *machine {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("this test makes a mount namespace and so needs root")
	}
	ours, err := built()
	if err != nil {
		t.Fatal(err)
	}
	m := &machine{t: t, packages: t.TempDir()}
	files, err := filepath.Glob(ours + "/*")
	if err != nil || len(files) != 6 {
		t.Fatalf("packages: %q, %v", files, err)
	}
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		// Names without the version, for the scripts.
		base := filepath.Base(f)
		name := "warren"
		if strings.HasPrefix(base, "warren-compat") {
			name = "warren-compat"
		}
		if err := os.WriteFile(filepath.Join(m.packages, name+filepath.Ext(base)), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

// fetch gets the distribution's own package.
func (m *machine) fetch() {
	m.t.Helper()
	cmd := exec.Command("apt-get", "download", "-q", "wireguard-tools")
	cmd.Dir = m.packages
	if out, err := cmd.CombinedOutput(); err != nil {
		m.t.Fatalf("apt-get download wireguard-tools: %v\n%s", err, out)
	}
	found, err := filepath.Glob(m.packages + "/wireguard-tools_*.deb")
	if err != nil || len(found) != 1 {
		m.t.Fatalf("downloaded %q, %v", found, err)
	}
	if err := os.Rename(found[0], m.packages+"/wireguard-tools.deb"); err != nil {
		m.t.Fatal(err)
	}
}
