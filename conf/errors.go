package conf

import (
	"errors"
	"fmt"
	"strings"
)

// ErrUnknownKey is wrapped by a *ParseError for a line that is no known key of
// its section, nor a section.
var ErrUnknownKey = errors.New("no such key in this section")

// ParseError is a mistake in configuration text or in a value.
type ParseError struct {
	File   string // empty: not from a file
	Line   int    // counted from 1; 0: not from a file
	Column int    // of the value or else of the line, counted from 1
	Key    string // as documented, whatever the case in the file; empty if there is none
	Detail string // what is wrong and what was expected; never holds a secret
	Hint   string // how to mend it, if we know
	// Tool is what wg(8) says of it, exactly. It repeats the value, even if that
	// is a mistyped secret.
	Tool string
	Err  error // ErrUnknownKey, or the reason a name could not be resolved
}

// Error implements error: file:line: key: detail.
func (e *ParseError) Error() string {
	var b strings.Builder
	if e.File != "" {
		b.WriteString(e.File + ":")
	}
	if e.Line > 0 {
		fmt.Fprintf(&b, "%d:", e.Line)
	}
	if b.Len() > 0 {
		b.WriteByte(' ')
	}
	if e.Key != "" {
		b.WriteString(e.Key + ": ")
	}
	b.WriteString(e.Detail)
	return b.String()
}

// Unwrap returns the reason.
func (e *ParseError) Unwrap() error { return e.Err }

// ErrNoPublicKey is wrapped by the *ParseError of a peer without a public key.
var ErrNoPublicKey = errors.New("a peer has no public key")

// Warning is something in a configuration that is allowed but seldom meant.
type Warning struct {
	File string
	Line int
	Text string // as wg(8) words it
}

// String returns the text as wg(8) prints it.
func (w Warning) String() string { return w.Text }
