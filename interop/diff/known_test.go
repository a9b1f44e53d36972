//go:build linux && e2e

package diff

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// A difference is one that is known: testdata/known.txt has a line for each,
//
//	id | who differs | where compat says it | why
//
// Those of wg-quick go on with lines that are indented, each a pattern for a line
// that only the one that differs has (+) or only the other (-). "everywhere" says
// that cases need not name the difference.
type difference struct {
	id, who, where, why string
	extra, missing      []*regexp.Regexp
	everywhere          bool
}

// whos are those who can differ. Each is measured against the one before it in
// the chain: ours is the record, upstream's tool against ours, the system's older
// tool against upstream's, and the reference daemon against our daemon.
var whos = []string{"ours", "old", "daemon"}

// known holds the differences, and which were seen in this run.
type known struct {
	all []difference

	mu   sync.Mutex // guards seen
	seen map[string]int
}

func readKnown(file string) (*known, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	k := &known{seen: map[string]int{}}
	for n, line := range strings.Split(string(text), "\n") {
		if strings.HasPrefix(line, " ") && len(k.all) > 0 {
			if err := k.all[len(k.all)-1].pattern(strings.TrimSpace(line)); err != nil {
				return nil, fmt.Errorf("%s:%d: %w", file, n+1, err)
			}
			continue
		}
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		f := strings.Split(line, " | ")
		if len(f) != 4 {
			return nil, fmt.Errorf("%s:%d: %d fields, want id | who | where | why", file, n+1, len(f))
		}
		for i := range f {
			f[i] = strings.TrimSpace(f[i])
		}
		d := difference{id: f[0], who: f[1], where: f[2], why: f[3]}
		if !slices.Contains(whos, d.who) {
			return nil, fmt.Errorf("%s:%d: %q cannot differ; these can: %q", file, n+1, d.who, whos)
		}
		if k.find(d.id) != nil {
			return nil, fmt.Errorf("%s:%d: %s is listed twice", file, n+1, d.id)
		}
		k.all = append(k.all, d)
	}
	return k, nil
}

func (d *difference) pattern(line string) error {
	if line == "everywhere" {
		d.everywhere = true
		return nil
	}
	sign, text, _ := strings.Cut(line, " ")
	p, err := regexp.Compile(text)
	switch {
	case err != nil:
		return err
	case sign == "+":
		d.extra = append(d.extra, p)
	case sign == "-":
		d.missing = append(d.missing, p)
	default:
		return fmt.Errorf("%q: want everywhere, or + or - and a pattern", line)
	}
	return nil
}

// explain returns the id of the difference that a deviation is due to, and notes
// that it occurs. Old differences are the other way round where an old tool is
// the model.
func (k *known) explain(dev deviation, whos, named []string) string {
	for i := range k.all {
		d := &k.all[i]
		reversed := slices.Contains(whos, d.who+"-reversed")
		if !reversed && !slices.Contains(whos, d.who) || !d.everywhere && !slices.Contains(named, d.id) {
			continue
		}
		patterns := d.missing
		if dev.extra != reversed {
			patterns = d.extra
		}
		for _, p := range patterns {
			if p.MatchString(dev.line) {
				k.mu.Lock()
				k.seen[d.id]++
				k.mu.Unlock()
				return d.id
			}
		}
	}
	return ""
}

func (k *known) find(id string) *difference {
	for i := range k.all {
		if k.all[i].id == id {
			return &k.all[i]
		}
	}
	return nil
}

// use notes that a difference occurs. It returns an error for one that is not
// listed, or listed as somebody else's.
func (k *known) use(id, who string) error {
	d := k.find(id)
	if d == nil {
		return fmt.Errorf("the difference %q of %s is not listed in testdata/known.txt", id, who)
	}
	if d.who != who {
		return fmt.Errorf("the difference %q of %s is listed as one of %s", id, who, d.who)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.seen[id]++
	return nil
}

// unused fails for listed differences of these names that nobody has seen.
func (k *known) unused(t *testing.T, prefix string) {
	t.Helper()
	if flag.Lookup("test.run").Value.String() != "" {
		return // not all tests are run
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, d := range k.all {
		if d.who == "old" && tools.old.date >= since {
			continue // the system's tool is not old
		}
		if strings.HasPrefix(d.id, prefix) && k.seen[d.id] == 0 {
			t.Errorf("known.txt lists %s (%s), which does not occur", d.id, d.why)
		}
	}
}
