package demo

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// The colours of a report, by what they mean (ECMA-48 SGR).
const (
	bold    = "1"
	good    = "32"
	warning = "33"
)

// report writes a Result for people.
type report struct {
	io.Writer
	colour bool
}

func (w report) paint(text, colour string) string {
	if !w.colour {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}

// cell is one field of a table.
type cell struct{ text, colour string }

// table writes rows under a heading, every column as wide as its widest cell.
func (w report) table(heading []string, rows [][]cell) {
	widths := make([]int, len(heading))
	for i, h := range heading {
		widths[i] = utf8.RuneCountInString(h)
		for _, r := range rows {
			widths[i] = max(widths[i], utf8.RuneCountInString(r[i].text))
		}
	}
	line := func(cells []cell) {
		var b strings.Builder
		for i, c := range cells {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(c.text))
			text := c.text
			if c.colour != "" {
				text = w.paint(text, c.colour)
			}
			b.WriteString(text + pad + "  ")
		}
		fmt.Fprintln(w, strings.TrimRight(b.String(), " "))
	}
	var head []cell
	for _, h := range heading {
		head = append(head, cell{h, bold})
	}
	line(head)
	for _, r := range rows {
		line(r)
	}
}

func (w report) result(r *Result) {
	fmt.Fprintf(w, "Five hosts, each brought up from its wg0.conf. Which way every ordered pair goes was found by probing.\n\n")
	w.pairs(r)
	fmt.Fprintf(w, "\nA relayed packet is decrypted on %s and encrypted anew: it can read the traffic of those pairs.\n", r.Relay)
	fmt.Fprintf(w, "All hosts share this machine's processors, so a relayed stream pays for two tunnels.\n")
	fmt.Fprintf(w, "\n%s\n%s", w.paint("wg show on "+r.Relay, bold), r.RelayShow)
	fmt.Fprintf(w, "\n%s\n", w.paint("Two hosts behind NATs, both with a fixed port", bold))
	w.crossings(r.Crossings)
}

func (w report) pairs(r *Result) {
	var rows [][]cell
	for _, p := range r.Pairs {
		rows = append(rows, []cell{
			{p.From, ""}, {p.To, ""}, p.path(),
			p.Ping4.cell(), p.Ping6.cell(),
			{rate(p.BitsPerSecond), ""}, p.readers(),
		})
	}
	w.table([]string{"from", "to", "path", "ping IPv4", "ping IPv6", "TCP, 1 s", "who can read it"}, rows)
}

func (w report) crossings(all []CrossingResult) {
	var rows [][]cell
	for _, c := range all {
		after := "never direct"
		if c.Via == "" {
			after = fmt.Sprintf("after %.1f s", c.After)
		}
		rows = append(rows, []cell{{c.NATs[0], ""}, {c.NATs[1], ""}, c.path(), {after, ""}, c.readers()})
	}
	w.table([]string{"NAT of peer1", "NAT of peer2", "path", "", "who can read it"}, rows)
}

func (p PathResult) path() cell {
	if p.Via == "" {
		return cell{"direct", good}
	}
	return cell{"via " + p.Via, warning}
}

func (p PathResult) readers() cell {
	if p.Via == "" {
		return cell{"the two alone", ""}
	}
	return cell{"the two, and " + p.Via, warning}
}

func (p PingResult) cell() cell {
	text := fmt.Sprintf("%.2f ms", p.Milliseconds)
	if p.Lost > 0 {
		return cell{fmt.Sprintf("%s, %d of %d lost", text, p.Lost, p.Sent), warning}
	}
	return cell{text, ""}
}

// rate returns bits per second for people.
func rate(bits float64) string {
	if bits >= 1e9 {
		return fmt.Sprintf("%.2f Gbit/s", bits/1e9)
	}
	return fmt.Sprintf("%.0f Mbit/s", bits/1e6)
}
