package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestUnknownCommandNamesTheNearest(t *testing.T) {
	saved := families
	defer func() { families = saved }()
	families = []family{{words: []command{{"device", "", "", tunnels}}}}
	var out, errs bytes.Buffer
	if code := dispatch(&out, &errs, []string{"devise"}); code != 2 {
		t.Errorf("exit code = %d, want 2", code)
	}
	if !strings.Contains(errs.String(), "`warren device`") {
		t.Errorf("no suggestion in %q", errs.String())
	}
}

func TestHelpListsEveryCommand(t *testing.T) {
	var out, errs bytes.Buffer
	if code := dispatch(&out, &errs, []string{"help"}); code != 0 || errs.Len() > 0 {
		t.Errorf("exit code = %d, stderr %q, want 0 and none", code, errs.String())
	}
	for _, f := range families {
		for _, c := range f.words {
			if !strings.Contains(out.String(), "\n  "+c.word) {
				t.Errorf("help does not list %q", c.word)
			}
		}
	}
}

func TestFamilyIsChosenByWord(t *testing.T) {
	saved := families
	defer func() { families = saved }()
	var program string
	var got []string
	record := func(p string, args []string) int { program, got = p, args; return 7 }
	families = []family{
		{words: []command{{"device", "", "", tunnels}}, run: record},
		{words: []command{{"up", "", "", tunnels}, {"down", "", "", tunnels}}, run: record, keepWord: true},
	}
	for _, c := range []struct {
		args    []string
		program string
		want    string
	}{
		{[]string{"device", "-f", "wg0"}, "warren device", "-f wg0"},
		{[]string{"down", "wg0"}, "warren down", "down wg0"},
	} {
		if code := dispatch(nil, nil, c.args); code != 7 || program != c.program || strings.Join(got, " ") != c.want {
			t.Errorf("%v: code %d, program %q, args %q, want 7, %q, %q", c.args, code, program, got, c.program, c.want)
		}
	}
}
