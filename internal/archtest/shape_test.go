package archtest

import (
	"fmt"
	"go/ast"
	"slices"
	"testing"
)

// TestShape reports how long functions are and how much is documented; `make
// shape` prints it. Its limits are wide: they catch a slip, not a style.
func TestShape(t *testing.T) {
	var lengths, fileLengths []int
	longest, longestFile := "", ""
	names, documented := 0, 0
	for _, s := range sources(t) {
		if s.test {
			continue
		}
		for _, e := range exported(s) {
			names++
			if e.documented {
				documented++
			}
		}
		n := s.fset.Position(s.file.End()).Line
		if len(fileLengths) == 0 || n > slices.Max(fileLengths) {
			longestFile = s.name
		}
		fileLengths = append(fileLengths, n)
		for _, d := range s.file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Body == nil {
				continue
			}
			n := s.fset.Position(f.End()).Line - s.fset.Position(f.Pos()).Line + 1
			if len(lengths) == 0 || n > slices.Max(lengths) {
				longest = s.at(f) + " " + f.Name.Name
			}
			lengths = append(lengths, n)
		}
	}
	if len(lengths) == 0 || names == 0 {
		t.Fatal("no functions found")
	}
	slices.Sort(lengths)
	slices.Sort(fileLengths)
	if testing.Verbose() {
		fmt.Printf("shape: %d functions: median %d lines, 95%% within %d, longest %d (%s)\n",
			len(lengths), at(lengths, 50), at(lengths, 95), at(lengths, 100), longest)
		fmt.Printf("shape: %d files: median %d lines, 95%% within %d, longest %d (%s)\n",
			len(fileLengths), at(fileLengths, 50), at(fileLengths, 95), at(fileLengths, 100), longestFile)
		fmt.Printf("shape: %d exported names, %.1f%% documented\n", names, 100*float64(documented)/float64(names))
	}
	if p95 := at(lengths, 95); p95 > 60 {
		t.Errorf("one function in twenty is longer than %d lines, want a screen", p95)
	}
	if n := at(fileLengths, 100); n > 600 {
		t.Errorf("%s has %d lines: look for the second idea", longestFile, n)
	}
}

// at returns the value at a percentile of a sorted list.
func at(sorted []int, percent int) int {
	return sorted[min(len(sorted)*percent/100, len(sorted)-1)]
}
