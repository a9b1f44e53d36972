package quick_test

import (
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
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
	c.Program = "warren device"
	f := readFacts(t, c, facts)
	for _, stage := range quick.Stages() {
		steps, err := quick.Up(c, stage, f)
		up += trace(c, steps)
		if err != nil {
			up += describe(err)
			break
		}
	}
	f.LinkExists = !strings.Contains(facts, "socket\n") || f.LinkExists
	f.SocketExists = !strings.Contains(facts, "link\n") || f.SocketExists
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
		mark := "[#]"
		if s.Kind == quick.Warn {
			mark = "[!]"
		}
		fmt.Fprintf(&b, "%s %s\n", mark, s.Trace(c))
		if s.Hint != "" {
			fmt.Fprintf(&b, "    hint: %s\n", s.Hint)
		}
	}
	return b.String()
}

// readFacts reads a line per fact over what is predicted.
func readFacts(t *testing.T, c *quick.Config, text string) quick.Facts {
	t.Helper()
	f := quick.Predict(c, quick.Facts{})
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
			f.SocketExists = true
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
// interface are not.
func TestUndo(t *testing.T) {
	for kind := quick.Warn; kind <= quick.DeleteLink; kind++ {
		undo, ok := quick.Step{Kind: kind}.Undo()
		if ok != (kind == quick.CreateLink) || ok && undo.Kind != quick.DeleteLink {
			t.Errorf("undo of kind %d: %+v, %v, want the interface deleted after it was made, and nothing else", kind, undo, ok)
		}
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
		steps, _ := quick.Down(c, quick.Facts{LinkExists: true, SocketExists: true})
		for _, stage := range quick.Stages() {
			more, _ := quick.Up(c, stage, facts)
			steps = append(steps, more...)
		}
		for _, s := range steps {
			if s.Line < 0 || s.Line > lines || s.Line == 0 && s.Key != "" {
				t.Errorf("step %+v, want a line from 1 to %d", s, lines)
			}
			if s.Kind == quick.AddRoute && s.Prefix.Bits() == 0 {
				t.Errorf("planned a default route: %+v", s)
			}
		}
	})
}
