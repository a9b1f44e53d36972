//go:build linux && e2e

package diff

import (
	"flag"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"
	"testing"
)

var update = flag.Bool("update", false, "record the results of transcripts anew")

// rig holds the sides of transcripts, in the order of sideNames.
type rig struct{ sides []*side }

func newRig(t *testing.T) *rig {
	lab := newLab(t)
	r := &rig{}
	for _, n := range sideNames {
		tool := &tools.ours
		switch n.name {
		case "upstream", "upstream-reference":
			tool = &tools.upstream
		case "old":
			tool = &tools.old
		}
		s := newSide(t, lab, n.name, tool)
		s.reference = strings.HasSuffix(n.name, "-reference")
		s.startDaemon(t, "wg0")
		r.sides = append(r.sides, s)
	}
	return r
}

// each does something on all sides at once.
func (r *rig) each(t *testing.T, f func(i int, s *side) error) {
	t.Helper()
	var wg sync.WaitGroup
	for i, s := range r.sides {
		wg.Go(func() {
			if err := f(i, s); err != nil {
				t.Errorf("%s: %v", s.name, err)
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		t.FailNow()
	}
}

// I10, I11, Q02, Q05, Q12, Q14: each transcript has the result recorded, on every
// side, and every side's difference is a known one.
func TestTranscripts(t *testing.T) {
	record(t)
	k, err := readKnown("testdata/known.txt")
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("testdata/wg/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("scripts: found %d, error %v", len(files), err)
	}
	r := newRig(t)
	count := 0
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			s, err := readScript(file)
			if err != nil {
				t.Fatal(err)
			}
			count += r.script(t, k, s)
		})
	}
	if count < 300 {
		t.Errorf("%d transcripts, want at least 300", count)
	}
	if !t.Failed() && tools.upstream.date >= since {
		k.unused(t, "wg-")
	}
	t.Logf("%d transcripts on %d sides", count, len(r.sides))
}

// script runs the transcripts of a file and returns how many there are.
func (r *rig) script(t *testing.T, k *known, s *script) int {
	results := make([][][]string, len(r.sides))
	r.each(t, func(i int, side *side) error {
		results[i] = make([][]string, len(s.items))
		for n := range s.items {
			if s.items[n].command == "" {
				continue
			}
			lines, err := side.transcript(&s.items[n])
			if err != nil {
				return fmt.Errorf("%s:%d: %w", s.file, s.items[n].line, err)
			}
			results[i][n] = lines
		}
		return nil
	})
	count := 0
	for n := range s.items {
		it := &s.items[n]
		if it.command == "" {
			continue
		}
		count++
		for i, side := range r.sides {
			r.judge(t, k, s, it, i, side, results[i][n])
		}
	}
	if *update {
		if err := s.write(); err != nil {
			t.Fatal(err)
		}
	}
	return count
}

// judge compares the result of one side with what is recorded of it.
func (r *rig) judge(t *testing.T, k *known, s *script, it *item, i int, side *side, got []string) {
	name := sideNames[i]
	if strings.HasPrefix(name.name, "upstream") && tools.upstream.date < since {
		return // what stands in for upstream has its own record
	}
	equal := slices.Equal[[]string]
	if side.reference {
		equal = func(a, b []string) bool { return slices.Equal(unordered(a), unordered(b)) }
	}
	if side.reference {
		got = unordered(got)
	}
	own := it.results[name.name]
	if *update {
		delete(it.results, name.name)
		if name.against == "" || !equal(it.expected(name.name).lines, got) {
			it.results[name.name] = &result{lines: got, id: "?"}
			if own != nil {
				it.results[name.name].id = own.id
			}
		}
		own = it.results[name.name]
	}
	if name.against != "" && own != nil {
		if err := k.use(own.id, name.who); err != nil {
			t.Errorf("%s:%d: %s: %v", s.file, it.line, it.command, err)
		}
	}
	if name.name == "old" && tools.old.date >= since && own != nil {
		return // the system's tool is not old: there is nothing to record
	}
	want := it.expected(name.name).lines
	if !equal(got, want) {
		t.Errorf("%s:%d: %s\n%s does:\n%s\nand is recorded as:\n%s", s.file, it.line, it.command, name.name, indented(got), indented(want))
	}
	if name.against != "" && own != nil {
		without := *it
		without.results = map[string]*result{}
		for n, res := range it.results {
			if n != name.name {
				without.results[n] = res
			}
		}
		if equal(without.expected(name.name).lines, got) {
			t.Errorf("%s:%d: %s\nthe difference %s does not occur any more", s.file, it.line, it.command, own.id)
		}
	}
}

func indented(lines []string) string {
	if len(lines) == 0 {
		return "    (nothing)"
	}
	return "    " + strings.Join(lines, "\n    ")
}

