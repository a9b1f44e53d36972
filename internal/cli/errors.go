package cli

import (
	"errors"
	"fmt"
	"io"

	"github.com/warrenvpn/warren/conf"
)

// Hinted is an error with advice on how to mend it.
type Hinted struct {
	Err   error
	Hints []string
}

// WithHint adds hints to an error. It returns nil for nil.
func WithHint(err error, hints ...string) error {
	if err == nil {
		return nil
	}
	return &Hinted{Err: err, Hints: hints}
}

// Error returns the error without the hints.
func (e *Hinted) Error() string { return e.Err.Error() }

// Unwrap returns the error without the hints.
func (e *Hinted) Unwrap() error { return e.Err }

// Fail prints an error as "program: error" and its hints below, a line each.
func Fail(w io.Writer, program string, err error) {
	fmt.Fprintf(w, "%s: %v\n", program, err)
	PrintHints(w, err)
}

// PrintHints prints the hints of an error alone.
func PrintHints(w io.Writer, err error) {
	for _, h := range Hints(err) {
		fmt.Fprintf(w, "hint: %s\n", h)
	}
}

// Hints collects the hints of an error and of what it wraps.
func Hints(err error) (hints []string) {
	var h *Hinted
	if errors.As(err, &h) {
		hints = append(hints, h.Hints...)
	}
	var p *conf.ParseError
	if errors.As(err, &p) && p.Hint != "" {
		hints = append(hints, p.Hint)
	}
	return hints
}
