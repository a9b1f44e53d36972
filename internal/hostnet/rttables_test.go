package hostnet

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestParseTables(t *testing.T) {
	for text, want := range map[string]string{
		"":                                  "[] ",
		"# all\n\n   # and\n":               "[] ",
		"200 a\n0xc9\tb\n 202   c # note":   "[{200 a} {201 b} {202 c}] ",
		"200 a\r\n201 b\r\n":                "[{200 a} {201 b}] ",
		"2147483647 a\n2147483648 b\n1 c\n": "[{2147483647 a} {1 c}] ",
		"200 a\n201\n202 c\n":               `[{200 a}] line 2: got "201", want a number and a name`,
		"200 a\n\n-1 b\n":                   `[{200 a}] line 3: got "-1 b", want a number and a name`,
		"4294967296 a\n":                    `[] line 1: got "4294967296 a", want a number and a name`,
		"a 200\n":                           `[] line 1: got "a 200", want a number and a name`,
		"200 " + strings.Repeat("x", 507):   "[{200 " + strings.Repeat("x", 507) + "}] ",
		"200 a#b\n":                         "[{200 a#b}] ",
		"0x a\n":                            `[] line 1: got "0x a", want a number and a name`,
	} {
		tables, err := parseTables(text)
		got := fmt.Sprint(tables) + " "
		if err != nil {
			got += err.Error()
		}
		if got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
	if tables, err := parseTables("200 " + strings.Repeat("x", 508)); err == nil || len(tables) != 0 {
		t.Error("a line was taken that ip(8) does not read at once")
	}
}

func TestFindTable(t *testing.T) {
	tables := slices.Concat(builtinTables, []namedTable{{300, "a"}, {44, "a"}, {556, "b"}, {44, "b"}, {45, "b"}, {7, "main"}})
	for name, want := range map[string]uint32{"a": 44, "b": 44, "main": 7, "local": 255, "default": 253} {
		if got, ok := findTable(tables, name); !ok || got != want {
			t.Errorf("table %q is %d, %v, want %d", name, got, ok, want)
		}
	}
	if n, ok := findTable(tables, "none"); ok {
		t.Errorf("table none is %d, want that there is none", n)
	}
}

// FuzzTables: what is read can be written and read again, and is found.
func FuzzTables(f *testing.F) {
	for _, s := range []string{"255\tlocal\n254 main\n", "0x10 a # b\nwrong", "  #\n\n1 \x00\n", "99999999999 x", "0x 1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		tables, err := parseTables(text)
		var b strings.Builder
		for _, e := range tables {
			fmt.Fprintf(&b, "%d %s\n", e.number, e.name)
			if _, ok := findTable(tables, e.name); !ok {
				t.Errorf("%q is not found", e.name)
			}
		}
		again, errAgain := parseTables(b.String())
		if errAgain != nil || !slices.Equal(again, tables) {
			t.Errorf("%v (%v) written and read again is %v (%v)", tables, err, again, errAgain)
		}
	})
}
