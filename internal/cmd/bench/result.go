package bench

import (
	"math"
	"slices"
	"time"
)

// Result is what `warren bench --json` writes. Values are in base units: bits,
// packets or bytes per second, bytes, seconds, parts of a core.
type Result struct {
	Machine     Machine      `json:"machine"`
	Options     OptionResult `json:"options"`
	Contestants []Contestant `json:"contestants"`
	Rows        []RowResult  `json:"rows"`
	Latency     []Latency    `json:"latency"`
	Problems    []problem    `json:"problems,omitempty"`
	Seconds     float64      `json:"seconds"` // that all of it took
}

// OptionResult is what was asked for.
type OptionResult struct {
	Runs     int     `json:"runs"`
	Duration float64 `json:"duration_seconds"` // of a run
	Streams  int     `json:"streams"`
	MTU      int     `json:"mtu"`
	Offered  string  `json:"offered"`         // bits per second of the row udp
	Lanes    int     `json:"lanes,omitempty"` // absent: what the daemon chooses
	Only     string  `json:"only,omitempty"`
	Ours     string  `json:"ours,omitempty"` // options of our daemons
}

// Contestant is a program that was measured.
type Contestant struct {
	Name    string `json:"name"` // the key of samples
	Title   string `json:"title"`
	Version string `json:"version,omitempty"`
	Other   bool   `json:"other,omitempty"` // what a user might pick instead
}

// RowResult is a line of the table with all its readings, by contestant.
type RowResult struct {
	ID           string             `json:"id"`
	What         string             `json:"what"`
	Unit         string             `json:"unit"`
	LessIsBetter bool               `json:"less_is_better"`
	Samples      samples            `json:"samples"`
	Medians      map[string]float64 `json:"medians"`
	RatioTo      string             `json:"ratio_to,omitempty"` // absent: measured is a value
	Measured     *float64           `json:"measured,omitempty"`
	Target       float64            `json:"target,omitempty"` // 0: there is none
	Stretch      float64            `json:"stretch,omitempty"`
	TargetMet    *bool              `json:"target_met,omitempty"`
	StretchMet   *bool              `json:"stretch_met,omitempty"`
	row          row
}

// Latency is the round trips of echoes of all runs together, in seconds.
type Latency struct {
	Contestant string  `json:"contestant"`
	State      string  `json:"state"`
	Sent       int     `json:"sent"`
	Answered   int     `json:"answered"`
	P50        float64 `json:"p50"`
	P90        float64 `json:"p90"`
	P99        float64 `json:"p99"`
	P999       float64 `json:"p99.9"`
	Max        float64 `json:"max"`
}

// result collects what was found.
func (s *suite) result(m Machine) *Result {
	r := &Result{
		Machine:  m,
		Problems: s.problems,
		Seconds:  time.Since(s.begin).Seconds(),
		Rows:     []RowResult{}, // a list for who reads it, also if it is empty
		Latency:  []Latency{},
		Options: OptionResult{
			Runs: s.runs, Duration: s.duration.Seconds(), Streams: s.streams, MTU: s.mtu, Offered: s.offered, Lanes: s.lanes, Only: s.only, Ours: s.ours,
		},
	}
	for _, c := range s.contestants {
		r.Contestants = append(r.Contestants, Contestant{c.name, c.title, c.version, c.other})
	}
	for _, row := range s.rows() {
		if all := s.samples[row.id]; len(all) > 0 && s.selected(row) {
			r.Rows = append(r.Rows, row.result(all))
		}
	}
	for _, state := range []string{idle, loaded} {
		for _, c := range s.contestants {
			if e := s.latency[state][c.name]; e != nil {
				r.Latency = append(r.Latency, latency(c.name, state, e))
			}
		}
	}
	return r
}

func (r row) result(all samples) RowResult {
	x := RowResult{
		ID: r.id, What: r.what, Unit: r.unit.base, LessIsBetter: r.unit.less, RatioTo: r.of.rival(),
		Samples: all, Medians: map[string]float64{}, row: r,
	}
	for name, values := range all {
		if len(values) > 0 {
			x.Medians[name] = median(values)
		}
	}
	v := r.measured(all)
	if !math.IsNaN(v) {
		x.Measured = &v
	}
	if r.of == untargeted {
		return x
	}
	x.Target, x.Stretch = r.target, r.stretch
	if x.Measured != nil {
		met, beyond := r.reaches(v, r.target), r.reaches(v, r.stretch)
		x.TargetMet, x.StretchMet = &met, &beyond
	}
	return x
}

func latency(contestant, state string, e *echoes) Latency {
	t := e.sorted()
	return Latency{
		contestant, state, e.sent, len(t),
		quantile(t, 0.5), quantile(t, 0.9), quantile(t, 0.99), quantile(t, 0.999), quantile(t, 1),
	}
}

// measured returns what is compared with targets, or NaN.
func (x *RowResult) measured() float64 {
	if x.Measured == nil {
		return math.NaN()
	}
	return *x.Measured
}

// has reports whether anybody of this name was measured.
func (r *Result) has(name string) bool {
	return slices.ContainsFunc(r.Rows, func(x RowResult) bool { return len(x.Samples[name]) > 0 })
}
