package hostnet

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Routing tables of the kernel's own.
const (
	tableDefault = 253
	tableMain    = 254
	tableLocal   = 255
)

// namedTable is a line of iproute2's rt_tables.
type namedTable struct {
	number uint32
	name   string
}

// builtinTables are known without a file.
var builtinTables = []namedTable{{tableDefault, "default"}, {tableMain, "main"}, {tableLocal, "local"}}

// maxLine is how much of a line ip(8) reads at once.
const maxLine = 511

// parseTables reads a file of the form of /etc/iproute2/rt_tables: a number, in
// decimal or after 0x, and a name on each line; # begins a comment. As ip(8)
// does, it takes the lines before one that is wrong.
func parseTables(text string) ([]namedTable, error) {
	var all []namedTable
	n := 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimLeft(strings.TrimSuffix(line, "\n"), " \t")
		if line == "" || line[0] == '#' {
			continue
		}
		words := strings.FieldsFunc(line, isSpace)
		if len(words) < 2 || len(line) > maxLine {
			return all, fmt.Errorf("line %d: got %q, want a number and a name", n, line)
		}
		number, err := parseTableID(words[0])
		if err != nil {
			return all, fmt.Errorf("line %d: got %q, want a number and a name", n, line)
		}
		if number <= math.MaxInt32 { // larger ones are negative to ip(8), which leaves them out
			all = append(all, namedTable{uint32(number), words[1]})
		}
	}
	return all, nil
}

// isSpace is isspace(3) of the C locale.
func isSpace(r rune) bool { return r == ' ' || r >= '\t' && r <= '\r' }

func parseTableID(word string) (uint64, error) {
	if digits, ok := strings.CutPrefix(word, "0x"); ok {
		return strconv.ParseUint(digits, 16, 32)
	}
	return strconv.ParseUint(word, 10, 32)
}

// findTable finds a table by its name, as ip(8) does: of several with one name
// it takes that whose number has the lowest last byte, and of those the last.
func findTable(tables []namedTable, name string) (uint32, bool) {
	best, found := namedTable{}, false
	for _, t := range tables {
		if t.name == name && (!found || byte(t.number) <= byte(best.number)) {
			best, found = t, true
		}
	}
	return best.number, found
}

// parseTableNumber reads a number as ip(8) does: decimal, octal after 0 and
// hexadecimal after 0x, with space or a plus sign before it.
func parseTableNumber(s string) (uint32, bool) {
	s = strings.TrimPrefix(strings.TrimLeftFunc(s, isSpace), "+")
	base, digits := 10, s
	switch {
	case strings.HasPrefix(s, "0x") || strings.HasPrefix(s, "0X"):
		base, digits = 16, s[2:]
	case len(s) > 1 && s[0] == '0':
		base, digits = 8, s[1:]
	}
	n, err := strconv.ParseUint(digits, base, 32)
	return uint32(n), err == nil
}
