package hostnet

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/warrenvpn/warren/internal/quick"
)

// Where iproute2 has the names of routing tables: the administrator's, and those
// that came with it.
const (
	tablesEtc = "/etc/iproute2"
	tablesUsr = "/usr/share/iproute2"
)

// TableNumber returns the number of a routing table that is named as for ip(8):
// by a name of iproute2's rt_tables, or by a number.
func TableNumber(name string) (uint32, error) {
	tables, problems := namedTables(tablesEtc, tablesUsr)
	if n, ok := findTable(tables, name); ok {
		return n, nil
	}
	if n, ok := parseTableNumber(name); ok {
		return n, nil
	}
	return 0, &quick.Problem{
		Text: fmt.Sprintf("there is no routing table %q; want off, auto, a number from 0 to 4294967295, or a name of %s/rt_tables", name, tablesEtc),
		Hint: "give it a number with a line such as `200 " + name + "` in " + tablesEtc + "/rt_tables.d/warren.conf",
		Err:  problems,
	}
}

// namedTables reads the files in the order in which ip(8) does. A file in etc
// hides that of the same name in usr. What cannot be read is left out and
// returned as an error beside the rest.
func namedTables(etc, usr string) ([]namedTable, error) {
	all := slices.Clone(builtinTables)
	var problems []error
	read := func(path string) bool {
		text, err := os.ReadFile(path)
		if err != nil {
			if !errors.Is(err, fs.ErrNotExist) {
				problems = append(problems, err)
			}
			return false
		}
		tables, err := parseTables(string(text))
		if err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", path, err))
		}
		all = append(all, tables...)
		return true
	}
	if !read(filepath.Join(etc, "rt_tables")) {
		read(filepath.Join(usr, "rt_tables"))
	}
	for _, dir := range []string{usr, etc} {
		for _, name := range confFiles(filepath.Join(dir, "rt_tables.d")) {
			if dir == usr && exists(filepath.Join(etc, "rt_tables.d", name)) {
				continue
			}
			read(filepath.Join(dir, "rt_tables.d", name))
		}
	}
	return all, errors.Join(problems...)
}

func confFiles(dir string) []string {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	var names []string
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".conf") && !strings.HasPrefix(e.Name(), ".") {
			names = append(names, e.Name())
		}
	}
	return names
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
