//go:build linux && e2e

package resolver

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// thisHost is this host as it is where isolated reports true.
func thisHost(t *testing.T) (*host, *file) {
	t.Helper()
	h := &host{t: t}
	h.env = Environment{
		Path:       "/nowhere",
		Warn:       func(text, hint string) { h.said = append(h.said, text+"\n"+hint) },
		LinkExists: func(string) bool { return true },
	}
	return h, &file{env: h.env}
}

// fingerprint is all of the file that can be put back.
func fingerprint(t *testing.T) string {
	t.Helper()
	var s unix.Stat_t
	must(t, unix.Lstat(resolvConf, &s))
	value := make([]byte, 64)
	var attributes []string
	for _, name := range []string{"user.mine", "trusted.mine"} {
		n, err := unix.Lgetxattr(resolvConf, name, value)
		attributes = append(attributes, fmt.Sprintf("%s=%q %v", name, value[:max(n, 0)], err))
	}
	link, _ := os.Readlink(resolvConf)
	text, _ := os.ReadFile(resolvConf)
	return fmt.Sprintf("inode %d mode %o owner %d:%d links %d to %q %q %q\n%s", s.Ino, s.Mode, s.Uid, s.Gid, s.Nlink, link, attributes, text,
		sh(t, "ls -A /etc | grep -i 'resolv.conf'; ls -A /run/warren 2>/dev/null | grep -v lock || :; grep ' /etc/resolv.conf ' /proc/self/mountinfo || :"))
}

// putFile puts a file with all its attributes at name.
func putFile(t *testing.T, name string) {
	t.Helper()
	must(t, os.WriteFile(name, []byte("# mine\nnameserver 192.0.2.1\nsearch home\noptions ndots:5"), 0o600))
	must(t, os.Chmod(name, 0o604))
	must(t, os.Chown(name, 1234, 4321))
	must(t, unix.Lsetxattr(name, "trusted.mine", []byte("kept"), 0))
}

