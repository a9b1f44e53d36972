//go:build linux

package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"time"
)

// measurement is one row of the table.
type measurement struct {
	what string
	unit unit
	// One of the two targets, from docs/performance.md: a ratio to the
	// reference, or an absolute value.
	ratio    float64
	absolute float64
	relayed  bool // over three hosts
	bare     bool // also without tunnel, as the limit of the rig
	run      func(context.Context, *rig, time.Duration) (float64, error)
}

// unit says how values are printed, and whether less is better.
type unit struct {
	name  string
	scale float64
	less  bool
}

var (
	gigabits     = unit{"Gbit/s", 1e-9, false}
	packets      = unit{"1 000/s", 1e-3, false}
	milliseconds = unit{"ms", 1e3, true}
	megabytes    = unit{"MB", 1e-6, true}
)

var measurements = []measurement{
	{what: "1 TCP stream, MTU 1420", unit: gigabits, ratio: 2, bare: true, run: tcp()},
	{what: "1 TCP stream, reverse", unit: gigabits, ratio: 2, run: tcp("-R")},
	{what: "4 TCP streams", unit: gigabits, ratio: 2, run: tcp("-P", "4")},
	{what: "both directions at once", unit: gigabits, ratio: 2, run: tcp("--bidir")},
	{what: "1 TCP stream through a relay, two peers of one interface", unit: gigabits, ratio: 2, relayed: true, run: tcp()},
	{what: "UDP, 1 300 bytes, 1.4 Gbit/s offered: delivered", unit: packets, ratio: 3, run: udp(1300, "1400M")},
	{what: "UDP, 64 bytes, as fast as the sender can: delivered", unit: packets, ratio: 3, run: udp(64, "0")},
	{what: "ping, idle, median", unit: milliseconds, ratio: 0.5, bare: true, run: idlePing},
	{what: "ping during 1 TCP stream, 99 %", unit: milliseconds, ratio: 0.25, run: loadedPing},
	{what: "resident memory, peak, bulk transfer", unit: megabytes, absolute: 48e6, run: memory},
}

// result is a measured row; values are in base units.
type result struct {
	measurement
	ours, theirs, bare []float64
}

// compare sets both implementations up and measures them in turns.
func (m measurement) compare(ctx context.Context, o options, cs []contestant) (r result, err error) {
	r.measurement = m
	rigs := make([]*rig, len(cs))
	for i := range cs {
		if rigs[i], err = newRig(ctx, &cs[i], m.relayed); err != nil {
			return r, fmt.Errorf("%s: %w", cs[i].name, err)
		}
		defer rigs[i].close()
	}
	values := []*[]float64{&r.ours, &r.theirs}
	for n := range o.runs {
		for k := range cs {
			i := (n + k) % len(cs) // who goes first alternates
			v, err := m.run(ctx, rigs[i], o.length)
			if err != nil {
				return r, fmt.Errorf("%s: %w", cs[i].name, err)
			}
			*values[i] = append(*values[i], v)
		}
	}
	if m.bare {
		r.bare, err = m.withoutTunnel(ctx, o)
	}
	return r, err
}

// withoutTunnel measures the rig itself.
func (m measurement) withoutTunnel(ctx context.Context, o options) (values []float64, err error) {
	r, err := newRig(ctx, nil, m.relayed)
	if err != nil {
		return nil, err
	}
	defer r.close()
	for range o.runs {
		v, err := m.run(ctx, r, o.length)
		if err != nil {
			return nil, err
		}
		values = append(values, v)
	}
	return values, nil
}

// ratioOf returns ours to theirs.
func (r result) ratioOf() float64 { return median(r.ours) / median(r.theirs) }

// met reports whether the target was reached.
func (r result) met() bool {
	got, want := r.ratioOf(), r.measurement.ratio
	if r.absolute != 0 {
		got, want = median(r.ours), r.absolute
	}
	if r.unit.less {
		return got <= want
	}
	return got >= want
}

func (r result) target() string {
	sign := ">="
	if r.unit.less {
		sign = "<="
	}
	if r.absolute != 0 {
		return fmt.Sprintf("%s %.3g %s", sign, r.absolute*r.unit.scale, r.unit.name)
	}
	return fmt.Sprintf("%s %.3g x", sign, r.measurement.ratio)
}

// show prints the median, and the smallest and largest in brackets.
func (u unit) show(values []float64) string {
	if len(values) == 0 {
		return ""
	}
	lo, hi := values[0], values[0]
	for _, v := range values {
		lo, hi = min(lo, v), max(hi, v)
	}
	return fmt.Sprintf("%.3g (%.3g..%.3g)", median(values)*u.scale, lo*u.scale, hi*u.scale)
}

func (r result) brief() string {
	return fmt.Sprintf("%.2f x  (%.3g and %.3g %s)", r.ratioOf(), median(r.ours)*r.unit.scale, median(r.theirs)*r.unit.scale, r.unit.name)
}

// printTable writes Markdown.
func printTable(w io.Writer, o options, results []result) {
	fmt.Fprintf(w, "\n%s, %d processors, %s; reference: wireguard-go %s.\n", processor(), runtime.NumCPU(), kernel(), referenceVersion())
	fmt.Fprintf(w, "%d runs of %v each, alternating; median (smallest..largest). Load of the machine before: %s.\n\n",
		o.runs, o.length, o.load)
	fmt.Fprintln(w, "| what | unit | no tunnel | wireguard-go | warren | ratio | target | |")
	fmt.Fprintln(w, "|---|---|---|---|---|---|---|---|")
	for _, r := range results {
		verdict := "missed"
		if r.met() {
			verdict = "met"
		}
		fmt.Fprintf(w, "| %s | %s | %s | %s | %s | %.2f x | %s | %s |\n", r.what, r.unit.name,
			r.unit.show(r.bare), r.unit.show(r.theirs), r.unit.show(r.ours), r.ratioOf(), r.target(), verdict)
	}
}

func processor() string {
	text, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

// load returns the number of processes that wanted to run in the last minute:
// what else the machine had to do.
func load() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	minute, _, _ := strings.Cut(string(text), " ")
	return minute
}

func kernel() string {
	text, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return "Linux"
	}
	return "Linux " + strings.TrimSpace(string(text))
}
