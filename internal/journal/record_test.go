package journal

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
)

const header = `{"journal":"warren","version":1,"interface":"wg0","namespace":7,"owner":{"pid":1,"start":2,"boot":"b","pids":3},"about":{"x":1}}` + "\n"

func TestParse(t *testing.T) {
	for name, c := range map[string]struct {
		text   string
		want   string // phase, and steps with ! where done
		damage bool
	}{
		"empty":           {"", "up", false},
		"half a header":   {header[:20], "up", false},
		"header":          {header, "up", false},
		"intent":          {header + `{"n":1,"step":"a"}` + "\n", "up a", false},
		"half an intent":  {header + `{"n":1,"step":"a"`, "up", false},
		"done":            {header + `{"n":1,"step":"a"}` + "\n" + `{"n":1,"done":true}` + "\n", "up a!", false},
		"half a done":     {header + `{"n":1,"step":"a"}` + "\n" + `{"n":1,"done":tr`, "up a", false},
		"two":             {header + `{"n":1,"step":"a"}` + "\n" + `{"n":2,"step":"b"}` + "\n" + `{"n":1,"done":true}` + "\n", "up a! b", false},
		"undone":          {header + `{"n":1,"step":"a"}` + "\n" + `{"n":2,"step":"b"}` + "\n" + `{"n":1,"undone":true}` + "\n", "up b", false},
		"complete":        {header + `{"n":1,"step":"a"}` + "\n" + `{"phase":"complete"}` + "\n", "complete a", false},
		"down":            {header + `{"phase":"complete"}` + "\n" + `{"phase":"down","owner":{"pid":9}}` + "\n", "down", false},
		"unknown phase":   {header + `{"n":1,"step":"a"}` + "\n" + `{"phase":"sideways"}` + "\n" + `{"n":2,"step":"b"}` + "\n", "up a", true},
		"garbage":         {header + `{"n":1,"step":"a"}` + "\n%%%\n" + `{"n":2,"step":"b"}` + "\n", "up a", true},
		"out of order":    {header + `{"n":2,"step":"a"}` + "\n" + `{"n":1,"step":"b"}` + "\n", "up a", true},
		"unknown step":    {header + `{"n":1,"done":true}` + "\n", "up", true},
		"an empty object": {header + "{}\n", "up", true},
	} {
		r, err := Parse([]byte(c.text))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got := string(r.Phase)
		for _, e := range r.Entries {
			got += " " + strings.Trim(string(e.Step), `"`)
			if e.Done {
				got += "!"
			}
		}
		if got != c.want || (r.Damage != nil) != c.damage {
			t.Errorf("%s: %q, damage %v, want %q, %v", name, got, r.Damage, c.want, c.damage)
		}
	}
}

func TestForeignFilesAreRefused(t *testing.T) {
	for _, text := range []string{"\n", "x\n", "{}\n", strings.Replace(header, `"version":1`, `"version":2`, 1), strings.Replace(header, "warren", "other", 1)} {
		if _, err := Parse([]byte(text)); !errors.Is(err, ErrNotAJournal) {
			t.Errorf("%q: %v, want ErrNotAJournal", text, err)
		}
	}
}

// FuzzParse: no text makes parsing panic; cut anywhere, a journal tells of a
// beginning of what it told whole; and steps are numbered upwards.
func FuzzParse(f *testing.F) {
	f.Add([]byte(header+`{"n":1,"step":{"kind":"add-rule"}}`+"\n"+`{"n":1,"done":true,"result":{"index":3}}`+"\n"+`{"phase":"complete"}`+"\n"), 100)
	f.Add([]byte(header+`{"n":1,"step":"a"}`+"\n"+`{"n":1,"undone":true}`+"\n"), 190)
	f.Fuzz(func(t *testing.T, text []byte, cut int) {
		r, err := Parse(text)
		if err != nil {
			return
		}
		last := 0
		for _, e := range r.Entries {
			if e.Number <= last || !json.Valid(e.Step) {
				t.Errorf("step %d behind %d: %q", e.Number, last, e.Step)
			}
			last = e.Number
		}
		if cut < 0 || cut > len(text) {
			return
		}
		// What was being written when the process died is as if never begun.
		whole := text[:cut]
		if i := strings.LastIndexByte(string(whole), '\n'); i >= 0 {
			whole = whole[:i+1]
		} else {
			whole = nil
		}
		a, errA := Parse(text[:cut])
		b, errB := Parse(whole)
		if (errA == nil) != (errB == nil) || errA == nil && !reflect.DeepEqual(a.Entries, b.Entries) {
			t.Errorf("cut at %d: %+v, %v, want %+v, %v", cut, a, errA, b, errB)
		}
	})
}
