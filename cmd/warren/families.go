package main

import (
	"fmt"
	"io"
	"strings"
)

// family is a group of commands that one package implements.
type family struct {
	words []command // how it is asked for
	link  string    // the name of a program it replaces, if any
	run   func(program string, args []string) int
	// keepWord passes the word on as the first argument, for families that
	// implement several.
	keepWord bool
}

// command is one first word.
type command struct {
	word, args, about string
	group             string
}

// The groups of the help text, in its order.
const (
	tunnels = "Tunnels"
	tools   = "Tools in the place of others"
	showing = "Seeing it work"
	itself  = "This program"
)

var groups = []string{tunnels, tools, showing, itself}

// dispatch runs the command that args begin with.
func dispatch(out, errs io.Writer, args []string) int {
	if len(args) == 0 {
		help(errs)
		return 2
	}
	word, rest := args[0], args[1:]
	switch word {
	case "help", "-h", "--help":
		if len(rest) > 0 && word == "help" {
			return dispatch(out, errs, []string{rest[0], "--help"})
		}
		help(out)
		return 0
	case "version", "-v", "--version":
		fmt.Fprintf(out, "warren %s\n", version)
		return 0
	}
	if completing(word) {
		return answer(out, errs, args)
	}
	for _, f := range families {
		for _, c := range f.words {
			if c.word != word {
				continue
			}
			if f.keepWord {
				rest = args
			}
			return f.run("warren "+word, rest)
		}
	}
	fmt.Fprintf(errs, "warren: there is no command %q\n", word)
	if near := nearest(word); near != "" {
		fmt.Fprintf(errs, "hint: did you mean `warren %s`?\n", near)
	} else {
		fmt.Fprintln(errs, "hint: `warren help` lists the commands")
	}
	return 2
}

func help(w io.Writer) {
	fmt.Fprint(w, "Usage: warren COMMAND [ARGUMENT...]\n\nWarren makes encrypted tunnels with the WireGuard protocol.\n")
	all := []command{
		{"version", "", "print the version", itself},
		{"help", "[COMMAND]", "print this text, or that of a command", itself},
	}
	for _, f := range families {
		all = append(all, f.words...)
	}
	for _, g := range groups {
		first := true
		for _, c := range all {
			if c.group != g {
				continue
			}
			if first {
				fmt.Fprintf(w, "\n%s:\n", g)
				first = false
			}
			fmt.Fprintf(w, "  %-26s %s\n", strings.TrimSpace(c.word+" "+c.args), c.about)
		}
	}
	fmt.Fprint(w, "\nCalled by the name wg, wg-quick or wireguard-go, it behaves as that program.\n"+
		"`warren COMMAND --help` says more.\n")
}

// nearest returns the command that word is probably meant to be.
func nearest(word string) string {
	best, least := "", 3
	for _, f := range families {
		for _, c := range f.words {
			if d := distance(word, c.word); d < least {
				best, least = c.word, d
			}
		}
	}
	return best
}

// distance counts the letters to change, add or remove between a and b.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		last := row[0]
		row[0] = i + 1
		for j := range len(b) {
			d := last
			if a[i] != b[j] {
				d = 1 + min(last, row[j], row[j+1])
			}
			last, row[j+1] = row[j+1], d
		}
	}
	return row[len(b)]
}
