package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The limit without a cipher is measured with a program of bench/ alone.
func TestReleaseCannotBeBuiltWithoutItsCipher(t *testing.T) {
	build := exec.Command("go", "build", "-tags", "nocipher", "-o", filepath.Join(t.TempDir(), "warren"), ".")
	build.Env = append(os.Environ(), "GOFLAGS=")
	out, err := build.CombinedOutput()
	if err == nil {
		t.Fatal("`go build -tags nocipher` made a program")
	}
	if !strings.Contains(string(out), "undefined: a_program_for_users_cannot_be_built_without_its_cipher") {
		t.Errorf("the build failed for another reason: %s", out)
	}
}
