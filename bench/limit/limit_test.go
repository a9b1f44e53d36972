package main

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const word = "-X github.com/warrenvpn/warren/internal/aead.benchmark=limit"

func run(t *testing.T, argv ...string) (out string, err error) {
	t.Helper()
	b, err := exec.Command(argv[0], argv[1:]...).CombinedOutput()
	return string(b), err
}

func build(t *testing.T, args ...string) (program string) {
	t.Helper()
	program = filepath.Join(t.TempDir(), "limit")
	out, err := run(t, append([]string{"go", "build", "-o", program}, args...)...)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return program
}

func TestLimitHasNoCipher(t *testing.T) {
	out, err := run(t, "go", "-C", "../..", "test", "-count=1", "-v", "-tags", "nocipher", "-ldflags", word,
		"-run", "^TestNothingIsEncryptedAndAllIsAuthentic$", "./internal/aead")
	if err != nil || !strings.Contains(out, "--- PASS: TestNothingIsEncryptedAndAllIsAuthentic") {
		t.Errorf("%v\n%s", err, out)
	}
	if out, err := run(t, build(t, "-tags", "nocipher", "-ldflags", word, "."), "--version"); err != nil || !strings.Contains(out, "without a cipher") {
		t.Errorf("%v, says %q, want that it has no cipher", err, out)
	}
}

// Whoever sets the tag without knowing gets nothing that could be mistaken for
// a tunnel, and whoever builds the limit without the tag no figure.
func TestLimitNeedsTagAndWord(t *testing.T) {
	for _, tc := range []struct {
		args []string
		want string
	}{
		{[]string{"-tags", "nocipher", "."}, "panic: aead: built with the tag nocipher"},
		{[]string{"-ldflags", word, "."}, "built with a cipher, so it measures no limit"},
	} {
		if out, err := run(t, build(t, tc.args...), "wg0"); err == nil || !strings.Contains(out, tc.want) {
			t.Errorf("built with %q: %v, says %q, want it to fail with %q", tc.args, err, out, tc.want)
		}
	}
}
