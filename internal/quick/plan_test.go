package quick_test

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/warrenvpn/warren/conf"
	"github.com/warrenvpn/warren/internal/quick"
)

var update = flag.Bool("update", false, "rewrite the plans in testdata from what is planned")

// Every file in testdata is a configuration, facts about a host, and the plan:
//
//	# what it is about
//	-- wg0.conf --
//	[Interface] ...
//	-- facts --
//	path 192.0.2.1 1500
//	-- up --
//	[#] ...
//	-- down --
//	[#] ...
//
// Facts that are not given are predicted, as for --dry-run; down finds the
// tunnel up, unless the facts name only its link or only its socket.
func TestPlans(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no plans in testdata: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) { testPlan(t, file) })
	}
}

func testPlan(t *testing.T, file string) {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	about, sections := split(string(text))
	up, down := plans(t, sections["wg0.conf"], sections["facts"])
	got := about + "-- wg0.conf --\n" + sections["wg0.conf"]
	if f := sections["facts"]; f != "" {
		got += "-- facts --\n" + f
	}
	got += "-- up --\n" + up + "-- down --\n" + down
	if got == string(text) {
		return
	}
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Errorf("%s: planned\n%s\nwant\n%s", file, got, text)
}

func split(text string) (about string, sections map[string]string) {
	sections = make(map[string]string)
	name := ""
	for _, line := range strings.SplitAfter(text, "\n") {
		switch trimmed := strings.TrimSpace(line); {
		case strings.HasPrefix(trimmed, "-- ") && strings.HasSuffix(trimmed, " --"):
			name = strings.Trim(trimmed, "- ")
		case name == "":
			about += line
		default:
			sections[name] += line
		}
	}
	return about, sections
}

func plans(t *testing.T, file, facts string) (up, down string) {
	service := func(string) (uint16, error) { return 0, errors.New("no services here") }
	c, err := quick.Parse(file, "wg0.conf", "wg0", conf.Options{Service: service})
	if err != nil {
		return describe(err), ""
	}
	c.Program, c.File = "warren device", "/etc/wireguard/wg0.conf"
	if strings.Contains("\n"+facts, "\ncompat\n") {
		c.Program, c.Compat = "wireguard-go", true
	}
	if strings.Contains("\n"+facts, "\nno-ipv6\n") {
		c.LeaveOutIPv6()
	}
	f := readFacts(t, c, facts)
	var done []quick.Step
	for _, stage := range quick.Stages() {
		steps, err := quick.Up(c, stage, f)
		if len(steps) > 0 && steps[len(steps)-1].Kind == quick.CreateLink && f.NoKernel {
			up += trace(c, steps)
			steps, err = quick.FallBack(c)
		}
		up += trace(c, steps)
		done = append(done, steps...)
		if err != nil {
			up += describe(err)
			break
		}
	}
	f.LinkExists = !strings.Contains(facts, "socket\n") || f.LinkExists
	f.SocketExists = !strings.Contains(facts, "link\n") || f.SocketExists
	f.WireGuard = f.SocketExists
	if !strings.Contains("\n"+facts, "\nno-journal\n") {
		f.Journal, f.Recorded = true, done
	}
	steps, err := quick.Down(c, f)
	if err != nil {
		return up, describe(err)
	}
	return up, trace(c, steps)
}

// describe prints an error and its hint as a user sees them.
func describe(err error) string {
	s := "error: " + err.Error() + "\n"
	var p *quick.Problem
	var m *conf.ParseError
	switch {
	case errors.As(err, &p) && p.Hint != "":
		s += "hint: " + p.Hint + "\n"
	case errors.As(err, &m) && m.Hint != "":
		s += "hint: " + m.Hint + "\n"
	}
	return s
}