// Q28, U01: a container's file is mounted, and cannot be replaced. Processes
// that change it are killed before each step.
func TestKilledProcessesLeaveNothing(t *testing.T) {
	if !isolated(t) {
		return
	}
	for _, form := range []string{"file", "mounted file", "link", "file in a folder that cannot be written"} {
		t.Run(form, func(t *testing.T) {
			h, b := thisHost(t)
			putFile(t, "/run/resolv.conf")
			switch form {
			case "file":
				putFile(t, resolvConf)
			case "link":
				must(t, os.Symlink("../run/resolv.conf", resolvConf))
			case "mounted file":
				must(t, os.WriteFile(resolvConf, nil, 0o644))
				must(t, unix.Mount("/run/resolv.conf", resolvConf, "", unix.MS_BIND, ""))
			default: // a link out of a folder that is read-only
				must(t, os.Symlink("../run/resolv.conf", resolvConf))
				must(t, unix.Mount("/etc", "/etc", "", unix.MS_BIND, ""))
				must(t, unix.Mount("", "/etc", "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, ""))
				defer func() { must(t, unix.Unmount("/etc", 0)); must(t, os.Remove(resolvConf)) }()
			}
			before, kills := fingerprint(t), 0
			for step := 0; ; step++ {
				any := killed(t, step, "set wg0")
				must(t, b.Set(t.Context(), wg(0)))
				h.inForce(0)
				any = killed(t, step, "set wg1") || any
				must(t, b.Set(t.Context(), wg(2)))
				h.inForce(2)
				any = killed(t, step, "unset wg0") || any
				must(t, b.Unset(t.Context(), "wg1"))
				any = killed(t, step, "unset wg2") || any
				must(t, b.Unset(t.Context(), "wg2"))
				must(t, b.Unset(t.Context(), "wg0"))
				if after := fingerprint(t); after != before {
					t.Fatalf("killed before step %d: after\n%s, want\n%s", step, after, before)
				}
				if !any {
					break
				}
				kills++
			}
			if kills < 5 || len(h.said) > 0 {
				t.Errorf("killed before %d steps, warned %q", kills, h.said)
			}
			if form == "mounted file" {
				must(t, unix.Unmount(resolvConf, 0))
			}
			if !strings.HasPrefix(form, "file in") {
				must(t, os.Remove(resolvConf))
			}
		})
	}
}

// Q24: a container whose resolv.conf is mounted read-only.
func TestReadOnlyMountIsOneClearError(t *testing.T) {
	if !isolated(t) {
		return
	}
	h, b := thisHost(t)
	putFile(t, "/run/resolv.conf")
	must(t, os.WriteFile(resolvConf, nil, 0o644))
	must(t, unix.Mount("/run/resolv.conf", resolvConf, "", unix.MS_BIND, ""))
	must(t, unix.Mount("", resolvConf, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, ""))
	before := fingerprint(t)
	err := b.Set(t.Context(), wg(0))
	if !errors.Is(err, unix.EROFS) || strings.Count(err.Error(), "DNS: ") != 1 {
		t.Errorf("error %v, want one that says read-only, once", err)
	}
	must(t, b.Unset(t.Context(), "wg0"))
	if after := fingerprint(t); after != before || len(h.said) > 0 {
		t.Errorf("after\n%s and %q, want\n%s", after, h.said, before)
	}
	t.Log(err)
}

// Two network namespaces that share /run have a resolv.conf each, as with
// `ip netns exec`: one's tunnels are not the other's.
func TestMountedFilesAreKeptApart(t *testing.T) {
	if !isolated(t) {
		return
	}
	h, b := thisHost(t)
	putFile(t, resolvConf)
	outer := fingerprint(t)
	must(t, b.Set(t.Context(), wg(0)))
	must(t, os.WriteFile("/run/other", []byte("nameserver 203.0.113.1\n"), 0o644))
	must(t, unix.Mount("/run/other", resolvConf, "", unix.MS_BIND, ""))
	must(t, b.Set(t.Context(), wg(0)))
	must(t, b.Set(t.Context(), wg(1)))
	must(t, b.Unset(t.Context(), "wg0"))
	h.inForce(1)
	must(t, b.Unset(t.Context(), "wg1"))
	if got := h.read(); got != "nameserver 203.0.113.1\n" {
		t.Errorf("the mounted file is %q", got)
	}
	must(t, unix.Unmount(resolvConf, 0))
	h.inForce(0)
	must(t, b.Unset(t.Context(), "wg0"))
	if after := fingerprint(t); after != outer || len(h.said) > 0 {
		t.Errorf("after\n%s and %q, want\n%s", after, h.said, outer)
	}
}

// Live systems and containers: the file comes from the lower layer of an overlay
// that is another file system, where the two names of a linked file are not seen
// to be one.
func TestFileOfALowerLayer(t *testing.T) {
	if !isolated(t) {
		return
	}
	h, b := thisHost(t)
	lower := t.TempDir() // on disk, the other layer in memory
	must(t, os.MkdirAll("/run/upper/etc", 0o755))
	must(t, os.Mkdir("/run/upper/work", 0o755))
	putFile(t, lower+"/resolv.conf")
	must(t, unix.Mount("etc", "/etc", "overlay", 0, "lowerdir="+lower+",upperdir=/run/upper/etc,workdir=/run/upper/work"))
	content := func() string {
		_, rest, _ := strings.Cut(fingerprint(t), " mode ") // a copy has an inode of its own
		return rest
	}
	before := content()
	for range 2 {
		must(t, b.Set(t.Context(), wg(0)))
		h.inForce(0)
		must(t, b.Set(t.Context(), wg(1)))
		h.inForce(1)
		must(t, b.Unset(t.Context(), "wg0"))
		must(t, b.Unset(t.Context(), "wg1"))
		if after := content(); after != before || len(h.said) > 0 {
			t.Errorf("after\n%s and %q, want\n%s", after, h.said, before)
		}
	}
}
