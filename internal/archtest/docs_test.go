package archtest

import (
	"go/ast"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// document is one Markdown file, split into what a reader sees as prose, and
// the code spans in it. Fenced blocks are in neither.
type document struct {
	name     string
	prose    string
	headings []string // as anchors
}

func documents(t *testing.T) []*document {
	t.Helper()
	var all []*document
	for _, name := range treeFiles(t) {
		if !strings.HasSuffix(name, ".md") || strings.Contains(name, "testdata/") {
			continue
		}
		text, err := os.ReadFile(filepath.Join(top, name))
		if err != nil {
			t.Fatal(err)
		}
		d := &document{name: name}
		fenced := false
		for _, line := range strings.Split(string(text), "\n") {
			if strings.HasPrefix(strings.TrimSpace(line), "```") {
				fenced = !fenced
				continue
			}
			if fenced {
				continue
			}
			if h := strings.TrimLeft(line, "#"); h != line && strings.HasPrefix(h, " ") {
				d.headings = append(d.headings, anchor(h))
			}
			d.prose += line + "\n"
		}
		all = append(all, d)
	}
	return all
}

var notInAnchor = regexp.MustCompile(`[^\pL\pN _-]`)

// anchor is the name by which links reach a heading.
func anchor(heading string) string {
	h := notInAnchor.ReplaceAllString(strings.ToLower(strings.TrimSpace(heading)), "")
	return strings.ReplaceAll(h, " ", "-")
}

var (
	markdownLink = regexp.MustCompile(`\[[^\]]*\]\(([^)\s]+)\)`)
	codeSpan     = regexp.MustCompile("`([^`\n]+)`")
	testName     = regexp.MustCompile(`^(Test|Fuzz|Benchmark|Example)[A-Z_]\w*$`)
	goFileName   = regexp.MustCompile(`^[\w.-]+(/[\w.-]+)+\.(go|txt|s)$`)
	makeTarget   = regexp.MustCompile(`^make ([a-z0-9]+)`)
)

func TestDocsLinksLeadSomewhere(t *testing.T) {
	docs := documents(t)
	headings := map[string][]string{}
	for _, d := range docs {
		headings[d.name] = d.headings
	}
	for _, d := range docs {
		for _, m := range markdownLink.FindAllStringSubmatch(codeSpan.ReplaceAllString(d.prose, ""), -1) {
			target, fragment, _ := strings.Cut(m[1], "#")
			if strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
				continue
			}
			file := d.name
			if target != "" {
				file = path.Join(path.Dir(d.name), target)
			}
			if _, err := os.Stat(filepath.Join(top, file)); err != nil {
				t.Errorf("%s links to %s, which is not there", d.name, m[1])
			} else if fragment != "" && strings.HasSuffix(file, ".md") && !slices.Contains(headings[file], fragment) {
				t.Errorf("%s links to %s, but %s has no such heading", d.name, m[1], file)
			}
		}
		// [text](target) with code in the text, which the line above lost.
		for _, m := range regexp.MustCompile("\\[`[^`]+`[^\\]]*\\]\\(([^)#\\s]+)").FindAllStringSubmatch(d.prose, -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			if _, err := os.Stat(filepath.Join(top, path.Join(path.Dir(d.name), m[1]))); err != nil {
				t.Errorf("%s links to %s, which is not there", d.name, m[1])
			}
		}
	}
}