// transcript runs one command and returns its result as it is recorded.
func (s *side) transcript(it *item) ([]string, error) {
	argv := []string{"/bin/bash", "-c", fromNames.Replace(strings.TrimPrefix(it.command, "sh "))}
	if strings.HasPrefix(it.command, "wg") {
		all, err := words(it.command)
		if err != nil {
			return nil, err
		}
		for i := range all {
			all[i] = fromNames.Replace(all[i])
		}
		argv = all
	}
	files := map[string]string{}
	for name, text := range it.files {
		files[name] = fromNames.Replace(text)
	}
	return s.measure(it.state, it.env, fromNames.Replace(it.stdin), files, argv)
}

// measure sets the state, runs a command, and says what it did.
func (s *side) measure(state string, env []string, stdin string, files map[string]string, argv []string) ([]string, error) {
	c := s.control["wg0"]
	if _, err := c.do(request(state)); err != nil {
		return nil, err
	}
	answer, err := c.do("get=1\n")
	if err != nil {
		return nil, err
	}
	before := stateLines(answer)
	for name, text := range files {
		if err := s.host.WriteFile(workDir+"/"+name, []byte(text), 0o600); err != nil {
			return nil, err
		}
	}
	o, err := s.run(env, stdin, argv...)
	if err != nil {
		return nil, err
	}
	if answer, err = c.do("get=1\n"); err != nil {
		return nil, err
	}
	after := stateLines(answer)
	if s.reference {
		before, after = asIfDown(before), asIfDown(after)
		o.stdout = inOrder(asIfDownIn(o.stdout))
	}
	lines := slices.Concat(shown("1", o.stdout), shown("2", o.stderr))
	if o.code != 0 {
		lines = append(lines, "= "+strconv.Itoa(o.code))
	}
	return append(lines, changes(before, after)...), nil
}

// The reference daemon counts its link as up when it is not: it draws a port
// where none is set, and sends. Such ports are left out, and what it sent: Linux
// draws from 32768 to 60999, where the transcripts use none.
func asIfDown(lines []string) []string {
	return slices.DeleteFunc(lines, func(l string) bool {
		n, ok := strings.CutPrefix(l, "listen_port ")
		return ok && drawn(n) || strings.Contains(l, " tx_bytes ")
	})
}

func drawn(port string) bool {
	n, _ := strconv.Atoi(port)
	return n >= 32768 && n < 61000
}

var (
	portLine  = regexp.MustCompile(`(?m)^.*(?:listening port|ListenPort)\S*[ =:]+(\S+)\n`)
	portField = regexp.MustCompile(`(?m)^(.*\t)?(\d+)((?:\t(?:off|0x[0-9a-f]+))?)$`)
)

func asIfDownIn(text string) string {
	text = portLine.ReplaceAllStringFunc(text, func(l string) string {
		if drawn(portLine.FindStringSubmatch(l)[1]) {
			return ""
		}
		return l
	})
	return portField.ReplaceAllStringFunc(text, func(l string) string {
		m := portField.FindStringSubmatch(l)
		if drawn(m[2]) {
			return m[1] + "0" + m[3]
		}
		return l
	})
}

// shown is a text with the number of its stream in front of each line, and the
// keys by their names.
func shown(stream, text string) (lines []string) {
	for text != "" {
		line, rest, whole := strings.Cut(text, "\n")
		q := strconv.Quote(toNames.Replace(line))
		q = strings.ReplaceAll(q[1:len(q)-1], `\"`, `"`)
		mark := "> "
		if !whole {
			mark = ">| "
		}
		lines, text = append(lines, strings.TrimRight(stream+mark+q, " ")), rest
	}
	return lines
}

var peerLine = regexp.MustCompile(`^(\x1b\[[0-9;]*m)*(wg0\t)?[A-Za-z0-9+/]{43}=`)

// deviceLine is the first line of a dump.
var deviceLine = regexp.MustCompile(`=\t[^\t]+\t\d+\t(0x[0-9a-f]+|off)\n$`)

// inOrder puts what is said of each peer into an order: the reference daemon
// answers in another each time (compat E1).
func inOrder(text string) string {
	whole := strings.TrimRight(text, "\n")
	if parts := strings.Split(whole, "\n\n"); len(parts) > 1 {
		sort.Strings(parts[1:])
		return strings.Join(parts, "\n\n") + text[len(whole):]
	}
	lines := strings.SplitAfter(text, "\n")
	first := slices.IndexFunc(lines, peerLine.MatchString)
	if first >= 0 && deviceLine.MatchString(lines[first]) {
		first++
	}
	if first >= 0 {
		sort.Strings(lines[first:])
	}
	return strings.Join(lines, "")
}