func trace(c *quick.Config, steps []quick.Step) string {
	var b strings.Builder
	for _, s := range steps {
		mark := "[#] "
		switch s.Kind {
		case quick.Warn:
			mark = "[!] "
		case quick.Note:
			mark = "[+] "
		case quick.Say:
			mark = ""
		}
		if s.Trace(c) == "" {
			mark += "(" + s.Kind.String() + ")"
		}
		fmt.Fprintf(&b, "%s%s\n", mark, s.Trace(c))
		if s.Hint != "" {
			fmt.Fprintf(&b, "    hint: %s\n", s.Hint)
		}
	}
	return b.String()
}

// readFacts reads a line per fact over what is predicted.
func readFacts(t *testing.T, c *quick.Config, text string) quick.Facts {
	t.Helper()
	f := quick.Predict(c, quick.Facts{
		InKernel: true, SrcValidMark: "0",
		DNS: quick.DNS{Set: "resolvconf -a " + c.Name + " -m 0 -x", Unset: "resolvconf -d " + c.Name + " -f"},
		Rules: []quick.Rule{
			{Family: 4, Table: 255}, {Family: 4, Priority: 32766, Table: 254}, {Family: 4, Priority: 32767, Table: 253},
			{Family: 6, Table: 255}, {Family: 6, Priority: 32766, Table: 254},
		},
	})
	for _, line := range strings.Split(strings.TrimSpace(text), "\n") {
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		number := func(i int) int {
			n, err := strconv.Atoi(words[i])
			if err != nil {
				t.Fatalf("fact %q: %v", line, err)
			}
			return n
		}
		switch words[0] {
		case "link":
			f.LinkExists = true
		case "socket":
			f.SocketExists, f.WireGuard = true, true
		case "obstacle":
			f.Obstacle = errors.New(strings.Join(words[1:], " "))
		case "path":
			f.Paths = append(f.Paths, quick.Path{Endpoint: netip.MustParseAddr(words[1]), MTU: number(2)})
		case "default":
			f.DefaultPath = number(1)
		case "routes":
			f.Routes = prefixes(words[1:])
		case "allowed":
			f.AllowedIPs = append(f.AllowedIPs, prefixes(words[1:])...)
		case "mark":
			f.FwMark = uint32(number(1))
		case "key":
			f.HasPrivateKey = true
		case "no-kernel":
			f.NoKernel, f.InKernel = true, false
		case "ipv6-disabled":
			f.IPv6Disabled = true
		case "default-routes":
			f.Default4, f.Default6 = slices.Contains(words, "4"), slices.Contains(words, "6")
		case "used-tables":
			for i := range words[1:] {
				f.UsedTables = append(f.UsedTables, uint32(number(i+1)))
			}
		case "src-valid-mark":
			f.SrcValidMark = words[1]
			if len(words) > 2 {
				f.HeldMark = words[2]
			}
		case "table":
			f.TableNumber = uint32(number(1))
		case "rule": // FAMILY PRIORITY TABLE [not MARK | suppress] [foreign]
			r := quick.Rule{Family: number(1), Priority: uint32(number(2)), Table: uint32(number(3))}
			if slices.Contains(words, "not") {
				r.Not, r.Mark = true, uint32(number(5))
			}
			r.SuppressDefault = slices.Contains(words, "suppress")
			if slices.Contains(words, "foreign") {
				f.Foreign = append(f.Foreign, r)
			}
			at := slices.IndexFunc(f.Rules, func(o quick.Rule) bool { return o.Family == r.Family && o.Priority > r.Priority })
			f.Rules = slices.Insert(f.Rules, at, r)
		case "firewall":
			f.Firewall = true
		case "compat", "no-ipv6", "no-journal":
		default:
			t.Fatalf("unknown fact %q", line)
		}
	}
	return f
}

func prefixes(words []string) []netip.Prefix {
	var all []netip.Prefix
	for _, w := range words {
		all = append(all, netip.MustParsePrefix(w))
	}
	return all
}

