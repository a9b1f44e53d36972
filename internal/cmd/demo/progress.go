package demo

import (
	"fmt"
	"os"
	"time"
)

// progress shows a person what is going on, on standard error: one line that
// changes on a terminal, a line per step elsewhere. The nil progress is silent.
type progress struct {
	out      *os.File
	terminal bool
	start    time.Time
}

func newProgress(out *os.File) *progress {
	return &progress{out: out, terminal: isTerminal(out), start: time.Now()}
}

// step says what is done next.
func (p *progress) step(text string) {
	switch {
	case p == nil:
	case p.terminal:
		// Back to the first column, write, and erase what is left of the
		// previous line (ECMA-48 EL).
		fmt.Fprintf(p.out, "\r%3.0fs  %s\x1b[K", time.Since(p.start).Seconds(), text)
	default:
		fmt.Fprintf(p.out, "%3.0fs  %s\n", time.Since(p.start).Seconds(), text)
	}
}

// done leaves a clean line.
func (p *progress) done() {
	if p != nil && p.terminal {
		fmt.Fprint(p.out, "\r\x1b[K")
	}
}