func TestDocsNameWhatExists(t *testing.T) {
	tests := testFunctions(t)
	makefile, err := os.ReadFile(filepath.Join(top, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range documents(t) {
		for _, m := range codeSpan.FindAllStringSubmatch(d.prose, -1) {
			word := m[1]
			switch {
			case testName.MatchString(word):
				if !tests[word] {
					t.Errorf("%s names %s, and there is no such function in a test file", d.name, word)
				}
			case goFileName.MatchString(word):
				if _, err := os.Stat(filepath.Join(top, word)); err != nil {
					t.Errorf("%s names %s, which is not there", d.name, word)
				}
			case makeTarget.MatchString(word):
				if target := makeTarget.FindStringSubmatch(word)[1]; !strings.Contains(string(makefile), "\n"+target+":") {
					t.Errorf("%s names `%s`, and the Makefile has no such target", d.name, word)
				}
			}
		}
	}
}

// testFunctions collects the names of all tests, fuzz targets, benchmarks and
// examples, those of nested modules included.
func testFunctions(t *testing.T) map[string]bool {
	names := map[string]bool{}
	declared := regexp.MustCompile(`(?m)^func ((Test|Fuzz|Benchmark|Example)\w*)\(`)
	for _, f := range treeFiles(t) {
		if !strings.HasSuffix(f, "_test.go") {
			continue
		}
		text, err := os.ReadFile(filepath.Join(top, f))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range declared.FindAllStringSubmatch(string(text), -1) {
			names[m[1]] = true
		}
	}
	return names
}

// TestDocsOfProtocolListEveryPaperTest is the way back of docs/protocol.md:
// a test of the paper that the table does not know is lost to its reader.
func TestDocsOfProtocolListEveryPaperTest(t *testing.T) {
	text := readDoc(t, "docs/protocol.md")
	for name := range testFunctions(t) {
		if strings.HasPrefix(name, "TestPaper") && !strings.Contains(text, "`"+name+"`") {
			t.Errorf("docs/protocol.md does not mention %s", name)
		}
	}
}

// TestDocsOfProtocolListEveryCitingFile: who cites the paper is found from it.
func TestDocsOfProtocolListEveryCitingFile(t *testing.T) {
	text := readDoc(t, "docs/protocol.md")
	_, back, _ := strings.Cut(text, "## Code to paper")
	for _, s := range sources(t) {
		if s.test || s.pkg == "internal/archtest" || strings.Contains(back, "(../"+s.name+")") {
			continue
		}
		for _, c := range s.file.Comments {
			if regexp.MustCompile(`\[W\] [0-9]`).MatchString(c.Text()) {
				t.Errorf("%s cites the paper, and docs/protocol.md does not list it", s.at(c))
				break
			}
		}
	}
}

// TestDocsOfDependenciesAgreeWithGoMod: what the module requires directly has
// its reason, and what has a reason is required.
func TestDocsOfDependenciesAgreeWithGoMod(t *testing.T) {
	text := readDoc(t, "docs/dependencies.md")
	direct, all := requirements(t)
	row := regexp.MustCompile("(?m)^\\| `([^`]+)`")
	documented := map[string]bool{}
	for _, m := range row.FindAllStringSubmatch(text, -1) {
		documented[m[1]] = true
		if !all[m[1]] {
			t.Errorf("docs/dependencies.md has %s, and go.mod does not", m[1])
		}
	}
	for module := range direct {
		if !documented[module] {
			t.Errorf("go.mod requires %s, and docs/dependencies.md does not say why", module)
		}
	}
}

func requirements(t *testing.T) (direct, all map[string]bool) {
	t.Helper()
	text := readDoc(t, "go.mod")
	direct, all = map[string]bool{}, map[string]bool{}
	line := regexp.MustCompile(`(?m)^(?:require)?\s+([a-z0-9.-]+\.[a-z]+/\S+|[a-z0-9.]+/\S+) v\S+(.*)$`)
	for _, m := range line.FindAllStringSubmatch(text, -1) {
		all[m[1]] = true
		if !strings.Contains(m[2], "// indirect") {
			direct[m[1]] = true
		}
	}
	if len(all) == 0 {
		t.Fatal("no requirement found in go.mod")
	}
	return direct, all
}

func TestDocsOfDecisionsAreNumberedAndWhole(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(top, "docs/decisions/*.md"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no decisions found: %v", err)
	}
	slices.Sort(files)
	index := readDoc(t, "docs/decisions/README.md")
	number := 0
	for _, f := range files {
		name := filepath.Base(f)
		if name == "README.md" {
			continue
		}
		number++
		if !regexp.MustCompile(`^[0-9]{4}-[a-z0-9-]+\.md$`).MatchString(name) || name[:4] != fourDigits(number) {
			t.Errorf("%s: want number %s and lower-case words", name, fourDigits(number))
		}
		if !strings.Contains(index, name) {
			t.Errorf("docs/decisions/README.md does not list %s", name)
		}
		text := readDoc(t, "docs/decisions/"+name)
		for _, part := range []string{"## Context", "## Decision", "## Consequences", "## Rejected"} {
			if !strings.Contains(text, part+"\n") {
				t.Errorf("%s has no %q", name, part)
			}
		}
	}
}

func fourDigits(n int) string {
	s := "0000" + string(rune('0'+n/10%10)) + string(rune('0'+n%10))
	return s[len(s)-4:]
}

// TestDocsOfTestIDsAreComplete: what a comment names is explained.
func TestDocsOfTestIDsAreComplete(t *testing.T) {
	text := readDoc(t, "docs/test-ids.md")
	id := regexp.MustCompile(`\b[PTKZAFSUQBE][0-9]{2}\b`)
	for _, s := range sources(t) {
		for _, c := range s.file.Comments {
			for _, name := range id.FindAllString(c.Text(), -1) {
				if !regexp.MustCompile(`\b` + name + `\b`).MatchString(text) {
					t.Errorf("%s: docs/test-ids.md does not explain %s", s.at(c), name)
				}
			}
		}
	}
}

// TestDocsOfCompatibilityHaveTheSectionsCited: a comment that cites a section
// can be followed, at least to the section above it.
func TestDocsOfCompatibilityHaveTheSectionsCited(t *testing.T) {
	text := readDoc(t, "docs/compatibility.md")
	joints := readDoc(t, "docs/architecture.md")
	citation := regexp.MustCompile(`\b(compat|joint)s? ([0-9]+(?:\.[0-9]+)?)`)
	for _, s := range sources(t) {
		for _, c := range s.file.Comments {
			for _, m := range citation.FindAllStringSubmatch(c.Text(), -1) {
				found := strings.Contains(text, "## "+m[2]+" ") || strings.Contains(text, "## "+m[2]+". ") || strings.Contains(text, m[2]+":")
				if m[1] == "joint" {
					found = strings.Contains(joints, "\n"+m[2]+". ")
				}
				if !found {
					t.Errorf("%s cites %s, which the documentation does not have", s.at(c), m[0])
				}
			}
		}
	}
}

// TestDocsOfLoggingListEveryKey: the keys that programs find in the log are
// listed in docs/logging.md.
func TestDocsOfLoggingListEveryKey(t *testing.T) {
	text := readDoc(t, "docs/logging.md")
	methods := map[string]int{"Debug": 1, "Info": 1, "Warn": 1, "Error": 1, "With": 0}
	for _, s := range sources(t) {
		if s.test {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			sel, ok := call.Fun.(*ast.SelectorExpr)
			if !ok || !isLogger(sel.X) {
				return true
			}
			first, ok := methods[sel.Sel.Name]
			if !ok {
				return true
			}
			for i := first; i < len(call.Args); i += 2 {
				if lit, ok := call.Args[i].(*ast.BasicLit); ok && !strings.Contains(text, "`"+strings.Trim(lit.Value, `"`)+"`") {
					t.Errorf("%s logs the key %s, which docs/logging.md does not list", s.at(lit), lit.Value)
				}
			}
			return true
		})
	}
}

// isLogger guesses, from its name, whether an expression is a *slog.Logger.
func isLogger(x ast.Expr) bool {
	switch x := x.(type) {
	case *ast.Ident:
		return x.Name == "log" || x.Name == "logger" || x.Name == "slog"
	case *ast.SelectorExpr:
		return x.Sel.Name == "log" || x.Sel.Name == "Log"
	}
	return false
}

func readDoc(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(top, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
