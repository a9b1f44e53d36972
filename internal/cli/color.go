package cli

import (
	"os"
	"strings"
)

// Style is how a piece of text looks, as an SGR sequence.
type Style string

// The styles in use.
const (
	Reset  Style = "\x1b[0m"
	Bold   Style = "\x1b[1m"
	Green  Style = "\x1b[32m"
	Yellow Style = "\x1b[33m"
	Cyan   Style = "\x1b[36m"
	Red    Style = "\x1b[31m"
)

// Paint colours text, or leaves it as it is if it is false.
type Paint bool

// Apply returns s in the given styles, with a reset after it.
func (p Paint) Apply(s string, styles ...Style) string {
	if !p {
		return s
	}
	var b strings.Builder
	for _, style := range styles {
		b.WriteString(string(style))
	}
	b.WriteString(s)
	b.WriteString(string(Reset))
	return b.String()
}

// Code returns a bare sequence.
func (p Paint) Code(style Style) string {
	if !p {
		return ""
	}
	return string(style)
}

// Color decides whether output is coloured: as mode says, which is the value of
// WG_COLOR_MODE, else if it goes to a terminal.
func Color(mode string, terminal bool) Paint {
	switch mode {
	case "always":
		return true
	case "never":
		return false
	}
	return Paint(terminal)
}

// IsTerminal reports whether w is a file that leads to a terminal. Character
// devices that are known not to be one are told apart by name.
func IsTerminal(w any) bool {
	f, ok := w.(*os.File)
	if !ok || f == nil {
		return false
	}
	info, err := f.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return false
	}
	for _, name := range []string{os.DevNull, "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"} {
		if other, err := os.Stat(name); err == nil && os.SameFile(info, other) {
			return false
		}
	}
	return true
}
