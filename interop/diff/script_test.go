//go:build linux && e2e

package diff

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// A script is a file of transcripts. Its lines are
//
//	# a comment
//	state full         the state that the interface wg0 has before each command
//	                   from here on: of states
//	env A=b            the environment of the next command
//	stdin "..."        its standard input
//	file NAME "..."    a file that it finds in its folder
//	wg show wg0        a command: the tool; words that need it in Go's quotes
//	sh wg show | wc    a command of bash, where wg is the tool
//	    1> text        what it wrote to standard output, as ours does
//	    2> text        and to standard error; 1>| is a line that has no end
//	    = 1            its exit code, if it is not 0
//	    + listen_port 5   a line that the state has now, - one that it has lost
//	  upstream ID:     the result of another tool, where it differs: indented as
//	                   above, below the id of a known difference
//
// In words, texts and files {P1} is a public key, {K1} the private key of it,
// {S1} a preshared key, and {D} the folder.
type script struct {
	file  string
	items []item
}

// item is a command with what precedes it, or only lines that no command
// follows.
type item struct {
	line    int
	before  []string // as written
	command string   // as written; empty at the end of the file
	env     []string
	state   string
	stdin   string
	files   map[string]string
	results map[string]*result // by side
}

// result is what is recorded of a side.
type result struct {
	id    string // of a known difference; empty for ours
	lines []string
}

// sideNames are the sides of transcripts, each with the one it is measured
// against. The first is the record.
var sideNames = []struct{ name, against, who string }{
	{"ours", "", ""},
	{"upstream", "ours", "ours"},
	{"old", "upstream", "old"},
	{"upstream-reference", "upstream", "daemon"},
	{"ours-reference", "ours", "daemon"},
}

func readScript(file string) (*script, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	s := &script{file: file}
	state := "full"
	now := item{results: map[string]*result{}}
	var into *result
	flush := func() {
		s.items = append(s.items, now)
		now = item{results: map[string]*result{}}
	}
	for n, line := range strings.Split(strings.TrimSuffix(string(text), "\n"), "\n") {
		at := fmt.Sprintf("%s:%d", file, n+1)
		switch {
		case strings.HasPrefix(line, "    ") && into != nil:
			into.lines = append(into.lines, strings.TrimPrefix(line, "    "))
			continue
		case strings.HasPrefix(line, "  ") && now.command != "":
			who, id, ok := strings.Cut(strings.TrimSuffix(strings.TrimSpace(line), ":"), " ")
			if !ok || !knownSide(who) {
				return nil, fmt.Errorf("%s: %q: want a side and the id of a difference", at, line)
			}
			into = &result{id: id}
			now.results[who] = into
			continue
		}
		if now.command != "" {
			flush()
		}
		into = nil
		word, rest, _ := strings.Cut(line, " ")
		switch word {
		case "", "#":
		case "state":
			state = rest
			if _, ok := states[state]; !ok {
				return nil, fmt.Errorf("%s: there is no state %q", at, state)
			}
		case "env":
			now.env = append(now.env, rest)
		case "stdin":
			if now.stdin, err = strconv.Unquote(rest); err != nil {
				return nil, fmt.Errorf("%s: stdin: %w", at, err)
			}
		case "file":
			name, quoted, _ := strings.Cut(rest, " ")
			text, err := strconv.Unquote(quoted)
			if err != nil {
				return nil, fmt.Errorf("%s: file: %w", at, err)
			}
			if now.files == nil {
				now.files = map[string]string{}
			}
			now.files[name] = text
		case "wg", "sh":
			now.command, now.state, now.line = line, state, n+1
			into = &result{}
			now.results["ours"] = into
			continue
		default:
			return nil, fmt.Errorf("%s: %q is no line of a script", at, line)
		}
		now.before = append(now.before, line)
	}
	flush()
	return s, nil
}

func knownSide(name string) bool {
	for _, s := range sideNames {
		if s.name == name {
			return true
		}
	}
	return false
}

// write records the script with the results that it now has.
func (s *script) write() error {
	var b strings.Builder
	for _, i := range s.items {
		for _, l := range i.before {
			fmt.Fprintln(&b, l)
		}
		if i.command == "" {
			continue
		}
		fmt.Fprintln(&b, i.command)
		for _, side := range sideNames {
			r := i.results[side.name]
			if r == nil {
				continue
			}
			if side.name != "ours" {
				fmt.Fprintf(&b, "  %s %s:\n", side.name, r.id)
			}
			for _, l := range r.lines {
				fmt.Fprintf(&b, "    %s\n", l)
			}
		}
	}
	return os.WriteFile(s.file, []byte(b.String()), 0o644)
}

// expected returns what a side is to do, and the side whose record says so.
func (i *item) expected(side string) *result {
	for {
		if r := i.results[side]; r != nil {
			return r
		}
		for _, s := range sideNames {
			if s.name == side {
				side = s.against
				break
			}
		}
	}
}

// words splits a command.
func words(line string) ([]string, error) {
	var all []string
	for line = strings.TrimLeft(line, " "); line != ""; line = strings.TrimLeft(line, " ") {
		if line[0] == '"' {
			quoted, err := strconv.QuotedPrefix(line)
			if err != nil {
				return nil, fmt.Errorf("words of %q: %w", line, err)
			}
			word, _ := strconv.Unquote(quoted)
			all, line = append(all, word), line[len(quoted):]
			continue
		}
		word, rest, _ := strings.Cut(line, " ")
		all, line = append(all, word), rest
	}
	return all, nil
}
