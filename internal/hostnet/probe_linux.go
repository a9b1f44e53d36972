package hostnet

import (
	"bufio"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// KernelMayHave reports whether the kernel has WireGuard, or a module of it to
// load, as far as this can be said without making an interface.
func KernelMayHave() bool {
	if ModuleLoaded() {
		return true
	}
	var name unix.Utsname
	if unix.Uname(&name) != nil {
		return true
	}
	dir := filepath.Join("/lib/modules", unix.ByteSliceToString(name.Release[:]))
	return lists(filepath.Join(dir, "modules.dep")) || lists(filepath.Join(dir, "modules.builtin"))
}

// ModuleLoaded reports whether WireGuard is in the kernel now.
func ModuleLoaded() bool {
	_, err := os.Stat("/sys/module/wireguard")
	return err == nil
}

// lists reports whether a list of modules has ours.
func lists(file string) bool {
	f, err := os.Open(file)
	if err != nil {
		return false
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		module, _, _ := strings.Cut(s.Text(), ":")
		if strings.HasPrefix(filepath.Base(module), "wireguard.ko") {
			return true
		}
	}
	return false
}

// StrictReversePath reports whether an interface drops packets whose source is
// not routed back through it. What cannot be read may do so.
func StrictReversePath() bool {
	files, _ := filepath.Glob("/proc/sys/net/ipv4/conf/*/rp_filter")
	all, err := Sysctl("net.ipv4.conf.all.rp_filter")
	if err != nil || len(files) == 0 {
		return true
	}
	for _, f := range files {
		value, err := os.ReadFile(f)
		name := filepath.Base(filepath.Dir(f))
		if name == "all" || name == "default" || name == "lo" {
			continue
		}
		// The larger of the two counts; 2 is loose.
		if err != nil || max(all, strings.TrimSpace(string(value))) == "1" {
			return true
		}
	}
	return false
}
