package bench

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// writeTables writes Markdown for people: what should be reached, the round
// trips, and what a user might pick instead.
func (r *Result) writeTables(w io.Writer) {
	m := r.Machine
	fmt.Fprintf(w, "\n%s, %d processors, %s; load of the machine before: %s.\n", m.Processor, m.Processors, m.Kernel, m.LoadBefore)
	for _, c := range r.Contestants {
		if c.Version != "" {
			fmt.Fprintf(w, "%s: %s. ", c.Title, c.Version)
		}
	}
	var kernels []string
	for _, job := range slices.Sorted(maps.Keys(m.Implementations)) {
		kernels = append(kernels, job+" "+m.Implementations[job])
	}
	fmt.Fprintf(w, "In use: %s. %d runs of %g s each, alternating; median (smallest..largest).\n\n",
		strings.Join(kernels, ", "), r.Options.Runs, r.Options.Duration)
	if len(r.Rows) > 0 {
		r.writeRows(w)
	}
	r.writeLatency(w)
	r.writeOthers(w)
	for _, p := range r.Problems {
		fmt.Fprintf(w, "\nNot measured: %s, %s: %s\n", p.Contestant, p.What, p.Error)
	}
}

// tableLine writes a line of a table.
func tableLine(w io.Writer, cells ...string) {
	fmt.Fprintln(w, strings.TrimRight("| "+strings.Join(cells, " | "), " ")+" |")
}

func tableHead(w io.Writer, cells ...string) {
	tableLine(w, cells...)
	fmt.Fprintln(w, "|"+strings.Repeat("---|", len(cells)))
}

// writeRows writes what was measured beside what should be reached.
func (r *Result) writeRows(w io.Writer) {
	columns := []string{"what", "unit"}
	var names []string
	for _, c := range r.rivals() {
		columns, names = append(columns, c.Title), append(names, c.Name)
	}
	tableHead(w, append(columns, ours, "measured", "target", "stretch")...)
	for _, x := range r.Rows {
		cells := []string{x.What, x.row.unit.name}
		for _, n := range names {
			cells = append(cells, x.row.unit.show(x.Samples[n]))
		}
		v := x.measured()
		tableLine(w, append(cells, x.row.unit.show(x.Samples[ours]), x.row.express(v),
			x.row.goal(v, x.row.target), x.row.goal(v, x.row.stretch))...)
	}
}

// rivals are those of the first table besides ourselves.
func (r *Result) rivals() []Contestant {
	title := map[string]string{bare: bare, limit: limit, reference: reference, library: library}
	for _, c := range r.Contestants {
		title[c.Name] = c.Title
	}
	var all []Contestant
	for _, n := range []string{bare, limit, library, reference} {
		if r.has(n) {
			all = append(all, Contestant{Name: n, Title: title[n]})
		}
	}
	return all
}

// writeLatency writes the distribution of round trips.
func (r *Result) writeLatency(w io.Writer) {
	if len(r.Latency) == 0 {
		return
	}
	fmt.Fprintf(w, "\nRound trips of echoes %v apart, all runs together, in ms:\n\n", echoInterval)
	tableHead(w, "ping", "", "p50", "p90", "p99", "p99.9", "max", "answered")
	for _, l := range r.Latency {
		cells := []string{l.State, r.title(l.Contestant)}
		for _, v := range []float64{l.P50, l.P90, l.P99, l.P999, l.Max} {
			cells = append(cells, milliseconds.number(v))
		}
		tableLine(w, append(cells, fmt.Sprintf("%d of %d", l.Answered, l.Sent))...)
	}
}

func (r *Result) title(name string) string {
	for _, c := range r.Contestants {
		if c.Name == name {
			return c.Title
		}
	}
	return name
}

// writeOthers writes medians of what a user might pick instead.
func (r *Result) writeOthers(w io.Writer) {
	columns, names := []string{"what", "unit", ours}, []string{ours}
	for _, c := range r.Contestants {
		if c.Name == reference && r.has(reference) || c.Other {
			columns, names = append(columns, c.Title), append(names, c.Name)
		}
	}
	others := 0
	for _, c := range r.Contestants {
		if c.Other {
			others++
		}
	}
	if others == 0 {
		return
	}
	fmt.Fprintf(w, "\nWhat there is besides, medians:\n\n")
	tableHead(w, columns...)
	for _, x := range r.Rows {
		cells := []string{x.What, x.row.unit.name}
		measured := 0
		for _, n := range names {
			text := ""
			if m, ok := x.Medians[n]; ok {
				text = x.row.unit.number(m)
				if n != ours && n != reference {
					measured++
				}
			}
			cells = append(cells, text)
		}
		if measured > 0 && x.RatioTo != limit {
			tableLine(w, cells...)
		}
	}
}
