package hostnet

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/warrenvpn/warren/internal/quick"
)

// procSys is where the kernel's settings are files. Those of the network are
// those of the calling thread's namespace.
const procSys = "/proc/sys/"

// Sysctl reads a setting of the kernel, named as for sysctl(8):
// net.ipv4.conf.all.rp_filter, or with slashes where a part has dots.
func Sysctl(name string) (string, error) {
	path, err := sysctlPath(name)
	if err != nil {
		return "", err
	}
	value, err := os.ReadFile(procSys + path)
	if err != nil {
		return "", fmt.Errorf("read setting %s: %w", name, err)
	}
	return strings.TrimRight(string(value), "\n"), nil
}

// SetSysctl gives a setting of the kernel a value, and writes nothing if it has
// the value. Containers often see settings that they cannot write; the hint then
// says how they get it from outside.
func SetSysctl(name, value string) error {
	now, err := Sysctl(name)
	if errors.Is(err, fs.ErrNotExist) {
		return &quick.Problem{Text: "this kernel has no setting " + name, Err: err}
	}
	if err != nil {
		return err
	}
	if sameValue(now, value) {
		return nil
	}
	path, _ := sysctlPath(name)
	f, err := os.OpenFile(procSys+path, os.O_WRONLY, 0)
	if err == nil {
		_, err = f.WriteString(value + "\n")
		err = errors.Join(err, f.Close())
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.EROFS), errors.Is(err, fs.ErrPermission):
		return &quick.Problem{
			Text: fmt.Sprintf("the setting %s is %s and has to be %s, but it cannot be written: %v", name, now, value, err),
			Hint: fmt.Sprintf("in a container, start it with `--sysctl %s=%s`", name, value),
			Err:  err,
		}
	}
	return fmt.Errorf("set %s to %s: %w", name, value, err)
}

// IPv6Disabled reports whether an interface of this name cannot have IPv6
// addresses, and why: the kernel has no IPv6, or it is switched off for this
// interface. If there is no such interface (""), the answer is for one that is
// made now.
func IPv6Disabled(link string) (disabled bool, why string) {
	if _, err := os.Stat(procSys + "net/ipv6/conf"); errors.Is(err, fs.ErrNotExist) {
		return true, "this kernel has no IPv6, or it was started with ipv6.disable=1"
	}
	// conf/all counts only in the moment it is written: it changes all others.
	for _, of := range []string{link, "default"} {
		name := "net/ipv6/conf/" + of + "/disable_ipv6"
		value, err := Sysctl(name)
		if of == "" || errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil && value != "0" {
			return true, fmt.Sprintf("IPv6 is switched off by the setting %s = %s", name, value)
		}
		break
	}
	return false, ""
}
