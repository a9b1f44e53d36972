// Package manpage turns a manual page written in Markdown into the man(7)
// macros that every system's man(1) reads.
//
// It takes the little of Markdown that a manual page needs, so that pages are
// as readable in the repository as in a terminal, and refuses the rest, so that
// nothing is lost on the way:
//
//	<!-- man: WG 8 2026-11-25 -->   the first line: name, section, date
//	# wg(8)                         left out
//	## NAME                         a section; ### a subsection
//	text                            a paragraph
//	- `show`: text                  an item with a tag: it begins with code or bold, and a colon
//	- text                          an item with a bullet
//	```                             text as it stands
//
// and in text `code` and **bold** (both bold), *emphasis* and links.
package manpage

import (
	"fmt"
	"regexp"
	"strings"
)

// Header is what the first line of a page says.
type Header struct {
	Name, Section, Date string
}

var headerLine = regexp.MustCompile(`^<!-- man: ([A-Z-]+) ([0-9]) ([0-9]{4}-[0-9]{2}-[0-9]{2}) -->$`)

// Render returns the page in man(7) macros. Source is what the page belongs to,
// such as "warren 1.0"; it stands at the bottom.
func Render(text, source string) ([]byte, error) {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	m := headerLine.FindStringSubmatch(lines[0])
	if m == nil {
		return nil, fmt.Errorf("line 1: want <!-- man: NAME SECTION YEAR-MONTH-DAY -->, got %q", lines[0])
	}
	r := &renderer{lines: lines, at: 1}
	fmt.Fprintf(&r.out, ".TH %s %s %s \"%s\" \"Warren\"\n", m[1], m[2], m[3], escape(source))
	for r.at < len(r.lines) {
		if err := r.block(); err != nil {
			return nil, fmt.Errorf("line %d: %w", r.at+1, err)
		}
	}
	return []byte(r.out.String()), nil
}

// renderer goes through the lines of a page, a block at a time.
type renderer struct {
	lines []string
	at    int
	out   strings.Builder
	// fresh is true below a heading, where no macro may begin the paragraph.
	fresh bool
}

func (r *renderer) block() error {
	line := r.lines[r.at]
	switch {
	case line == "":
		r.at++
	case strings.HasPrefix(line, "# "):
		r.at++
	case strings.HasPrefix(line, "## "), strings.HasPrefix(line, "### "):
		r.heading(line)
	case strings.HasPrefix(line, "```"):
		return r.literal()
	case strings.HasPrefix(line, "- "):
		return r.item()
	case strings.HasPrefix(line, "|"), strings.HasPrefix(line, "#"), strings.HasPrefix(line, ">"),
		strings.HasPrefix(line, "<"), strings.HasPrefix(line, "* "), strings.HasPrefix(line, "    "), strings.HasPrefix(line, "!["):
		return fmt.Errorf("a manual page has paragraphs, items with -, fenced text and headings of two levels; got %q", line)
	default:
		return r.paragraph()
	}
	return nil
}

func (r *renderer) heading(line string) {
	macro, title := ".SH", strings.TrimPrefix(line, "## ")
	if sub, ok := strings.CutPrefix(line, "### "); ok {
		macro, title = ".SS", sub
	}
	fmt.Fprintf(&r.out, "%s %s\n", macro, escape(title))
	r.at++
	r.fresh = true
}

// literal is the text between two fences.
func (r *renderer) literal() error {
	if !r.fresh {
		r.out.WriteString(".PP\n")
	}
	r.out.WriteString(".RS 4\n.nf\n")
	for r.at++; r.at < len(r.lines); r.at++ {
		if strings.HasPrefix(r.lines[r.at], "```") {
			r.at++
			r.out.WriteString(".fi\n.RE\n")
			r.fresh = false
			return nil
		}
		r.out.WriteString(guard(escape(r.lines[r.at])) + "\n")
	}
	return fmt.Errorf("the fenced text does not end")
}

