//go:build linux && e2e

package diff

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// quickSides are those whose wg-quick is compared, with the one each is measured
// against, and who differs.
var quickSides = []struct{ name, against, who string }{
	{"upstream", "", ""},
	{"old", "upstream", "old"},
	{"ours", "upstream", "ours"},
}

// I12, Q13, Q21, Q22, Q23, Q24, Q25, Q27, Q28, Q29, Q30, and every row of compat
// 6 that wg-quick is concerned with: both tools say and do the same, and leave
// the same system behind.
func TestQuick(t *testing.T) {
	record(t)
	k, err := readKnown("testdata/known.txt")
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("testdata/quick/*.txt")
	if err != nil || len(files) < 60 {
		t.Errorf("cases: found %d, want at least 60; error %v", len(files), err)
	}
	t.Run("cases", func(t *testing.T) {
		for _, file := range files {
			name := strings.TrimSuffix(filepath.Base(file), ".txt")
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				c, err := readCase(name, file)
				if err != nil {
					t.Fatal(err)
				}
				if c.resolvconf == "open" && tools.openresolv == "" {
					t.Log("not compared: openresolv comes with upstream's tools, which could not be had")
					return
				}
				c.run(t, k)
			})
		}
	})
	if !t.Failed() && tools.upstream.date >= since {
		k.unused(t, "quick-")
	}
}

// run runs a case on all sides and compares.
func (c *quickCase) run(t *testing.T, k *known) {
	lab := newLab(t)
	seen := map[string][]string{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, n := range quickSides {
		tool := map[string]*toolset{"upstream": &tools.upstream, "old": &tools.old, "ours": &tools.ours}[n.name]
		if tools.upstream.date < since && n.name == "upstream" || n.name == "old" && !c.wantsOld(k) {
			continue
		}
		s := newSide(t, lab, n.name, tool)
		wg.Go(func() {
			lines, err := c.observe(s)
			if err != nil {
				t.Errorf("%s: %v", s.name, err)
			}
			mu.Lock()
			seen[s.name] = lines
			mu.Unlock()
		})
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	used := map[string]bool{}
	for _, n := range quickSides {
		if n.against == "" || seen[n.name] == nil {
			continue
		}
		model, ok := seen[n.against]
		who := []string{n.who}
		if !ok {
			if n.name != "ours" {
				continue
			}
			// Nothing newer could be had: the old one is the model, and what it
			// is known to do otherwise is allowed.
			model, who = seen["old"], []string{"ours", "old-reversed"}
		}
		var bad []string
		part := ""
		for _, d := range deviations(model, seen[n.name]) {
			id := k.explain(d, who, c.differs)
			if id != "" {
				used[id] = true
				continue
			}
			if d.under != part {
				part = d.under
				bad = append(bad, part)
			}
			bad = append(bad, "  "+d.String())
		}
		if len(bad) > 0 {
			t.Errorf("%s differs from %s (-):\n%s", n.name, n.against, strings.Join(bad, "\n"))
		}
	}
	for _, e := range c.expects {
		if lines, ok := seen[e.side]; ok && !slices.ContainsFunc(lines, e.line.MatchString) && (e.side != "old" || tools.old.date < since) {
			t.Errorf("%s has no line that matches %s:\n%s", e.side, e.line, indented(lines))
		}
	}
	for _, id := range c.differs {
		if d := k.find(id); d == nil {
			t.Errorf("the difference %s is not listed", id)
		} else if !used[id] && (d.who != "old" || tools.old.date < since) && tools.upstream.date >= since {
			t.Errorf("the difference %s does not occur any more", id)
		}
	}
}

// wantsOld reports whether the system's old tool runs a case: where it differs,
// where it is all there is, and a part of the others, as it does not change.
func (c *quickCase) wantsOld(k *known) bool {
	differs := func(id string) bool { d := k.find(id); return d != nil && d.who == "old" }
	return tools.upstream.date < since || slices.ContainsFunc(c.differs, differs) || len(c.name)%4 == 0
}

// observe runs a case on one side and returns all that is compared.
func (c *quickCase) observe(s *side) ([]string, error) {
	if err := s.host.Do(func() error { return c.furnish() }); err != nil {
		return nil, err
	}
	if o, err := s.run(nil, "", "/bin/bash", "-c", hosts[c.host]); err != nil || o.code != 0 {
		return nil, fmt.Errorf("host %s: %v, exit %d: %s", c.host, err, o.code, o.stderr)
	}
	var env, all []string
	for _, st := range c.steps {
		text := fromNames.Replace(st.text)
		if st.kind == "env" {
			env = append(env, text)
			continue
		}
		o, err := s.run(env, "", "/bin/bash", "-c", text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", text, err)
		}
		if st.kind == "sh" {
			if o.code != 0 {
				return nil, fmt.Errorf("%s: exit %d\n%s", text, o.code, o.stderr)
			}
			continue
		}
		all = append(all, "$ "+st.text)
		lines := slices.Concat(shown("1", o.stdout), shown("2", o.stderr), []string{fmt.Sprintf("= %d", o.code)})
		state, err := s.system()
		if err != nil {
			return nil, err
		}
		for i := range lines {
			lines[i] = scriptLine.ReplaceAllString(lines[i], "{script}: ")
		}
		all = append(all, settled(slices.Concat(lines, state), c.text)...)
	}
	return all, nil
}

// scriptLine is where in its script bash met an error.
var scriptLine = regexp.MustCompile(`/\S*/wg-quick: (eval: )?line \d+: `)

// furnish writes the files of a case; it runs inside the host.
func (c *quickCase) furnish() error {
	files := slices.Clone(c.files)
	if text, ok := resolvconfs[c.resolvconf]; ok {
		files = append(files, caseFile{workDir + "/bin/resolvconf", text})
	}
	for _, f := range files {
		if err := os.MkdirAll(filepath.Dir(f.path), 0o755); err != nil {
			return err
		}
		mode := fs.FileMode(0o600)
		if strings.HasPrefix(f.path, workDir+"/bin/") {
			mode = 0o755
		} else if !strings.HasPrefix(f.path, "/etc/wireguard/") && strings.HasPrefix(f.path, "/etc/") {
			mode = 0o644
		}
		if err := os.WriteFile(f.path, []byte(fromNames.Replace(f.text)), mode); err != nil {
			return err
		}
	}
	if c.resolvconf == "open" {
		return openresolv()
	}
	return nil
}

// openresolv puts the package over /usr, where its parts look for each other.
func openresolv() error {
	if tools.openresolv == "" {
		return fmt.Errorf("openresolv is not in the cache")
	}
	if err := unix.Mount("overlay", "/usr", "overlay", unix.MS_RDONLY, "lowerdir="+tools.openresolv+"/usr:/usr"); err != nil {
		return fmt.Errorf("mount /usr: %w", err)
	}
	text, err := os.ReadFile(tools.openresolv + "/etc/resolvconf.conf")
	if err != nil {
		return err
	}
	return os.WriteFile("/etc/resolvconf.conf", text, 0o644)
}
