package archtest

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

// foreign are words that have no business in a repository: where and how it
// was written is not part of it. They are put together here so that this file
// does not contain them.
var foreign = []*regexp.Regexp{
	regexp.MustCompile(`(?i)\bsub` + `agents?\b`),
	regexp.MustCompile(`(?i)\bclau` + `de\b`),
	regexp.MustCompile(`(?i)\bhelper (se` + `ssion|ag` + `ent)s?\b`),
	regexp.MustCompile(`\bCE` + `O\b`),
	regexp.MustCompile(`(?i)\b(this|an earlier|a later|the next|another) iss` + `ue\b`),
	regexp.MustCompile(`(?i)\biss` + `ue #?[0-9]`),
	regexp.MustCompile(`(^|[^A-Za-z0-9_.~])/wo` + `rk/`),
	regexp.MustCompile(`\.\./sha` + `red/`),
	regexp.MustCompile(`bash_` + `jobs`),
	regexp.MustCompile(`\bTO` + `DO\b|\bFIX` + `ME\b|\bXX` + `X\b`),
}

func TestTheTextIsAboutTheProject(t *testing.T) {
	for _, name := range treeFiles(t) {
		text, err := os.ReadFile(filepath.Join(top, name))
		if err != nil {
			t.Error(err)
			continue
		}
		if !utf8.Valid(text) || strings.HasSuffix(name, ".sum") || strings.Contains(name, "testdata/fuzz/") {
			continue
		}
		for n, line := range strings.Split(string(text), "\n") {
			for _, re := range foreign {
				if w := re.FindString(line); w != "" {
					t.Errorf("%s:%d: %q does not belong here", name, n+1, strings.TrimSpace(w))
				}
			}
		}
	}
}
