package main

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/warrenvpn/warren/docs/man"
	"github.com/warrenvpn/warren/internal/cmd/complete"
	"github.com/warrenvpn/warren/internal/cmd/wg"
	"github.com/warrenvpn/warren/internal/manpage"
)

// What the programs take is in their manual pages. The tests ask the programs,
// not a list of their own.

func manual(t *testing.T, name string) string {
	t.Helper()
	text, err := man.Pages.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// mentions reports whether a page has a word as code.
func mentions(page, word string) bool {
	if strings.Contains(page, "\njournalctl "+word+"=") {
		return true // a field of the journal
	}
	return regexp.MustCompile("`[^`\n]*(^|[^A-Za-z0-9_-])?" + regexp.QuoteMeta(word) + "([^A-Za-z0-9_-][^`\n]*)?`").MatchString(page)
}

// flagName is a flag as a usage text lists it.
var flagName = regexp.MustCompile(`(?m)^ +(?:-[a-z], )?(--[a-z0-9-]+)`)

func TestManualHasEveryCommandAndFlag(t *testing.T) {
	all := manual(t, "warren.8.md") + manual(t, "warren-up.8.md") + manual(t, "warren-device.8.md") + manual(t, "warren-bench.8.md")
	for _, f := range families {
		for _, w := range f.words {
			if !mentions(all, w.word) {
				t.Errorf("no page has the command %s", w.word)
			}
		}
	}
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		for _, f := range flagName.FindAllStringSubmatch(c.LocalFlags().FlagUsages(), -1) {
			if !mentions(all, f[1]) {
				t.Errorf("no page has %s of %s", f[1], c.CommandPath())
			}
		}
		for _, s := range c.Commands() {
			walk(s)
		}
	}
	walk(tree())
	for _, r := range complete.Device(nil).Words {
		word, _, _ := strings.Cut(r, "\t")
		if !mentions(manual(t, "warren-device.8.md"), word) {
			t.Errorf("warren-device(8) does not have %s", word)
		}
	}
}

// ask runs wg and returns all it prints.
func ask(args ...string) string {
	var out bytes.Buffer
	wg.Main(append([]string{"wg"}, args...), strings.NewReader(""), &out, &out)
	return out.String()
}

func TestManualOfWGHasEverySubcommandFieldAndKeyword(t *testing.T) {
	page := manual(t, "wg.8.md")
	subcommands := regexp.MustCompile(`(?m)^  ([a-z]+): `).FindAllStringSubmatch(ask("help"), -1)
	if len(subcommands) < 9 {
		t.Fatalf("found %d subcommands in the help of wg", len(subcommands))
	}
	for _, s := range subcommands {
		if !strings.Contains(page, "\n- `"+s[1]+"`") {
			t.Errorf("wg(8) does not explain %s", s[1])
		}
		usage := ask(s[1], "--help")
		for _, word := range regexp.MustCompile(`[\[|{] ?([a-z][a-z-]+)`).FindAllStringSubmatch(usage, -1) {
			if !mentions(page, word[1]) {
				t.Errorf("wg(8) does not have %s of `wg %s`", word[1], s[1])
			}
		}
	}
	for _, f := range complete.Fields {
		if !mentions(page, f) || !strings.Contains(ask("show", "--help"), f) {
			t.Errorf("the field %s is not in wg(8) and the usage of `wg show`", f)
		}
	}
}

func TestManualOfQuickHasEveryVerb(t *testing.T) {
	page := manual(t, "wg-quick.8.md")
	for _, r := range complete.Quick(complete.Source{}, nil, "").Words {
		verb, _, _ := strings.Cut(r, "\t")
		if !strings.Contains(page, "\n- `"+verb+"`: ") {
			t.Errorf("wg-quick(8) does not explain %s", verb)
		}
	}
}

func TestManualHasEveryConfigurationKey(t *testing.T) {
	source := ""
	for _, f := range []string{"../../conf/parse.go", "../../conf/quick.go"} {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		source += string(text)
	}
	keys := 0
	for _, c := range []struct {
		list  string // as the parser has it
		pages []string
	}{
		{`(?s)interfaceSection: \{(.*?)\}`, []string{"wg.8.md", "wg-quick.8.md"}},
		{`(?s)peerSection: +\{(.*?)\}`, []string{"wg.8.md", "wg-quick.8.md"}},
		{`(?s)quickKeys = \[\]string\{(.*?)\}`, []string{"wg-quick.8.md"}},
	} {
		list := regexp.MustCompile(c.list).FindStringSubmatch(source)
		if list == nil {
			t.Fatalf("package conf has no %s", c.list)
		}
		for _, k := range regexp.MustCompile(`"([A-Za-z]+)"`).FindAllStringSubmatch(list[1], -1) {
			keys++
			for _, p := range c.pages {
				if !mentions(manual(t, p), k[1]) {
					t.Errorf("%s does not have the key %s", p, k[1])
				}
			}
		}
	}
	if keys < 17 {
		t.Errorf("found %d keys, want all of them", keys)
	}
}

// variable is what the environment variables of this module are called.
var variable = regexp.MustCompile(`^(WG_[A-Z_]+|WARREN|WARREN_[A-Z_]+|LOG_LEVEL|NO_COLOR)=?$`)

func TestManualHasEveryEnvironmentVariable(t *testing.T) {
	all := ""
	pages, err := fs.Glob(man.Pages, "*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pages {
		all += manual(t, p)
	}
	found := map[string]bool{}
	for _, dir := range []string{"..", "../../internal", "../../uapi", "../../wgctl"} {
		err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(p, ".go") || strings.HasSuffix(p, "_test.go") {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), p, nil, 0)
			if err != nil {
				return err
			}
			ast.Inspect(file, func(n ast.Node) bool {
				if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
					if s, err := strconv.Unquote(lit.Value); err == nil && variable.MatchString(s) {
						found[strings.TrimSuffix(s, "=")] = true
					}
				}
				return true
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, must := range []string{"LOG_LEVEL", "WG_HIDE_KEYS", "WG_QUICK_USERSPACE_IMPLEMENTATION"} {
		if !found[must] {
			t.Errorf("the search did not find %s in the source", must)
		}
	}
	for name := range found {
		if !mentions(all, name) {
			t.Errorf("no manual page has the variable %s", name)
		}
	}
}

func TestManualPagesCanBeSet(t *testing.T) {
	pages, err := fs.Glob(man.Pages, "*.md")
	if err != nil || len(pages) == 0 {
		t.Fatalf("%d pages, %v", len(pages), err)
	}
	for _, p := range pages {
		roff, err := manpage.Render(manual(t, p), "warren 1")
		if err != nil {
			t.Errorf("docs/man/%s: %v", p, err)
		}
		name, _, _ := strings.Cut(p, ".")
		if want := ".TH " + strings.ToUpper(name) + " 8 "; !bytes.HasPrefix(roff, []byte(want)) {
			t.Errorf("docs/man/%s does not begin with %q", p, want)
		}
	}
}

// TestCompletionKnowsEveryCommand: what help lists can be completed.
func TestCompletionKnowsEveryCommand(t *testing.T) {
	var out bytes.Buffer
	if code := answer(&out, &bytes.Buffer{}, []string{cobra.ShellCompRequestCmd, ""}); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	for _, f := range families {
		for _, w := range f.words {
			if !strings.Contains(out.String(), "\n"+w.word+"\t") && !strings.HasPrefix(out.String(), w.word+"\t") {
				t.Errorf("%s is not offered:\n%s", w.word, out.String())
			}
		}
	}
}