// The same configuration and the same facts give the same plan, whatever order
// a map has.
func TestPlanIsStable(t *testing.T) {
	var file strings.Builder
	file.WriteString("[Interface]\n")
	for i := range 200 {
		fmt.Fprintf(&file, "[Peer]\nPublicKey = %043d=\nAllowedIPs = 10.%d.0.0/16, fd00:%x::/%d\n", i*16, i, i, 32+i%90)
	}
	first, _ := plans(t, file.String(), "")
	for range 10 {
		if again, _ := plans(t, file.String(), ""); again != first {
			t.Fatalf("two plans for one thing:\n%s\nand\n%s", first, again)
		}
	}
}

// Steps that make something are undone; hooks and what vanishes with the
// interface are not. An undo has none of its own.
func TestUndo(t *testing.T) {
	want := map[quick.Kind]quick.Kind{
		quick.CreateLink: quick.DeleteLink, quick.CreateDevice: quick.DeleteLink, quick.SetDNS: quick.UnsetDNS,
		quick.AddRule: quick.DeleteRule, quick.SetSysctl: quick.RestoreSysctl, quick.HoldSysctl: quick.RestoreSysctl,
		quick.AddFirewall: quick.RemoveFirewall, quick.Save: quick.RemoveFile,
	}
	for kind := quick.Warn; kind <= quick.DeleteLink; kind++ {
		undo, ok := quick.Step{Kind: kind}.Undo()
		if ok != (want[kind] != 0) || undo.Kind != want[kind] {
			t.Errorf("undo of %v: %+v, %v, want %v", kind, undo, ok, want[kind])
		}
		if ok && !undo.Undoes() {
			t.Errorf("%v does not say that it undoes", undo.Kind)
		}
	}
}

// A step means the same after it was in a journal.
func TestStepsSurviveJSON(t *testing.T) {
	for kind := quick.Warn; kind <= quick.DeleteLink; kind++ {
		s := quick.Step{
			Kind: kind, Prefix: netip.MustParsePrefix("10.0.0.1/24"), MTU: 1, Mark: 2, Family: 4, Table: 3, TableName: "a", Name: "b",
			Rule:  quick.Rule{Family: 6, Priority: 7, Mark: 8, Not: true, Table: 9, SuppressDefault: true},
			Value: "c", Prior: "d", Index: 5, Text: "e\n", Hint: "f", Key: "g", Line: 6, Lenient: true,
		}
		text, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		var back quick.Step
		if err := json.Unmarshal(text, &back); err != nil || back != s {
			t.Errorf("%s became %+v, %v", text, back, err)
		}
	}
	var s quick.Step
	if err := json.Unmarshal([]byte(`{"kind":"destroy"}`), &s); err == nil {
		t.Error("a kind of a later version was taken for a known one")
	}
}

// FuzzParse: no text makes parsing or planning panic, and every line number
// lies inside the text.
func FuzzParse(f *testing.F) {
	files, _ := filepath.Glob("testdata/*.txt")
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		_, sections := split(string(text))
		f.Add(sections["wg0.conf"])
	}
	f.Fuzz(func(t *testing.T, text string) {
		service := func(string) (uint16, error) { return 1, nil }
		c, err := quick.Parse(text, "wg0.conf", "wg0", conf.Options{Service: service})
		if err != nil {
			return
		}
		lines := strings.Count(text, "\n") + 1
		facts := quick.Predict(c, quick.Facts{})
		steps, _ := quick.Down(c, quick.Facts{LinkExists: true, WireGuard: true})
		for _, stage := range quick.Stages() {
			more, _ := quick.Up(c, stage, facts)
			steps = append(steps, more...)
		}
		for _, s := range steps {
			if s.Line < 0 || s.Line > lines || s.Line == 0 && s.Key != "" {
				t.Errorf("step %+v, want a line from 1 to %d", s, lines)
			}
			if s.Kind == quick.AddRoute && s.Prefix.Bits() == 0 && s.Table == 0 {
				t.Errorf("planned a default route in the main table: %+v", s)
			}
		}
	})
}
