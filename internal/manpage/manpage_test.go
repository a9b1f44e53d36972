package manpage

import (
	"strings"
	"testing"
)

func render(t *testing.T, body string) string {
	t.Helper()
	out, err := Render("<!-- man: X 8 2026-01-02 -->\n"+body, "warren 1.0")
	if err != nil {
		t.Fatalf("%v in\n%s", err, body)
	}
	head, rest, _ := strings.Cut(string(out), "\n")
	if want := `.TH X 8 2026-01-02 "warren 1.0" "Warren"`; head != want {
		t.Errorf("header = %s, want %s", head, want)
	}
	return rest
}

func TestBlocks(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"heading", "# x(8)\n\n## NAME\n\nx - do it\n", ".SH NAME\nx \\- do it\n"},
		{"subsection", "### Keys and files\n", ".SS Keys and files\n"},
		{"paragraphs", "one\ntwo\n\nthree\n", ".PP\none two\n.PP\nthree\n"},
		{"after a heading", "## A\n\nb\n\nc\n", ".SH A\nb\n.PP\nc\n"},
		{"tagged item", "- `show` *IF*: what\n  is there\n- `--x`, `-y`: z\n", ".TP\n\\fBshow\\fR \\fIIF\\fR\nwhat is there\n.TP\n\\fB\\-\\-x\\fR, \\fB\\-y\\fR\nz\n"},
		{"bullet", "- one\n- two: `x`\n", ".IP \\(bu 2\none\n.IP \\(bu 2\ntwo: \\fBx\\fR\n"},
		{"fence", "```\n.a 'b' \\c\n\n- d\n```\ne\n", ".PP\n.RS 4\n.nf\n\\&.a \\(aqb\\(aq \\ec\n\n\\- d\n.fi\n.RE\n.PP\ne\n"},
		{"long lines", strings.Repeat("word ", 15) + "end .x\n", ".PP\n" + strings.Repeat("word ", 15) + "end\n\\&.x\n"},
		{"a dot at a break", strings.Repeat("word ", 15) + ".conf is\n", ".PP\n" + strings.Repeat("word ", 14) + "word\n\\&.conf is\n"},
		{"a line with a dot", ".conf is the end\n", ".PP\n\\&.conf is the end\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := render(t, c.in); got != c.want {
				t.Errorf("got\n%swant\n%s", got, c.want)
			}
		})
	}
}

func TestSpans(t *testing.T) {
	for _, c := range [][2]string{
		{"a `b-c` d", `a \fBb\-c\fR d`},
		{"**b** and *i*", `\fBb\fR and \fIi\fR`},
		{"2 * 3 * 4", `2 * 3 * 4`},
		{"[wg(8)](wg.8.md)", `wg(8)`},
		{"[home](https://example.com/x)", `home <https://example.com/x>`},
		{"`a*b*c`", `\fBa*b*c\fR`},
		{`"it's"`, `\(dqit\(aqs\(dq`},
	} {
		if got := strings.TrimSuffix(strings.TrimPrefix(render(t, c[0]), ".PP\n"), "\n"); got != c[1] {
			t.Errorf("%s: got %s, want %s", c[0], got, c[1])
		}
	}
}

func TestWhatCannotBeSetIsRefused(t *testing.T) {
	for _, in := range []string{
		"no header", "<!-- man: x 8 2026-01-02 -->", "H\n| a | b |", "H\n#### deep", "H\n```\nopen", "H\na `b", "H\n> quote",
		"H\n    indented", "H\n<b>x</b>",
	} {
		in = strings.Replace(in, "H\n", "<!-- man: X 8 2026-01-02 -->\n", 1)
		if out, err := Render(in, ""); err == nil {
			t.Errorf("%q was set as %q", in, out)
		}
	}
}

// No text of a page is taken for a macro, whatever it is.
func FuzzTextIsNoMacro(f *testing.F) {
	f.Add(".SH X")
	f.Add("'br")
	f.Add("- `.x`: .y")
	f.Add("```\n.de\n```")
	f.Fuzz(func(t *testing.T, body string) {
		out, err := Render("<!-- man: X 8 2026-01-02 -->\n"+body, "s")
		if err != nil {
			return
		}
		ours := map[string]bool{".TH": true, ".SH": true, ".SS": true, ".PP": true, ".TP": true, ".IP": true, ".RS": true, ".RE": true, ".nf": true, ".fi": true}
		for _, line := range strings.Split(string(out), "\n") {
			macro, _, _ := strings.Cut(line, " ")
			if strings.HasPrefix(line, "'") || strings.HasPrefix(line, ".") && !ours[macro] {
				t.Errorf("%q became the macro %q", body, line)
			}
		}
	})
}
