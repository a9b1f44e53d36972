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
		s.sayf("%-22s %s", id, text+s.besides(r, all)+s.erase())
	}
}

// besides says what alternatives reached.
func (s *suite) besides(r row, all samples) (text string) {
	for _, c := range s.contestants {
		if c.other && len(all[c.name]) > 0 {
			text += fmt.Sprintf("; %s %s", c.title, r.unit.number(median(all[c.name])))
		}
	}
	return text
}

// erase is what removes the rest of a line that was there before.
func (s *suite) erase() string {
	if cli.IsTerminal(s.out) {
		return "\x1b[K"
	}
	return ""
}
