package bench

import (
	"context"
	"fmt"
	"io"
	"time"
)

// The states in which echoes are sent.
const (
	idle   = "idle"
	loaded = "during 1 TCP stream"
)

// suite is one run of everything. It belongs to one goroutine.
type suite struct {
	*options
	contestants []*contestant
	rigs        map[rigKey]*rig
	hopeless    map[rigKey]bool               // rigs that could not be made
	samples     map[string]samples            // by row
	latency     map[string]map[string]*echoes // by state, by contestant
	problems    []problem
	out         io.Writer // for progress
	begin       time.Time
}

type rigKey struct {
	contestant string
	line       line
}

// problem is a measurement that failed.
type problem struct {
	Contestant string `json:"contestant"`
	What       string `json:"what"`
	Error      string `json:"error"`
}

func newSuite(o *options, out io.Writer) *suite {
	return &suite{
		options: o, out: out, begin: time.Now(),
		rigs: map[rigKey]*rig{}, hopeless: map[rigKey]bool{},
		samples: map[string]samples{}, latency: map[string]map[string]*echoes{},
	}
}

// run does the experiments that fill rows which are wanted. What fails is noted
// and the rest goes on.
func (s *suite) run(ctx context.Context) error {
	defer s.closeRigs()
	for _, e := range experiments() {
		if !s.wants(e) {
			continue
		}
		if e.apart != nil {
			s.closeRigs() // idle daemons are few wake-ups, but not none
			s.step(e.rows[0])
			if err := e.apart(ctx, s); err != nil {
				s.fail(ours, e.rows[0], err)
			}
		} else {
			s.takeTurns(ctx, e)
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		s.summarise(e)
	}
	return nil
}

// wants reports whether a row of the experiment was asked for.
func (s *suite) wants(e experiment) bool {
	for _, id := range e.rows {
		if s.selected(s.row(id)) {
			return true
		}
	}
	return false
}

// row returns a row by its name.
func (s *suite) row(id string) row {
	for _, r := range s.rows() {
		if r.id == id {
			return r
		}
	}
	panic("bench: no row " + id)
}

// takeTurns measures contestants in turns.
func (s *suite) takeTurns(ctx context.Context, e experiment) {
	var all []*contestant
	for _, c := range s.contestants {
		if e.takesPart(c) && !s.hopeless[rigKey{c.name, e.line}] {
			all = append(all, c)
		}
	}
	failed := map[*contestant]bool{}
	for n := range s.runs {
		s.step(fmt.Sprintf("%s, run %d of %d", e.rows[0], n+1, s.runs))
		for k := range all {
			c := all[(n+k)%len(all)] // who goes first alternates
			if failed[c] || ctx.Err() != nil {
				continue
			}
			if err := s.turn(ctx, e, c); err != nil && ctx.Err() == nil {
				failed[c] = true
				s.fail(c.name, e.rows[0], err)
				s.closeRig(rigKey{c.name, e.line}) // it may be what is broken
			}
		}
	}
}

// turn takes one reading.
func (s *suite) turn(ctx context.Context, e experiment, c *contestant) error {
	r, err := s.rig(ctx, c, e.line)
	if err != nil {
		return err
	}
	got, err := e.read(ctx, r, s.options)
	if err != nil {
		return err
	}
	for id, v := range got.values {
		s.add(id, c.name, v)
	}
	if got.echoes != nil {
		s.addEchoes(got.state, c.name, got.echoes)
	}
	return nil
}

func (s *suite) add(id, contestant string, values ...float64) {
	if s.samples[id] == nil {
		s.samples[id] = samples{}
	}
	s.samples[id][contestant] = append(s.samples[id][contestant], values...)
}

func (s *suite) addEchoes(state, contestant string, e *echoes) {
	if s.latency[state] == nil {
		s.latency[state] = map[string]*echoes{}
	}
	if s.latency[state][contestant] == nil {
		s.latency[state][contestant] = &echoes{}
	}
	s.latency[state][contestant].add(e)
}

// rig returns the rig of a contestant, which is made when it is first needed.
func (s *suite) rig(ctx context.Context, c *contestant, l line) (*rig, error) {
	k := rigKey{c.name, l}
	if r := s.rigs[k]; r != nil {
		return r, nil
	}
	r, err := newRig(ctx, c, l, s.mtu)
	if err != nil {
		s.hopeless[k] = true // said once, and not tried again
		return nil, err
	}
	s.rigs[k] = r
	return r, nil
}

func (s *suite) closeRig(k rigKey) {
	if r := s.rigs[k]; r != nil {
		_ = r.close() // it ends with this process at the latest
		delete(s.rigs, k)
	}
}

func (s *suite) closeRigs() {
	for k := range s.rigs {
		s.closeRig(k)
	}
}

// find returns a contestant by name, or nil.
func (s *suite) find(name string) *contestant {
	for _, c := range s.contestants {
		if c.name == name {
			return c
		}
	}
	return nil
}

// fail notes what went wrong, and says so.
func (s *suite) fail(contestant, what string, err error) {
	s.problems = append(s.problems, problem{contestant, what, err.Error()})
	s.sayf("%s: %s: %v", contestant, what, err)
}

// verdict is an error if something that targets ask about was not measured.
func (s *suite) verdict() error {
	failed := 0
	for _, p := range s.problems {
		if c := s.find(p.Contestant); c != nil && !c.other {
			failed++
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d measurements failed", failed)
	}
	return nil
}

func (s *suite) sayf(format string, args ...any) {
	fmt.Fprintf(s.out, "%4.0fs  %s\n", time.Since(s.begin).Seconds(), fmt.Sprintf(format, args...))
}
