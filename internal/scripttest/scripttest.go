// Package scripttest runs scenarios written as text, with the expected output
// beside each command. It knows no protocol and is imported by tests only.
//
// A script is made of lines:
//
//	# a comment, which runs to the end of the line
//	send a->b            a command: words, from the first column on
//	    0.000 a: up      what the command must print: indented by four spaces
//
// Blank lines and comments separate commands and are kept. Run the test with
// -update to rewrite the expected output from what is printed; read the
// difference before it is committed.
package scripttest

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the expected output of scripts")

const indent = "    "

// A Machine carries out the commands of one script. It is made anew for each.
type Machine interface {
	// Do carries out one command and returns the lines it prints, none of them
	// with a line break. An error stops the script.
	Do(name string, args []string) ([]string, error)
}

// Run runs every script that matches glob as a subtest named after the file.
func Run(t *testing.T, glob string, start func(t *testing.T) Machine) {
	t.Helper()
	files, err := filepath.Glob(glob)
	if err != nil || len(files) == 0 {
		t.Fatalf("scripts %s: found %d, error %v", glob, len(files), err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), filepath.Ext(file))
		t.Run(name, func(t *testing.T) { runFile(t, file, start(t)) })
	}
}

func runFile(t *testing.T, file string, m Machine) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	got, problems := execute(Parse(text), m)
	for _, p := range problems {
		if p.fatal || !*update {
			t.Errorf("%s:%d: %s", file, p.line, p.text)
		}
	}
	if *update && !bytes.Equal(got, text) {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// Block is a command and its expected output, or a line that is neither.
type Block struct {
	Line int      // of the command, counted from 1
	Text string   // the line as written
	Args []string // words of the command; empty for blank lines and comments
	Want []string // expected output without the indentation
}

// Parse splits a script. Every text is a script: output that follows no command
// is kept with the line before it.
func Parse(text []byte) []Block {
	var blocks []Block
	sc := bufio.NewScanner(bytes.NewReader(text))
	sc.Buffer(nil, len(text)+1)
	for n := 1; sc.Scan(); n++ {
		line := strings.TrimRight(sc.Text(), " \t\r")
		if out, ok := strings.CutPrefix(line, indent); ok && len(blocks) > 0 {
			last := &blocks[len(blocks)-1]
			last.Want = append(last.Want, out)
			continue
		}
		command, _, _ := strings.Cut(line, "#")
		blocks = append(blocks, Block{Line: n, Text: line, Args: strings.Fields(command)})
	}
	return blocks
}

type problem struct {
	line  int
	text  string
	fatal bool // the command failed, as opposed to printing something else
}

// execute runs blocks and returns the script as it should read.
func execute(blocks []Block, m Machine) ([]byte, []problem) {
	var out bytes.Buffer
	var problems []problem
	stopped := false
	for _, b := range blocks {
		got := b.Want
		if len(b.Args) > 0 && !stopped {
			var err error
			if got, err = m.Do(b.Args[0], b.Args[1:]); err != nil {
				problems = append(problems, problem{b.Line, fmt.Sprintf("%s: %v", b.Text, err), true})
				got, stopped = b.Want, true
			} else if !slices.Equal(got, b.Want) {
				problems = append(problems, problem{b.Line, difference(b, got), false})
			}
		}
		fmt.Fprintln(&out, b.Text)
		for _, line := range got {
			fmt.Fprintln(&out, strings.TrimRight(indent+line, " "))
		}
	}
	return out.Bytes(), problems
}

// difference shows what was printed and what was expected from the first line on
// in which they differ.
func difference(b Block, got []string) string {
	i := 0
	for i < len(got) && i < len(b.Want) && got[i] == b.Want[i] {
		i++
	}
	return fmt.Sprintf("%s: output differs from line %d on\n got:\n%s\nwant:\n%s",
		b.Text, i+1, joined(got[i:]), joined(b.Want[i:]))
}

func joined(lines []string) string {
	if len(lines) == 0 {
		return indent + "(nothing)"
	}
	return indent + strings.Join(lines, "\n"+indent)
}
