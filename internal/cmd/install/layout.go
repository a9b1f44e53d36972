package install

import (
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/warrenvpn/warren/docs/man"
	"github.com/warrenvpn/warren/internal/cli"
	"github.com/warrenvpn/warren/internal/cmd/complete"
	"github.com/warrenvpn/warren/internal/manpage"
	"github.com/warrenvpn/warren/packaging"
)

// Layout says what is installed where.
type Layout struct {
	Prefix  string // such as /usr/local
	ZshDir  string // below the prefix
	Compat  bool   // the names of the programs that this one replaces, too
	Units   bool   // systemd units
	Version string
	Binary  []byte
}

// DefaultZshDir is where zsh looks below every prefix in its path.
const DefaultZshDir = "share/zsh/site-functions"

// kind of an item or entry.
type kind string

const (
	file kind = "file"
	link kind = "link"
	dir  kind = "dir"
)

// item is one thing to install. Its path does not have the destdir.
type item struct {
	path   string
	kind   kind
	mode   fs.FileMode
	data   []byte // of a file
	target string // of a link
}

// configDir has the files of tunnels, which hold keys.
const configDir = "/etc/wireguard"

// links are the names of programs that the binary replaces.
var links = []string{"wg", "wg-quick", "wireguard-go"}

// page is a manual page: its file, and further names that it is found under.
type page struct {
	source, name string
	also, compat []string
}

// pages are those of docs/man. The pages of wg and wg-quick are installed in
// any case, under names that no other package has.
var pages = []page{
	{source: "warren.8.md", name: "warren.8"},
	{source: "warren-up.8.md", name: "warren-up.8", also: []string{"warren-down.8", "warren-save.8", "warren-strip.8"}},
	{source: "warren-bench.8.md", name: "warren-bench.8"},
	{source: "warren-device.8.md", name: "warren-device.8", compat: []string{"wireguard-go.8"}},
	{source: "wg.8.md", name: "warren-wg.8", compat: []string{"wg.8"}},
	{source: "wg-quick.8.md", name: "warren-wg-quick.8", compat: []string{"wg-quick.8"}},
}

// goodPrefix is what can stand in a unit file and in a shell unquoted.
var goodPrefix = regexp.MustCompile(`^/[A-Za-z0-9/._+-]*$`)

// items lists everything, directories that are more than parents included.
func (l *Layout) items() ([]item, error) {
	if !goodPrefix.MatchString(l.Prefix) || path.Clean(l.Prefix) != l.Prefix {
		return nil, cli.WithHint(fmt.Errorf("the prefix %q: want an absolute path of letters, digits and ._+-, without // or a slash at the end", l.Prefix),
			"for example --prefix /usr/local")
	}
	if strings.HasPrefix(l.ZshDir, "/") || strings.Contains(l.ZshDir, "..") {
		return nil, fmt.Errorf("the directory %q for zsh: want a path below the prefix", l.ZshDir)
	}
	all := []item{
		{path: l.at("bin/warren"), kind: file, mode: 0o755, data: l.Binary},
		{path: configDir, kind: dir, mode: 0o700},
	}
	if l.Compat {
		for _, name := range links {
			all = append(all, item{path: l.at("bin", name), kind: link, target: "warren"})
		}
	}
	for _, more := range []func() ([]item, error){l.manuals, l.completions, l.units} {
		items, err := more()
		if err != nil {
			return nil, err
		}
		all = append(all, items...)
	}
	return all, nil
}

func (l *Layout) at(parts ...string) string {
	return path.Join(append([]string{l.Prefix}, parts...)...)
}

func (l *Layout) text(p string, data []byte) item {
	return item{path: p, kind: file, mode: 0o644, data: data}
}

func (l *Layout) manuals() (all []item, err error) {
	const where = "share/man/man8"
	for _, p := range pages {
		source, err := man.Pages.ReadFile(p.source)
		if err != nil {
			return nil, err
		}
		roff, err := manpage.Render(string(source), "warren "+l.Version)
		if err != nil {
			return nil, fmt.Errorf("docs/man/%s: %w", p.source, err)
		}
		all = append(all, l.text(l.at(where, p.name), roff))
		names := p.also
		if l.Compat {
			names = append(slices.Clone(names), p.compat...)
		}
		for _, n := range names {
			all = append(all, item{path: l.at(where, n), kind: link, target: p.name})
		}
	}
	return all, nil
}

func (l *Layout) completions() (all []item, err error) {
	for _, program := range complete.Programs {
		if program != "warren" && !l.Compat {
			continue
		}
		for _, shell := range complete.Shells {
			script, err := complete.Script(shell, program)
			if err != nil {
				return nil, err
			}
			name := map[string]string{
				"bash": l.at("share/bash-completion/completions", program),
				"zsh":  l.at(l.ZshDir, "_"+program),
				"fish": l.at("share/fish/vendor_completions.d", program+".fish"),
			}[shell]
			all = append(all, l.text(name, []byte(script)))
		}
	}
	return all, nil
}

func (l *Layout) units() (all []item, err error) {
	if !l.Units {
		return nil, nil
	}
	names, err := fs.Glob(packaging.Units, "systemd/*")
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if base := path.Base(name); strings.HasPrefix(base, "warren") || l.Compat {
			data, err := packaging.Units.ReadFile(name)
			if err != nil {
				return nil, err
			}
			text := strings.ReplaceAll(string(data), "@BINDIR@", l.at("bin"))
			all = append(all, l.text(l.at("lib/systemd/system", base), []byte(text)))
		}
	}
	return all, nil
}
