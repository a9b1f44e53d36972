package scripttest

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// echo prints the words it is given, one a line, and fails on "fail".
type echo struct{ calls []string }

func (e *echo) Do(name string, args []string) ([]string, error) {
	e.calls = append(e.calls, name)
	if name == "fail" {
		return nil, errors.New("told to")
	}
	return args, nil
}

func TestScriptIsParsedIntoCommandsAndOutput(t *testing.T) {
	blocks := Parse([]byte("# head\n\nsay a b # tail\n    a\n    b\nquiet\n"))
	want := []Block{
		{Line: 1, Text: "# head"},
		{Line: 2},
		{Line: 3, Text: "say a b # tail", Args: []string{"say", "a", "b"}, Want: []string{"a", "b"}},
		{Line: 6, Text: "quiet", Args: []string{"quiet"}},
	}
	if len(blocks) != len(want) {
		t.Fatalf("got %d blocks, want %d: %+v", len(blocks), len(want), blocks)
	}
	for i, w := range want {
		g := blocks[i]
		if g.Line != w.Line || g.Text != w.Text || !slices.Equal(g.Args, w.Args) || !slices.Equal(g.Want, w.Want) {
			t.Errorf("block %d = %+v, want %+v", i, g, w)
		}
	}
}

func TestScriptThatHoldsIsUnchanged(t *testing.T) {
	text := []byte("# x\nsay a b\n    a\n    b\n\nsay\n")
	got, problems := execute(Parse(text), &echo{})
	if len(problems) != 0 || !bytes.Equal(got, text) {
		t.Errorf("got %q with problems %v, want the script itself", got, problems)
	}
}

func TestScriptDifferenceNamesLineAndBothSides(t *testing.T) {
	got, problems := execute(Parse([]byte("say a b\n    a\n    c\nsay d\n")), &echo{})
	if want := "say a b\n    a\n    b\nsay d\n    d\n"; string(got) != want {
		t.Errorf("updated script = %q, want %q", got, want)
	}
	if len(problems) != 2 || problems[0].line != 1 || problems[1].line != 4 {
		t.Fatalf("problems = %+v, want one each in lines 1 and 4", problems)
	}
	for _, part := range []string{"line 2", "b", "c"} {
		if !strings.Contains(problems[0].text, part) {
			t.Errorf("problem %q does not mention %q", problems[0].text, part)
		}
	}
}

func TestScriptStopsAtAnErrorAndKeepsTheRest(t *testing.T) {
	m := &echo{}
	text := "say a\n    a\nfail\n    never\nsay b\n    c\n"
	got, problems := execute(Parse([]byte(text)), m)
	if string(got) != text {
		t.Errorf("got %q, want the script unchanged", got)
	}
	if len(problems) != 1 || !problems[0].fatal || problems[0].line != 3 {
		t.Errorf("problems = %+v, want one fatal in line 3", problems)
	}
	if !slices.Equal(m.calls, []string{"say", "fail"}) {
		t.Errorf("calls = %v, want nothing after the failure", m.calls)
	}
}

func TestRunFindsEveryScript(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"one.txt", "two.txt"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("say x\n    x\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	n := 0
	Run(t, filepath.Join(dir, "*.txt"), func(*testing.T) Machine { n++; return &echo{} })
	if n != 2 {
		t.Errorf("ran %d scripts, want 2", n)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("# x\nsay a b\n    a\n    b\n"))
	f.Add([]byte("    out of place\n\n\tsay\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		once, _ := execute(Parse(text), &echo{})
		twice, problems := execute(Parse(once), &echo{})
		stopped := len(problems) > 0 && problems[len(problems)-1].fatal
		if !bytes.Equal(once, twice) || len(problems) > 0 && !stopped {
			t.Errorf("updating twice differs from once:\n%q\n%q\n%v", once, twice, problems)
		}
	})
}
