package cli

import (
	"fmt"
	"io"
	"unicode/utf8"
)

// Row is one line of a table of usage.
type Row struct{ Name, About string }

// Table prints rows as two columns under a title, the second one aligned. A
// name that is much longer than the others has its text on the next line.
func Table(w io.Writer, title string, rows []Row) {
	const widest = 26
	width := 0
	for _, r := range rows {
		if n := utf8.RuneCountInString(r.Name); n <= widest {
			width = max(width, n)
		}
	}
	if title != "" {
		fmt.Fprintf(w, "%s:\n", title)
	}
	for _, r := range rows {
		if utf8.RuneCountInString(r.Name) > width {
			fmt.Fprintf(w, "  %s\n  %-*s  %s\n", r.Name, width, "", r.About)
			continue
		}
		fmt.Fprintf(w, "  %-*s  %s\n", width, r.Name, r.About)
	}
}