var tagged = regexp.MustCompile("^((?:`[^`]+`|\\*\\*[^*]+\\*\\*|\\*[^*]+\\*|[ ,|=<>\\[\\]]|\\.\\.\\.)+): +(.*)$")

// item is one item of a list, with its further lines, which are indented.
func (r *renderer) item() error {
	text := r.take(func(l string) bool { return strings.HasPrefix(l, "  ") }, 2)
	if m := tagged.FindStringSubmatch(text); m != nil {
		tag, err := inline(m[1])
		if err != nil {
			return err
		}
		body, err := inline(m[2])
		if err != nil {
			return err
		}
		fmt.Fprintf(&r.out, ".TP\n%s\n%s", guard(tag), wrap(body))
		r.fresh = false
		return nil
	}
	body, err := inline(text)
	fmt.Fprintf(&r.out, ".IP \\(bu 2\n%s", wrap(body))
	r.fresh = false
	return err
}

func (r *renderer) paragraph() error {
	text := r.take(func(l string) bool {
		return l != "" && !strings.HasPrefix(l, "- ") && !strings.HasPrefix(l, "#") && !strings.HasPrefix(l, "```")
	}, 0)
	body, err := inline(text)
	if !r.fresh {
		r.out.WriteString(".PP\n")
	}
	r.out.WriteString(wrap(body))
	r.fresh = false
	return err
}

// take joins the line here, less a prefix, and those after it that belong to it.
func (r *renderer) take(belongs func(string) bool, prefix int) string {
	words := []string{r.lines[r.at][prefix:]}
	for r.at++; r.at < len(r.lines) && belongs(r.lines[r.at]); r.at++ {
		words = append(words, strings.TrimSpace(r.lines[r.at]))
	}
	return strings.Join(words, " ")
}

var span = regexp.MustCompile("`([^`]+)`|\\*\\*([^*]+)\\*\\*|\\*([^* ][^*]*)\\*|\\[([^\\]]+)\\]\\(([^)]+)\\)")

// inline sets the marked parts of a text.
func inline(text string) (string, error) {
	var b strings.Builder
	for {
		m := span.FindStringSubmatchIndex(text)
		if m == nil {
			break
		}
		if err := plain(&b, text[:m[0]]); err != nil {
			return "", err
		}
		part := func(i int) string { return escape(text[m[2*i]:m[2*i+1]]) }
		switch {
		case m[2] >= 0:
			b.WriteString(`\fB` + part(1) + `\fR`)
		case m[4] >= 0:
			b.WriteString(`\fB` + part(2) + `\fR`)
		case m[6] >= 0:
			b.WriteString(`\fI` + part(3) + `\fR`)
		case strings.Contains(text[m[10]:m[11]], "://"):
			b.WriteString(part(4) + " <" + part(5) + ">")
		default: // another page, which its name is enough to find
			b.WriteString(part(4))
		}
		text = text[m[1]:]
	}
	err := plain(&b, text)
	return b.String(), err
}

func plain(b *strings.Builder, text string) error {
	if strings.Contains(text, "`") {
		return fmt.Errorf("a code span does not end: %q", text)
	}
	b.WriteString(escape(text))
	return nil
}

// escape makes text mean itself. A minus is one, so that options can be copied
// from the page.
func escape(s string) string {
	return strings.NewReplacer(`\`, `\e`, "-", `\-`, `"`, `\(dq`, "'", `\(aq`, "`", `\(ga`, "^", `\(ha`, "~", `\(ti`).Replace(s)
}

// wrap breaks text into lines that an editor shows whole. Each ends with a line
// feed.
func wrap(s string) string {
	const width = 78
	var b strings.Builder
	line := ""
	for _, word := range strings.Fields(s) {
		if line != "" && len(line)+1+len(word) > width {
			b.WriteString(guard(line) + "\n")
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return b.String() + guard(line) + "\n"
}

// guard keeps a line of text from being taken for a macro.
func guard(s string) string {
	if strings.HasPrefix(s, ".") || strings.HasPrefix(s, "'") {
		return `\&` + s
	}
	return s
}
