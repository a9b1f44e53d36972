package archtest

import (
	_ "embed"
	"fmt"
	"path"
	"slices"
	"strings"
	"testing"
)

//go:embed policy.txt
var policyText string

// policy is policy.txt, parsed.
type policy struct {
	layers     []layer
	allowed    [][2]string // importee, importer: patterns or layers
	forbidden  [][2]string
	std        []rule   // layers -> import path patterns
	external   []rule   // module -> packages or layers
	only       []rule   // import path pattern -> packages or files
	calls      []rule   // layers -> qualified names
	sequential []string // layers
	exempt     []string // files that sequential leaves out
	testOnly   []string
}

type layer struct {
	name     string
	patterns []string
}

// rule says that the right-hand side holds for everything on the left.
type rule struct{ left, right []string }

func parsePolicy(text string) (*policy, error) {
	p := &policy{}
	for n, line := range strings.Split(text, "\n") {
		line, _, _ = strings.Cut(line, "#")
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		if err := p.parseLine(line); err != nil {
			return nil, fmt.Errorf("policy.txt:%d: %w", n+1, err)
		}
	}
	return p, nil
}

func (p *policy) parseLine(line string) error {
	word, rest, _ := strings.Cut(line, " ")
	left, right, colon := strings.Cut(rest, ":")
	l, r := strings.Fields(left), strings.Fields(right)
	switch {
	case word == "layer" && colon && len(l) == 1:
		p.layers = append(p.layers, layer{l[0], r})
	case word == "std" && colon:
		p.std = append(p.std, rule{l, r})
	case word == "only" && colon:
		p.only = append(p.only, rule{l, r})
	case word == "calls" && colon:
		p.calls = append(p.calls, rule{l, r})
	case word == "testonly:":
		p.testOnly = append(p.testOnly, strings.Fields(rest)...)
	case word == "sequential":
		layers, files, _ := strings.Cut(rest, " except ")
		p.sequential = append(p.sequential, strings.Fields(layers)...)
		p.exempt = append(p.exempt, strings.Fields(files)...)
	case word == "external":
		module, who, ok := strings.Cut(rest, " < ")
		if !ok {
			return fmt.Errorf("external without <: %q", line)
		}
		p.external = append(p.external, rule{[]string{strings.TrimSpace(module)}, list(who)})
	case strings.Contains(line, "!<"):
		a, b, _ := strings.Cut(line, "!<")
		p.forbidden = append(p.forbidden, pairs(list(a), list(b))...)
	case strings.Contains(line, "<"):
		parts := strings.Split(line, "<")
		for i := range parts {
			for _, higher := range parts[i+1:] {
				p.allowed = append(p.allowed, pairs(list(parts[i]), list(higher))...)
			}
		}
	default:
		return fmt.Errorf("not understood: %q", line)
	}
	return nil
}

func list(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' })
}

func pairs(a, b []string) [][2]string {
	var ps [][2]string
	for _, x := range a {
		for _, y := range b {
			ps = append(ps, [2]string{x, y})
		}
	}
	return ps
}

// layerOf returns the layer of a package, "" if it has none.
func (p *policy) layerOf(pkg string) string {
	for _, l := range p.layers {
		if matchAny(l.patterns, pkg) {
			return l.name
		}
	}
	return ""
}

// is reports whether pkg is meant by the pattern or layer named.
func (p *policy) is(pkg, name string) bool {
	return name == p.layerOf(pkg) || match(name, pkg)
}

func (p *policy) isAny(pkg string, names []string) bool {
	return slices.ContainsFunc(names, func(n string) bool { return p.is(pkg, n) })
}

func (p *policy) mayImport(importer, importee string) bool {
	return slices.ContainsFunc(p.allowed, func(r [2]string) bool {
		return p.is(importee, r[0]) && p.is(importer, r[1])
	})
}

func match(pattern, name string) bool {
	if prefix, ok := strings.CutSuffix(pattern, "/..."); ok {
		return name == prefix || strings.HasPrefix(name, prefix+"/")
	}
	ok, err := path.Match(pattern, name)
	return ok && err == nil
}

func matchAny(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return match(p, name) })
}

func thePolicy(t *testing.T) *policy {
	t.Helper()
	p, err := parsePolicy(policyText)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestPolicyForbidsWhatItDoesNotDerive checks the checker: each of these
// imports must be judged as said.
func TestPolicyForbidsWhatItDoesNotDerive(t *testing.T) {
	p := thePolicy(t)
	for _, c := range []struct {
		importer, importee string
		want               bool
	}{
		{"internal/tunnel", "internal/noise", true},
		{"internal/noise", "internal/tunnel", false},
		{"internal/noise", "internal/allowedips", false}, // siblings that no line joins
		{"internal/offload", "internal/ippkt", true},
		{"internal/ippkt", "internal/offload", false},
		{"device", "internal/tunnel", true},
		{"internal/tunnel", "device", false},
		{"internal/cmd/wg", "wgctl", true},
		{"internal/cmd/wg", "internal/cmd/device", false},
		{"cmd/warren", "internal/cmd/device", true},
		{"internal/newpackage", "key", false}, // on no layer
	} {
		if got := p.mayImport(c.importer, c.importee); got != c.want {
			t.Errorf("may %s import %s: got %v, want %v", c.importer, c.importee, got, c.want)
		}
	}
	if _, err := parsePolicy("L0 is below L1"); err == nil {
		t.Error("a line without meaning was accepted")
	}
}
