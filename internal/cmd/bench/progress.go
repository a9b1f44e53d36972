package bench

import (
	"fmt"
	"math"
	"time"

	"github.com/warrenvpn/warren/internal/cli"
)

// step shows someone at a terminal what is going on: in one line, which the
// next overwrites.
func (s *suite) step(what string) {
	if cli.IsTerminal(s.out) {
		// Erased to its end, and back to the first column (ECMA-48 EL).
		fmt.Fprintf(s.out, "%4.0fs  %s\x1b[K\r", time.Since(s.begin).Seconds(), what)
	}
}

// summarise says what an experiment has found.
func (s *suite) summarise(e experiment) {
	for _, id := range e.rows {
		r := s.row(id)
		all := s.samples[id]
		if len(all[ours]) == 0 || !s.selected(r) {
			continue
		}
		text := r.unit.show(all[ours]) + " " + r.unit.name
		if v := r.measured(all); !math.IsNaN(v) && r.of.rival() != "" {
			text = fmt.Sprintf("%s: %s and %s %s", r.express(v), r.unit.show(all[ours]), r.unit.show(all[r.of.rival()]), r.unit.name)
		}
		if cli.IsTerminal(s.out) {
			text += "\x1b[K"
		}
		s.sayf("%-22s %s", id, text)
	}
}
