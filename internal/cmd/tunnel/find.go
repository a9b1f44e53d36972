package tunnel

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/warrenvpn/warren/internal/quick"
)

// configDir is where a tunnel given by its name has its file.
const configDir = "/etc/wireguard"

// maxName is the longest name of an interface (IFNAMSIZ less its zero byte).
const maxName = 15

// nameRule is what wg-quick takes for the name of an interface.
var nameRule = regexp.MustCompile(`^[a-zA-Z0-9_=+.-]{1,15}$`)

const nameWords = "1 to 15 letters, digits or _=+.-"

// find returns the file that a user means by FILE or NAME, and the name of the
// interface, which is the file's without .conf. Whatever may be a name is one,
// as with wg-quick: the file wg0.conf here is ./wg0.conf.
func find(arg string) (path, name string, err error) {
	if nameRule.MatchString(arg) {
		return checkNamed(arg)
	}
	base := filepath.Base(arg)
	name, isConf := strings.CutSuffix(base, ".conf")
	if !isConf {
		return "", "", notAFile(arg)
	}
	if !nameRule.MatchString(name) || reserved(name) {
		return "", "", &quick.Problem{Path: arg, Text: badName(name), Hint: "the interface is called as its file; rename it"}
	}
	return arg, name, exists(arg)
}

// fileRule is what wg-quick takes for the path of a file.
var fileRule = regexp.MustCompile(`(?:^|/)([a-zA-Z0-9_=+.-]{1,15})\.conf$`)

// findCompat is find with the words of wg-quick.
func findCompat(arg string) (path, name string, err error) {
	path = arg
	if nameRule.MatchString(arg) {
		path = filepath.Join(configDir, arg+".conf")
	}
	if _, err := os.Stat(path); err != nil {
		return "", "", &quick.Problem{Text: fmt.Sprintf("`%s' does not exist", path), Err: err}
	}
	match := fileRule.FindStringSubmatch(path)
	if match == nil {
		return "", "", &quick.Problem{Text: "The config file must be a valid interface name, followed by .conf"}
	}
	return path, match[1], nil
}

// checkNamed resolves an argument that is a valid name.
func checkNamed(arg string) (path, name string, err error) {
	path = filepath.Join(configDir, arg+".conf")
	err = exists(path)
	var p *quick.Problem
	if errors.As(err, &p) && errors.Is(err, fs.ErrNotExist) {
		switch {
		case strings.HasSuffix(arg, ".conf") && isFile(arg):
			p.Hint = "for the file here, say ./" + arg
		case isFile(arg + ".conf"):
			p.Hint = "for the file here, say ./" + arg + ".conf"
		}
	}
	return path, arg, err
}

// notAFile explains an argument that is neither a name nor a file NAME.conf.
func notAFile(arg string) error {
	if strings.Contains(arg, "/") || isFile(arg) {
		return &quick.Problem{Path: arg, Text: "the name of a configuration file ends in .conf, after the name of the interface", Hint: "for example ./wg0.conf"}
	}
	return &quick.Problem{Text: badName(arg), Hint: "a file is given with its path: ./wg0.conf"}
}

func badName(name string) string {
	if len(name) > maxName {
		return fmt.Sprintf("the interface name %q has %d characters, want at most %d", name, len(name), maxName)
	}
	if reserved(name) {
		return fmt.Sprintf("%q is not a possible interface name: the kernel has other uses for it", name)
	}
	return fmt.Sprintf("%q is not a possible interface name, want %s", name, nameWords)
}

// reserved names stand for all interfaces under /proc/sys/net.
func reserved(name string) bool { return name == "all" || name == "default" }

func exists(path string) error {
	_, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return &quick.Problem{Text: fmt.Sprintf("`%s' does not exist", path), Err: err}
	}
	return err
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// worldAccessible reports whether anybody may get at the keys in a file: file
// and directory grant others the same thing.
func worldAccessible(path string) bool {
	file, err := os.Stat(path)
	if err != nil {
		return false
	}
	dir, err := os.Stat(filepath.Dir(path))
	return err == nil && file.Mode()&dir.Mode()&0o007 != 0
}
