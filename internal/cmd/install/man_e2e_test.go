//go:build linux && e2e

package install

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The pages are well-formed for both programs that show manual pages.
func TestManualPagesPassTheLint(t *testing.T) {
	b := newBed(t)
	o := b.options()
	o.compat = true
	b.must(o.install(t.Context()))
	pages, err := filepath.Glob(b.root + "/usr/share/man/man8/*.8")
	if err != nil || len(pages) < 8 {
		t.Fatalf("%d pages, %v", len(pages), err)
	}
	for _, p := range pages {
		// style: nothing worth a remark, but for references to pages that this
		// host may not have.
		out, err := exec.Command("mandoc", "-T", "lint", "-W", "style", p).CombinedOutput()
		text := ""
		for _, line := range strings.Split(string(out), "\n") {
			if line != "" && !strings.Contains(line, "outdated mandoc.db") && !strings.Contains(line, "referenced manual not found") {
				text += line + "\n"
			}
		}
		if text != "" {
			t.Errorf("mandoc: %v\n%s", err, text)
		}
		cmd := exec.Command("man", "--warnings", "-l", p)
		cmd.Env = append(os.Environ(), "MANROFFSEQ=", "MANWIDTH=80", "LC_ALL=C.UTF-8")
		var errs strings.Builder
		cmd.Stderr = &errs
		shown, err := cmd.Output()
		if err != nil || errs.Len() > 0 {
			t.Errorf("man -l %s: %v\n%s", filepath.Base(p), err, errs.String())
		}
		if !strings.Contains(string(shown), "EXIT STATUS") {
			t.Errorf("man -l %s shows\n%s", filepath.Base(p), shown)
		}
	}
}
